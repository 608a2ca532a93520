"""What is billed beside tokens: units of a database, a reranker and an ingestion are counted, shown and priced."""

from __future__ import annotations

import logging
import math
import sys
from types import ModuleType

import pytest

import fake_index
import ragmeter
from fake_index import PASSAGE, Index, Reranker
from ragmeter.reading import clients
from test_counting import queries_of, settle

READ, WRITTEN, RANKED = 16e-6, 4e-6, 0.002
PRICES = {"fakedb": {"units": {"read_units": READ, "write_units": WRITTEN}}}


@pytest.fixture
def index(watch, monkeypatch):
    """Ragmeter with these prices, and the fake among its integrations."""
    module = ModuleType(f"{clients.__name__}.fake_index")
    module.INTEGRATION = fake_index.INTEGRATION
    monkeypatch.setitem(sys.modules, module.__name__, module)
    known = (*clients.names(), "fake_index")
    monkeypatch.setattr(clients, "names", lambda: known)

    def start(prices=None, **settings):
        return watch(prices=prices or {}, providers={"127.0.0.1": "openai"}, **settings)

    return start


def states(seen):
    return {
        (dict(key)["gen_ai.operation.name"], dict(key)["ragmeter.price.state"]): count
        for key, count in seen.metric("ragmeter.operations").items()
    }


def test_a_search_costs_its_read_units_at_the_apps_price(index):
    """Units are on the span and in their metric, and money is units times price, a fraction of a unit included."""
    seen = index(PRICES)
    with ragmeter.query():
        Index(read_units=6.5).query([1.0])
    (span,) = [each for each in seen.spans() if each.name == "query docs"]
    assert span.attributes["ragmeter.units.read_units"] == 6.5
    assert span.attributes["ragmeter.cost.amount"] == pytest.approx(6.5 * READ)
    assert span.attributes["ragmeter.price.state"] == "priced"
    assert span.attributes["ragmeter.price.row"] == "prices['fakedb']"
    settle()
    assert seen.total("ragmeter.units", ragmeter_unit="read_units", gen_ai_provider_name="fakedb") == 6.5
    assert seen.total("ragmeter.cost.usd", ragmeter_part="search") == pytest.approx(6.5 * READ)
    assert states(seen) == {("search", "priced"): 1}


def test_read_units_without_a_price_are_counted_and_cost_nobody_knows_what(index, caplog):
    """No table: the units are counted, no money is claimed, and one line says what to write."""
    seen = index()
    with caplog.at_level(logging.WARNING, "ragmeter"):
        Index(read_units=6).query([1.0])
        Index(read_units=1).query([1.0])
        assert ragmeter.flush()
    settle()
    assert seen.total("ragmeter.units", ragmeter_unit="read_units") == 7
    assert seen.metric("ragmeter.cost.usd") == {}
    assert states(seen) == {("search", "unpriced"): 2}
    (line,) = [record.getMessage() for record in caplog.records if "no price" in record.getMessage()]
    assert "prices={'fakedb': {'units': {'read_units': ...}}}" in line
    ((provider, model, operations),) = [
        (each.provider, each.model, each.operations) for each in ragmeter.status().unpriced
    ]
    assert (provider, model, operations) == ("fakedb", "read_units", 2)


def test_a_price_of_other_units_is_none_of_these(index):
    """A database whose writes have a price has none for its reads; with one of two it is an estimate."""
    seen = index({"fakedb": {"units": {"write_units": WRITTEN}}})
    Index(read_units=6).query([1.0])
    settle()
    assert states(seen) == {("search", "unpriced"): 1}
    assert seen.metric("ragmeter.cost.usd") == {}
    Index(read_units=6, write_units=1).query([1.0])
    settle()
    assert states(seen)["search", "estimated"] == 1
    assert seen.total("ragmeter.cost.usd", ragmeter_price_state="estimated") == pytest.approx(WRITTEN)


def test_a_database_that_bills_nothing_is_free_unless_its_requests_have_a_price(index):
    """Without usage a search costs nothing; with a price for a request it costs that."""
    seen = index()
    Index().query([1.0])
    assert "ragmeter.cost.amount" not in seen.span()
    settle()
    assert states(seen) == {("search", "priced"): 1}
    assert seen.total("ragmeter.cost.usd") == 0
    ragmeter.uninstrument()
    seen = index({"fakedb": {"request": 0.0001}})
    Index().query([1.0])
    settle()
    assert seen.total("ragmeter.cost.usd", ragmeter_part="search") == pytest.approx(0.0001)


