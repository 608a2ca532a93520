"""The sums: simulation and closed form agree, totals are the sums of their lines, and more never costs less."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import assume as likely
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.cases import KNOWN, LARGE, SMALL, assumed, plan_of, points, seen, workload
from ragmeter.planning import closed_form
from ragmeter.planning.assumptions import Assumptions, assume
from ragmeter.planning.bills import Bill, bill, middles
from ragmeter.planning.horizon import DAYS, break_even, break_even_day, course
from ragmeter.planning.plan import make_plan
from ragmeter.planning.strategies import unit_costs
from ragmeter.planning.uncertainty import simulate

FEW = settings(max_examples=30, deadline=None)
GROWTH = st.floats(-0.3, 0.3)
KNOWN_GROWTH = {"growth.traffic": 0.04, "growth.context": 0.02}


@st.composite
def situations(draw: st.DrawFn) -> dict[str, float]:
    """Assumptions as points, over all that may decide."""
    amounts = {
        "labour_rate": (10, 200),
        "retrieval.infrastructure": (0, 3000),
        "retrieval.labour": (0, 500),
        "retrieval.upkeep": (0, 40),
        "fine_tuning.labour": (0, 500),
        "fine_tuning.runs": (1, 10),
        "fine_tuning.run_cost": (10, 5000),
        "fine_tuning.retraining": (0, 12),
        "fine_tuning.retraining_labour": (0, 40),
        "fine_tuning.hosting": (0, 3000),
        "prices.rag.input": (0.05, 60),
        "prices.rag.output": (0.05, 120),
        "prices.fine_tuned.input": (0.05, 60),
        "prices.fine_tuned.output": (0.05, 120),
    }
    values = {path: draw(st.floats(low, high)) for path, (low, high) in amounts.items()}
    return {**values, "growth.traffic": draw(GROWTH), "growth.context": draw(GROWTH)}


def bills_of(assumptions: Assumptions, traffic: float = 10_000) -> dict[str, Bill]:
    costs = unit_costs(workload(assumed(queries_per_day=traffic)), assumptions)
    return {name: bill(name, cost.terms, ()) for name, cost in costs.items()}


@FEW
@given(situations(), st.floats(1, 1e6), st.integers(1, 36))
def test_closed_form_and_simulation_agree(situation, traffic, months):
    """On points the stepped sums equal the formulas: totals, break-even volume and day, within 0.1 %."""
    assumptions = assume({**situation, "queries_per_day": traffic})
    bills = bills_of(assumptions)
    values = middles(assumptions)
    courses = {name: course(each, values, months) for name, each in bills.items()}
    for name, each in bills.items():
        stepped = courses[name].total(values["queries_per_day"])
        assert stepped == pytest.approx(closed_form.total(each, values, months), rel=1e-3)
    ours, theirs = (courses[name] for name in ("fine_tuned", "rag"))
    likely(abs(ours.each - theirs.each)[0] > 1e-6 * theirs.each[0])  # two equal prices meet anywhere
    saved = ours.total(values["queries_per_day"]) - theirs.total(values["queries_per_day"])
    likely(abs(saved[0]) > 1e-6 * theirs.fixed[0])
    stepped_even = break_even(ours, theirs)
    formula = closed_form.volume(bills["fine_tuned"], bills["rag"], values, months)
    assert stepped_even.volume == pytest.approx(formula.volume, rel=1e-3, abs=1e-6)
    assert stepped_even.up_to == pytest.approx(formula.up_to, rel=1e-3, abs=1e-6)
    day = break_even_day(ours, theirs)
    assert day is not None
    by_formula = closed_form.day(bills["fine_tuned"], bills["rag"], values, months)
    assert day[0] == pytest.approx(by_formula, rel=1e-3, abs=1e-3)


def test_they_agree_on_every_single_draw():
    """With ranges the formulas give for each draw what the simulation does."""
    growth = {"growth.traffic": [0.0, 0.1], "growth.context": [-0.05, 0.1]}
    assumptions = assume({**SMALL, **LARGE, **growth, "queries_per_day": [50, 5000]})
    bills = bills_of(assumptions)
    simulation = simulate(tuple(bills.values()), assumptions, 18, draws=2000, seed=5)
    for name, each in bills.items():
        assert simulation.total(name) == pytest.approx(closed_form.total(each, simulation.values, 18))


@FEW
@given(situations(), st.floats(1, 1e6))
def test_totals_are_the_sums_of_their_lines(situation, traffic):
    """Cost of 1,000 queries, month, set-up and total are what their lines add up to, and what the formulas say."""
    plan = make_plan(workload(assumed(queries_per_day=traffic)), assume(situation), draws=10)
    assumptions = assume({**situation, "queries_per_day": traffic})
    bills, values = bills_of(assumptions), middles(assumptions)
    for row in plan.rows:
        total = float(closed_form.total(bills[row.strategy], values, plan.months)[0])
        assert row.total_cost == pytest.approx(sum(row.total.values())) == pytest.approx(total)
        assert row.cost_per_month is not None
        assert row.cost_per_thousand is not None
        assert row.cost_per_thousand == pytest.approx(sum(row.by_part.values()))
        running = sum(amount for line, amount in row.month.items() if line not in row.per_thousand)
        assert row.cost_per_month == pytest.approx(row.cost_per_thousand / 1000 * traffic * DAYS + running)
        assert row.cost_per_month_tenfold == pytest.approx(row.cost_per_thousand / 100 * traffic * DAYS + running)


@FEW
@given(situations(), st.floats(0, 20_000), st.floats(0, 20_000))
def test_more_context_never_makes_rag_cheaper(situation, tokens, more):
    """Every figure of RAG is at least what it is with less context, and fine-tuning is cheaper in as many draws."""
    given = {**situation, "labour_rate": [40, 100], "fine_tuning.run_cost": [50, 500]}
    less, longer = (
        make_plan(workload(assumed(context=count)), assume(given), draws=200) for count in (tokens, tokens + more)
    )
    short, long = less.row("rag"), longer.row("rag")
    assert long.cost_per_thousand >= short.cost_per_thousand
    assert long.total_cost >= short.total_cost
    assert long.total_spread.p50 >= short.total_spread.p50
    assert longer.against("fine_tuned").cheaper >= less.against("fine_tuned").cheaper
    assert longer.against("fine_tuned").volume.at.p50 <= less.against("fine_tuned").volume.at.p50


@FEW
@given(situations())
def test_more_queries_never_raise_the_unit_cost(situation):
    """With all that is paid shared out, 1,000 queries cost no more where there are more of them."""
    plan = make_plan(workload(assumed()), assume({**situation, "labour_rate": [40, 100]}), draws=50)
    for row in plan.rows:
        costs = [spread.p50 for spread in row.by_volume]
        assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(costs))


@FEW
@given(situations())
def test_a_range_of_no_width_gives_a_point(situation):
    """Written as [x, x] every assumption gives what x gives, and no figure has a spread."""
    ranges = {path: [value, value] for path, value in {**KNOWN, **situation}.items()}
    plan = make_plan(workload(assumed()), assume(ranges))
    assert plan.rows == make_plan(workload(assumed()), assume({**KNOWN, **situation})).rows
    for row in plan.rows:
        assert row.total_spread.p10 == row.total_spread.p90 == pytest.approx(row.total_cost)
    for comparison in plan.comparisons:
        assert comparison.cheaper in (0.0, 1.0)
        assert comparison.volume.at.is_point
        assert comparison.drivers == ()


def test_the_break_even_day_pays_the_set_up_back():
    """Without growth it is set-up over what a day saves; the sums of both meet there."""
    plan = plan_of(seen(cost_deviation=None), **{path.replace(".", "__"): value for path, value in KNOWN.items()})
    rag, tuned, comparison = plan.row("rag"), plan.row("fine_tuned"), plan.against("fine_tuned")
    assert comparison.day.at.p50 == pytest.approx(
        tuned.setup_cost / ((rag.cost_per_month - tuned.cost_per_month) / DAYS)
    )


def test_a_saving_that_traffic_eats_up_again_is_none():
    """A challenger that is cheaper first and dearer at the end of the horizon breaks even never, not at once."""
    given = {"growth__context": -0.5, "fine_tuning__hosting": 30_000, "retrieval__labour": 5_000}
    shrinking = points(fine_tuning__labour=0, **given)
    bills, values = bills_of(shrinking), middles(shrinking)
    values = {**values, "queries_per_day": np.array([10_000.0])}
    first = [course(bills[name], values, 1) for name in ("fine_tuned", "rag")]
    assert first[0].total(np.array([10_000.0])) < first[1].total(np.array([10_000.0]))
    ours, theirs = (course(bills[name], values, 24) for name in ("fine_tuned", "rag"))
    assert break_even_day(ours, theirs) == [inf]


@pytest.mark.parametrize(
    ("given", "at_once", "never", "only_below"),
    [
        ({}, 0, 0, 0),
        ({"retrieval__labour": 500}, 1, 0, 0),
        ({"prices__fine_tuned__input": 50, "prices__fine_tuned__output": 50}, 0, 1, 0),
        ({"prices__fine_tuned__input": 50, "prices__fine_tuned__output": 50, "retrieval__labour": 500}, 0, 0, 1),
    ],
    ids=["from a traffic on", "at once", "never", "at small traffic only"],
)
def test_the_four_ways_to_break_even(given, at_once, never, only_below):
    """Cheaper from a traffic on, at any, at none, or at small traffic only: each is told as what it is."""
    plan = make_plan(workload(assumed()), points(**{"fine_tuning__labour": 200, **given}))
    volume = plan.against("fine_tuned").volume
    assert (volume.at_once, volume.never, volume.only_below) == (at_once, never, only_below)
    assert volume.at.p50 == (0 if at_once else inf if never or only_below else pytest.approx(volume.at.p10))
    assert (volume.up_to is not None) == bool(only_below)


def test_growing_traffic_and_context_cost_more():
    """What grows by 4 % a month has cost a fifth more after a year, and context grows on top of it."""
    still, growing = (
        make_plan(workload(assumed()), points()),
        make_plan(workload(assumed()), assume({**SMALL, **LARGE, **KNOWN, **KNOWN_GROWTH})),
    )
    months = sum(1.04**month for month in range(12)) / 12
    assert growing.row("base").total_cost == pytest.approx(still.row("base").total_cost * months)
    assert growing.row("rag").total_cost > still.row("rag").total_cost * months
