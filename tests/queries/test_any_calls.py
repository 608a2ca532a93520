"""Any calls in any order, in scopes, below spans and outside: everything is counted once, and the sums agree."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fake_anything
import fakes
import ragmeter
from fake_anything import RESULT
from telemetry_seen import Seen
from test_counting import settle

TEXTS = [
    f"The kettle number {number} is made of steel and is guaranteed for {number + 2} years." for number in range(5)
]
QUESTIONS = ["How long does the warranty of the kettle last?", "Who sells the green kettle in town?"]
MODELS = ["gpt-4o-mini", "claude-sonnet-4-5", "ft:gpt-4o-mini-2024-07-18:acme::1", "homemade", None]
PRICES = {"homemade": {"input": 1, "request": 0.001}, "fakedb": {"units": {"read_units": 0.01}, "request": 0.1}}
CALLS = ["call_1", "call_2"]
ANSWERS = ("chat", "text_completion")

some = st.one_of(st.none(), st.integers(0, 5_000))
COUNTS = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("audio_input_tokens", "audio_output_tokens", "image_input_tokens", "total_tokens", "longest_input"),
)
units = st.dictionaries(st.sampled_from(["web_searches", "read_units"]), st.floats(0, 100), max_size=2)
costs = st.one_of(st.none(), st.floats(0, 10))
usages = st.one_of(
    st.none(),
    st.fixed_dictionaries({}, optional={**dict.fromkeys(COUNTS, some), "reported_cost": costs, "units": units}),
)


def inner(*kinds: str) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(st.sampled_from(kinds), st.sampled_from(MODELS), usages), max_size=2)


def some_of(values: list[str], most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=most)


roles = st.sampled_from(["tools", "system", "document", "user", "assistant", "tool"])
earlier = st.lists(st.tuples(roles, st.sampled_from([*TEXTS, *QUESTIONS, "", " ".join(TEXTS[:3])])), max_size=4)
prompts = st.builds(
    lambda before, question, results: [*before, ("user", question), *((RESULT, each) for each in results)],
    earlier,
    st.sampled_from(QUESTIONS),
    some_of(CALLS, 2),
)
chats = st.fixed_dictionaries(
    {"kind": st.sampled_from(ANSWERS), "model": st.sampled_from(MODELS), "prompt": prompts},
    optional={
        "usage": usages,
        "text": some_of(["It lasts for two years.", QUESTIONS[1]]),
        "within": inner("chat", "embeddings", "rerank", "search"),
        "calls": some_of(CALLS, 2),
        "fails": st.booleans(),
        "provider": st.sampled_from(["openai", "anthropic", "gateway"]),
    },
)
retrievals = st.fixed_dictionaries(
    {"kind": st.sampled_from(["search", "rerank", "ingestion"]), "provider": st.just("fakedb")},
    optional={
        "usage": usages,
        "chunks": some_of(TEXTS),
        "within": inner("chat", "rerank"),
        "fails": st.booleans(),
    },
)
embeddings = st.fixed_dictionaries(
    {"kind": st.just("embeddings"), "prompt": st.lists(st.tuples(st.just("user"), st.sampled_from(QUESTIONS)))},
    optional={"usage": usages, "model": st.sampled_from(MODELS)},
)
does = ("query", "root", "leave", "flush", "settle", "team a", "team b")
steps = st.lists(st.one_of(chats, chats, retrievals, embeddings, st.sampled_from(does), some_of(TEXTS)), max_size=20)


class Playing:
    """Plays steps, and counts what it has done: operations, queries in scopes and below spans, inferences outside."""

    def __init__(self, seen: Seen) -> None:
        self.operations = self.queries = self.loose = 0
        self.has_flushed = False
        self._tracer = seen.tracer_provider.get_tracer("app")
        self._client = fake_anything.Client()
        self._entered: list[Any] = []
        self._asks = False

    def play(self, given: list[Any]) -> None:
        for step in given:
            if isinstance(step, dict):
                self._call(step)
            elif isinstance(step, list):
                ragmeter.context(step)
            else:
                self._does()[step]()
        while self._entered:
            self._leave()

    def _does(self) -> dict[str, Callable[[], Any]]:
        return {
            "query": lambda: self._enter(ragmeter.query()),
            "root": lambda: self._enter(self._tracer.start_as_current_span("root")),
            "leave": self._leave,
            "flush": ragmeter.flush,
            "settle": settle,
            "team a": lambda: ragmeter.label(team="a"),
            "team b": lambda: ragmeter.label(team="b"),
        }

    def _call(self, told: dict[str, Any]) -> None:
        fails = told.get("fails", False)
        self.operations += 1 + (0 if fails else len(told.get("within", ())))
        within = () if fails or told["kind"] == "ingestion" else told.get("within", ())
        if any(kind in ANSWERS for kind in (told["kind"], *(each[0] for each in within))):
            self._asks = self._asks or bool(self._entered)
            self.loose += not self._entered
        try:
            assert self._client.do(**told) == told
        except fake_anything.RefusedError:
            assert fails

    def _enter(self, scope: Any) -> None:
        scope.__enter__()
        self._entered.append(scope)

    def _leave(self) -> None:
        if self._entered:
            self._entered.pop().__exit__(None, None, None)
        if not self._entered:
            self.queries += self._asks
            self._asks = False


@pytest.fixture(scope="module")
def seen():
    put = fakes.put_module("fake_anything")
    watched = Seen()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAGMETER_LOUD", "1")
        ragmeter.instrument(
            tracer_provider=watched.tracer_provider,
            meter_provider=watched.meter_provider,
            profile="both",
            labels=["team"],
            prices=PRICES,
        )
    yield watched
    ragmeter.uninstrument()
    put.take_back()


def difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


def totals(seen: Seen) -> dict[str, float]:
    """What is compared: totals of counters, and sums of the distributions beside them."""
    metrics = seen.metrics()

    def total(name: str, *labels: tuple[str, str]) -> float:
        points = metrics.get(name, {}).items()
        return sum(getattr(value, "total", value) for key, value in points if set(labels) <= key)

    latest = "gen_ai.client.inference.usage"
    return {
        "operations": total("ragmeter.operations"),
        "queries": total("ragmeter.queries"),
        "cost": total("ragmeter.cost.usd"),
        "cost of queries": total("ragmeter.query.cost.usd"),
        "cost of context": total("ragmeter.context.cost.usd"),
        "cost of the part": total("ragmeter.cost.usd", ("ragmeter.part", "context")),
        "latest": total(f"{latest}.input_tokens") + total(f"{latest}.output_tokens"),
        "released": sum(total("gen_ai.client.token.usage", ("gen_ai.operation.name", each)) for each in ANSWERS),
        "spans": len(seen.spans()),
        "cost of spans": sum((span.attributes or {}).get("ragmeter.cost.amount", 0.0) for span in calls(seen)),
    }


def calls(seen: Seen) -> list[Any]:
    """The spans of operations, also of those within a call."""
    names = ("gen_ai.operation.name", "db.system.name")
    return [span for span in seen.spans() if any(name in (span.attributes or {}) for name in names)]


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(steps)
def test_everything_is_counted_once_and_the_sums_agree(seen, given):
    """Costs by part sum to those of the spans, tokens to what was reported; nothing stays open, no span without end."""
    before, started = totals(seen), seen.spans_started
    playing = Playing(seen)
    contextvars.Context().run(playing.play, given)
    for _ in range(2):
        settle()
    found = difference(totals(seen), before)
    assert found["operations"] == playing.operations
    assert playing.queries + bool(playing.loose) <= found["queries"] <= playing.queries + playing.loose
    assert found["spans"] == seen.spans_started - started
    assert found["cost"] == pytest.approx(found["cost of spans"], abs=1e-9)
    assert found["cost of queries"] <= found["cost"] + 1e-9
    assert found["cost of context"] <= found["cost of the part"] + 1e-9
    assert found["latest"] == found["released"]
    for span in calls(seen)[-playing.operations :]:
        check_parts(span.attributes)


def within(kind: str) -> dict[str, Any]:
    """A call of a database in which its host lets a model write."""
    wrote = ("chat", "gpt-4o-mini", {"input_tokens": 10, "output_tokens": 5})
    return {"kind": kind, "provider": "fakedb", "chunks": TEXTS[:2], "within": [wrote]}


def test_a_search_in_which_a_model_answers_is_a_query(seen):
    """It is counted when its scope ends, and what it has found has stood in a prompt of its host's."""
    before, unsent = totals(seen), seen.total("ragmeter.chunks", ragmeter_chunk_fate="unsent")
    with ragmeter.query():
        fake_anything.Client().do(**within("search"))
    found = difference(totals(seen), before)
    assert (found["queries"], found["operations"]) == (1, 2)
    assert seen.total("ragmeter.chunks", ragmeter_chunk_fate="unsent") == unsent


def test_what_a_model_writes_of_documents_on_their_way_into_an_index_is_ingestion(seen):
    """A host that lets a model sum up what it takes in answers nobody: no query, and all tokens are of ingestion."""
    before, tokens = totals(seen), seen.total("ragmeter.tokens", ragmeter_part="ingestion")
    fake_anything.Client().do(**within("ingestion"))
    found = difference(totals(seen), before)
    assert (found["queries"], found["operations"]) == (0, 2)
    assert seen.total("ragmeter.tokens", ragmeter_part="ingestion") - tokens == 15


def check_parts(attributes: Any) -> None:
    """The parts of an inference sum to what its provider has counted."""
    counts = [attributes.get(f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output")]
    parts = [value for name, value in attributes.items() if name.startswith("ragmeter.tokens.")]
    if attributes.get("gen_ai.operation.name") in ANSWERS and None not in counts:
        assert sum(parts) == sum(counts)
