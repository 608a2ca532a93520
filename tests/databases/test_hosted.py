"""A database that embeds and reranks by itself: the contract, and that all it does in a call is counted and priced."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import fake_hosted
import fakes
import ragmeter
from databases_contract import SECRET, DatabaseContract
from fake_hosted import BILLS, EMBEDDER, QUESTION, RERANKER, SYSTEM, AsyncIndex, Index
from ragmeter.reading import clients
from shop import answer, open_shop
from test_counting import queries_of, settle
from wire import Wire

READ, RANKED, FEE, TOKEN = 16e-6, 0.002, 0.0001, 0.16e-6
PRICES = {
    SYSTEM: {"units": {"read_units": READ}, "request": FEE},
    EMBEDDER: {"input": TOKEN * 1e6},
    RERANKER: {"units": {"rerank_units": RANKED}},
}
SEARCHED, EMBEDDED = 6 * READ + FEE, 12 * TOKEN
WHOLE = SEARCHED + EMBEDDED + RANKED


@pytest.fixture(autouse=True)
def _is_there() -> Iterator[None]:
    put = fakes.put_module("fake_hosted")
    yield
    ragmeter.uninstrument()
    put.take_back()


@pytest.fixture
def shop():
    with Wire(answer) as wire:
        yield open_shop(wire)


@pytest.fixture
def hosted(watch):
    """Ragmeter with these prices, and a server that answers as if it were OpenAI."""

    def start(prices=PRICES, **settings):
        return watch(prices=prices, providers={"127.0.0.1": "openai"}, **settings)

    return start


@pytest.fixture(params=[Index, AsyncIndex], ids=["sync", "async"])
def search(request):
    """A search by a client of either kind: what its host bills, and the questions."""

    def made(*questions, bills=BILLS):
        result = request.param(bills).search(*questions or (QUESTION,))
        return asyncio.run(result) if asyncio.iscoroutine(result) else result

    return made


def operations(seen):
    """Operations by kind and how far their cost is known."""
    return {
        (dict(key)["gen_ai.operation.name"], dict(key)["ragmeter.price.state"]): count
        for key, count in seen.metric("ragmeter.operations").items()
    }


def parts(seen):
    """Money by part."""
    found: dict[str, float] = {}
    for key, cost in seen.metric("ragmeter.cost.usd").items():
        part = dict(key)["ragmeter.part"]
        found[part] = found.get(part, 0) + cost
    return found


class TestHosted(DatabaseContract):
    """The contract, kept where each search brings an embedding and a rerank with it."""

    integration = "fake_hosted"
    system = SYSTEM
    nearest_score = 1.0
    billed: ClassVar[dict[str, Any]] = {"ragmeter.units.read_units": 6, "ragmeter.price.state": "unpriced"}

    def database(self):
        if self.integration not in clients.names():  # in a process of its own
            fakes.put_module("fake_hosted")
        return Index()

    def search(self, database, limit=2):
        return database.search(QUESTION, top_k=limit)

    def bound(self, database):
        return partial(database.search, QUESTION)

    def search_nothing(self, database):
        return database.search("nothing")

    def search_wrongly(self, database):
        database.collection = "gone"
        return database.search(QUESTION)

    def search_batch(self, database):
        return bool(database.search(QUESTION, QUESTION))

    def search_below_zero(self, database):
        return database.search("opposite")["results"][0][0]["score"]

    def forms(self):
        return {
            "one": (lambda db: db.search(QUESTION), 2),
            "three": (lambda db: db.search(QUESTION, top_k=3), 3),
            "batch": (lambda db: db.search(QUESTION, QUESTION), 4),
            "untold": (lambda _: Index(None).search(QUESTION), 2),
            "async": (lambda _: asyncio.run(AsyncIndex().search(QUESTION)), 2),
        }

    def originals(self):
        return [vars(fake_hosted.Index)["search"], vars(fake_hosted.AsyncIndex)["search"]]

    def spoil(self, result):
        for matches in result["results"]:
            for match in matches:
                match.clear()
            matches.clear()


def test_each_has_its_own_price(hosted, search):
    """Search by read units and request, embedding by tokens, rerank by units: the request is paid once."""
    seen = hosted()
    search()
    settle()
    assert operations(seen) == {("search", "priced"): 1, ("embeddings", "priced"): 1, ("rerank", "priced"): 1}
    expected = {"search": SEARCHED, "embedding": EMBEDDED, "rerank": RANKED}
    assert parts(seen) == {part: pytest.approx(cost) for part, cost in expected.items()}
    assert seen.total("ragmeter.units", ragmeter_unit="read_units") == 6
    assert seen.total("ragmeter.units", ragmeter_unit="rerank_units", gen_ai_operation_name="rerank") == 1
    assert seen.total("ragmeter.tokens") == 12
    assert sum(span.attributes["ragmeter.cost.amount"] for span in seen.spans()) == pytest.approx(WHOLE)


def test_the_hosts_own_units_are_priced_in_one_row(hosted, search):
    """Units of the rerank may have their price with the host's others; its price of a request is paid once."""
    units = {"read_units": READ, "rerank_units": RANKED}
    seen = hosted({SYSTEM: {"units": units, "request": FEE}})
    search()
    settle()
    assert operations(seen) == {("search", "priced"): 1, ("embeddings", "unpriced"): 1, ("rerank", "priced"): 1}
    assert seen.total("ragmeter.cost.usd") == pytest.approx(SEARCHED + RANKED)


