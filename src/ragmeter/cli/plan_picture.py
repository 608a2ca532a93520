"""Draws a plan for a terminal: verdict, table, break-even, chart, what drives it, and what it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isinf

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ragmeter import palette
from ragmeter.planning.assumptions import NOBODY, Assumption
from ragmeter.planning.plan import Plan, Row
from ragmeter.planning.quantities import QUANTITIES
from ragmeter.planning.spread import Spread, percent
from ragmeter.planning.uncertainty import Comparison, Driver, Threshold
from ragmeter.planning.verdict import in_words, signed
from ragmeter.planning.workload import Traffic

NARROW = 100
"""Columns below which the table of costs goes without its columns of ranges."""

BAR = 30
NOTHING = "-"
"""What stands for a figure that is not known."""

FULL, EMPTY = "█", "·"
MOST_DRIVERS = 6
DECADE = 5
"""Every so many of a plan's volumes is a power of ten."""


def draw(plan: Plan, width: int) -> Group:
    """The plan for a terminal of `width` columns."""
    pieces: list[RenderableType] = [_headline(plan), Text(), Text(plan.verdict.answer, "bold"), Text(plan.verdict.next)]
    pieces += [Text(), _costs(plan, width)]
    if plan.comparisons:
        pieces += [Text(), _break_evens(plan, width)]
    if plan.verdict.challenger is not None and (best := plan.against(plan.verdict.challenger)) is not None:
        pieces += [Text(), _chart(plan, best), *_drivers(best)]
    pieces += [*_checks(plan), *_basis(plan), Text(), _assumptions(plan, width)]
    if plan.notes:
        pieces += [Text(), *(Text(f"• {note}") for note in plan.notes)]
    return Group(*pieces)


def _headline(plan: Plan) -> Text:
    traffic = "traffic unknown" if plan.queries_per_day is None else f"{plan.queries_per_day:,.0f} queries a day"
    source = f"{plan.measured_days:.3g} days of {plan.source}" if plan.measured_days else plan.source
    told = (plan.title, source, traffic, f"{plan.months} months", f"{plan.draws:,} draws, seed {plan.seed}")
    return Text(" · ".join(filter(None, told)), "dim")


def _table(title: str) -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        header_style="bold",
        title=title,
        title_justify="left",
        title_style="bold",
    )


def _name(strategy: str) -> Text:
    return Text(strategy, palette.STRATEGIES[strategy])


def amount(dollars: float | None) -> str:
    """US dollars as a table shows them; a dash where they are not known."""
    return NOTHING if dollars is None else signed(dollars)


def _costs(plan: Plan, width: int) -> Table:
    table = _table("What it costs")
    is_wide = width >= NARROW
    table.add_column("strategy")
    table.add_column("basis")
    headings = ["1K queries", "a month", "at 10x", "set-up", f"{plan.months} months"]
    has_success = any(row.cost_per_success for row in plan.rows)
    headings += ["10 % to 90 %"] if is_wide else []
    headings += ["1K answered well"] if has_success else []
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in plan.rows:
        table.add_row(_name(row.strategy), row.basis.value, *_figures(row, is_wide=is_wide, has_success=has_success))
    return table


def _figures(row: Row, *, is_wide: bool, has_success: bool) -> Iterator[str]:
    costs = (row.cost_per_thousand, row.cost_per_month, row.cost_per_month_tenfold, row.setup_cost, row.total_cost)
    yield from map(amount, costs)
    if is_wide:
        yield (
            NOTHING if row.total_spread is None else f"{amount(row.total_spread.p10)} to {amount(row.total_spread.p90)}"
        )
    if has_success:
        yield amount(None if row.cost_per_success is None else 1000 * row.cost_per_success.p50)


def _break_evens(plan: Plan, width: int) -> Table:
    is_wide = width >= NARROW
    quantiles = "10 / 50 / 90 %" if is_wide else "median"
    table = _table(f"Against {in_words(plan.compared_to)} ({quantiles} of the draws)")
    for heading in ("strategy", "cheaper in", "saves", "from queries a day", "paid back on day"):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    for each in plan.comparisons:
        chance = NOTHING if each.cheaper is None else percent(each.cheaper)
        saving = NOTHING if each.saving is None else " / ".join(map(amount, _parts(each.saving, is_wide=is_wide)))
        day = NOTHING if each.day is None else threshold(each.day, is_wide=is_wide)
        table.add_row(_name(each.challenger), chance, saving, threshold(each.volume, is_wide=is_wide), day)
    return table


def _parts(spread: Spread, *, is_wide: bool) -> tuple[float, ...]:
    return (spread.p10, spread.p50, spread.p90) if is_wide else (spread.p50,)


