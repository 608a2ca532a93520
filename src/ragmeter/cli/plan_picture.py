"""Draws a plan for a terminal: verdict, table, break-even, chart, what drives it, and what it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ragmeter import palette
from ragmeter.cli.plan_words import (
    amount,
    chance,
    cost_headings,
    costs,
    headline,
    origin,
    per_thousand_successes,
    quantiles,
    threshold,
    total_range,
    value,
)
from ragmeter.cli.right_k_picture import right_k
from ragmeter.domain.strategy import STRATEGIES
from ragmeter.domain.wording import shown
from ragmeter.planning.assumptions import NOBODY
from ragmeter.planning.plan import Plan
from ragmeter.planning.quantities import FAMILIES, PART, SINGLE, STRATEGY, TOKEN_PARTS
from ragmeter.planning.spread import percent
from ragmeter.planning.uncertainty import Comparison, Driver
from ragmeter.planning.verdict import in_words

NARROW = 100
"""Columns below which the table of costs goes without its columns of ranges."""

BAR = 30
FULL, EMPTY = "█", "·"
MOST_DRIVERS = 6
DECADE = 5
"""Every so many of a plan's volumes is a power of ten."""


def draw(plan: Plan, width: int) -> Group:
    """The plan for a terminal of `width` columns."""
    pieces: list[RenderableType] = [
        Text(shown(" · ".join(filter(None, (plan.title, headline(plan))))), "dim"),
        Text(),
        Text(plan.verdict.answer, "bold"),
        Text(plan.verdict.next),
    ]
    pieces += [Text(), _costs(plan, width)]
    if plan.comparisons:
        pieces += [Text(), _break_evens(plan, width)]
    if plan.verdict.challenger is not None and (best := plan.against(plan.verdict.challenger)) is not None:
        pieces += [Text(), _chart(plan, best), *_drivers(best)]
    pieces += right_k(plan.right_k, width)
    pieces += [*_checks(plan), *_basis(plan), Text(), _assumptions(plan, width)]
    if plan.notes:
        pieces += [Text(), *(Text(f"• {shown(note)}") for note in plan.notes)]
    return Group(*pieces)


def _table(title: str) -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        header_style="bold",
        title=Text(title, "bold"),
        title_justify="left",
    )


def _column(table: Table, heading: str, *, is_number: bool = False, width: int | None = None) -> None:
    """Add a column; what does not fit into it is broken, never cut off."""
    table.add_column(heading, justify="right" if is_number else "left", overflow="fold", min_width=width)


def _row(table: Table, *cells: str | Text) -> None:
    """Add a row of texts, in which square brackets are no markup."""
    table.add_row(*(Text(shown(cell)) if isinstance(cell, str) else cell for cell in cells))


def _name(strategy: str) -> Text:
    return Text(strategy, palette.STRATEGIES[strategy])


def _costs(plan: Plan, width: int) -> Table:
    table = _table("What it costs")
    is_wide, has_success = width >= NARROW, any(row.cost_per_success for row in plan.rows)
    for heading in ("strategy", "basis"):
        _column(table, heading)
    headings = [*cost_headings(plan), *(["10 % to 90 %"] if is_wide else [])]
    for heading in (*headings, *(["1K answered well"] if has_success else [])):
        _column(table, heading, is_number=True)
    for row in plan.rows:
        more = [*([total_range(row)] if is_wide else []), *([per_thousand_successes(row)] if has_success else [])]
        _row(table, _name(row.strategy), row.basis.value, *costs(row), *more)
    return table


def _break_evens(plan: Plan, width: int) -> Table:
    is_wide = width >= NARROW
    told = "10 / 50 / 90 %" if is_wide else "median"
    table = _table(f"Against {in_words(plan.compared_to)} ({told} of the draws)")
    for heading in ("strategy", "cheaper in", "saves", "from queries a day", "paid back on day"):
        _column(table, heading, is_number=heading != "strategy")
    for each in plan.comparisons:
        thresholds = (threshold(told, is_wide=is_wide) for told in (each.volume, each.day))
        saving = quantiles(each.saving, is_wide=is_wide)
        _row(table, _name(each.challenger), chance(each.cheaper), saving, *thresholds)
    return table


