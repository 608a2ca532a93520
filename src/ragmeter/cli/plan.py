"""`ragmeter plan`: RAG, fine-tuning, both or neither, from measured traffic or a scenario, and how sure that is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from io import TextIOWrapper
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ragmeter.cli.server_options import (
    Length,
    OptionError,
    Password,
    Select,
    Since,
    Token,
    Until,
    User,
    span_of,
)
from ragmeter.domain.wording import shown
from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.http import Access
from ragmeter.measured.times import last

if TYPE_CHECKING:
    from ragmeter.cli.scenario import Scenario
    from ragmeter.planning.plan import Plan
    from ragmeter.planning.workload import Workload

REQUIRED = {"numpy": "numpy", "yaml": "pyyaml", "pydantic": "pydantic"}
"""What is imported, and what it is called where it is installed from."""

MOST_DRAWS = 1_000_000


Scenarios = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SCENARIO]...", help="Files of assumptions (YAML), or names of shipped ones; a later one overrides."
    ),
]
Server = Annotated[
    str | None, typer.Option(metavar="URL", help="Measure: read the traffic from a Prometheus-compatible server.")
]
Page = Annotated[
    str | None, typer.Option(metavar="URL", help="Measure: watch the /metrics page of a running app instead.")
]
Watch = Annotated[str, typer.Option("--for", metavar="TIME", help="How long to watch the page.")]
Given = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="One assumption, such as labour_rate=[60,150]; repeatable."),
]
Horizon = Annotated[
    int | None, typer.Option(metavar="MONTHS", help="Months to look ahead. Default: the scenario's, or 12.")
]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same draws.")]
Draws = Annotated[int, typer.Option(min=100, max=MOST_DRAWS, help="How many draws.")]
Html = Annotated[
    Path | None, typer.Option(metavar="PAGE", help="Write an HTML page with charts instead; it loads nothing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Write everything as JSON.")]
Listing = Annotated[bool, typer.Option("--list", help="List the shipped scenarios, and what may be assumed.")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the traffic is measured: at a server, on a page, or nowhere."""

    server: str | None
    span: tuple[str, str | None, str | None]
    select: str
    page: str | None
    watch: str
    access: Access