def test_without_a_price_all_is_counted(hosted, search):
    """Nobody knows what it costs: operations, tokens and units are there, and the status names each."""
    seen = hosted({})
    search()
    settle()
    assert operations(seen) == {("search", "unpriced"): 1, ("embeddings", "unpriced"): 1, ("rerank", "unpriced"): 1}
    assert seen.metric("ragmeter.cost.usd") == {}
    assert seen.total("ragmeter.tokens") == 12
    names = {(each.provider, each.model, each.operations) for each in ragmeter.status().unpriced}
    assert names == {(SYSTEM, "read_units", 1), (SYSTEM, EMBEDDER, 1), (SYSTEM, RERANKER, 1)}


def test_only_the_call_has_a_duration(hosted, search):
    """One call was made and timed; tokens are in the standard metric, and nothing else is."""
    seen = hosted()
    search()
    assert seen.count("ragmeter.search.duration") == seen.count("db.client.operation.duration") == 1
    assert seen.metric("gen_ai.client.operation.duration") == {}
    ((labels, tokens),) = seen.metric("gen_ai.client.token.usage").items()
    assert tokens.total == 12
    assert dict(labels)["gen_ai.operation.name"] == "embeddings"
    assert dict(labels)["gen_ai.provider.name"] == SYSTEM
    assert len(seen.calls()) == 1
    assert [span.name for span in seen.spans() if span.parent] == [f"embeddings {EMBEDDER}", f"rerank {RERANKER}"]


def test_a_query_costs_all_of_it(hosted, shop, search):
    """In a query's scope all of it is the query's, once, under its strategy."""
    seen = hosted()
    with ragmeter.query():
        search()
        shop.ask([SECRET])
    assert queries_of(seen) == {("rag", None): 1}
    assert seen.total("ragmeter.operations", ragmeter_strategy="rag") == 4
    (cost,) = seen.metric("ragmeter.query.cost.usd").values()
    assert cost.total == pytest.approx(seen.total("ragmeter.cost.usd"))
    assert cost.total > WHOLE
    (query,) = [span.attributes for span in seen.spans() if span.name == "query"]
    assert query["ragmeter.query.operations"] == 4
    assert query["ragmeter.cost.amount"] == pytest.approx(cost.total)


def test_an_answer_elsewhere_takes_all_of_it(hosted, shop, search):
    """Outside of any scope a passage in the prompt ties the search to its answer, with all that was done for it."""
    seen = hosted()
    search()
    shop.ask([SECRET])
    settle()
    assert queries_of(seen) == {("rag", None): 1}
    assert seen.total("ragmeter.operations", ragmeter_strategy="rag") == 4


def test_a_host_that_counts_nothing_is_estimated_and_found_by_its_question(hosted, shop, search):
    """The question that was embedded stands for its tokens, and ties a search that found nothing to its answer."""
    seen = hosted()
    search("nothing", bills=None)
    shop.ask([], question="nothing")
    settle()
    assert queries_of(seen) == {("base", None): 1}
    assert seen.total("ragmeter.operations", ragmeter_strategy="base") == 3
    assert operations(seen)["embeddings", "estimated"] == 1
    assert 0 < parts(seen)["embedding"] < 10 * TOKEN
    assert [
        key for key in seen.metric("gen_ai.client.token.usage") if ("gen_ai.operation.name", "embeddings") in key
    ] == []