def _chart(plan: Plan, best: Comparison) -> Table:
    table = _table(f"In how many draws {in_words(best.challenger)} is cheaper than {in_words(best.rival)}")
    _column(table, "queries a day", is_number=True)
    _column(table, "")
    _column(table, "", is_number=True)
    for volume, share in list(zip(plan.volumes, best.by_volume, strict=True))[::DECADE]:
        cells = round(share * BAR)
        bar = Text.assemble((FULL * cells, palette.STRATEGIES[best.challenger]), (EMPTY * (BAR - cells), "dim"))
        _row(table, f"{volume:,.0f}", bar, percent(share))
    return table


def _drivers(best: Comparison) -> Iterator[RenderableType]:
    if not best.drivers:
        return
    table = _table(f"What the savings of {in_words(best.challenger)} depend on")
    for heading in ("assumption", "", "rank correlation", "worth"):
        _column(table, heading, is_number=heading in ("rank correlation", "worth"))
    for driver in best.drivers[:MOST_DRIVERS]:
        _row(table, driver.quantity.name, _bar(driver), f"{driver.correlation:+.2f}", amount(driver.worth or None))
    yield Text()
    yield table
    yield Text("worth: what it would gain on average to know this before deciding", "dim")


def _bar(driver: Driver) -> str:
    return FULL * max(1, round(abs(driver.correlation) * BAR / 2))


def _checks(plan: Plan) -> Iterator[RenderableType]:
    if not plan.checks:
        return
    yield Text()
    yield Text("What is claimed", "bold")
    for check in plan.checks:
        mark, style = ("holds", "green") if check.holds else ("does not hold", "red")
        yield Text.assemble((f"{mark}: ", style), f"{check.statement}; {check.found}.")
        yield from (Text(f"  {need}", "dim") for need in check.needs)


def _basis(plan: Plan) -> Iterator[RenderableType]:
    yield Text()
    yield Text("Where the cost of a query comes from", "bold")
    for row in plan.rows:
        yield Text.assemble(_name(row.strategy), f" ({row.basis.value}): {origin(row)}")


def _assumptions(plan: Plan, width: int) -> Table:
    table, is_wide = _table("What is assumed"), width >= NARROW
    told = [each for each in plan.assumptions if each.source != NOBODY]
    for heading in ("assumption", "value", "unit", "from") if is_wide else ("assumption", "value", "from"):
        longest = max((len(each.quantity.name) for each in told), default=0)
        _column(table, heading, width=min(longest, width * 3 // 5) if heading == "assumption" else None)
    for each in told:
        unit = (each.quantity.unit,) if is_wide else ()
        _row(table, each.quantity.name, value(each), *unit, _short(each.source))
    return table


def _short(source: str) -> str:
    """A source without the path of its address, which the JSON has."""
    return re.sub(r"https://([^/ ,]+)[^ ,]*", r"\1", source)


def listing(shipped: Mapping[str, str], width: int) -> Group:
    """The shipped scenarios and every assumption there is; those of all strategies and parts in one row."""
    scenarios = _table("Shipped scenarios")
    for heading in ("name", "what it is"):
        _column(scenarios, heading)
    for name, title in shipped.items():
        _row(scenarios, name, title)
    known = _table("What may be assumed, as one number or as [low, high] (5 % to 95 %)")
    told = (*SINGLE, *FAMILIES)
    for heading in ("assumption", "what it is"):
        longest = min(max(len(each.name) for each in told), width * 3 // 5)
        _column(known, heading, width=longest if heading == "assumption" else None)
    for each in told:
        _row(known, each.name, each.meaning if each.unit in each.meaning else f"{each.meaning} ({each.unit})")
    _row(known, f"prices.{STRATEGY}.model", "a model whose list prices of the day count, such as openai/gpt-4.1")
    words = (f"{STRATEGY}: {', '.join(STRATEGIES)}", f"{PART}: {', '.join(TOKEN_PARTS)}")
    return Group(scenarios, Text(), known, Text(), *(Text(line, "dim") for line in words))
