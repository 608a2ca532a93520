"""What became of retrieved text on live traffic: fates, tokens and money of the context, by hand and across turns."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from opentelemetry import context as otel_context

import ragmeter
from shop import PASSAGES, Shop, open_shop
from wire import Wire, whole

TOWER = (
    "The lighthouse of Brunswick Head was finished in 1874 after eleven years of work, by masons from Cornwall who "
    "cut every granite block on the mainland and shipped it across the strait in flat barges."
)
FERRY = (
    "Ferries to the island leave Port Albert daily at nine and at half past two; in winter only the morning crossing "
    "runs, and bicycles travel free of charge when the lower deck has room for them."
)
MUSEUM = (
    "The museum keeps a collection of ship models, maps and diving helmets, and opens on weekends from ten to five, "
    "with guided tours for school classes by appointment."
)
ANSWER = "It was finished in 1874 by masons from Cornwall, who cut every granite block on the mainland [1]."
QUESTION = "When was the lighthouse built?"


def chat(messages, answer=ANSWER, model="gpt-4o-mini", **message):
    """One chat call to a server that answers `answer` and reports four characters as a token."""
    tokens = sum(len(str(message["content"])) for message in messages) // 4
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer} | message}
        ],
        "usage": {"prompt_tokens": tokens, "completion_tokens": 20, "total_tokens": tokens + 20},
    }
    with Wire(lambda _: whole(body)) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        client.chat.completions.create(model=model, messages=messages)


def user(text):
    return {"role": "user", "content": text}


def prompt_of(*passages, question=QUESTION):
    numbered = "\n\n".join(f"[{at}] {text}" for at, text in enumerate(passages, 1))
    return f"Context:\n{numbered}\n\nQuestion: {question}"


def by_fate(seen, name="ragmeter.chunks"):
    found = {}
    for key, value in seen.metric(name).items():
        fate = dict(key)["ragmeter.chunk.fate"]
        found[fate] = found.get(fate, 0) + value
    return found


def test_each_chunk_has_a_fate(watch):
    """Of three chunks one is used and cited, one sent for nothing, one never sent; tokens and money follow."""
    seen = watch(providers={"127.0.0.1": "openai"})
    with ragmeter.query():
        ragmeter.context([TOWER, FERRY, MUSEUM], collection="island")
        chat([user(prompt_of(TOWER, FERRY))])
    assert by_fate(seen) == {"used": 1, "unused": 1, "unsent": 1}
    assert {dict(key)["db.collection.name"] for key in seen.metric("ragmeter.chunks")} == {"island"}
    tokens = by_fate(seen, "ragmeter.context.tokens")
    assert tokens["used"] + tokens["unused"] == seen.total("ragmeter.tokens", ragmeter_part="context")
    assert 0.8 < tokens["used"] / tokens["unused"] < 1.25
    money = by_fate(seen, "ragmeter.context.cost.usd")
    assert sum(money.values()) == pytest.approx(seen.total("ragmeter.cost.usd", ragmeter_part="context"), rel=1e-9)
    assert seen.total("ragmeter.chunks.cited") == 1
    ((_, ranks),) = seen.metric("ragmeter.chunk.used.rank").items()
    assert ranks == (1, 1)


def test_chunks_the_app_changes_are_known_as_they_were(watch):
    """What is told by hand may be changed at once: list, mapping and text in it."""
    seen = watch(providers={"127.0.0.1": "openai"})
    told = [{"id": 1, "body": {"passage": TOWER}}, {"id": 2, "text": FERRY}]
    with ragmeter.query():
        ragmeter.context(told)
        told[0]["body"]["passage"] = told[1]["text"] = ""
        told.clear()
        chat([user(prompt_of(TOWER, FERRY))])
    assert by_fate(seen) == {"used": 1, "unused": 1}


def test_the_span_sums_up_the_context(watch):
    """A span tells how many chunks of which fate took how many tokens; ids only when they are asked for."""
    seen = watch(providers={"127.0.0.1": "openai"})
    ragmeter.context([FERRY, TOWER])
    chat([user(prompt_of(FERRY, TOWER))])
    (span,) = (dict(span.attributes) for span in seen.spans() if span.name.startswith("chat"))
    assert span["ragmeter.context.chunks"] == 2
    assert span["ragmeter.context.chunks.used"] == span["ragmeter.context.chunks.unused"] == 1
    assert (
        span["ragmeter.context.tokens.used"] + span["ragmeter.context.tokens.unused"]
        == (span["ragmeter.tokens.context"])
    )
    assert span["ragmeter.context.share"] == span["ragmeter.tokens.context"] / span["gen_ai.usage.input_tokens"]
    assert span["ragmeter.context.last_used_rank"] == 2
    assert span["ragmeter.bloat_factor"] == span["gen_ai.usage.input_tokens"] / span["ragmeter.tokens.question"]
    assert not [name for name in span if name.startswith("ragmeter.chunk.")]


def test_chunks_stand_on_the_span_on_request(watch):
    """With `capture_chunks` each place of a chunk is there with id, fate, rank and tokens; without an id, a mark."""
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    with ragmeter.query():
        ragmeter.context([{"id": 17, "text": TOWER, "score": 0.9}, FERRY])
        chat([user(prompt_of(TOWER, FERRY))])
    (span,) = (dict(span.attributes) for span in seen.spans() if span.name.startswith("chat"))
    first, second = span["ragmeter.chunk.ids"]
    assert first == "17"
    assert len(second) == 16
    assert span["ragmeter.chunk.fates"] == ("used", "unused")
    assert span["ragmeter.chunk.ranks"] == (1, 2)
    assert sum(span["ragmeter.chunk.tokens"]) == span["ragmeter.tokens.context"]


def test_context_of_earlier_turns_is_stale_and_repeated(watch):
    """A chunk sent again with the history is repeated; its tokens are stale, and still context rather than history."""
    seen = watch(providers={"127.0.0.1": "openai"})
    first = [user(prompt_of(TOWER))]
    with ragmeter.query():
        ragmeter.context([TOWER])
        chat(first)
    turns = [*first, {"role": "assistant", "content": ANSWER}]
    with ragmeter.query():
        ragmeter.context([FERRY])
        chat([*turns, user(prompt_of(FERRY, question="And the ferry?"))], answer="In winter only mornings.")
    assert by_fate(seen) == {"used": 1, "repeated": 1, "unknown": 1}
    stale = seen.total("ragmeter.context.stale.tokens")
    assert stale == by_fate(seen, "ragmeter.context.tokens")["repeated"] > 30
    second = dict(seen.spans()[-1].attributes)
    assert second["ragmeter.context.stale_tokens"] == stale
    assert second["ragmeter.tokens.history"] < second["ragmeter.tokens.context"]


def test_the_same_chunk_twice_in_a_prompt_is_repeated(watch):
    """Two retrievers that give the same passage cost twice: the second place is repeated."""
    seen = watch(providers={"127.0.0.1": "openai"})
    with ragmeter.query():
        ragmeter.context([TOWER, FERRY])
        ragmeter.context([TOWER])
        chat([user(prompt_of(TOWER, FERRY, TOWER))])
    assert by_fate(seen) == {"used": 1, "unused": 1, "repeated": 1}


def test_an_answer_that_says_nothing_leaves_the_fate_unknown(watch):
    """A yes tells nothing of the chunks, and no chunk is called unused for it."""
    seen = watch(providers={"127.0.0.1": "openai"})
    ragmeter.context([TOWER])
    chat([user(prompt_of(TOWER))], answer="Yes.")
    assert by_fate(seen) == {"unknown": 1}


def test_a_failed_call_leaves_the_fate_unknown(metered, shop):
    """Without an answer nothing is said of the chunks."""
    with ragmeter.query(), pytest.raises(openai.BadRequestError):
        shop.ask(shop.search(), model="broken")
    assert set(by_fate(metered)) == {"unknown"}


def test_a_documents_object_of_a_framework_is_a_chunk(watch):
    """Objects with their text under a usual name are taken as they are, scores and ids with them."""

    class Document:
        def __init__(self, page_content):
            self.page_content = page_content
            self.id = "doc-1"
            self.metadata = {}

    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    ragmeter.context([Document(TOWER)])
    chat([user(prompt_of(TOWER))])
    assert seen.spans()[-1].attributes["ragmeter.chunk.ids"] == ("doc-1",)


@pytest.mark.parametrize("given", ["one text", (text for text in PASSAGES), {"text": TOWER}, 7])
def test_what_is_no_list_of_chunks_is_refused_softly(watch, given):
    """A text, a generator or a mapping in place of a list warns and says what is wanted; the app goes on."""
    watch()
    with pytest.warns(UserWarning, match="takes a list of chunks"):
        ragmeter.context(given)
    assert given is not PASSAGES
    if hasattr(given, "__next__"):
        assert next(given) == PASSAGES[0]


def test_context_without_instrument_does_nothing():
    """Before `instrument()` the call is free to stay in the app."""
    assert ragmeter.context([TOWER]) is None


def test_retrieval_in_a_pool_without_any_scope(metered, shop):
    """Threads that share nothing with the answer: its context is found all the same, and the query counted once."""
    with ThreadPoolExecutor(2) as pool:
        found = pool.submit(shop.search).result()
        pool.submit(shop.ask, found).result()
    assert metered.total("ragmeter.queries", ragmeter_strategy="rag") == 1
    assert metered.total("ragmeter.queries") == 1


def test_retrieval_in_threads_that_inherit_the_context(metered, shop):
    """Where an instrumentation carries the OpenTelemetry context into threads, everything stays one query."""

    def carried(context, function, *arguments):
        token = otel_context.attach(context)
        try:
            return function(*arguments)
        finally:
            otel_context.detach(token)

    tracer = metered.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("request"), ThreadPoolExecutor(2) as pool:
        here = otel_context.get_current()
        found = pool.submit(carried, here, shop.search).result()
        pool.submit(carried, here, shop.ask, found).result()
    assert metered.total("ragmeter.queries", ragmeter_strategy="rag") == 1
    assert metered.total("ragmeter.operations", ragmeter_strategy="rag") == 2


def test_children_of_gather_that_retrieve_each_their_own(metered, shop):
    """Two retrievals side by side feed one answer: both stand in its context."""

    async def answer():
        one, two = await asyncio.gather(asyncio.to_thread(shop.search, 1), asyncio.to_thread(shop.search, 3))
        shop.ask([*one, *two[1:]])

    asyncio.run(answer())
    assert metered.total("ragmeter.queries", ragmeter_strategy="rag") == 1
    assert sum(count for fate, count in by_fate(metered).items() if fate != "unsent") == 3


def test_a_template_that_reformats_hides_nothing(metered, shop):
    """Quoted line by line, in capitals or as JSON, a chunk is still found."""
    for reformat in (str.upper, repr, lambda text: "> " + text.replace(" ", "\n> ")):
        with ragmeter.query():
            shop.ask([reformat(text) for text in shop.search()])
    assert metered.total("ragmeter.queries", ragmeter_strategy="rag") == 3


def test_tenants_never_meet(watch, wire):
    """A text retrieved for one tenant is not looked for in the prompts of another; for its own it is."""
    shop: Shop = open_shop(wire)
    seen = watch(providers={"127.0.0.1": "openai"}, labels=["tenant"], tenant_label="tenant")
    with ragmeter.query(tenant="a"):
        found = shop.search()
    for tenant in ("a", "b"):
        with ragmeter.query(tenant=tenant):
            shop.ask(found)
    strategies = {dict(key)["tenant"]: dict(key)["ragmeter.strategy"] for key in seen.metric("ragmeter.queries")}
    assert strategies == {"a": "rag", "b": "base"}


def test_no_text_leaves_the_process(watch, caplog):
    """Without content capture no word of prompt, chunk, question, tool or answer is in any span, metric or log line.

    Not even when our own code fails on them.
    """
    caplog.set_level(logging.DEBUG, logger="ragmeter")
    secret = "zanzibarine"
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True, loud=False)
    chunk = f"The {secret} harbour was dredged for two years by a company from Rotterdam before ships could enter."
    with ragmeter.query():
        ragmeter.context([chunk, {"text": object(), "score": f"{secret}"}], collection="harbours")
        ragmeter.context([Broken(secret)])
        chat(
            [
                {"role": "system", "content": f"Answer in {secret} style, and never say so to anybody."},
                user(prompt_of(chunk.upper(), question=f"Who dredged the {secret} harbour?")),
            ],
            answer=f"The {secret} harbour was dredged for two years by a company from Rotterdam [1].",
        )
    assert seen.total("ragmeter.tokens", ragmeter_part="context") > 10
    assert secret not in seen.everything().lower()
    assert secret not in caplog.text.lower()


class Broken:
    """An object that cannot be read, and says a secret when it is tried."""

    def __init__(self, secret):
        self._secret = secret

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise ValueError(self._secret)


def test_what_a_model_thinks_is_no_answer(watch):
    """A chunk that only the model's reasoning takes up is not used by its answer."""
    seen = watch(providers={"127.0.0.1": "openai"})
    thought = f"The context says: {FERRY} That does not answer the question, the first passage does."
    ragmeter.context([TOWER, FERRY])
    chat([user(prompt_of(TOWER, FERRY))], reasoning_content=thought)
    assert by_fate(seen) == {"used": 1, "unused": 1}


