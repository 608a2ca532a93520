"""How sure a plan is: shares of draws, quantiles, what drives it, and a verdict that says no more than they do."""

from __future__ import annotations

import re

import pytest

from planning.cases import COSTS, DRAWS, LARGE, SMALL, assumed, by_path, plan_of, points, seen, workload
from ragmeter.planning.assumptions import assume
from ragmeter.planning.plan import PlanError, make_plan
from ragmeter.planning.spread import Spread
from ragmeter.planning.strategies import standard_error
from ragmeter.planning.uncertainty import VOLUMES

CLOSE = {"prices__fine_tuned__input": 0.4, "prices__fine_tuned__output": 1.6, "queries_per_day": 400}
"""So little traffic that nobody can be sure."""


def close(**given):
    prices = {"prices__rag__input": 0.4, "prices__rag__output": 1.6, "retrieval__labour": [20, 160]}
    return make_plan(workload(assumed()), assume(by_path({**prices, **CLOSE, **given})), draws=DRAWS)


def test_one_seed_gives_one_plan():
    """The same seed gives the same plan to the last digit, another one other draws of nearly the same."""
    first, again = plan_of(seen()), plan_of(seen())
    assert first == again
    other = make_plan(workload(seen()), assume(SMALL), seed=2, draws=DRAWS)
    assert other.row("rag").total_spread != first.row("rag").total_spread
    assert other.row("rag").total_spread.p50 == pytest.approx(first.row("rag").total_spread.p50, rel=0.01)


def test_what_is_added_elsewhere_moves_no_draw():
    """A range for one quantity leaves the draws of every other as they are."""
    plain, wider = plan_of(seen()), plan_of(seen(), fine_tuning__hosting=[10, 1000])
    assert plain.row("rag") == wider.row("rag")


def test_a_total_lies_in_its_spread():
    """The total with the median of each assumption lies between the 10 % and the 90 % quantile of the draws."""
    for row in close().rows[1:]:
        assert row.total_spread.p10 < row.total_cost < row.total_spread.p90


def test_shares_of_break_even_add_up():
    """At once, from a traffic on, only below one and never are all there is; quantiles of never are infinite."""
    volume = close().against("fine_tuned").volume
    assert 0 < volume.at_once < 1
    from_a_traffic = 1 - volume.at_once - volume.never - volume.only_below
    assert 0 <= from_a_traffic < 1
    assert volume.at.p10 <= volume.at.p50 <= volume.at.p90


def test_the_chance_by_traffic_meets_the_chance_at_todays():
    """The curve over traffic has at today's what the table says."""
    plan = close(queries_per_day=VOLUMES[10])
    comparison = plan.against("fine_tuned")
    assert comparison.by_volume[10] == pytest.approx(comparison.cheaper)
    assert len(comparison.by_volume) == len(plan.volumes) == len(plan.row("rag").by_volume)


def test_paid_by_month_ends_at_the_total():
    """What was paid begins with the set-up and ends with the total."""
    row = close().row("fine_tuned")
    assert row.by_month[-1] == row.total_spread
    assert len(row.by_month) == 13
    assert row.by_month[0].p10 < row.setup_cost < row.by_month[0].p90


def test_a_cost_by_part_is_the_measured_one():
    """Each part of a measured query costs what was measured of it; a derived one has the same parts but the context."""
    plan = plan_of(seen())
    assert plan.row("rag").by_part == pytest.approx({part: 1000 * cost for part, cost in COSTS.items()})
    assert set(plan.row("fine_tuned").by_part) == set(COSTS) - {"context", "embedding"}
    assert plan.row("fine_tuned").by_part["output"] == pytest.approx(1000 * 300 * 1.2e-6)
    assert set(plan.row("fine_tuned_rag").by_part) == set(COSTS)


def test_few_queries_make_a_measured_cost_unsure():
    """The mean of 200 queries is off by its standard error; of 140,000 by almost nothing."""
    few, many = plan_of(seen(queries=200)), plan_of(seen())
    error = standard_error(seen(queries=200))
    assert error == pytest.approx(0.006 / sum(COSTS.values()) / 200**0.5)
    width = few.row("rag").per_thousand_spread.p90 / few.row("rag").per_thousand_spread.p10 - 1
    assert width == pytest.approx(2 * 1.2816 * error, rel=0.05)
    assert many.row("rag").per_thousand_spread.p90 / many.row("rag").per_thousand_spread.p10 - 1 < width / 20


