"""The article's table comes out, its claim is checked, and both say what they need to hold."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from planning.cases import KNOWN, LARGE, assumed, workload
from ragmeter.cli.plan import plan_of
from ragmeter.cli.scenario import read_scenario
from ragmeter.cli.scenario_layers import read_layer, read_setting
from ragmeter.planning.assumptions import assume
from ragmeter.planning.claims import Check, Claim, Expectation
from ragmeter.planning.plan import make_plan

TABLE = {"base": 11, "fine_tuned": 20, "rag": 41, "fine_tuned_rag": 49}


def planned(name: str, *settings: str):
    return plan_of(read_scenario([read_layer(name), *map(read_setting, settings)]), draws=200, seed=1)


def found(checks: Sequence[Check], begin: str) -> Check:
    (check,) = [each for each in checks if each.statement.startswith(begin)]
    return check


def test_the_articles_table_comes_out():
    """11, 20, 41 and 49 dollars for 1,000 queries, within rounding."""
    plan = planned("article")
    assert {row.strategy: round(row.cost_per_thousand) for row in plan.rows} == TABLE
    assert all(check.holds for check in plan.checks if check.statement.startswith("1,000 queries"))


def test_the_table_says_what_it_takes():
    """About 60 dollars a million; no dearer token explains the fine-tuned rows, an amount beside the tokens does."""
    checks = planned("article").checks
    assert found(checks, "The context is why") == Check(
        "The context is why 1,000 queries with rag cost $30 more than with base",
        holds=True,
        found=(
            "for 485 tokens of context a query that takes a price of $59.79 to $63.92 per million input tokens, and "
            "here it is $60.00"
        ),
    )
    assert found(checks, "Dearer tokens") == Check(
        "Dearer tokens of the fine-tuned model explain both fine-tuned rows",
        holds=False,
        found=(
            "it takes 1.70 to 1.79 times the price for fine_tuned but 1.20 to 1.22 times the price for fine_tuned_rag"
        ),
    )
    extra = found(checks, "An amount for each query")
    assert extra.holds
    assert extra.found == "it takes $8.04 to $8.94 for 1,000 queries, such as hosting shared over them"


@pytest.mark.parametrize(("extra", "holds"), [(0.0080, False), (0.0081, True), (0.0089, True), (0.0090, False)])
def test_the_amount_that_it_takes_is_right(extra, holds):
    """Within what the check says both fine-tuned rows round to the article's figures, outside one does not."""
    plan = planned("article", f"prices.fine_tuned.request={extra}")
    assert all(check.holds for check in plan.checks if check.statement.startswith("1,000 queries")) is holds


@pytest.mark.parametrize("price", [40, 70])
def test_another_price_does_not_give_the_table(price):
    """At another price of tokens the rows come out wrong, and the check says which it would take."""
    checks = planned("article", f"prices.rag.input={price}").checks
    assert not found(checks, "1,000 queries with rag").holds
    assert not found(checks, "The context is why").holds


def test_the_claim_does_not_follow_from_the_table():
    """With the article's own figures fine-tuning is twice as cheap at 100,000 queries a day, not ten times."""
    check = found(planned("article").checks, "fine_tuned is 10 to 50 times cheaper")
    assert not check.holds
    assert check.found == (
        "2.0 times here: 1,000 queries cost $40.90 with rag and $20.11 with fine_tuned, set-up and months included"
    )
    assert check.needs[0] == "10 times: not by cheaper tokens, because $8.65 for 1,000 queries is paid beside them"


@pytest.mark.parametrize(
    ("model", "least", "most", "holds"),
    [("ft:gpt-4.1-nano:own", 10, 50, True), ("ft:gpt-4.1-mini:own", 5, 10, False), ("ft:gpt-4.1:own", 1, 3, False)],
)
def test_the_claim_holds_against_a_much_larger_model_only(model, least, most, holds):
    """At list prices: for a model a tenth as dear it does; for a fine-tuned model of RAG's own size it is two or so."""
    plan = planned("today", f"prices.fine_tuned.model=openai/{model}")
    check = found(plan.checks, "fine_tuned is 10 to 50 times cheaper")
    assert check.holds is holds
    assert least <= float(check.found.partition(" times")[0]) <= most


def test_what_the_claim_needs_makes_it_hold():
    """At the token price and at the context that the check names the claim is just met."""
    prices = {"prices.fine_tuned.input": 0.8, "prices.fine_tuned.output": 3.2}
    given = {**LARGE, **prices, **KNOWN}
    claim = Claim("fine_tuned", "rag", 10, 10, 100_000)

    def times(context: float = 2_800, factor: float = 1.0) -> tuple[float, tuple[str, ...]]:
        scaled = {path: price * factor for path, price in prices.items()}
        plan = make_plan(workload(assumed(context=context)), assume({**given, **scaled}), draws=10, claims=[claim])
        return float(plan.checks[0].found.partition(" times")[0]), plan.checks[0].needs

    off, (by_price, by_context) = times()
    assert off < 9.5
    factor = float(by_price.removeprefix("10 times: if tokens of the fine-tuned model cost ").partition(" times")[0])
    context = float(by_context.removeprefix("10 times: if the context were ").partition(" tokens")[0].replace(",", ""))
    assert times(factor=factor)[0] == pytest.approx(10, abs=0.15)
    assert times(context=context)[0] == pytest.approx(10, abs=0.15)


def test_what_has_no_price_is_not_judged():
    """A row or a claim about a strategy without a price does not hold, and says why."""
    claim = Claim("fine_tuned", "rag", 10, 50, 100_000)
    expected = [Expectation("fine_tuned", 20), Expectation("rag", 41)]
    plan = make_plan(workload(assumed()), assume(LARGE), draws=10, claims=[claim], expectations=expected)
    assert found(plan.checks, "1,000 queries with fine_tuned cost").found == "no price is known for it here"
    assert found(plan.checks, "fine_tuned is 10").found == "one of them has no price here"


def test_nothing_is_so_many_times_cheaper_than_what_is_free():
    """Where the cheaper strategy costs nothing, no number of times is said."""
    free = ("prices={fine_tuned: {input: 0, output: 0}}", "fine_tuning={labour: 0, run_cost: 0}")
    check = found(planned("today", *free).checks, "fine_tuned is 10 to 50 times cheaper")
    assert (check.holds, check.found, check.needs) == (False, "fine_tuned costs nothing here", ())


@pytest.mark.parametrize("setting", ["prices.rag.input=0", "queries_per_day=0"])
def test_what_costs_nothing_is_planned_with_too(setting):
    """A free model and an app without queries have a plan: nothing is divided by what is not there."""
    plan = planned("today", setting, "success.rag=0.8", "success.fine_tuned=0.7")
    assert plan.checks
    assert (plan.row("rag").cost_per_success is None) == (setting == "queries_per_day=0")


@pytest.mark.parametrize("free", ["rag", "base", "fine_tuned"])
def test_a_model_that_costs_nothing_is_judged_all_the_same(free):
    """Tokens without a price divide nothing by nothing: the table and the claims are held against what is left."""
    checks = planned("article", f"prices.{free}={{input: 0, output: 0}}").checks
    assert found(checks, f"1,000 queries with {free} cost").holds is False
    assert found(checks, "fine_tuned is 10 to 50 times cheaper").found
