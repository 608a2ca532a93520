"""Reads what a plan is made of from YAML: traffic and assumptions, one file over the other, and settings by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from ragmeter.cli.list_prices import ListPriceError, list_prices
from ragmeter.cli.scenario_layers import Layer, ScenarioError, merged, origin
from ragmeter.domain.strategy import STRATEGIES
from ragmeter.planning.assumptions import AssumptionError, Assumptions, assume, quantity_at
from ragmeter.planning.claims import Claim, Expectation
from ragmeter.planning.plan import MONTHS, MOST_MONTHS
from ragmeter.planning.quantities import QUANTITIES
from ragmeter.planning.ranges import RangeError, Scale, middle, read_range
from ragmeter.planning.workload import Traffic, Workload

Strategy = Literal["base", "rag", "fine_tuned", "fine_tuned_rag"]
Part = Literal[
    "system", "tools", "history", "context", "tool_results", "question", "other", "output", "reasoning",
    "embedding", "search", "rerank",
]  # fmt: skip

ROUNDING = 0.01
"""By which share a cost may be below the sum of its parts, as people round what they write."""

SECTIONS = tuple(dict.fromkeys(name.partition(".")[0] for name in QUANTITIES if not name.startswith("traffic.")))
"""The entries of a scenario that hold assumptions."""


class Section(BaseModel):
    """A part of a scenario in which nothing may stand that nobody reads."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class TrafficSection(Section):
    """The traffic of one strategy."""

    queries: float = Field(0, ge=0, description="how many queries were looked at, or leave it out where none was")
    queries_per_day: float | None = Field(None, gt=0, le=1e15, description="how many queries of it come in a day")
    tokens: dict[str, Any] = Field({}, description="tokens of a query by part, such as {question: 50, context: 2800}")
    cost: dict[Part, Annotated[float, Field(ge=0, le=1e15)]] = Field(
        {}, description="US dollars of a query by part, such as {context: 0.007}"
    )
    cost_per_query: float | None = Field(None, ge=0, le=1e15, description="what a query costs in US dollars")
    cost_deviation: float | None = Field(None, ge=0, description="its standard deviation from query to query")
    cached_share: float | None = Field(None, ge=0, le=1, description="the share of input tokens that a cache gave")


class ClaimSection(Section):
    """What somebody says of two strategies."""

    cheaper: Strategy = Field(description=f"one of {', '.join(STRATEGIES)}")
    than: Strategy = Field(description=f"one of {', '.join(STRATEGIES)}")
    times: tuple[float, float] = Field(description="how many times cheaper, as [least, most] above 0", strict=False)
    queries_per_day: float = Field(gt=0, description="at how many queries a day")

    @field_validator("times")
    @classmethod
    def _in_order(cls, times: tuple[float, float]) -> tuple[float, float]:
        if not 0 < times[0] <= times[1]:
            raise ValueError
        return times


