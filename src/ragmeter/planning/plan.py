"""The plan: what each strategy costs, from when on which is cheaper and how sure that is, from traffic and assumptions.

Pure: the same workload, assumptions and seed give the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ragmeter.domain import strategy as names
from ragmeter.planning import closed_form
from ragmeter.planning.assumptions import NOBODY, Assumption, Assumptions
from ragmeter.planning.bills import Bill, Line, Values, bill, by_line, by_part, components, middles, paths, summed
from ragmeter.planning.claims import Check, Claim, Expectation, check_claim, check_table
from ragmeter.planning.days import DAYS, LEAST_DAYS
from ragmeter.planning.notes import notes
from ragmeter.planning.quantities import COMPONENTS, QUANTITIES
from ragmeter.planning.ranges import Range, Vector
from ragmeter.planning.right_k import RightK
from ragmeter.planning.spread import Spread, spread
from ragmeter.planning.strategies import (
    Basis,
    UnitCost,
    sampling,
    too_little,
    unit_costs,
)
from ragmeter.planning.uncertainty import DRAWS, VOLUMES, Comparison, Simulation, compare, simulate
from ragmeter.planning.verdict import Verdict, verdict
from ragmeter.planning.workload import Traffic, Workload

MONTHS = 12
"""The horizon where nobody says another."""

MOST_MONTHS = 60

THOUSAND = 1_000.0
TENFOLD = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy: every figure in US dollars, with the median of every assumption; spreads are over the draws.

    `per_thousand` is what 1,000 queries cost by line, `by_part` the same by part: the origins of the prompt, `output`,
    `reasoning`, `embedding`, `search`, `rerank`, and what is no part by its line. `month` is a month at today's
    traffic, `month_tenfold` one at ten times that, `setup` what is paid at once, `total` all of the horizon.
    `cost_per_success` is the horizon's total for each successful answer. `by_volume` is the total for 1,000 queries at
    each of `VOLUMES`, `by_month` what was paid until the beginning and the end of each month. `traffic` is what was
    seen of the strategy itself, or is said of it. What is not known is `None`, or empty.
    """

    strategy: str
    basis: Basis
    why: str
    tokens: Mapping[str, float]
    per_thousand: Mapping[Line, float]
    month: Mapping[Line, float]
    month_tenfold: Mapping[Line, float]
    setup: Mapping[Line, float]
    total: Mapping[Line, float]
    per_thousand_spread: Spread | None = None
    total_spread: Spread | None = None
    success: float | None = None
    cost_per_success: Spread | None = None
    by_part: Mapping[str, float] = field(default_factory=dict)
    by_volume: tuple[Spread, ...] = ()
    by_month: tuple[Spread, ...] = ()
    traffic: Traffic | None = None

    @property
    def has_price(self) -> bool:
        """Whether it is known what a query costs."""
        return self.basis is not Basis.UNKNOWN

    @property
    def cost_per_thousand(self) -> float | None:
        """US dollars for 1,000 queries, without what is paid by the month."""
        return self._sum(self.per_thousand)

    @property
    def cost_per_month(self) -> float | None:
        """US dollars in a month at today's traffic."""
        return self._sum(self.month)

    @property
    def cost_per_month_tenfold(self) -> float | None:
        """US dollars in a month at ten times today's traffic."""
        return self._sum(self.month_tenfold)

    @property
    def setup_cost(self) -> float | None:
        """US dollars before the first query."""
        return sum(self.setup.values()) if self.has_price else None

    @property
    def total_cost(self) -> float | None:
        """US dollars over the horizon."""
        return self._sum(self.total)

    def _sum(self, lines: Mapping[Line, float]) -> float | None:
        return sum(lines.values()) if self.has_price and lines else None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a page or a terminal shows of a plan, in numbers and sentences.

    `rows` are the four strategies; `comparisons` hold every other that has a price against `compared_to`. `assumptions`
    are those that the figures depend on. `volumes` are the queries a day of the rows' and comparisons' curves. `notes`
    are what a reader must know, `checks` what became of the scenario's own claims, `right_k` what a smaller k would do.
    """

    title: str
    source: str
    measured_days: float
    queries_per_day: float | None
    months: int
    draws: int
    seed: int
    compared_to: str
    built: tuple[str, ...]
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    verdict: Verdict
    assumptions: tuple[Assumption, ...]
    notes: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    volumes: tuple[float, ...] = VOLUMES
    right_k: tuple[RightK, ...] = ()

    def row(self, strategy: str) -> Row:
        """The row of a strategy."""
        return next(row for row in self.rows if row.strategy == strategy)

    def against(self, challenger: str) -> Comparison | None:
        """How a challenger compares, `None` where it has no price or is itself what others are held against."""
        return next((each for each in self.comparisons if each.challenger == challenger), None)


class PlanError(ValueError):
    """There is nothing to plan with; the message says what is missing."""


def make_plan(
    workload: Workload,
    assumptions: Assumptions,
    *,
    title: str = "",
    months: int = MONTHS,
    draws: int = DRAWS,
    seed: int = 1,
    claims: Sequence[Claim] = (),
    expectations: Sequence[Expectation] = (),
) -> Plan:
    """Plan for a workload. Raises `PlanError` where of no strategy it is known what a query costs."""
    assumptions = _with_measured(workload, assumptions)
    costs = unit_costs(workload, assumptions)
    built = _built(workload, assumptions)
    bills = {name: bill(name, cost.terms, built) for name, cost in costs.items() if cost.basis is not Basis.UNKNOWN}
    rival = _rival(workload, assumptions, costs)
    simulation = simulate(tuple(bills.values()), assumptions, months, draws=draws, seed=seed)
    values = middles(assumptions)
    rows = tuple(
        replace(_row(cost, bills.get(name), values, months, simulation), traffic=workload.strategies.get(name))
        for name, cost in costs.items()
    )
    comparisons = tuple(compare(simulation, assumptions, name, rival) for name in bills if name != rival)
    queries = values.get("queries_per_day")
    today = None if queries is None else float(queries[0])
    checks = (*check_table(bills, values, expectations), *(check_claim(bills, values, months, each) for each in claims))
    used = {*paths(bills.values()), "queries_per_day", "growth.traffic", "growth.context"}
    return Plan(
        title=title,
        source=workload.source,
        measured_days=workload.days,
        queries_per_day=today,
        months=months,
        draws=draws,
        seed=seed,
        compared_to=rival,
        built=built,
        rows=rows,
        comparisons=comparisons,
        verdict=verdict(comparisons, rival, months, queries_per_day=today),
        assumptions=tuple(each for path, each in sorted(assumptions.values.items()) if path in used),
        notes=tuple(notes(workload, assumptions, built)),
        checks=checks,
        right_k=workload.right_k,
    )


def _with_measured(workload: Workload, assumptions: Assumptions) -> Assumptions:
    """The assumptions with what was measured beside: how far the means may be off, and what comes and goes in a day."""
    values = {**sampling(workload), **assumptions.values}
    is_given = not workload.days or not any(traffic.queries for traffic in workload.strategies.values())
    if is_given or workload.days >= LEAST_DAYS:
        source = workload.source if is_given else f"measured over {workload.days:.3g} days"
        for path, amount in _in_a_day(workload).items():
            if amount > 0 and (path not in values or values[path].source == NOBODY):
                values[path] = Assumption(QUANTITIES[path], Range(amount, amount), source)
    return replace(assumptions, values=values)


def _in_a_day(workload: Workload) -> dict[str, float]:
    """Today's traffic, and a month of what was spent for no query: bringing documents into the index."""
    outside = sum(workload.outside.values()) / workload.days * DAYS if workload.days else 0.0
    return {"queries_per_day": workload.queries_per_day, "retrieval.ingestion": outside}


