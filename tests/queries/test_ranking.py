"""A chunk's rank is the one in the last ranking before the prompt: a search's, a reranking's, or the app's."""

from __future__ import annotations

import contextlib

import pytest

import fake_reranker
import ragmeter
from agent_calls import completion
from shop import PASSAGES, QUESTION
from wire import whole

WARRANTY, REFUND, EXPRESS = PASSAGES


@pytest.fixture
def seen(watch, shop, monkeypatch):
    fake_reranker.put(monkeypatch)
    return watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)


def ranks(seen):
    """The rank of each chunk in the prompts, in their order."""
    found = [span.attributes.get("ragmeter.chunk.ranks") for span in seen.spans() if span.name.startswith("chat")]
    return [rank for each in found if each for rank in each]


def used_ranks(seen):
    """How many used chunks there were, and the sum of their ranks."""
    values = seen.metric("ragmeter.chunk.used.rank").values()
    return sum(value.count for value in values), sum(value.total for value in values)


def unsent(seen):
    return seen.total("ragmeter.chunks", ragmeter_chunk_fate="unsent")


@pytest.mark.parametrize("scope", [ragmeter.query, contextlib.nullcontext], ids=["in a scope", "without"])
@pytest.mark.parametrize("by_text", [False, True], ids=["by number", "by text"])
def test_a_reranking_renews_the_ranks_of_a_search(seen, shop, scope, by_text):
    """Search, rerank, chat: a chunk that the search had last and the reranker first has rank 1, in every place."""
    with scope():
        found = shop.search(limit=3)
        assert found == [WARRANTY, REFUND, EXPRESS]
        done = fake_reranker.Client(2, 0, by_text=by_text).rerank(query=QUESTION, documents=found)
        assert len(done["results"]) == 2
        shop.ask([EXPRESS, WARRANTY])
    assert ranks(seen) == [1, 2]
    assert unsent(seen) == 1
    assert seen.total("ragmeter.queries", ragmeter_strategy="rag") == 1
    for kind in ("rerank", "chat"):
        assert seen.total("ragmeter.operations", ragmeter_strategy="rag", gen_ai_operation_name=kind) == 1
    assert seen.total("ragmeter.operations", ragmeter_strategy="rag") == 3
    assert {dict(key)["db.collection.name"] for key in seen.metric("ragmeter.chunks")} == {"shop"}


def test_the_used_chunks_rank_is_that_of_the_reranking(seen, shop, wire):
    """The histogram by which a shorter list is judged has the last ranking: here the answer's chunk was third."""
    wire.gives(whole(completion({"content": WARRANTY})))
    found = shop.search(limit=3)
    fake_reranker.Client(1, 2, 0).rerank(query=QUESTION, documents=found)
    shop.ask([REFUND, EXPRESS, WARRANTY])
    assert used_ranks(seen) == (1, 3)


def test_documents_that_no_search_gave_are_known_by_their_reranking(seen, shop):
    """What an app has from elsewhere and lets be put in order is retrieved text, and its answer `rag`."""
    fake_reranker.Client(1, 0).rerank(query=QUESTION, documents=[REFUND, WARRANTY])
    shop.ask([WARRANTY])
    assert ranks(seen) == [1]
    assert unsent(seen) == 1
    assert seen.total("ragmeter.operations", ragmeter_strategy="rag") == seen.total("ragmeter.operations") == 2


def test_a_reranking_that_no_answer_follows_leaves_each_chunk_unsent_once(seen, shop):
    """A search and its reranking are one retrieval, also when nothing comes of it."""
    found = shop.search(limit=3)
    fake_reranker.Client(2, 1, 0).rerank(query=QUESTION, documents=found)
    assert unsent(seen) == 3
    assert seen.total("ragmeter.queries") == 0


def test_a_number_that_is_no_documents_is_left_out(seen, shop):
    """An answer that names what was not sent breaks nothing, and ranks what it names rightly."""
    found = shop.search(limit=2)
    with contextlib.suppress(IndexError):
        fake_reranker.Client(7, 1, -1).rerank(query=QUESTION, documents=found)
    shop.ask([REFUND])
    assert ranks(seen) == [2]


@pytest.mark.parametrize("scope", [ragmeter.query, contextlib.nullcontext], ids=["in a scope", "without"])
def test_what_the_app_tells_of_is_a_ranking(seen, shop, scope):
    """`ragmeter.context()` after a search gives its chunks the order in which they are told."""
    with scope():
        shop.search(limit=3)
        ragmeter.context([EXPRESS, REFUND])
        shop.ask([EXPRESS, REFUND, WARRANTY])
    assert ranks(seen) == [1, 2, 1]
    assert unsent(seen) == 0
