"""What strategies cost over months of growing traffic: stepped month by month, for every draw at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from ragmeter.planning.bills import Bill, Line, Values, by_line, summed
from ragmeter.planning.days import DAYS
from ragmeter.planning.ranges import Vector


@dataclass(frozen=True, slots=True)
class Course:
    """What a strategy costs over a horizon at any traffic: draws of US dollars.

    `setup` is paid at once; `fixed` is that and all months, whatever the traffic; `each` is what all queries of the
    horizon cost for one query a day now, and `answers` how many those are. `cumulative` has a row for the beginning
    and the end of each month at today's traffic, `None` where that is not known.
    """

    strategy: str
    setup: Vector
    fixed: Vector
    each: Vector
    cumulative: Vector | None
    answers: Vector

    def total(self, queries_per_day: Vector) -> Vector:
        """The total over the horizon at a traffic."""
        return self.fixed + self.each * queries_per_day


def course(bill: Bill, values: Values, months: int) -> Course:
    """Step a strategy through `months` months: traffic and context grow from each month to the next."""
    lines = by_line(bill.query, values)
    context = lines.pop(Line.CONTEXT, np.zeros(1))
    rest = sum(lines.values(), np.zeros(1))
    month, setup = summed(bill.month, values), summed(bill.setup, values)
    traffic_growth, context_growth = 1.0 + values["growth.traffic"], 1.0 + values["growth.context"]
    traffic, length = np.ones_like(traffic_growth), np.ones_like(context_growth)
    each, answers = [np.zeros(1)], np.zeros(1)
    for _ in range(months):
        each.append(each[-1] + DAYS * traffic * (rest + context * length))
        answers = answers + DAYS * traffic
        traffic, length = traffic * traffic_growth, length * context_growth
    today = values.get("queries_per_day")
    fixed = [setup + month * number for number in range(months + 1)]
    cumulative = None
    if today is not None:
        sums = [ours + theirs * today for ours, theirs in zip(fixed, each, strict=True)]
        cumulative = np.stack(np.broadcast_arrays(*sums))
    return Course(bill.strategy, setup, fixed[-1], each[-1], cumulative, answers)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From which traffic (queries a day) a challenger is cheaper over the horizon, draw by draw.

    `volume` is 0 where it is cheaper at any traffic and infinite where it is at none, or at small traffic only: then
    `up_to` is the traffic up to which it is, else 0.
    """

    volume: Vector
    up_to: Vector


def break_even(challenger: Course, rival: Course) -> BreakEven:
    """Where the totals of two strategies meet."""
    dearer, saves = np.broadcast_arrays(challenger.fixed - rival.fixed, rival.each - challenger.each)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = dearer / saves
    volume = np.where(saves > 0, np.maximum(crossing, 0.0), inf)
    volume = np.where((saves == 0) & (dearer < 0), 0.0, volume)
    return BreakEven(volume, np.where((saves < 0) & (dearer < 0), crossing, 0.0))


def break_even_day(challenger: Course, rival: Course) -> Vector | None:
    """The day from which on the challenger has cost less, and still has at the end of the horizon.

    0 where it has from the beginning, infinite where it has not at the end; within a month costs grow evenly. `None`
    where today's traffic is not known.
    """
    if challenger.cumulative is None or rival.cumulative is None:
        return None
    ours, theirs = np.broadcast_arrays(challenger.cumulative, rival.cumulative)
    saved = theirs - ours
    months = saved.shape[0] - 1
    behind = saved <= 0
    last = np.where(behind.any(axis=0), months - np.argmax(behind[::-1], axis=0), -1)
    columns = np.arange(saved.shape[1])
    at, after = saved[np.maximum(last, 0), columns], saved[np.minimum(last + 1, months), columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        day = DAYS * (last - at / (after - at))
    day = np.where(last < 0, 0.0, day)
    return np.where(last == months, inf, day)
