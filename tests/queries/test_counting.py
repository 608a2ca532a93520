"""The rules by which everyone counts alike."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import openai
import pytest

import ragmeter
from ragmeter.domain.model import Origin
from ragmeter.ledger import ledger as queries
from wire import Wire, events


def queries_of(seen):
    """Queries by strategy and error."""
    return {
        (dict(key)["ragmeter.strategy"], dict(key).get("error.type")): count
        for key, count in seen.metric("ragmeter.queries").items()
    }


def settle():
    """End what nothing else would end, as the end of the process does."""
    ragmeter._running[0].settle(5)  # there is no public way to wait for 30 s to pass


def test_ingestion_alone_is_no_query_and_its_cost_stands_apart(metered, shop):
    """Embedding documents makes no query; its money is under the strategy `none`, where no answer pays for it."""
    shop.embed("The first document is about kettles.", "The second one is about tea.")
    settle()
    assert queries_of(metered) == {}
    assert metered.total("ragmeter.cost.usd", ragmeter_strategy="none", ragmeter_part="ingestion") > 0
    assert metered.total("ragmeter.cost.usd", ragmeter_part="embedding") == 0


def test_everything_done_for_an_answer_is_charged_to_its_strategy(metered, shop):
    """Embedding, search and two inferences are one query, with all their money under the highest strategy."""
    with ragmeter.query():
        shop.embed("How long does the warranty of the kettle last?")
        found = shop.search()
        shop.ask([], question="Rewrite this question.")
        shop.ask(found)
    assert queries_of(metered) == {("rag", None): 1}
    assert metered.total("ragmeter.operations", ragmeter_strategy="rag") == 4
    spans = sum(
        span.attributes.get("ragmeter.cost.amount", 0) for span in metered.spans() if "query " not in span.name[:6]
    )
    parts = sum(metered.metric("ragmeter.cost.usd").values())
    (whole,) = metered.metric("ragmeter.query.cost.usd").values()
    one_query = [span for span in metered.spans() if span.name == "query"]
    assert one_query[0].attributes["ragmeter.cost.amount"] == pytest.approx(parts)
    assert parts == pytest.approx(whole.total)
    assert spans - one_query[0].attributes["ragmeter.cost.amount"] == pytest.approx(parts)


def test_an_embedding_of_the_question_joins_its_answer_without_any_scope(metered, shop):
    """Without scope and span the question's embedding is found by its text, and not counted as ingestion."""
    shop.embed("How long does the warranty of the kettle last?")
    shop.ask(shop.search())
    assert metered.total("ragmeter.operations", ragmeter_strategy="rag") == 3


def test_a_fallback_after_an_error_is_one_query_without_error(metered, shop):
    """A first model that fails and a second that answers are one query that went well."""
    with ragmeter.query():
        with pytest.raises(openai.BadRequestError):
            shop.ask([], model="broken")
        shop.ask([])
    assert queries_of(metered) == {("base", None): 1}
    assert metered.total("ragmeter.operations") == 2


def test_a_query_that_failed_for_good_counts_with_its_error(metered, shop):
    """A failed answer is a query too, and says why."""
    with pytest.raises(openai.BadRequestError):
        shop.ask([], model="broken")
    assert queries_of(metered) == {("base", "openai.BadRequestError"): 1}
    assert sum(metered.metric("ragmeter.cost.usd").values()) == 0


def test_the_app_can_name_the_strategy(metered, shop):
    """A strategy given to the scope stands above the derived one."""
    with ragmeter.query("rerank_v2"):
        shop.ask(shop.search())
    assert queries_of(metered) == {("rerank_v2", None): 1}


def test_labels_are_set_on_the_query_from_anywhere_in_it(metered, shop):
    """A label set before, inside or at the scope reaches every metric of that query."""
    with ragmeter.query(team="search"):
        shop.ask([])
    with ragmeter.query():
        shop.ask([])
        ragmeter.label(team="support")
    shop.ask([])
    teams = sorted(dict(key)["team"] for key in metered.metric("ragmeter.queries"))
    assert teams == ["search", "support", "unset"]


