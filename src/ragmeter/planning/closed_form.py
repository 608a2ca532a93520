"""The same sums as formulas, without stepping through months: what the simulation is held against. Pure."""

from __future__ import annotations

from math import inf

import numpy as np

from ragmeter.planning.bills import Bill, Line, Values, by_line, summed
from ragmeter.planning.days import DAYS
from ragmeter.planning.horizon import BreakEven
from ragmeter.planning.ranges import Vector


def geometric(growth: Vector, months: float) -> Vector:
    """1 + (1+g) + … + (1+g)^(n-1) = ((1+g)^n - 1) / g, which is n where nothing grows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = np.expm1(months * np.log1p(growth)) / growth
    return np.where(np.abs(growth) < 1e-9, months, grown)


def cost_of_queries(bill: Bill, values: Values, months: float) -> Vector:
    """What all queries of a horizon cost for one query a day now: the context grows with traffic and by itself."""
    lines = by_line(bill.query, values)
    context = lines.pop(Line.CONTEXT, np.zeros(1))
    rest = sum(lines.values(), np.zeros(1))
    traffic, both = values["growth.traffic"], (1 + values["growth.traffic"]) * (1 + values["growth.context"]) - 1
    return DAYS * (rest * geometric(traffic, months) + context * geometric(both, months))


def fixed(bill: Bill, values: Values, months: float) -> Vector:
    """Set-up, and every month whatever the traffic."""
    return summed(bill.setup, values) + months * summed(bill.month, values)


def total(bill: Bill, values: Values, months: float) -> Vector:
    """The total over a horizon at today's traffic."""
    return fixed(bill, values, months) + values["queries_per_day"] * cost_of_queries(bill, values, months)


def volume(challenger: Bill, rival: Bill, values: Values, months: int) -> BreakEven:
    """The traffic at which two strategies cost the same: (F1 - F2) / (c2 - c1)."""
    dearer = fixed(challenger, values, months) - fixed(rival, values, months)
    saves = cost_of_queries(rival, values, months) - cost_of_queries(challenger, values, months)
    crossing = np.divide(dearer, saves, out=np.full_like(dearer * saves, inf), where=saves != 0)
    from_here = np.where(saves > 0, np.maximum(crossing, 0), np.where((saves == 0) & (dearer < 0), 0.0, inf))
    return BreakEven(from_here, np.where((saves < 0) & (dearer < 0), crossing, 0.0))


def day(challenger: Bill, rival: Bill, values: Values, months: int) -> float:
    """The day at which the set-up is paid back for good, for the first draw.

    Without growth it is (S1 - S2) / (d2 - d1), with d the cost of a day; with growth the last month whose sums cross
    is found from the end.
    """

    def saved(month: int) -> float:
        return float((total(rival, values, month) - total(challenger, values, month))[0])

    if saved(months) <= 0:
        return inf
    for month in range(months - 1, -1, -1):
        if (before := saved(month)) <= 0:
            return DAYS * (month - before / (saved(month + 1) - before))
    return 0.0


def total_by_line(bill: Bill, values: Values, months: int) -> dict[Line, Vector]:
    """The total over a horizon at today's traffic, line by line."""
    traffic, both = values["growth.traffic"], (1 + values["growth.traffic"]) * (1 + values["growth.context"]) - 1
    lines: dict[Line, Vector] = {}
    for line, amount in by_line(bill.query, values).items():
        growth = both if line is Line.CONTEXT else traffic
        lines[line] = amount * values["queries_per_day"] * DAYS * geometric(growth, months)
    for line, amount in by_line(bill.month, values).items():
        lines[line] = lines.get(line, np.zeros(1)) + months * amount
    for line, amount in by_line(bill.setup, values).items():
        lines[line] = lines.get(line, np.zeros(1)) + amount
    return lines