def test_an_error_in_what_was_measured_is_in_all_that_is_derived_from_it():
    """If RAG's tokens were fewer than measured, so are those of the fine-tuned model: both move together."""
    plan = plan_of(seen(queries=200))
    for row in plan.rows:
        assert row.per_thousand_spread.p10 < row.cost_per_thousand < row.per_thousand_spread.p90
    unsure = plan_of(seen(cost_deviation=None))
    assert unsure.row("rag").per_thousand_spread.is_point
    assert "It was not measured how much the queries of rag differ in cost: their mean counts as exact." in unsure.notes


def test_the_drivers_are_what_the_outcome_depends_on():
    """Dearer building of RAG speaks for fine-tuning, dearer training against it; what is in neither bill is none."""
    drivers = {each.quantity.name: each for each in close().against("fine_tuned").drivers}
    assert drivers["retrieval.labour"].correlation > 0.5
    assert drivers["fine_tuning.run_cost"].correlation < -0.1
    base = {each.quantity.name for each in close().against("base").drivers}
    assert base == {"retrieval.labour", "retrieval.infrastructure", "labour_rate"}
    strengths = [abs(each.correlation) for each in close().against("fine_tuned").drivers]
    assert strengths == sorted(strengths, reverse=True)


def test_the_correlation_is_that_of_the_ranks():
    """One range alone decides the order of the draws: its rank correlation is 1."""
    plan = make_plan(workload(assumed()), points(retrieval__infrastructure=[100, 5000]), draws=DRAWS)
    (driver,) = plan.against("fine_tuned").drivers
    assert driver.correlation == pytest.approx(1.0)


def test_knowing_what_decides_is_worth_most():
    """What turns the decision is worth money to know, what does not is worth none."""
    plan = close(retrieval__labour=[5, 160], retrieval__infrastructure=[1, 400], labour_rate=75)
    worth = {each.quantity.name: each.worth for each in plan.against("fine_tuned").drivers}
    assert worth["retrieval.labour"] > worth["retrieval.infrastructure"] > 0
    assert worth.get("fine_tuning.retraining", 0) == 0
    assert "Measure next retrieval.labour (hours to build retrieval): let those who would build it" in plan.verdict.next
    assert "; knowing it is worth $" in plan.verdict.next


def test_answers_that_are_worse_cost_more():
    """With success rates known the verdict is about successful answers: a cheap one that fails may lose."""
    rates = {"success__rag": 0.9, "success__fine_tuned": 0.05}
    plan = plan_of(seen(), **rates)
    comparison = plan.against("fine_tuned")
    assert (comparison.cheaper, comparison.cheaper_per_success) == (1.0, 0.0)
    rag = plan.row("rag")
    assert rag.cost_per_success.p50 == pytest.approx(rag.total_spread.p50 / (0.9 * 10_000 * 365.25))
    assert plan.verdict.answer.startswith(
        "At 10,000 queries a day over 12 months RAG is almost certainly cheaper than fine-tuning for each successful "
        "answer (100% of the draws)"
    )
    assert re.search(r"; RAG saves \$[\d,]+ on as many successful answers in the median", plan.verdict.answer)
    assert plan_of(seen()).row("rag").cost_per_success is None


def test_the_verdict_says_how_sure_it_is():
    """Sure, probable and open are told apart, in two sentences, with what is saved and what to measure next."""
    sure = plan_of(seen()).verdict
    assert "fine-tuning is almost certainly cheaper than RAG (100% of the draws)" in sure.answer
    assert "in the median" in sure.answer
    assert sure.next == (
        "A better figure for any one assumption would not change this. How well each answers is not counted: measure "
        "it, and write success.rag and success.fine_tuned."
    )
    probable = close().verdict
    assert "probably" in probable.answer or "rather" in probable.answer
    assert probable.next.startswith("Measure next ")
    settled = make_plan(workload(assumed()), points(), draws=DRAWS).verdict
    assert settled.next.startswith(
        "Nothing here is uncertain, because every assumption is one number. How well each answers is not counted"
    )


def test_a_verdict_without_todays_traffic_is_about_the_break_even():
    """It names the traffic from which on, and asks for today's."""
    plan = plan_of(seen(), days=0.5)
    assert plan.verdict.answer.startswith("Over 12 months fine-tuning is cheaper than RAG from ")
    assert plan.verdict.next == "Write queries_per_day next: it is not known."


def test_a_verdict_needs_something_to_compare():
    """With one price only there is nothing to decide, and the base model alone is no rival of RAG."""
    plan = make_plan(workload(seen()), assume({}), draws=DRAWS)
    assert plan.verdict.answer == "Nothing can be compared with RAG: no other strategy has a price."
    assert [each.challenger for each in plan.comparisons] == ["base"]


