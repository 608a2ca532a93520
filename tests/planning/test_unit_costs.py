"""What a query costs with each strategy: measured where it was, derived and marked where it was not, never guessed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planning.cases import COSTS, LARGE, SMALL, TOKENS, assumed, by_path, plan_of, seen, workload
from ragmeter.domain.strategy import STRATEGIES
from ragmeter.planning.assumptions import assume
from ragmeter.planning.bills import Line
from ragmeter.planning.plan import PlanError, make_plan
from ragmeter.planning.strategies import Basis

FINE_TUNED = (200 * 0.3 + 300 * 1.2) / 1e3
"""System and question at the fine-tuned model's price, and the answer: dollars for 1,000 queries."""


def test_what_was_measured_is_taken_as_it_is():
    """The cost of 1,000 queries with RAG is the measured mean, part for part."""
    row = plan_of(seen()).row("rag")
    assert row.basis is Basis.MEASURED
    assert row.why == "the mean of 140,000 queries"
    assert row.cost_per_thousand == pytest.approx(1000 * sum(COSTS.values()))
    assert row.per_thousand[Line.CONTEXT] == pytest.approx(7.0)
    assert row.per_thousand[Line.RETRIEVAL] == pytest.approx(0.001)


def test_fine_tuned_is_rag_without_its_context_at_the_fine_tuned_price():
    """No context, no embedding, the same question, system text and answer at the other price; marked as derived."""
    row = plan_of(seen()).row("fine_tuned")
    assert row.basis is Basis.DERIVED
    assert row.why == "rag without its context at the fine-tuned model's price"
    assert row.cost_per_thousand == pytest.approx(FINE_TUNED)
    assert row.tokens == {part: count for part, count in TOKENS.items() if part != "context"}


def test_both_together_have_the_context_and_its_retrieval():
    """Fine-tuned RAG is RAG at the fine-tuned price, with the search that was measured."""
    row = plan_of(seen()).row("fine_tuned_rag")
    assert row.cost_per_thousand == pytest.approx(FINE_TUNED + 2.8 * 0.3 + 0.001)
    kept = plan_of(seen(), fine_tuning__context_kept=0.5).row("fine_tuned_rag")
    assert kept.cost_per_thousand == pytest.approx(FINE_TUNED + 1.4 * 0.3 + 0.001)


def test_the_base_model_is_rag_without_context_and_retrieval_at_what_was_paid():
    """It needs no price: what the other parts cost is known."""
    row = plan_of(seen()).row("base")
    assert row.basis is Basis.DERIVED
    assert row.cost_per_thousand == pytest.approx(3.5)


def test_longer_answers_of_the_fine_tuned_model_cost_more():
    """A factor on the length of answers falls on the derived output only."""
    plan = plan_of(seen(), fine_tuning__answer_length=2)
    assert plan.row("fine_tuned").per_thousand[Line.OUTPUT] == pytest.approx(0.72)
    assert plan.row("rag").per_thousand[Line.OUTPUT] == pytest.approx(3.0)


def test_a_measured_strategy_is_not_derived():
    """Where both were measured, both stand as measured, whatever prices are known beside."""
    tuned = seen("fine_tuned", tokens={"question": 50, "output": 200}, cost={"output": 0.001}, cost_per_query=0.001)
    row = make_plan(workload(seen(), tuned), assume({})).row("fine_tuned")
    assert (row.basis, row.cost_per_thousand) == (Basis.MEASURED, pytest.approx(1.0))


def test_a_given_price_for_a_measured_strategy_replaces_what_was_paid():
    """The measured tokens at another model's price: derived, not measured."""
    row = plan_of(seen(), prices__rag__input=0.15, prices__rag__output=0.6).row("rag")
    assert row.basis is Basis.DERIVED
    assert row.cost_per_thousand == pytest.approx(3.0 * 0.15 + 0.3 * 0.6 + 0.001)


def test_what_a_scenario_says_is_assumed():
    """Tokens without a single query seen are marked so, and so is what is derived from them."""
    plan = make_plan(workload(assumed()), assume({**SMALL, **LARGE}))
    assert {row.basis for row in plan.rows} == {Basis.ASSUMED}


def test_cached_tokens_are_the_front_of_the_prompt():
    """Tokens from the cache are paid at their own price, first those that stand before the context."""
    prices = by_path({"prices__rag__input": 2, "prices__rag__cache_read": 1, "prices__rag__output": 0})
    tokens = {"system": 900.0, "question": 100.0, "context": 1000.0}
    rag = seen(tokens=tokens, cost={}, cost_per_query=None, cached_share=0.6)
    row = make_plan(workload(rag), assume(prices)).row("rag")
    assert row.per_thousand == pytest.approx({Line.PROMPT: 1.0, Line.CONTEXT: 0.2 * 1 + 0.8 * 2})


def test_cached_tokens_without_a_price_of_their_own_cost_what_others_cost():
    """An unknown discount is none."""
    prices = by_path({"prices__rag__input": 2, "prices__rag__output": 0})
    row = make_plan(workload(seen(cost={}, cost_per_query=None, cached_share=0.6)), assume(prices)).row("rag")
    assert row.cost_per_thousand == pytest.approx(3.0 * 2)