def test_a_label_set_in_another_thread_is_visible_or_visibly_missing(metered, shop):
    """A label that a bare thread cannot inherit falls back to `unset`, not to someone else's value."""
    ragmeter.label(team="main")
    thread = threading.Thread(target=shop.ask, args=([],))
    thread.start()
    thread.join()
    assert {dict(key)["team"] for key in metered.metric("ragmeter.queries")} == {"unset"}
    ragmeter.label(team=None)


def test_label_values_are_capped(watch, shop):
    """Beyond the cap a value is counted as `other`: no series is lost, none is made without end."""
    seen = watch(labels=["team"], max_label_values=3)
    for number in range(10):
        with ragmeter.query(team=f"team-{number}"):
            shop.ask([])
    counted = {dict(key)["team"]: count for key, count in seen.metric("ragmeter.queries").items()}
    assert counted == {"team-0": 1, "team-1": 1, "team-2": 1, "other": 7}
    assert "team" in ragmeter.status().full_labels


class Unwritable:
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "value", [["a", "b"], "x" * 100_000, 7, Unwritable()], ids=["list", "huge", "number", "raises"]
)
def test_any_label_value_is_survived(watch, shop, value):
    """Lists, huge texts and objects that cannot be written break neither the call nor its count."""
    seen = watch(labels=["team"], loud=False)
    with ragmeter.query(team=value):
        shop.ask([])
    (key,) = seen.metric("ragmeter.queries")
    assert len(dict(key)["team"]) <= 200


def test_an_undeclared_label_is_said_and_ignored(metered, shop):
    """A label nobody declared warns instead of making series."""
    with pytest.warns(UserWarning, match=r"instrument\(labels=\['user'\]\)"), ragmeter.query(user="42"):
        shop.ask([])
    assert all("user" not in dict(key) for key in metered.metric("ragmeter.queries"))


def test_a_nested_scope_joins_the_outer_query(metered, shop):
    """A library's scope inside the app's is part of the app's query."""
    with ragmeter.query(team="outer"), ragmeter.query("inner"):
        shop.ask([])
    assert queries_of(metered) == {("inner", None): 1}


def test_a_query_open_for_long_is_posted_once(watch, shop, monkeypatch):
    """After the wait an open query is counted with what it has; later calls are charged without a second query."""
    monkeypatch.setattr(queries, "WAIT_SECONDS", 0.2)
    seen = watch(providers={"127.0.0.1": "openai"})
    with ragmeter.query():
        shop.ask([])
        time.sleep(0.6)
        assert seen.total("ragmeter.queries") == 1
        shop.ask([])
        assert seen.total("ragmeter.operations") == 2
    assert seen.total("ragmeter.queries") == 1
    assert seen.total("ragmeter.operations") == 2
    assert "query" in {span.name for span in seen.spans()}


def test_retrieval_that_no_answer_came_for_is_charged_to_none(watch, shop, monkeypatch):
    """A search without an answer is counted as an operation after the wait, and makes no query."""
    monkeypatch.setattr(queries, "WAIT_SECONDS", 0.2)
    seen = watch()
    shop.search()
    time.sleep(0.6)
    assert seen.total("ragmeter.operations", ragmeter_strategy="none") == 1
    assert queries_of(seen) == {}


def test_the_share_of_searching_is_measured(metered, shop):
    """Each query with retrieval says which share of its time went into searching, at most all of it."""
    with ragmeter.query():
        shop.ask(shop.search())
    (share,) = metered.metric("ragmeter.search.share").values()
    assert share.count == 1
    assert 0 < share.total < 1


def test_an_open_query_survives_a_flush(metered, shop):
    """A flush in the middle of a scope does not end it: the query counts once, at its end."""
    with ragmeter.query():
        shop.ask([])
        ragmeter.flush()
        assert metered.total("ragmeter.queries") == 0
        shop.ask([])
    assert metered.total("ragmeter.queries") == 1