class ScenarioFile(Section):
    """All of a scenario but its assumptions."""

    title: str = Field("", description="what the plan is called, as text")
    source: str = Field("", description="where its figures come from, as text")
    horizon: int = Field(MONTHS, ge=1, le=MOST_MONTHS, description=f"months to look ahead, from 1 to {MOST_MONTHS}")
    days: float = Field(0, ge=0, description="over how many days the queries of `traffic` were looked at")
    compared_to: Strategy | None = Field(None, description=f"one of {', '.join(STRATEGIES)}")
    built: list[Literal["retrieval", "fine_tuning"]] | None = Field(
        None, description="what is there already: [], [retrieval], [fine_tuning] or [retrieval, fine_tuning]"
    )
    traffic: dict[Strategy, TrafficSection] = Field({}, description=f"an entry for any of {', '.join(STRATEGIES)}")
    expected: dict[Strategy, float] = Field({}, description="dollars for 1,000 queries by strategy, such as {rag: 41}")
    claims: list[ClaimSection] = Field(
        [], description="a list of {cheaper: fine_tuned, than: rag, times: [10, 50], queries_per_day: 100000}"
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a plan is made of, as files and options say; `workload` has no strategy where they tell of no traffic."""

    title: str
    months: int
    workload: Workload
    assumptions: Assumptions
    claims: tuple[Claim, ...]
    expectations: tuple[Expectation, ...]


def read_scenario(layers: Sequence[Layer]) -> Scenario:
    """A scenario from layers, the later ones over the earlier. Raises `ScenarioError` for the first thing wrong."""
    content = merged(layers)
    path: list[str | int]
    try:
        file = ScenarioFile.model_validate({name: each for name, each in content.items() if name not in SECTIONS})
        given = dict(_flat({name: each for name, each in content.items() if name in SECTIONS}))
        return _scenario(file, given, layers)
    except ValidationError as error:
        path, message = _said(error.errors()[0])
    except (AssumptionError, ListPriceError) as error:
        path, message = [*error.path.split(".")], str(error)
    raise ScenarioError(f"{origin(layers, path)}: {message}")


def _scenario(file: ScenarioFile, given: Mapping[str, object], layers: Sequence[Layer]) -> Scenario:
    tokens = dict(_tokens(file))
    traffic: dict[str, Traffic] = {
        name: _traffic(name, section, tokens, file.days) for name, section in file.traffic.items()
    }
    return Scenario(
        title=file.title,
        months=file.horizon,
        workload=Workload(traffic, file.days, file.source or origin(layers, ["traffic"])),
        assumptions=_assumptions(file, given, tokens, layers),
        claims=tuple(Claim(each.cheaper, each.than, *each.times, each.queries_per_day) for each in file.claims),
        expectations=tuple(Expectation(name, dollars) for name, dollars in file.expected.items()),
    )


def _assumptions(
    file: ScenarioFile, given: Mapping[str, object], tokens: Mapping[str, object], layers: Sequence[Layer]
) -> Assumptions:
    """What is assumed: prices of models, then what is given by itself, and ranges of tokens."""
    models = {path: value for path, value in given.items() if path.endswith(".model")}
    values = {path: value for path, value in {**given, **tokens}.items() if path not in models and _is_own(path, value)}
    prices = list_prices(models)
    return assume(
        {**{path: price.dollars for path, price in prices.items()}, **values},
        {path: price.source for path, price in prices.items()}
        | {path: origin(layers, path.split(".")) for path in values},
        built=None if file.built is None else tuple(file.built),
        compared_to=file.compared_to,
    )


def _is_own(path: str, value: object) -> bool:
    """Whether a value is an assumption by itself: tokens that are one number are the traffic's."""
    return not path.startswith("traffic.") or isinstance(value, Sequence)


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in content.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def _tokens(file: ScenarioFile) -> Iterator[tuple[str, object]]:
    """Tokens by path. Raises `AssumptionError` for a part that is none and for what is no number or range."""
    for name, section in file.traffic.items():
        for part, value in section.tokens.items():
            path = f"traffic.{name}.tokens.{part}"
            quantity = quantity_at(path)
            try:
                read_range(value, Scale.AMOUNT)
            except RangeError as error:
                what = f"write {quantity.meaning} as one number or as [low, high]"
                raise AssumptionError(path, f"{error}; {what}") from None
            yield path, value


def _traffic(name: str, section: TrafficSection, tokens: Mapping[str, object], days: float) -> Traffic:
    """The traffic of a section; of a range of tokens it has the middle, the range itself is an assumption.

    Raises `AssumptionError` where a query costs less than its parts.
    """
    paths = {part: f"traffic.{name}.tokens.{part}" for part in section.tokens}
    costs, parts = section.cost_per_query, sum(section.cost.values())
    if costs is not None and costs < parts * (1 - ROUNDING):
        path = f"traffic.{name}.cost_per_query"
        raise AssumptionError(path, f"{costs:g} is less than its parts in `cost`; write their sum, {parts:g}, or more")
    return Traffic(
        strategy=name,
        queries=section.queries,
        queries_per_day=section.queries_per_day or (section.queries / days if days else 0.0),
        tokens={part: middle(read_range(tokens[path], Scale.AMOUNT), Scale.AMOUNT) for part, path in paths.items()},
        cost={str(part): amount for part, amount in section.cost.items()},
        cost_per_query=parts if costs is None and section.cost else costs,
        cost_deviation=section.cost_deviation,
        cached_share=section.cached_share,
    )


def _said(error: ErrorDetails) -> tuple[list[str | int], str]:
    """Where the first thing is wrong, and a sentence that says what to write."""
    path = [part for part in error["loc"] if part != "[key]"]
    shown = ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden":
        return path, f"{shown}: there is no such entry; {_hint(path)}"
    wanted = _description(path)
    if error["type"] == "missing":
        return path, f"{shown}: is missing; write {wanted}"
    if "[key]" in error["loc"]:
        return path, f"{shown}: there is no such entry; write {wanted}"
    return path, f"{shown}: {_excerpt(error['input'])} cannot stand there; write {wanted}"


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _hint(path: Sequence[str | int]) -> str:
    model = _model(path[:-1])
    known = [*model.model_fields, *(SECTIONS if model is ScenarioFile else ())]
    close = get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"there may be {', '.join(known)}"


MODELS: dict[str, type[Section]] = {"traffic": TrafficSection, "claims": ClaimSection}


def _model(path: Sequence[str | int]) -> type[Section]:
    return MODELS.get(str(path[0]), ScenarioFile) if len(path) > 1 else ScenarioFile


def _description(path: Sequence[str | int]) -> str:
    """What to write at a path: the words of its field, or of the one that it is in."""
    name = str(path[2]) if len(path) > 2 and str(path[0]) in MODELS else str(path[0])
    model = _model(path[:-1]) if len(path) > 2 else ScenarioFile
    field = model.model_fields.get(name)
    return str(field.description) if field is not None else "another value"