def test_money_that_no_part_accounts_for_is_not_lost():
    """A provider's fee beside the tokens stands on a line of its own."""
    row = plan_of(seen(cost_per_query=0.02)).row("rag")
    assert row.per_thousand[Line.UNPLACED] == pytest.approx(20 - 1000 * sum(COSTS.values()))
    assert row.cost_per_thousand == pytest.approx(20)


def test_what_has_no_price_is_said_and_counts_for_nothing():
    """No price for a fine-tuned model: no figure, and a sentence that says what to write."""
    row = make_plan(workload(seen()), assume({})).row("fine_tuned")
    assert row.basis is Basis.UNKNOWN
    assert (row.cost_per_thousand, row.cost_per_month, row.total_cost, row.setup_cost) == (None, None, None, None)
    assert row.why == (
        "no price is known for it: write prices.fine_tuned.model, or prices.fine_tuned.input and .output (dollars per "
        "million tokens)"
    )


def test_context_that_nobody_has_seen_is_asked_for():
    """RAG is not derived from a base model before somebody says how much context it would need."""
    base = seen("base", tokens={"question": 50, "output": 300}, cost={"output": 0.003}, cost_per_query=0.003)
    given = {**SMALL, **LARGE}
    assert make_plan(workload(base), assume(given)).row("rag").why == (
        "how much context it would need is not known: write retrieval.context (tokens)"
    )
    told = make_plan(workload(base), assume({**given, "retrieval.context": 1000, "retrieval.query_cost": 0.001}))
    assert told.row("rag").cost_per_thousand == pytest.approx(0.05 * 2.5 + 3.0 + 2.5 + 1.0)
    assert told.row("rag").basis is Basis.DERIVED


@pytest.mark.parametrize(
    ("few", "why"),
    [
        (seen("fine_tuned", 29), "only 29 queries of fine_tuned were seen, fewer than 30"),
        (
            seen("fine_tuned", 199, cost_deviation=None),
            (
                "only 199 queries of fine_tuned were seen, fewer than the 200 that it takes where it is not known how "
                "far they differ in cost"
            ),
        ),
        (
            seen("fine_tuned", 100, cost_deviation=0.03),
            "only 100 queries of fine_tuned were seen, whose mean cost may be off by 29%: more than 20%",
        ),
    ],
)
def test_too_little_is_said_and_not_extrapolated(few, why):
    """Too few queries of a strategy give no unit cost: it is derived from one with enough, or there is no plan."""
    plan = plan_of(seen(), few)
    assert plan.row("fine_tuned").why.startswith("rag without its context")
    assert plan.notes[0] == f"{why[:1].upper()}{why[1:]}: they are left out."
    with pytest.raises(PlanError) as caught:
        plan_of(few)
    assert str(caught.value) == (
        f"it is not known what a query costs: {why}; measure for longer, or write prices and tokens in a scenario."
    )


def test_enough_is_enough():
    """Thirty queries that cost nearly the same are enough, and two hundred where nobody knows how far they differ."""
    for enough in (seen("fine_tuned", 30, cost_deviation=0.001), seen("fine_tuned", 200, cost_deviation=None)):
        assert plan_of(seen(), enough).row("fine_tuned").why.startswith("the tokens of ")


def test_less_than_a_day_says_nothing_of_a_day():
    """Unit costs and the break-even volume stand, and whatever needs today's traffic waits for it."""
    plan = plan_of(seen(), days=0.8)
    assert plan.queries_per_day is None
    row, comparison = plan.row("rag"), plan.against("fine_tuned")
    assert row.cost_per_thousand is not None
    assert (row.cost_per_month, row.total_cost, row.total_spread, row.by_month) == (None, None, None, ())
    assert comparison is not None
    assert (comparison.cheaper, comparison.saving, comparison.day, comparison.drivers) == (None, None, None, ())
    assert comparison.volume.at.p50 > 0
    assert any("Write queries_per_day" in note for note in plan.notes)
    told = plan_of(seen(), days=0.8, queries_per_day=500)
    assert told.queries_per_day == 500
    assert told.row("rag").cost_per_month is not None


def test_nobody_seen_is_no_plan():
    """Without any traffic there is nothing to plan with, and each strategy says why."""
    with pytest.raises(PlanError, match="no strategy was seen that it could be derived from"):
        make_plan(workload(), assume({}))


def test_money_for_no_query_is_a_part_of_retrieval():
    """What was spent on bringing documents into the index stands on RAG's month, and not on fine-tuning's."""
    work = replace(workload(seen()), outside={"embedding": 14.0})
    plan = make_plan(work, assume(SMALL))
    assert plan.row("rag").month[Line.INGESTION] == pytest.approx(365.25 / 12)
    assert Line.INGESTION not in plan.row("fine_tuned").month


def test_a_strategy_of_the_apps_own_is_told():
    """The four strategies are compared; one that the app has named itself is not, and its queries are traffic."""
    plan = plan_of(seen(), seen("agent", 14_000))
    assert plan.queries_per_day == 11_000
    assert plan.notes[0].startswith("Not compared, because it is the app's own strategy: agent.")


def test_every_strategy_has_its_row():
    """The table has four rows in the order of the article, whatever was measured."""
    assert tuple(row.strategy for row in plan_of(seen()).rows) == STRATEGIES