def plan(
    scenarios: Scenarios = None,
    *,
    prometheus: Server = None,
    span: Length = "14d",
    since: Since = None,
    until: Until = None,
    select: Select = "",
    metrics: Page = None,
    watch: Watch = "60s",
    user: User = None,
    password: Password = "",
    token: Token = None,
    settings: Given = None,
    horizon: Horizon = None,
    seed: Seed = 1,
    draws: Draws = 20_000,
    html: Html = None,
    as_json: AsJson = False,
    listing: Listing = False,
) -> None:
    """Decide between RAG, fine-tuning, both and the base model: what each costs, and how sure that is.

    The traffic is measured (--prometheus, --metrics) or stands in a scenario. What nobody says has dated defaults.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    screen, notes = Console(highlight=False), Console(stderr=True, highlight=False, soft_wrap=True)
    with _errors_told(notes):
        from ragmeter.cli import plan_picture, scenario_layers

        if listing:
            screen.print(plan_picture.listing(scenario_layers.shipped(), screen.width))
            return
        given = [*(settings or ()), *(() if horizon is None else (f"horizon={horizon}",))]
        place = Place(prometheus, (span, since, until), select, metrics, watch, Access(user, password, token))
        made = plan_of(_said(scenarios or (), given, place, notes), draws=draws, seed=seed)
        if html is not None:
            _write(html, made)
    if as_json:
        print(json.dumps(as_data(made), indent=2))
    elif html is not None:
        screen.print(Text(shown(f"Written: {html}")), soft_wrap=True)
    else:
        screen.print(plan_picture.draw(made, screen.width))


def _write(path: Path, made: Plan) -> None:
    from ragmeter.cli.plan_page import page

    try:
        path.write_text(page(made), "utf-8")
    except OSError as error:
        raise OptionError(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def _errors_told(notes: Console) -> Iterator[None]:
    """Say what is wrong and exit with 2."""
    missing = [name for module, name in REQUIRED.items() if find_spec(module) is None]
    if missing:
        notes.print(Text(f"ragmeter plan needs {', '.join(missing)}: pip install 'ragmeter[plan]'"))
        raise typer.Exit(2)
    from ragmeter.cli.scenario_layers import ScenarioError
    from ragmeter.planning.plan import PlanError

    try:
        yield
    except (MeasuredError, ScenarioError, PlanError, OptionError) as error:
        notes.print("[red]ragmeter plan:[/]", Text(shown(str(error))))
        raise typer.Exit(2) from error


# --- where the traffic comes from


def _said(scenarios: Sequence[str], settings: Sequence[str], place: Place, notes: Console) -> Scenario:
    """What files and options say, with the traffic that is measured."""
    from ragmeter.cli.scenario import read_scenario
    from ragmeter.cli.scenario_layers import read_layer, read_setting, shipped

    said = read_scenario([*map(read_layer, scenarios), *map(read_setting, settings)])
    if place.server is not None and place.page is not None:
        raise OptionError("--prometheus and --metrics are two places to measure: give one of them.")
    if place.server is None and any(place.span[1:]):
        raise OptionError("--from and --to say what to read from a server: add --prometheus URL.")
    if place.server is not None:
        return _with_measured(said, _of_server(place.server, place, notes))
    if place.page is not None:
        return _with_measured(said, _of_page(place.page, place, notes))
    if not said.workload.strategies:
        raise OptionError(
            "nothing is measured, and no scenario tells of any traffic: add --prometheus URL, --metrics URL, or one of "
            f"{', '.join(shipped())}."
        )
    return said


def _of_server(url: str, place: Place, notes: Console) -> Workload:
    from ragmeter.measured.server import read_server

    span = span_of(*place.span)
    with notes.status(f"Reading {span} …"):
        return read_server(url, span, access=place.access, matchers=place.select)


def _of_page(url: str, place: Place, notes: Console) -> Workload:
    from ragmeter.measured.page import read_page

    seconds = last(place.watch, datetime.now(UTC)).length.total_seconds()
    with notes.status(f"Watching the page for {place.watch} …"):
        return read_page(url, seconds, access=place.access)


def _with_measured(said: Scenario, measured: Workload) -> Scenario:
    """A scenario with the traffic that was measured; of strategies that were not, what the scenario says stands."""
    doubly = sorted(said.workload.strategies.keys() & measured.strategies.keys())
    notes = tuple(f"{name} was measured: what the scenario says of its traffic does not count." for name in doubly)
    strategies = {**said.workload.strategies, **measured.strategies}
    given = said.assumptions.values.items()
    values = {path: each for path, each in given if not path.startswith(tuple(f"traffic.{name}." for name in doubly))}
    return replace(
        said,
        workload=replace(measured, strategies=strategies, notes=(*measured.notes, *notes)),
        assumptions=replace(said.assumptions, values=values),
    )


def plan_of(said: Scenario, *, draws: int, seed: int) -> Plan:
    """The plan for a scenario, with list prices where they are needed and nobody gives others."""
    from ragmeter.cli.list_prices import with_list_prices
    from ragmeter.planning.plan import make_plan

    return make_plan(
        said.workload,
        with_list_prices(said.workload, said.assumptions),
        title=said.title,
        months=said.months,
        draws=draws,
        seed=seed,
        claims=said.claims,
        expectations=said.expectations,
    )


# --- what is written


def as_data(plan: Plan) -> dict[str, Any]:
    """A plan as JSON has it: what is infinite, a break-even that is never reached, is null."""
    data = asdict(plan)
    for row, told in zip(data["rows"], plan.rows, strict=True):
        row["cost_per_thousand"], row["cost_per_month"] = told.cost_per_thousand, told.cost_per_month
        row["cost_per_month_tenfold"], row["setup_cost"] = told.cost_per_month_tenfold, told.setup_cost
        row["total_cost"] = told.total_cost
    written: dict[str, Any] = _finite(data)
    return written


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {"/".join(key) if isinstance(key, tuple) else str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and isinf(value) else value