@pytest.mark.parametrize("name", ["fakerank", "rank-1"])
@pytest.mark.parametrize("model", [None, "rank-1"])
def test_a_rerank_costs_its_search_units(index, name, model):
    """A reranker's units have the price of its model, or of its provider where no model is asked for or priced."""
    if name == "rank-1" and model is None:
        pytest.skip("a price of a model is none of a call without one")
    seen = index({name: {"units": {"search_units": RANKED}}})
    Reranker(search_units=2.0).rerank("How long?", [PASSAGE], model=model)
    assert seen.span()["ragmeter.units.search_units"] == 2
    settle()
    assert seen.total("ragmeter.cost.usd", ragmeter_part="rerank") == pytest.approx(2 * RANKED)
    assert seen.total("ragmeter.units", ragmeter_unit="search_units", gen_ai_operation_name="rerank") == 2
    assert states(seen) == {("rerank", "priced"): 1}


def test_a_rerank_without_a_price_is_unpriced_and_one_that_failed_has_no_cost(index):
    """What a reranker has billed is counted also where nobody knows what it costs."""
    seen = index()
    Reranker(search_units=1).rerank("How long?", [PASSAGE], model="rank-1")
    with pytest.raises(ValueError, match="nothing to rerank"):
        Reranker(search_units=1).rerank("How long?", [], model="rank-1")
    settle()
    assert seen.total("ragmeter.units", ragmeter_unit="search_units") == 1
    assert seen.metric("ragmeter.cost.usd") == {}
    assert states(seen) == {("rerank", "unpriced"): 2}


def test_ingestion_is_a_kind_of_its_own(index):
    """It is a call of a database, makes no query, is no search, and its money is under a part of its own at once."""
    seen = index(PRICES)
    Index(write_units=250).upsert([PASSAGE, "Kettles are blue."])
    (span,) = seen.spans()
    assert span.name == "upsert docs"
    assert dict(span.attributes) == {
        "db.system.name": "fakedb",
        "db.collection.name": "docs",
        "db.operation.name": "upsert",
        "db.query.summary": "upsert docs",
        "ragmeter.units.write_units": 250,
        "ragmeter.cost.amount": pytest.approx(250 * WRITTEN),
        "ragmeter.cost.currency": "USD",
        "ragmeter.cost.source": "local",
        "ragmeter.price.row": "prices['fakedb']",
        "ragmeter.price.state": "priced",
    }
    assert seen.total("ragmeter.cost.usd") == pytest.approx(250 * WRITTEN)
    assert seen.total("ragmeter.cost.usd", ragmeter_part="ingestion", ragmeter_strategy="none") > 0
    assert seen.count("db.client.operation.duration", db_operation_name="upsert") == 1
    assert not [name for name in seen.metrics() if name.startswith("ragmeter.search.") and seen.metric(name)]
    assert states(seen) == {("ingestion", "priced"): 1}
    assert queries_of(seen) == {}


def test_ingestion_is_never_the_retrieval_of_an_answer(index, shop):
    """What is written before an answer is no part of its query; inside the query's scope it keeps its own part."""
    seen = index(PRICES)
    Index(write_units=250).upsert([PASSAGE])
    shop.embed("The first document.", "The second document.")
    Index(read_units=6).query([1.0])
    shop.ask([PASSAGE])
    settle()
    none, rag = ({"ragmeter_strategy": name} for name in ("none", "rag"))
    assert seen.total("ragmeter.cost.usd", ragmeter_part="ingestion", **rag) == 0
    assert seen.total("ragmeter.cost.usd", ragmeter_part="ingestion", **none) > 250 * WRITTEN
    assert seen.total("ragmeter.cost.usd", ragmeter_part="search", **rag) == pytest.approx(6 * READ)
    with ragmeter.query():
        Index(write_units=1).upsert([PASSAGE])
        shop.ask([PASSAGE])
    assert seen.total("ragmeter.cost.usd", ragmeter_part="ingestion", **rag) == pytest.approx(WRITTEN)
    assert sum(queries_of(seen).values()) == 2


def test_a_query_costs_its_units_too(index, shop):
    """The cost of a query is that of its search, its rerank and its answer together."""
    seen = index({**PRICES, "fakerank": {"units": {"search_units": RANKED}}})
    with ragmeter.query():
        Index(read_units=6).query([1.0])
        Reranker(search_units=1).rerank("How long?", [PASSAGE])
        shop.ask([PASSAGE])
    (cost,) = seen.metric("ragmeter.query.cost.usd").values()
    assert cost.total == pytest.approx(seen.total("ragmeter.cost.usd"))
    assert cost.total > 6 * READ + RANKED


@pytest.mark.parametrize("odd", [math.nan, math.inf, -1, 2.0**60, True, "6", None, [6]])
def test_a_unit_that_is_no_amount_is_not_known(index, odd):
    """What cannot be added up is left out; what stands beside it is counted."""
    seen = index(PRICES)
    Index(read_units=odd, write_units=0.5).query([1.0])
    settle()
    assert seen.total("ragmeter.units", ragmeter_unit="write_units") == 0.5
    assert seen.total("ragmeter.units", ragmeter_unit="read_units") == 0
