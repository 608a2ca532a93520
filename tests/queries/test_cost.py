"""What a query costs: all that was done for it, and unknown where an answer's price is."""

from __future__ import annotations

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ragmeter
from ragmeter.worker import accounting
from wire import whole

PRICED, UNPRICED, REFUSED = "gpt-4o-mini", "our-own-model", "broken"

steps = st.lists(st.sampled_from(["search", "embed", PRICED, UNPRICED, REFUSED]), min_size=1, max_size=5)


def run(shop, mix):
    with ragmeter.query():
        for step in mix:
            if step == "search":
                shop.search()
            elif step == "embed":
                shop.embed("How long does the warranty last?")
            elif step == REFUSED:
                with pytest.raises(openai.BadRequestError):
                    shop.ask([], model=step)
            else:
                shop.ask([], model=step)


def recorded(metered):
    """How many queries have a cost, and what they cost together."""
    points = metered.metric("ragmeter.query.cost.usd").values()
    return sum(point.count for point in points), sum(point.total for point in points)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mix=steps)
def test_a_query_with_an_answer_of_unknown_price_has_no_cost(metered, shop, mix):
    """For any mix the cost is that of all its operations, on metric and span alike, or there is none at all."""
    count, total = recorded(metered)
    seen_before = len(metered.spans())
    spent = sum(metered.metric("ragmeter.cost.usd").values())
    run(shop, mix)
    spans = metered.spans()[seen_before:]
    query = next((span.attributes for span in spans if span.name == "query"), {})
    now, now_total = recorded(metered)
    answers = [step for step in mix if step in (PRICED, UNPRICED, REFUSED)]
    if UNPRICED in mix:
        assert (now, now_total) == (count, total)
        assert "ragmeter.cost.amount" not in query
    elif answers:
        cost = query["ragmeter.cost.amount"]
        assert now == count + 1
        assert now_total - total == pytest.approx(cost, abs=1e-12)
        assert sum(metered.metric("ragmeter.cost.usd").values()) - spent == pytest.approx(cost, abs=1e-12)
        assert (cost > 0) == (PRICED in mix or "embed" in mix)
    else:
        assert now == count


def test_a_query_whose_only_answer_has_no_price_is_not_free(metered, shop):
    """The search before it costs nothing that is known; the query is counted, its cost is not."""
    with ragmeter.query():
        shop.ask(shop.search(), model=UNPRICED)
    assert sum(metered.metric("ragmeter.queries").values()) == 1
    assert metered.metric("ragmeter.query.cost.usd") == {}


def test_names_without_a_price_are_kept_within_bounds(watch, shop, monkeypatch):
    """The status names the first of very many models that have no price; further ones are counted together."""
    monkeypatch.setattr(accounting, "MOST_MODELS", 3)
    watch(providers={"127.0.0.1": "openai"})
    for number in range(6):
        shop.ask([], model=f"homemade-{number}")
    assert ragmeter.flush()
    found = {each.model: each.operations for each in ragmeter.status().unpriced}
    assert found == {"homemade-0": 1, "homemade-1": 1, "homemade-2": 1, "other": 3}


def test_nothing_beside_something_unknown_is_not_nothing(metered, wire, shop):
    """A refused answer costs nothing, but what the embedding before it did is unknown, and so is their sum."""
    vector = {"object": "embedding", "index": 0, "embedding": [1.0]}
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    wire.gives(
        whole({"object": "list", "model": "our-embedder", "data": [vector], "usage": usage}),
        whole({"error": {"message": "no"}}, status=400),
    )
    with ragmeter.query():
        shop.client.embeddings.create(model="our-embedder", input="How long?", encoding_format="float")
        with pytest.raises(openai.BadRequestError):
            shop.ask([])
    assert recorded(metered) == (0, 0)