def test_passages_found_by_a_question_are_unsent_where_no_prompt_has_them(hosted, shop, search):
    """Outside of any scope the question ties the search to its answer, and with it what was found and not used."""
    seen = hosted()
    search(bills=None)
    shop.ask([], question=QUESTION)
    settle()
    assert seen.total("ragmeter.operations", ragmeter_strategy="base") == 3
    assert seen.total("ragmeter.chunks", ragmeter_chunk_fate="unsent", ragmeter_strategy="base") == 2


@pytest.mark.parametrize("make", [Index, AsyncIndex], ids=["sync", "async"])
def test_what_an_upsert_embeds_is_ingestion(hosted, shop, make):
    """Documents on their way into an index are ingestion with all that is done for them, in a query as outside."""
    bills = {"read_units": 6, "embed_tokens": 12}

    def upsert():
        result = make(bills).upsert("One document.", "Another.")
        return asyncio.run(result) if asyncio.iscoroutine(result) else result

    seen = hosted()
    upsert()
    assert ragmeter.flush()
    assert parts(seen) == {"ingestion": pytest.approx(SEARCHED + EMBEDDED)}
    assert operations(seen) == {("ingestion", "priced"): 1, ("embeddings", "priced"): 1}
    assert queries_of(seen) == {}
    with ragmeter.query():
        upsert()
        shop.ask([])
    assert seen.total("ragmeter.cost.usd", ragmeter_part="ingestion") == pytest.approx(2 * (SEARCHED + EMBEDDED))
    assert "embedding" not in parts(seen)


@pytest.mark.parametrize(
    ("bills", "left"),
    [({"read_units": 6}, ["search"]), ({**BILLS, "rerank": {}}, ["embeddings", "search"])],
    ids=["the first", "the second"],
)
def test_what_cannot_be_read_of_it_costs_nothing_else(hosted, search, caplog, bills, left):
    """Where reading what was done beside a search fails, the search and what was read before are counted as ever."""
    expected = search(bills=bills)
    seen = hosted(loud=False)
    assert search(bills=bills) == expected
    settle()
    assert sorted(kind for kind, _ in operations(seen)) == left
    assert parts(seen)["search"] == pytest.approx(SEARCHED)
    assert seen.call()["db.response.returned_rows"] == 2
    assert seen.total("ragmeter.internal.errors") == 1
    assert len([record for record in caplog.records if record.name == "ragmeter"]) == 1


def test_numbers_that_are_none_are_left_out_and_very_many_are_cut(hosted, search):
    """A count below zero is unknown; of a thousand embeddings in one search the first are counted."""
    seen = hosted()
    search(bills={"read_units": 6, "embed_tokens": -1})
    settle()
    assert seen.metric("ragmeter.tokens") == {}
    search(bills={"read_units": 6, "embed_tokens": 0, "embeddings": [1] * 1000})
    settle()
    assert seen.total("ragmeter.tokens") == 64


def test_a_search_within_an_answer_has_no_time(hosted):
    """How much of an answer's time its provider's own search took nobody knows; it is counted and priced."""
    seen = hosted()
    Index().answer(QUESTION)
    settle()
    assert queries_of(seen) == {("base", None): 1}
    assert seen.metric("ragmeter.search.share") == seen.metric("ragmeter.search.duration") == {}
    assert operations(seen) == {("chat", "priced"): 1, ("search", "priced"): 1}
    assert parts(seen)["search"] == pytest.approx(SEARCHED)


def test_without_spans_the_figures_are_the_same(hosted, search):
    """With a sampler that drops every span all of it is counted and priced."""
    seen = hosted(sampler=ALWAYS_OFF)
    search()
    settle()
    assert seen.spans() == ()
    assert seen.total("ragmeter.operations") == 3
    assert seen.total("ragmeter.cost.usd") == pytest.approx(WHOLE)


def test_the_newest_conventions_have_no_tokens_of_embeddings(hosted, search):
    """They count tokens of inferences alone: in their profile nothing standard but the search's time is recorded."""
    seen = hosted(profile="latest")
    search()
    settle()
    assert [name for name in seen.metrics() if name.startswith(("gen_ai.", "db.")) and seen.metric(name)] == [
        "db.client.operation.duration"
    ]
    assert seen.total("ragmeter.cost.usd") == pytest.approx(WHOLE)