def threshold(told: Threshold, *, is_wide: bool = True) -> str:
    """A break-even in a cell: its quantiles, and the shares of the draws in which there is none."""
    if told.at_once == 1:
        return "at once"
    if told.never == 1:
        return "never"
    quantiles = " / ".join("never" if isinf(part) else f"{part:,.0f}" for part in _parts(told.at, is_wide=is_wide))
    shares = (("at once", told.at_once), ("never", told.never), ("only below", told.only_below))
    said = ", ".join(f"{name} {percent(share)}" for name, share in shares if share)
    return f"{quantiles} ({said})" if said else quantiles


def _chart(plan: Plan, best: Comparison) -> Table:
    table = _table(f"In how many draws {in_words(best.challenger)} is cheaper than {in_words(best.rival)}")
    table.add_column("queries a day", justify="right")
    table.add_column("")
    table.add_column("", justify="right")
    for volume, share in list(zip(plan.volumes, best.by_volume, strict=True))[::DECADE]:
        cells = round(share * BAR)
        bar = Text.assemble((FULL * cells, palette.STRATEGIES[best.challenger]), (EMPTY * (BAR - cells), "dim"))
        table.add_row(f"{volume:,.0f}", bar, percent(share))
    return table


def _drivers(best: Comparison) -> Iterator[RenderableType]:
    if not best.drivers:
        return
    table = _table(f"What the savings of {in_words(best.challenger)} depend on")
    for heading, justify in (("assumption", "left"), ("", "left"), ("rank correlation", "right"), ("worth", "right")):
        table.add_column(heading, justify="left" if justify == "left" else "right")
    for driver in best.drivers[:MOST_DRIVERS]:
        table.add_row(driver.quantity.name, _bar(driver), f"{driver.correlation:+.2f}", _worth(driver))
    yield Text()
    yield table
    yield Text("worth: what it would gain on average to know this before deciding", "dim")


def _bar(driver: Driver) -> str:
    return FULL * max(1, round(abs(driver.correlation) * BAR / 2))


def _worth(driver: Driver) -> str:
    return signed(driver.worth) if driver.worth else NOTHING


def _checks(plan: Plan) -> Iterator[RenderableType]:
    if not plan.checks:
        return
    yield Text()
    yield Text("What is claimed", "bold")
    for check in plan.checks:
        mark, style = ("holds", "green") if check.holds else ("does not hold", "red")
        yield Text.assemble((f"{mark}: ", style), f"{check.statement}; {check.found}.")
        yield from (Text(f"  it would need: {need}", "dim") for need in check.needs)


def _basis(plan: Plan) -> Iterator[RenderableType]:
    yield Text()
    yield Text("Where the cost of a query comes from", "bold")
    for row in plan.rows:
        yield Text.assemble(_name(row.strategy), f" ({row.basis.value}): {'; '.join((row.why, *_seen(row.traffic)))}")


def _seen(traffic: Traffic | None) -> Iterator[str]:
    """What else was measured of a strategy, of which no cost tells."""
    if traffic is None or not traffic.queries:
        return
    if traffic.latency_p50 is not None and traffic.latency_p95 is not None:
        yield f"{traffic.latency_p50:.2g} s in the median, {traffic.latency_p95:.2g} s at 95 %"
    if traffic.error_rate is not None:
        yield f"{percent(traffic.error_rate)} failed"
    if traffic.cached_share is not None:
        yield f"{percent(traffic.cached_share)} of the input cached"


def _assumptions(plan: Plan, width: int) -> Table:
    table = _table("What is assumed")
    headings = ("assumption", "value", "unit", "from") if width >= NARROW else ("assumption", "value", "from")
    for heading in headings:
        table.add_column(heading, no_wrap=heading == "assumption")
    for each in plan.assumptions:
        if each.source != NOBODY:
            unit = (each.quantity.unit,) if width >= NARROW else ()
            table.add_row(each.quantity.name, value(each), *unit, _short(each.source))
    return table


def _short(source: str) -> str:
    """A source without the path of its address, which the JSON has."""
    return re.sub(r"https://([^/ ]+)\S*", r"\1", source)


def value(assumption: Assumption) -> str:
    """A number or a range as it is written in a scenario."""
    low, high = assumption.range.low, assumption.range.high
    return f"{low:,g}" if assumption.range.is_point else f"{low:,.4g} to {high:,.4g}"


def listing(shipped: Mapping[str, str]) -> Group:
    """The shipped scenarios and every assumption there is."""
    scenarios = _table("Shipped scenarios")
    scenarios.add_column("name")
    scenarios.add_column("what it is")
    for name, title in shipped.items():
        scenarios.add_row(name, title)
    known = _table("What may be assumed, as one number or as [low, high] (5 % to 95 %)")
    for heading in ("assumption", "unit", "what it is"):
        known.add_column(heading)
    for quantity in QUANTITIES.values():
        known.add_row(quantity.name, quantity.unit, quantity.meaning)
    return Group(scenarios, Text(), known)