def _built(workload: Workload, assumptions: Assumptions) -> tuple[str, ...]:
    """The components whose set-up is paid: those given, else those that were seen at work."""
    if assumptions.built is not None:
        return assumptions.built
    seen = [name for name, each in workload.strategies.items() if each.queries and not too_little(each)]
    at_work = {component for name in seen for component in components(name)}
    return tuple(component for component in COMPONENTS if component in at_work)


def _rival(workload: Workload, assumptions: Assumptions, costs: Mapping[str, UnitCost]) -> str:
    """The strategy that others are held against: the one given, else RAG before others of as many queries."""
    known = [name for name in (names.RAG, *names.STRATEGIES) if costs[name].basis is not Basis.UNKNOWN]
    if not known:
        raise PlanError(
            " ".join((f"it is not known what a query costs: {_why_unknown(workload, costs)}.", *workload.notes))
        )
    if (wanted := assumptions.compared_to) is not None:
        if wanted not in known:
            raise PlanError(f"compared_to: it is not known what a query with {wanted} costs: {costs[wanted].why}")
        return wanted
    seen = {name: each.queries for name, each in workload.strategies.items() if not too_little(each)}
    return max(known, key=lambda name: seen.get(name, -1.0))


def _why_unknown(workload: Workload, costs: Mapping[str, UnitCost]) -> str:
    few = [why for traffic in workload.strategies.values() if (why := too_little(traffic))]
    if few:
        return f"{'; '.join(few)}; measure for longer, or write prices and tokens in a scenario"
    return "; ".join(f"{cost.strategy}: {cost.why}" for cost in costs.values())