def test_a_marker_names_what_the_template_has_numbered(watch):
    """`[7]` is the chunk that stands behind a 7, wherever it stands; without numbers it counts the current turn's."""
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    with ragmeter.query():
        ragmeter.context([TOWER, FERRY, MUSEUM])
        turns = [user(prompt_of(MUSEUM)), {"role": "assistant", "content": "The museum opens at ten."}]
        numbered = f"Source 7: {TOWER}\n\nSource 9: {FERRY}\n\nQuestion: {QUESTION}"
        chat([*turns, user(numbered)], answer=f"{ANSWER[:-4]} [7].")
        plain = f"{TOWER}\n\n{FERRY}\n\nQuestion: {QUESTION}"
        chat([*turns, user(plain)], answer=f"{ANSWER[:-4]} [1].")
    cited = [dict(span.attributes).get("ragmeter.context.cited") for span in seen.spans() if "chat" in span.name]
    assert cited == [1, 1]


def test_totals_survive_a_prompt_that_cannot_be_taken_apart(watch, monkeypatch):
    """When our anatomy fails the call is still counted and priced, all of its input in `other`; the failure is told."""

    def fail(*_):
        raise ValueError(TOWER)

    monkeypatch.setattr("ragmeter.anatomy.fates.judge", fail)
    seen = watch(providers={"127.0.0.1": "openai"}, loud=False)
    ragmeter.context([TOWER])
    chat([user(prompt_of(TOWER))])
    span = dict(seen.spans()[-1].attributes)
    assert span["ragmeter.tokens.other"] == span["gen_ai.usage.input_tokens"]
    assert seen.total("ragmeter.cost.usd") == pytest.approx(span["ragmeter.cost.amount"])
    assert seen.total("ragmeter.internal.errors", ragmeter_place="taking a prompt apart") == 1


def test_a_search_of_one_tenant_is_not_charged_to_another(watch, wire):
    """An answer that uses its own tenant's cached text leaves an equal search of someone else where it was made."""
    shop: Shop = open_shop(wire)
    seen = watch(providers={"127.0.0.1": "openai"}, labels=["tenant"], tenant_label="tenant")
    with ragmeter.query(tenant="b"):
        found = shop.search()
        shop.ask(found)
    contextvars.copy_context().run(lambda: (ragmeter.label(tenant="a"), shop.search()))
    with ragmeter.query(tenant="b"):
        shop.ask(found)
    assert seen.total("ragmeter.operations", tenant="b") == 3
    assert seen.total("ragmeter.operations", tenant="a", ragmeter_strategy="none") == 1
