"""A plan's figures as they are read, the same in a terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator
from math import isinf

from ragmeter.planning.assumptions import Assumption
from ragmeter.planning.plan import Plan, Row
from ragmeter.planning.spread import Spread, percent
from ragmeter.planning.uncertainty import Threshold
from ragmeter.planning.verdict import signed
from ragmeter.planning.workload import Traffic

NOTHING = "-"
"""What stands for a figure that is not known."""


PLAINLY = (1e-8, 1e15)
"""Between these, numbers are written without an exponent."""


def headline(plan: Plan) -> str:
    """What the plan is of: where the traffic is from and how much it is, and how it was drawn."""
    traffic = "traffic unknown" if plan.queries_per_day is None else f"{plan.queries_per_day:,.0f} queries a day"
    source = f"{plan.measured_days:.3g} days of {plan.source}" if plan.measured_days else plan.source
    told = (source, traffic, f"{plan.months} months", f"{plan.draws:,} draws, seed {plan.seed}")
    return " · ".join(filter(None, told))


def amount(dollars: float | None) -> str:
    """US dollars as a table shows them; a dash where they are not known."""
    return NOTHING if dollars is None else signed(dollars)


def costs(row: Row) -> tuple[str, ...]:
    """1,000 queries, a month today and at ten times the traffic, set-up and total, under `cost_headings`."""
    figures = (row.cost_per_thousand, row.cost_per_month, row.cost_per_month_tenfold, row.setup_cost, row.total_cost)
    return tuple(map(amount, figures))


def cost_headings(plan: Plan) -> tuple[str, ...]:
    """What stands above the figures of `costs`."""
    return ("1K queries", "a month", "at 10x", "set-up", f"{plan.months} months")


def total_range(row: Row) -> str:
    """From the 10 % to the 90 % quantile of the total."""
    spread = row.total_spread
    return NOTHING if spread is None else f"{amount(spread.p10)} to {amount(spread.p90)}"


def per_thousand_successes(row: Row) -> str:
    """What 1,000 successful answers cost in the median."""
    return amount(None if row.cost_per_success is None else 1000 * row.cost_per_success.p50)


def quantiles(spread: Spread | None, *, is_wide: bool = True) -> str:
    """US dollars at 10, 50 and 90 % of the draws, or the median alone."""
    return NOTHING if spread is None else " / ".join(map(amount, _parts(spread, is_wide=is_wide)))


def _parts(spread: Spread, *, is_wide: bool) -> tuple[float, ...]:
    return (spread.p10, spread.p50, spread.p90) if is_wide else (spread.p50,)


def chance(share: float | None) -> str:
    """A share of the draws; a dash where it is not known."""
    return NOTHING if share is None else percent(share)


def threshold(told: Threshold | None, *, is_wide: bool = True) -> str:
    """A break-even in a cell: its quantiles, and the shares of the draws in which there is none."""
    if told is None:
        return NOTHING
    if told.at_once == 1:
        return "at once"
    if told.never == 1:
        return "never"
    at = " / ".join("never" if isinf(part) else f"{part:,.0f}" for part in _parts(told.at, is_wide=is_wide))
    shares = (("at once", told.at_once), ("never", told.never), ("only below", told.only_below))
    said = ", ".join(f"{name} {percent(share)}" for name, share in shares if share)
    return f"{at} ({said})" if said else at


def seen(traffic: Traffic | None) -> Iterator[str]:
    """What else was measured of a strategy, of which no cost tells."""
    if traffic is None or not traffic.queries:
        return
    if traffic.latency_p50 is not None and traffic.latency_p95 is not None:
        yield f"{traffic.latency_p50:.2g} s in the median, {traffic.latency_p95:.2g} s at 95 %"
    if traffic.error_rate is not None:
        yield f"{percent(traffic.error_rate)} failed"
    if traffic.cached_share is not None:
        yield f"{percent(traffic.cached_share)} of the input cached"


def origin(row: Row) -> str:
    """How it is known what a query costs, and what else is known of the strategy."""
    return "; ".join((row.why, *seen(row.traffic)))


def value(assumption: Assumption) -> str:
    """A number or a range as it is written in a scenario."""
    low, high = assumption.range.low, assumption.range.high
    return _number(low, 6) if assumption.range.is_point else f"{_number(low, 4)} to {_number(high, 4)}"


def _number(value: float, digits: int) -> str:
    """A number with so many digits that count, without an exponent where it needs none."""
    rounded = float(f"{value:.{digits}g}")
    if rounded and not PLAINLY[0] <= abs(rounded) < PLAINLY[1]:
        return f"{rounded:g}"
    return f"{rounded:,.10f}".rstrip("0").rstrip(".")