def _row(cost: UnitCost, ours: Bill | None, values: Values, months: int, simulation: Simulation) -> Row:
    if ours is None:
        return Row(cost.strategy, cost.basis, cost.why, {}, {}, {}, {}, {}, {})
    success = values.get(f"success.{cost.strategy}")
    today = values.get("queries_per_day")
    lines, running = _first(by_line(ours.query, values)), _first(by_line(ours.month, values))
    return Row(
        strategy=cost.strategy,
        basis=cost.basis,
        why=cost.why,
        tokens=cost.tokens or {},
        per_thousand={line: THOUSAND * each for line, each in lines.items()},
        by_part={part: THOUSAND * float(each[0]) for part, each in by_part(ours.query, values).items()},
        month={} if today is None else _month(lines, running, float(today[0])),
        month_tenfold={} if today is None else _month(lines, running, TENFOLD * float(today[0])),
        setup=_first(by_line(ours.setup, values)),
        total={} if today is None else _first(closed_form.total_by_line(ours, values, months)),
        success=None if success is None else float(success[0]),
        per_thousand_spread=spread(THOUSAND * summed(ours.query, simulation.values)),
        total_spread=_spread(simulation.total(cost.strategy)),
        cost_per_success=_spread(simulation.per_success(cost.strategy)),
        by_volume=tuple(_by_volume(simulation, cost.strategy)),
        by_month=tuple(spread(paid) for paid in _paid(simulation, cost.strategy)),
    )


def _first(lines: Mapping[Line, Vector]) -> dict[Line, float]:
    """The first draw of each line: of the medians there is one."""
    return {line: float(amounts[0]) for line, amounts in lines.items()}


def _spread(draws: Vector | None) -> Spread | None:
    return None if draws is None else spread(draws)


def _by_volume(simulation: Simulation, strategy: str) -> Iterator[Spread]:
    """What 1,000 queries cost over the horizon with all that is paid, at each of `VOLUMES`."""
    for volume in VOLUMES:
        total = simulation.courses[strategy].total(np.array([volume]))
        yield spread(THOUSAND * total / (simulation.answers * volume))


def _paid(simulation: Simulation, strategy: str) -> Iterable[Vector]:
    cumulative = simulation.courses[strategy].cumulative
    return () if cumulative is None else cumulative


def _month(lines: Mapping[Line, float], running: Mapping[Line, float], queries_per_day: float) -> dict[Line, float]:
    return {**{line: DAYS * queries_per_day * each for line, each in lines.items()}, **running}