def test_what_others_are_held_against_can_be_chosen():
    """The strategy with most queries is what a change would replace, unless another is named."""
    tuned = seen("fine_tuned", 200_000)
    assert plan_of(seen(), tuned).compared_to == "fine_tuned"
    chosen = assume(SMALL, compared_to="rag")
    assert make_plan(workload(seen(), tuned), chosen, draws=DRAWS).compared_to == "rag"
    with pytest.raises(PlanError, match="compared_to: it is not known what a query with fine_tuned costs: no price is"):
        make_plan(workload(seen()), assume({}, compared_to="fine_tuned"), draws=DRAWS)


def test_what_is_at_work_is_built():
    """Nobody pays again for the retrieval that was measured, unless told to."""
    plan = plan_of(seen())
    assert (plan.built, plan.row("rag").setup_cost) == (("retrieval",), 0)
    assert "The set-up of retrieval counts as paid, because it is in use; built: [] counts it again." in plan.notes
    anew = make_plan(workload(seen()), assume(SMALL, built=()), draws=DRAWS)
    assert anew.row("rag").setup_cost == pytest.approx((80 * 160 * 50 * 100) ** 0.5)


def test_engineering_on_one_side_only_is_told():
    """The published ranges charge weeks of building to RAG alone: who goes by them is told so."""
    told = "The defaults charge weeks of engineering to retrieval"
    prices = {**SMALL, **LARGE}
    assert any(note.startswith(told) for note in make_plan(workload(assumed()), assume(prices), draws=DRAWS).notes)
    written = assume({**prices, "fine_tuning.labour": [80, 160]})
    assert not any(note.startswith(told) for note in make_plan(workload(assumed()), written, draws=DRAWS).notes)


def test_model_calls_in_the_infrastructure_are_told():
    """350 to 2,850 dollars a month holds the model calls: who writes it is told the figure without."""
    notes = plan_of(seen(), retrieval__infrastructure=[350, 2850]).notes
    assert (
        "retrieval.infrastructure is [350, 2,850]: the source's $350-2,850 a month holds $200-2,000 of model calls, "
        "which are counted by the query here: they would be paid twice. Without them it is [150, 850]."
    ) in notes
    assert not any("paid twice" in note for note in plan_of(seen()).notes)


def test_what_is_left_out_is_told():
    """Hosting that nobody gives costs nothing in the plan, and the plan says so."""
    assert any("hosting of the fine-tuned model" in note for note in plan_of(seen()).notes)
    assert not any("hosting" in note for note in plan_of(seen(), fine_tuning__hosting=0).notes)


def test_a_point_is_a_spread_of_no_width():
    """Where nothing is unsure the three quantiles are one number."""
    row = make_plan(workload(assumed()), points(), draws=DRAWS).row("rag")
    assert row.total_spread == Spread(*[pytest.approx(row.total_cost)] * 3)


def test_without_traffic_there_is_no_successful_answer():
    """What is paid by the month is compared, and nothing is divided by the answers that nobody gets."""
    plan = plan_of(seen(), queries_per_day=0.0, success__rag=0.9, success__fine_tuned=0.8)
    assert plan.row("rag").cost_per_success is None
    assert plan.against("fine_tuned").cheaper_per_success is None
    assert plan.verdict.answer.startswith("At 0 queries a day over 12 months RAG is rather cheaper than fine-tuning")


def test_what_costs_the_same_is_not_called_cheaper():
    """Two strategies without any cost are told as equal."""
    free = {"retrieval__infrastructure": 0.0, "fine_tuning__retraining": 0.0, "queries_per_day": 0.0}
    plan = make_plan(workload(seen()), points(**free, fine_tuning__labour=0.0, fine_tuning__runs=0.0), draws=DRAWS)
    assert plan.verdict.answer == "At 0 queries a day over 12 months fine-tuning and RAG cost the same."


def test_a_strategy_that_is_cheaper_at_small_traffic_only_is_told_so():
    """Without today's traffic the verdict names the traffic up to which what is fixed outweighs the queries."""
    plan = plan_of(
        seen(), days=0.5, prices__fine_tuned__input=30, prices__fine_tuned__output=120, fine_tuning__labour=1,
        fine_tuning__runs=1, fine_tuning__run_cost=10, fine_tuning__retraining=0, retrieval__infrastructure=400,
    )  # fmt: skip
    assert plan.against("fine_tuned").volume.only_below > 0.9
    assert re.search(r"fine-tuning is cheaper than RAG only below [\d,]+ queries a day", plan.verdict.answer)


def test_calls_without_a_price_are_told_where_they_make_a_cost_too_small():
    """A measured mean lacks them, and the plan says of how many."""
    told = plan_of(seen(price_states={"priced": 0.75, "unpriced": 0.25})).notes
    assert "25% of the calls of rag have no known price: what they cost is in no figure." in told
    assert not any("no known price" in note for note in plan_of(seen(price_states={"priced": 1.0})).notes)
