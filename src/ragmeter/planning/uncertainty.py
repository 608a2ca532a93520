"""Draws from all that is assumed, and what they say of two strategies: who is cheaper, from when on, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ragmeter.planning.assumptions import Assumptions
from ragmeter.planning.bills import Bill, Values, paths
from ragmeter.planning.horizon import BreakEven, Course, break_even, break_even_day, course
from ragmeter.planning.quantities import Quantity
from ragmeter.planning.ranges import Vector, draw
from ragmeter.planning.spread import Spread, share, spread

DRAWS = 20_000
"""With so many the share of draws in which one strategy is cheaper is off by a third of a point at most."""

GROWTHS = ("growth.traffic", "growth.context")

VOLUMES = tuple(float(10 ** (step / 5)) for step in range(5, 36))
"""Queries a day for which curves are given: from 10 to 10 million, five to each power of ten."""

CHANCE = 4.0
"""A correlation of fewer standard errors, 1/sqrt(draws), is none: the outcome does not depend on the quantity."""

NOISE = 0.02
"""What knowing a quantity is worth below this share of the outcome's own deviation may be chance."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """The courses of all strategies that have a price, over the same draws of what they have in common.

    `answers` is how many queries are answered over the horizon for one a day now, `ranks` the ranks of the draws of all
    that is unsure.
    """

    values: Values
    ranks: Mapping[str, Vector]
    courses: Mapping[str, Course]
    answers: Vector
    months: int

    @property
    def queries_per_day(self) -> Vector | None:
        """Today's traffic, `None` where it is not known."""
        return self.values.get("queries_per_day")

    def total(self, strategy: str) -> Vector | None:
        """The total of a strategy over the horizon at today's traffic."""
        today = self.queries_per_day
        return None if today is None else self.courses[strategy].total(today)

    def success(self, strategy: str) -> Vector | None:
        """Which share of the queries a strategy answers well, `None` where nobody says."""
        return self.values.get(f"success.{strategy}")

    def per_success(self, strategy: str) -> Vector | None:
        """What a successful answer costs over the horizon, with all that is paid; `None` where there is none."""
        total, success, today = self.total(strategy), self.success(strategy), self.queries_per_day
        if total is None or success is None or today is None or not today.all():
            return None
        return total / (success * self.answers * today)


def drawn(assumptions: Assumptions, wanted: Iterable[str], *, draws: int, seed: int) -> dict[str, Vector]:
    """Draws of the quantities at `wanted` paths that the assumptions have."""
    return {
        path: draw(each.range, each.quantity.scale, path, draws=draws, seed=seed)
        for path in sorted(set(wanted))
        if (each := assumptions.values.get(path)) is not None
    }


def simulate(
    bills: Sequence[Bill], assumptions: Assumptions, months: int, *, draws: int = DRAWS, seed: int = 1
) -> Simulation:
    """Draw all that the bills depend on, and step every strategy through the horizon."""
    others = ("queries_per_day", *GROWTHS, *(f"success.{bill.strategy}" for bill in bills))
    values = drawn(assumptions, (*paths(bills), *others), draws=draws, seed=seed)
    answered = course(Bill("answers", (), (), ()), values, months).answers
    ranks = {path: _ranks(draws) for path, draws in values.items() if draws.size > 1}
    return Simulation(values, ranks, {bill.strategy: course(bill, values, months) for bill in bills}, answered, months)