def test_before_instrument_everything_is_a_no_op(shop):
    """Scopes, labels, flush and status can stand in code that runs without ragmeter."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ragmeter.query(team="x"):
            ragmeter.label(team="y")
            assert shop.ask([]).choices[0].message.content == "Two years."
    assert ragmeter.flush() is True
    assert ragmeter.status().active is False


def test_counters_go_on_after_instrumenting_again(watch, shop):
    """Taking ragmeter away and putting it back on the same provider neither resets nor doubles a series."""
    seen = watch(only=["openai"])
    shop.ask([])
    assert seen.total("ragmeter.queries") == 1
    ragmeter.uninstrument()
    shop.ask([])
    ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider, only=["openai"])
    shop.ask([])
    assert seen.total("ragmeter.queries") == 2


def test_a_stream_that_outlives_its_scope_still_belongs_to_it(watch):
    """A scope that ends before its stream is read is posted once, with the stream's tokens in it."""
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    said = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}}
    seen = watch()
    with Wire(events([chunk | said, chunk | usage])) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k")
        with ragmeter.query("streamed"):
            stream = client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}], stream=True
            )
        assert queries_of(seen) == {}
        assert len(list(stream)) == 2
    assert queries_of(seen) == {("streamed", None): 1}
    assert seen.total("ragmeter.tokens", ragmeter_strategy="streamed") == 23


LATE_PROVIDER = """
import ragmeter
ragmeter.instrument(prometheus_port=0)
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
from wire import Wire
from shop import answer, open_shop
import urllib.request
with Wire(answer) as wire:
    shop = open_shop(wire)
    shop.ask([])
    ragmeter.flush()
    with trace.get_tracer("app").start_as_current_span("request"):
        shop.ask([]), shop.ask([])
    provider.force_flush()
print(sorted(span.name for span in exporter.get_finished_spans()))
page = urllib.request.urlopen(ragmeter.status().exporter.partition(" on ")[2]).read().decode()
print([line for line in page.splitlines() if line.startswith("ragmeter_queries_total")])
"""


def test_a_tracer_provider_set_after_instrument_is_used(tmp_path):
    """The app may set its provider later: its spans and ours go there, and its root spans make queries."""
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", LATE_PROVIDER],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{folder.parent}", "RAGMETER_LOUD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    spans, lines = done.stdout.strip().splitlines()
    assert spans == "['chat gpt-4o-mini', 'chat gpt-4o-mini', 'chat gpt-4o-mini', 'request']"
    assert "2.0" in lines
    assert "Overriding" not in done.stderr


def test_concurrent_users_with_the_same_question_pay_for_themselves(metered, shop):
    """A query that is still open keeps its embedding and its search, though another prompt holds the same texts."""
    with ragmeter.query("first"):
        shop.embed("How long does the warranty of the kettle last?")
        found = shop.search()
        other = threading.Thread(target=ask_alike, args=(shop, found))
        other.start()
        other.join()
        shop.ask(found)
    done = {
        (dict(key)["ragmeter.strategy"], dict(key)["gen_ai.operation.name"]): count
        for key, count in metered.metric("ragmeter.operations").items()
    }
    assert done == {
        ("first", "embeddings"): 1,
        ("first", "search"): 1,
        ("first", "chat"): 1,
        ("second", "embeddings"): 1,
        ("second", "chat"): 1,
    }


def ask_alike(shop, found):
    with ragmeter.query("second"):
        shop.embed("How long does the warranty of the kettle last?")
        shop.ask(found)


def test_documents_on_their_way_into_the_database_are_charged_at_once(metered, shop):
    """The embeddings of an ingestion wait for no answer."""
    shop.embed("The first document is about kettles.", "The second one is about tea.")
    assert metered.total("ragmeter.tokens", ragmeter_strategy="none") == 12


def test_a_prompt_is_counted_under_the_strategy_of_its_query(metered, shop):
    """A call that only rewrites the question, and a name of the app's own, count as the query does: in every metric."""
    with ragmeter.query():
        shop.ask([])
        shop.ask(shop.search())
    with ragmeter.query(strategy="mine"):
        shop.ask([])
    prompts = {dict(key)["ragmeter.strategy"]: value for key, value in metered.metric("ragmeter.prompt.tokens").items()}
    assert {strategy: value.count for strategy, value in prompts.items()} == {"rag": 2, "mine": 1}
    for strategy, value in prompts.items():
        calls = {"ragmeter_strategy": strategy, "gen_ai_operation_name": "chat"}
        assert metered.total("ragmeter.operations", **calls) == value.count
        tokens = metered.metric("ragmeter.tokens").items()
        assert value.total == sum(number for key, number in tokens if is_input(dict(key), strategy))


def is_input(labels, strategy):
    return labels["ragmeter.strategy"] == strategy and labels["ragmeter.part"] in set(Origin)
