"""The demo: a simulated server with OpenAI's API, a real RAG program, and the table computed from its metrics."""

from __future__ import annotations

import math
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import openai
import pytest
from rich.console import Console

import ragmeter
from ragmeter.demo import report
from ragmeter.demo.exporters import Exporters, set_up
from ragmeter.demo.passages import documents, passages, questions
from ragmeter.demo.program import (
    BASE_MODEL,
    EMBEDDING_MODEL,
    FINE_TUNED_MODEL,
    Program,
    Task,
    ask_all,
    connect,
    plan,
)
from ragmeter.demo.server import FINGERPRINT, SIMULATED, Served, SimulatedServer, serving
from ragmeter.demo.simulation import NO_TEXT, Latency, count_tokens, embed
from ragmeter.demo.stores import STORES
from ragmeter.measured.collected import samples_of
from ragmeter.measured.histogram import Histogram
from ragmeter.naming import semconv

DOLLARS_A_MILLION = {BASE_MODEL: (0.15, 0.60), FINE_TUNED_MODEL: (0.30, 1.20), EMBEDDING_MODEL: (0.02, 0.0)}
"""Input and output, from OpenAI's price page of 2024-2026, written here apart from ragmeter's tables."""

STRATEGY = {
    (BASE_MODEL, False): "base",
    (BASE_MODEL, True): "rag",
    (FINE_TUNED_MODEL, False): "fine_tuned",
    (FINE_TUNED_MODEL, True): "fine_tuned_rag",
}
QUESTIONS = 12
FAST = Latency(speed=1000)


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(FAST, list(documents().values())) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: SimulatedServer) -> Iterator[openai.OpenAI]:
    with connect(server.url, "simulated") as connected:
        yield connected


def dollars(served: dict[str, Served]) -> float:
    """What the given requests cost by the price page."""
    return sum(
        (each.input_tokens * DOLLARS_A_MILLION[model][0] + each.output_tokens * DOLLARS_A_MILLION[model][1]) / 1e6
        for model, each in served.items()
    )


def difference(after: dict[str, Served], before: dict[str, Served]) -> dict[str, Served]:
    """What was served between two readings of a server's own counts."""
    nothing = Served(0, 0, 0)
    return {
        model: Served(
            each.requests - before.get(model, nothing).requests,
            each.input_tokens - before.get(model, nothing).input_tokens,
            each.output_tokens - before.get(model, nothing).output_tokens,
        )
        for model, each in after.items()
    }