@dataclass(frozen=True, slots=True)
class Driver:
    """How far one quantity decides who is cheaper.

    `correlation` is the rank correlation (Spearman) with what the challenger saves; `worth` is how many US dollars
    better one would choose on average who knew the quantity before, and nothing else.
    """

    quantity: Quantity
    correlation: float
    worth: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """From when on a challenger is cheaper: `at` is 0 in the share of draws where it is `at_once`, else infinite.

    Infinite it is in the share of draws where it `never` is, and where it is `only_below` a traffic: `up_to`, in those.
    """

    at: Spread
    at_once: float
    never: float
    only_below: float = 0.0
    up_to: Spread | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger against the rival it would replace, over the horizon.

    `cheaper` is the share of draws in which the challenger costs less at today's traffic, `cheaper_per_success` that in
    which its successful answers do; `saving` is in US dollars, `saving_per_success` what is saved on as many successful
    answers as the rival gives. `volume` is the traffic (queries a day) from which on it
    is cheaper, `day` when its set-up is paid back for good, never where that is not within the horizon. `by_volume` is
    the share of draws in which it is cheaper at each of `VOLUMES`. What needs today's traffic is `None` where that is
    not known.
    """

    challenger: str
    rival: str
    cheaper: float | None
    cheaper_per_success: float | None
    saving: Spread | None
    saving_per_success: Spread | None
    volume: Threshold
    day: Threshold | None
    drivers: tuple[Driver, ...]
    by_volume: tuple[float, ...]


def compare(simulation: Simulation, assumptions: Assumptions, challenger: str, rival: str) -> Comparison:
    """Hold a challenger against a rival, draw by draw."""
    ours, theirs = simulation.courses[challenger], simulation.courses[rival]
    saved = _difference(simulation.total(rival), simulation.total(challenger))
    gain = _gain(simulation, challenger, rival)
    return Comparison(
        challenger=challenger,
        rival=rival,
        cheaper=None if saved is None else share(saved > 0),
        cheaper_per_success=None if gain is None else share(gain > 0),
        saving=None if saved is None else spread(saved),
        saving_per_success=None if gain is None else spread(gain),
        volume=_volume(break_even(ours, theirs)),
        day=_day(break_even_day(ours, theirs)),
        drivers=() if saved is None else drivers(simulation.ranks, assumptions, saved if gain is None else gain),
        by_volume=tuple(share(ours.total(_at(volume)) < theirs.total(_at(volume))) for volume in VOLUMES),
    )


def _volume(even: BreakEven) -> Threshold:
    below = even.up_to > 0
    return Threshold(
        at=spread(even.volume),
        at_once=share(even.volume == 0),
        never=share(np.isinf(even.volume) & ~below),
        only_below=share(below),
        up_to=spread(even.up_to[below]) if below.any() else None,
    )


def _day(day: Vector | None) -> Threshold | None:
    return None if day is None else Threshold(spread(day), share(day == 0), share(np.isinf(day)))


def _at(volume: float) -> Vector:
    return np.array([volume])


def _difference(more: Vector | None, less: Vector | None) -> Vector | None:
    return None if more is None or less is None else more - less


def _gain(simulation: Simulation, challenger: str, rival: str) -> Vector | None:
    """What the challenger saves on as many successful answers as the rival gives; `None` without success rates."""
    ours, theirs = simulation.per_success(challenger), simulation.per_success(rival)
    success, today = simulation.success(rival), simulation.queries_per_day
    if ours is None or theirs is None or success is None or today is None:
        return None
    return (theirs - ours) * success * simulation.answers * today


def drivers(unsure: Mapping[str, Vector], assumptions: Assumptions, outcome: Vector) -> tuple[Driver, ...]:
    """What an outcome depends on, the strongest first; `unsure` are the ranks of the draws of what it may."""
    if outcome.size == 1 or outcome.std() == 0:
        return ()
    ranks, mean, noise = _ranks(outcome), float(outcome.mean()), NOISE * float(outcome.std())
    found = []
    for path, place in unsure.items():
        correlation = float(3 * (place * ranks).mean())
        if abs(correlation) > CHANCE / sqrt(outcome.size):
            worth = _worth(place, outcome, mean)
            found.append(Driver(assumptions.values[path].quantity, correlation, worth if worth > noise else 0.0))
    return tuple(sorted(found, key=lambda each: -abs(each.correlation)))


def _ranks(draws: Vector) -> Vector:
    """The ranks of draws, evenly spread from -1 to 1."""
    places = np.empty(draws.size)
    places[np.argsort(draws)] = np.arange(draws.size)
    return (2 * places + 1) / draws.size - 1


def _worth(place: Vector, outcome: Vector, mean: float) -> float:
    """The expected value of knowing one quantity: E max(E[outcome | quantity], 0) - max(E outcome, 0).

    The conditional mean is a cubic in the quantity's rank (Strong, Oakley and Brennan, 2014, estimate it by such a
    regression): Legendre polynomials are orthogonal there, so that each coefficient is a mean.
    """
    polynomials = (place, (3 * place**2 - 1) / 2, (5 * place**3 - 3 * place) / 2)
    fitted = np.full_like(outcome, mean)
    for degree, polynomial in enumerate(polynomials, 1):
        fitted += (2 * degree + 1) * (polynomial * outcome).mean() * polynomial
    return max(0.0, float(np.maximum(fitted, 0).mean()) - max(mean, 0.0))
