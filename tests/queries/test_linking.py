"""Retrieval is linked to its answer by content: whatever thread, task, trace or cache it came through."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import ragmeter
from ragmeter.domain.model import KnownChunk
from ragmeter.domain.query import Ending, QueryHandle
from ragmeter.ledger.ledger import MOST_CHUNKS, OpenQuery
from shop import QUESTION


def strategies(seen):
    """How many queries were counted under each strategy."""
    return {dict(key)["ragmeter.strategy"]: count for key, count in seen.metric("ragmeter.queries").items()}


def in_the_same_thread(shop):
    shop.ask(shop.search())


def in_a_query_scope(shop):
    with ragmeter.query():
        shop.ask(shop.search())


def in_an_async_query_scope(shop):
    async def answer():
        async with ragmeter.query():
            shop.ask(shop.search())

    asyncio.run(answer())


def retrieval_in_a_thread_pool(shop):
    with ThreadPoolExecutor() as pool, ragmeter.query():
        shop.ask(pool.submit(shop.search).result())


def retrieval_in_gathered_tasks(shop):
    async def answer():
        found, _ = await asyncio.gather(asyncio.to_thread(shop.search), asyncio.sleep(0))
        shop.ask(found)

    asyncio.run(answer())


def inference_in_an_executor(shop):
    async def answer():
        with ragmeter.query():
            found = shop.search()
            await asyncio.get_running_loop().run_in_executor(None, shop.ask, found)

    asyncio.run(answer())


def inference_in_a_bare_thread(shop):
    thread = threading.Thread(target=shop.ask, args=(shop.search(),))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "way",
    [
        in_the_same_thread,
        in_a_query_scope,
        in_an_async_query_scope,
        retrieval_in_a_thread_pool,
        retrieval_in_gathered_tasks,
        inference_in_an_executor,
        inference_in_a_bare_thread,
    ],
    ids=lambda way: way.__name__,
)
def test_retrieved_text_in_the_prompt_makes_the_query_rag(metered, shop, way):
    """However retrieval and inference are joined, the answer counts once, as `rag`, and its context has tokens."""
    way(shop)
    assert strategies(metered)["rag"] == 1
    assert sum(strategies(metered).values()) == 1
    assert metered.total("ragmeter.tokens", ragmeter_part="context") > 10


def test_a_cached_result_used_in_a_later_query_is_still_context(metered, shop):
    """Passages that were retrieved once and are put into later prompts from the app's own cache are found again."""
    found = shop.search()
    for _ in range(3):
        with ragmeter.query():
            shop.ask(found)
    assert strategies(metered) == {"rag": 3}


def test_inside_the_apps_own_root_span(metered, shop):
    """All that an app's request span encloses is one query, which ends when that span ends."""
    tracer = metered.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("request"):
        shop.embed("How long does the warranty of the kettle last?")
        shop.ask(shop.search())
    assert strategies(metered) == {"rag": 1}
    assert metered.total("ragmeter.operations", ragmeter_strategy="rag") == 3


def test_chat_turns_in_traces_of_their_own(metered, shop):
    """A passage from the first turn that is sent again with the history makes the later turn `rag` as well."""
    tracer = metered.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("turn 1"):
        found = shop.search()
        shop.ask(found)
    with tracer.start_as_current_span("turn 2"):
        shop.ask(found, question="And what about the green one?")
    assert strategies(metered) == {"rag": 2}


def test_a_search_whose_results_never_reach_the_prompt_leaves_it_base(metered, shop):
    """Retrieval alone does not make an answer RAG."""
    with ragmeter.query():
        shop.search()
        shop.ask([])
    assert strategies(metered) == {"base": 1}


def test_without_sampling_the_counts_are_the_same(watch, shop):
    """A sampler that drops every span changes no metric, not even which calls make a query."""
    seen = watch(sampler=ALWAYS_OFF, providers={"127.0.0.1": "openai"})
    tracer = seen.tracer_provider.get_tracer("app")
    for _ in range(2):
        with tracer.start_as_current_span("request"):
            shop.embed("How long does the warranty of the kettle last?")
            shop.ask(shop.search())
    assert seen.spans() == ()
    assert strategies(seen) == {"rag": 2}
    assert seen.total("ragmeter.operations", ragmeter_strategy="rag") == 6


def test_a_fine_tuned_model_with_context_is_both(metered, shop):
    """Fine-tuned from the model id, RAG from the prompt."""
    shop.ask(shop.search(), model="ft:gpt-4o-mini-2024-07-18:acme::1")
    shop.ask([], model="ft:gpt-4o-mini-2024-07-18:acme::1", question="Who are you?")
    assert strategies(metered) == {"fine_tuned_rag": 1, "fine_tuned": 1}


def test_the_span_of_a_query_carries_what_it_cost(metered, shop):
    """`ragmeter.query()` is a span above its operations, with strategy and cost."""
    with ragmeter.query(name="help"):
        shop.ask(shop.search())
    spans = {span.name: span for span in metered.spans()}
    whole = spans["query help"]
    children = [span for span in metered.spans() if span.parent and span.parent.span_id == whole.context.span_id]
    assert len(children) == 2
    assert whole.attributes["ragmeter.strategy"] == "rag"
    assert whole.attributes["ragmeter.cost.amount"] == pytest.approx(
        sum(span.attributes.get("ragmeter.cost.amount", 0.0) for span in children)
    )
    assert trace.get_current_span().get_span_context().is_valid is False


def test_a_scope_whose_retrieval_another_answer_has_used_still_has_its_span(metered, shop):
    """What is left of the scope is a span with an end: its children never hang below one that nobody exports."""
    with ragmeter.query(name="look"):
        found = shop.search()
    shop.ask(found)
    assert metered.total("ragmeter.operations", ragmeter_strategy="rag") == 2
    (whole,) = [span for span in metered.spans() if span.name == "query look"]
    assert whole.attributes["ragmeter.strategy"] == "none"
    assert "ragmeter.query.operations" not in whole.attributes


def test_a_scope_in_which_nothing_was_found_has_its_span(metered):
    """A retrieval by hand without any passage leaves nothing to count: the span ends all the same."""
    with ragmeter.query(name="look"):
        ragmeter.context([])
    assert [span.name for span in metered.spans()] == ["query look"]
    assert metered.spans_started == 1


def test_what_was_done_under_another_label_stays_there(metered, shop):
    """A team's embedding is not charged to another that asks the same; one that has lost its label is."""

    def embed(**labels):
        ragmeter.label(**labels)
        shop.embed(QUESTION)

    for labels in ({"team": "search"}, {}):
        contextvars.copy_context().run(embed, **labels)
    with ragmeter.query(team="support"):
        shop.ask([], question=QUESTION)
    with ragmeter.query(team="support"):
        shop.ask([], question=QUESTION)
    assert metered.total("ragmeter.operations", team="support") == 3
    assert metered.total("ragmeter.operations", team="search", ragmeter_strategy="none") == 1


def test_a_query_that_is_open_for_days_remembers_its_prompts_within_bounds():
    """What stood in one of them is known of the chunks that it still has, whatever number of others there were."""
    query = OpenQuery(QueryHandle(Ending.SCOPE), 0.0)
    query.chunks[0, 1] = KnownChunk((0, 1))
    for number in range(5 * MOST_CHUNKS):
        query.send([(number, 1)])
    assert (0, 1) in query.sent
    assert len(query.sent) <= 2 * MOST_CHUNKS