def ask(client: openai.OpenAI, model: str = BASE_MODEL, text: str = "What is a chunk?", **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


# --- the server


def test_answers_and_tokens_are_the_same_every_time(client):
    """The same request gets the same answer and the same token counts."""
    first, second = ask(client, FINE_TUNED_MODEL), ask(client, FINE_TUNED_MODEL)
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.usage == second.usage


def test_tokens_follow_the_documented_rule(client):
    """A chat is charged 3 tokens, 4 for each message and those of its texts; the answer those of its text."""
    answer = client.chat.completions.create(
        model=BASE_MODEL,
        messages=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Retrieval?"}],
    )
    # "Be" "kind" "." and "Retriev" "al" "?"
    assert answer.usage.prompt_tokens == 3 + 2 * 4 + 3 + 3
    assert answer.choices[0].message.content == NO_TEXT
    assert answer.usage.completion_tokens == count_tokens(NO_TEXT) == 35
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_every_answer_says_that_it_is_simulated(client):
    """Header and fingerprint tell a simulated answer from one of a model."""
    raw = client.chat.completions.with_raw_response.create(
        model=BASE_MODEL, messages=[{"role": "user", "content": "Hello?"}]
    )
    assert raw.headers[SIMULATED] == "true"
    assert raw.parse().system_fingerprint == FINGERPRINT


def test_an_answer_is_taken_from_the_text_in_the_prompt(client):
    """With text before the question the answer quotes it; without, a fine-tuned model quotes what it has learned."""
    text = "Herons nest in old trees. Tea is made of leaves.\n\nQuestion: Where do herons nest?"
    assert ask(client, text=text).choices[0].message.content == "Herons nest in old trees."
    learned = ask(client, FINE_TUNED_MODEL, "Which spans and metrics of generative AI are semantic conventions?")
    assert "semantic conventions for generative AI" in learned.choices[0].message.content
    assert ask(client).choices[0].message.content == NO_TEXT


@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_stream_gives_the_same_answer_piece_by_piece(client, wants_usage):
    """A stream's pieces join to the plain answer; usage comes in a chunk of its own, only when it is asked for."""
    plain = ask(client, FINE_TUNED_MODEL)
    options = {"stream_options": {"include_usage": True}} if wants_usage else {}
    chunks = list(ask(client, FINE_TUNED_MODEL, stream=True, **options))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == plain.choices[0].message.content
    assert len(chunks) > plain.usage.completion_tokens
    assert [chunk.usage for chunk in chunks if chunk.usage] == ([plain.usage] if wants_usage else [])
    assert chunks[-1].choices == [] if wants_usage else chunks[-1].choices[0].finish_reason == "stop"


def test_embeddings_come_as_numbers_and_as_base64(client):
    """Both encodings carry the same vector of length 1, near for texts on the same matter."""
    texts = ["The cost of retrieval", "What does retrieval cost?", "Herons nest in trees"]
    as_base64 = client.embeddings.create(model=EMBEDDING_MODEL, input=texts, encoding_format="base64")
    assert isinstance(as_base64.data[0].embedding, str)
    numbers = client.embeddings.create(model=EMBEDDING_MODEL, input=texts, encoding_format="float")
    decoded = client.embeddings.create(model=EMBEDDING_MODEL, input=texts)
    cost, question, herons = (each.embedding for each in numbers.data)
    assert decoded.data[0].embedding == pytest.approx(cost, abs=1e-6)
    assert math.hypot(*cost) == pytest.approx(1.0)
    assert len(cost) == 256
    assert sum(a * b for a, b in zip(cost, question, strict=True)) > 0.9
    assert abs(sum(a * b for a, b in zip(cost, herons, strict=True))) < 0.5
    assert numbers.usage.prompt_tokens == sum(count_tokens(text) for text in texts)
    assert embed("")[0] == 1.0


@pytest.mark.parametrize(
    ("request_of", "said"),
    [
        (lambda client: client.chat.completions.create(model=BASE_MODEL, messages=[]), "'messages'"),
        (lambda client: client.embeddings.create(model="", input="text"), "'model'"),
        (lambda client: client.embeddings.create(model=EMBEDDING_MODEL, input=[1, 2]), "'input'"),
        (lambda client: client.completions.create(model=BASE_MODEL, prompt="text"), "/v1/completions"),
    ],
)
def test_a_request_it_cannot_answer_gets_a_clear_error(client, request_of, said):
    """What the server does not do is refused with a message that names it."""
    with pytest.raises((openai.BadRequestError, openai.NotFoundError), match=said):
        request_of(client)


def test_an_answer_takes_the_time_of_its_tokens(monkeypatch):
    """Latency is the documented sum over tokens, divided by the speed."""
    latency = Latency(speed=2)
    with serving(latency) as server, connect(server.url, "simulated") as client:
        slept = []
        monkeypatch.setattr(time, "sleep", slept.append)
        usage = ask(client).usage
    expected = (0.15 + usage.prompt_tokens / 20_000 + usage.completion_tokens / 125) / 2
    assert sum(slept) == pytest.approx(expected)


def test_a_speed_that_is_none_is_refused():
    """No answer takes negative or infinite time."""
    with pytest.raises(ValueError, match="speed must be above 0"):
        Latency(speed=0)


# --- documents


def test_the_documents_make_passages_that_answer_the_questions():
    """There are 60 to 100 passages with ids of their own, and 60 different questions."""
    found = passages()
    assert 60 <= len(found) <= 100
    assert len({passage.id for passage in found}) == len(found)
    assert len(set(questions())) == len(questions()) == 60


# --- the program and its table


@dataclass(frozen=True)
class Run:
    """What a run of the demo left behind: the server's counts by strategy and of the indexing, and the metrics."""

    served: dict[str, dict[str, Served]]
    indexing: dict[str, Served]
    exporters: Exporters
    page: str


@pytest.fixture(scope="module", params=["qdrant", "chroma"])
def run(request, server, client) -> Iterator[Run]:
    """The demo's program: mixed traffic on several threads.

    What the questions without retrieval come to is counted apart, as is their embedding: all of it is deterministic.
    The rest of what the server has counted for a model is what it was asked with retrieved text.
    """
    tasks = list(plan(questions(), QUESTIONS, [BASE_MODEL, FINE_TUNED_MODEL]))
    exporters = set_up(with_prometheus=True)
    url = exporters.serve(0)
    before = server.served()
    ragmeter.instrument(meter_provider=exporters.provider, providers={"127.0.0.1": "openai"})
    try:
        program = Program(client, STORES[request.param]())
        program.index(passages())
        indexed = server.served()
        advanced = []
        outcome = ask_all(program, tasks, lambda: advanced.append(1))
    finally:
        ragmeter.uninstrument()
    assert outcome.errors == ()
    assert outcome.asked == len(advanced) == 4 * QUESTIONS
    answered = server.served()
    with urllib.request.urlopen(url, timeout=5) as page:
        text = page.read().decode()
    yield Run(
        by_strategy(client, server, program, tasks, difference(answered, indexed)),
        difference(indexed, before),
        exporters,
        text,
    )
    exporters.close()


def by_strategy(client, server, program, tasks, together) -> dict[str, dict[str, Served]]:
    """Divide what was served to all four strategies together, by asking some of it once more, alone and unmeasured."""

    def alone(ask_again) -> dict[str, Served]:
        before = server.served()
        ask_again()
        return difference(server.served(), before)

    def embed_questions() -> None:
        for question in questions()[:QUESTIONS]:
            client.embeddings.create(model=EMBEDDING_MODEL, input=[question])

    embedding = {EMBEDDING_MODEL: alone(embed_questions)[EMBEDDING_MODEL]}
    served = {}
    for model in (BASE_MODEL, FINE_TUNED_MODEL):
        chosen = [task for task in tasks if task.model == model and not task.retrieves]
        without = {model: alone(lambda chosen=chosen: ask_all(program, chosen, lambda: None))[model]}
        served[STRATEGY[model, False]] = without
        served[STRATEGY[model, True]] = difference({model: together[model]}, without) | embedding
    assert together[EMBEDDING_MODEL].input_tokens == 2 * embedding[EMBEDDING_MODEL].input_tokens
    return served


def test_mixed_traffic_costs_what_the_server_has_counted(run):
    """For each strategy, cost and input tokens per query equal the server's own counts at the price page's rates."""
    rows = {row.strategy: row for row in report.figures(run.exporters.collect())}
    assert set(rows) == set(run.served)
    for strategy, served in run.served.items():
        row = rows[strategy]
        assert row.queries == QUESTIONS
        assert row.cost_per_1k == pytest.approx(dollars(served) / QUESTIONS * 1000, rel=1e-9), strategy
        chat = FINE_TUNED_MODEL if strategy.startswith("fine_tuned") else BASE_MODEL
        assert row.input_tokens * QUESTIONS == pytest.approx(served[chat].input_tokens), strategy


def test_every_token_the_server_has_counted_is_in_the_metrics(run):
    """By model, the tokens of all parts together are those in and out that the server has counted."""
    counted = samples_of(run.exporters.collect()).by(semconv.PART_TOKEN_COUNT, semconv.RESPONSE_MODEL)
    expected: dict[str, float] = {}
    for served in (*run.served.values(), run.indexing):
        for model, each in served.items():
            expected[model] = expected.get(model, 0) + each.input_tokens + each.output_tokens
    assert counted == expected


def test_embedding_the_documents_is_charged_to_no_query(run):
    """What the indexing costs stands apart from all strategies, once."""
    assert report.spent_outside_queries(run.exporters.collect()) == pytest.approx(dollars(run.indexing), rel=1e-9)


def test_the_table_has_the_four_strategies_in_order_of_cost(run):
    """Cheapest first; only retrieval brings context, searches and bloat; percentiles are in order."""
    rows = report.figures(run.exporters.collect())
    assert [row.strategy for row in rows] == ["base", "fine_tuned", "rag", "fine_tuned_rag"]
    assert [row.cost_per_1k for row in rows] == sorted(row.cost_per_1k for row in rows)
    for row in rows:
        retrieves = row.strategy.endswith("rag")
        assert (row.context_tokens > 100) is retrieves
        assert (row.context_tokens == 0) is not retrieves
        assert (0 < row.search_share < 1) is retrieves
        assert (row.bloat_factor > 10) is retrieves
        assert 0 < row.p50 <= row.p95


def test_the_page_for_prometheus_has_the_same_numbers(run):
    """The published query over the series of `/metrics` gives the cost column."""
    from prometheus_client.parser import text_string_to_metric_families

    cost: dict[str, float] = {}
    queries: dict[str, float] = {}
    for family in text_string_to_metric_families(run.page):
        for sample in family.samples:
            for name, sums in (("ragmeter_cost_usd_total", cost), ("ragmeter_queries_total", queries)):
                if sample.name == name and name in report.COST_PER_1000_QUERIES:
                    strategy = sample.labels["ragmeter_strategy"]
                    sums[strategy] = sums.get(strategy, 0) + sample.value
    told = {strategy: cost[strategy] / number * 1000 for strategy, number in queries.items()}
    rows = report.figures(run.exporters.collect())
    assert told == pytest.approx({row.strategy: row.cost_per_1k for row in rows})


def test_the_table_fits_a_narrow_terminal(run):
    """In 80 columns nothing is cut off."""
    console = Console(width=80)
    with console.capture() as captured:
        console.print(report.render(report.figures(run.exporters.collect())))
    text = captured.get()
    assert "…" not in text
    assert "fine_tuned_rag" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_a_question_that_fails_does_not_stop_the_others(client):
    """Questions whose model refuses are told apart, and the rest is answered."""
    store = STORES["qdrant"]()
    tasks = [Task("What is a chunk?", BASE_MODEL, False), Task("What is a query?", "", False)]
    outcome = ask_all(Program(client, store), tasks, lambda: None)
    assert outcome.asked == 2
    (error,) = outcome.errors
    assert "'model'" in error


# --- percentiles


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((0, 10, 0, 0), 0.5, 1.5),
        ((4, 4, 2, 0), 0.5, 1.25),
        ((4, 4, 2, 0), 0.4, 1.0),
        ((10, 0, 0, 0), 0.95, 0.95),
        ((0, 0, 0, 3), 0.5, 4.0),
        ((0, 0, 0, 0), 0.5, None),
    ],
)
def test_percentiles_are_those_of_histogram_quantile(counts, share, expected):
    """Linear inside the bucket, from 0 in the lowest, the highest bound beyond it, none without observations."""
    assert Histogram((1.0, 2.0, 4.0), counts).quantile(share) == expected


def test_without_metrics_there_is_no_table():
    """Nothing measured gives no rows instead of an error."""
    assert report.figures(None) == ()
