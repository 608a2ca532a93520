"""`ragmeter demo --history`: made-up metrics that agree with each other, and have the labels of real ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

import ragmeter
from ragmeter.dashboards.alerts import alerts
from ragmeter.demo.history.generation import Period, generate
from ragmeter.demo.history.incidents import Incident, incidents
from ragmeter.demo.history.series import History
from ragmeter.domain.model import Origin
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric, Profile
from stack import app

MADE_UP = semconv.metrics_of(Profile.OWN, Profile.RELEASED)
RETRIEVING = ("rag", "fine_tuned_rag")
INPUT_PARTS = {origin.value for origin in Origin}
OUTPUT_PARTS = {"output", "reasoning"}
DOLLARS_A_MILLION = {
    "gpt-4o-mini": (0.15, 0.075, 0.60),
    "ft:gpt-4o-mini:shop": (0.30, 0.15, 1.20),
    "text-embedding-3-small": (0.02, 0.02, 0.0),
}
"""Input, input from a cache and output, written here apart from the demo's own table."""

DOLLARS_A_SEARCH = 0.0025

FRIDAY = datetime(2026, 5, 1, 15, 42, tzinfo=UTC)


def made(metric: Metric, history: History, **labels: str) -> np.ndarray:
    """What all lines of a metric with these labels grew by at each step."""
    return sum((line.growth for line in history.of(metric, **labels)), np.zeros(len(history.times)))


def counted(metric: Metric, history: History, **labels: str) -> np.ndarray:
    """How many values a histogram got at each step."""
    nothing = np.zeros(len(history.times), dtype=np.int64)
    return sum((line.buckets.sum(axis=0) for line in history.of(metric, **labels)), nothing)


def values(name: str, metric: Metric, history: History) -> set[str]:
    """The values of a label that a metric has."""
    return {dict(line.labels)[name] for line in history.of(metric) if name in dict(line.labels)}


def during(history: History, start: datetime, end: datetime) -> np.ndarray:
    """Which steps lie between two times."""
    return (history.times > start.timestamp()) & (history.times <= end.timestamp())


# --- the same labels as the product


def real_variants(seen) -> dict[str, set[frozenset[str]]]:
    return {name: {frozenset(key for key, _ in labels) for labels in points} for name, points in seen.metrics().items()}


def ask_with_two_scores(client: openai.OpenAI) -> None:
    """A search that finds two chunks, whose order tells what of a score is nearer, and a question with both."""
    texts = (app.CONTEXT, *app.DOCUMENTS[:1])
    store = QdrantClient(":memory:")
    store.create_collection("more", models.VectorParams(size=2, distance=models.Distance.COSINE))
    points = [models.PointStruct(id=at, vector=[at, 1.0], payload={"text": text}) for at, text in enumerate(texts)]
    store.upsert("more", points)
    with ragmeter.query():
        store.query_points("more", query=[0.0, 1.0], limit=2)
        content = "\n".join((*texts, app.QUESTION))
        client.chat.completions.create(model=app.BASE, messages=[{"role": "user", "content": content}])


@pytest.fixture
def real(watch: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> dict[str, set[frozenset[str]]]:
    """Which labels stand on the metrics of a real program: it streams, fails, finds nothing and overflows too."""
    seen = watch(
        prices=app.PRICES,
        fine_tuned=[app.TUNED],
        labels=["team", "feature"],
        providers={"127.0.0.1": "openai"},
        max_label_values=10,
    )
    with app.model_server() as url:
        app.run(url)
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        for number in range(11):
            with ragmeter.query(feature=f"feature {number}"):
                client.chat.completions.create(model=app.BASE, messages=[{"role": "user", "content": app.QUESTION}])
        ask_with_two_scores(client)
        with pytest.raises(ValueError, match="missing"):
            QdrantClient(":memory:").query_points("missing", query=[0.0, 1.0])
        assert ragmeter.flush(10)
        with monkeypatch.context() as patched:
            patched.setattr("ragmeter.worker.queue.MOST_ITEMS", 0)
            client.embeddings.create(model=app.EMBEDDER, input="one more")
    return real_variants(seen)


def test_every_metric_has_the_labels_of_a_real_program(real: dict[str, set[frozenset[str]]]) -> None:
    """For each metric, the sets of label names in a history are those that a real instrumented program has."""
    history = generate(Period(timedelta(hours=26), FRIDAY))
    found: dict[str, set[frozenset[str]]] = {}
    for line in history.lines:
        found.setdefault(line.metric.name, set()).add(frozenset(name for name, _ in line.labels))
    assert found == real
    # The program's database has no namespaces.
    declared = {metric.name: set(metric.labels) - {semconv.DB_NAMESPACE} for metric in MADE_UP}
    assert {name: set().union(*sets) - {"team", "feature"} for name, sets in real.items()} == {
        name: declared[name] for name in real
    }
    assert set(found) == {metric.name for metric in MADE_UP} - {
        semconv.INTERNAL_ERRORS.name,
        semconv.UNSCOPED.name,
    }


# --- what the library guarantees


@pytest.fixture(scope="module")
def fortnight() -> History:
    """Two weeks that end on a Friday afternoon."""
    return generate(Period(timedelta(days=14), FRIDAY))


PERIODS = st.builds(
    Period,
    st.integers(2, 30).map(lambda number: timedelta(minutes=20 * number)),
    st.integers(0, 15 * 365 * 24 * 60).map(
        lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.sampled_from([timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]),
)


def check(history: History) -> None:
    """Everything that the library guarantees of its own figures, at each step."""
    check_tokens(history)
    check_money(history)
    check_context(history)
    check_counts(history)
    check_values(history)


def check_tokens(history: History) -> None:
    for line in history.of(semconv.PROMPT_TOKENS):
        own = dict(line.labels)
        key = {"ragmeter_strategy": own[semconv.STRATEGY], "gen_ai_response_model": own[semconv.RESPONSE_MODEL]}
        parts = sum(made(semconv.PART_TOKEN_COUNT, history, ragmeter_part=part, **key) for part in INPUT_PARTS)
        assert np.array_equal(parts, line.growth), key


def check_money(history: History) -> None:
    assert {"priced", "estimated"} == values(semconv.PRICE_STATE, semconv.COST, history)
    for line in history.of(semconv.PART_TOKEN_COUNT):
        own = dict(line.labels)
        model, part, strategy = own[semconv.RESPONSE_MODEL], own[semconv.PART], own[semconv.STRATEGY]
        key = {"ragmeter_part": part, "gen_ai_response_model": model, "ragmeter_strategy": strategy}
        cost = made(semconv.COST, history, **key, team=own["team"], feature=own["feature"])
        if model not in DOLLARS_A_MILLION:
            assert not any(history.of(semconv.COST, gen_ai_response_model=model))
            continue
        price_input, price_cached, price_output = DOLLARS_A_MILLION[model]
        full, cached = (
            made(
                semconv.PART_TOKEN_COUNT,
                history,
                **key,
                team=own["team"],
                feature=own["feature"],
                ragmeter_token_rate=rate,
            )
            for rate in ("full", "cache_read")
        )
        expected = full * price_output if part in OUTPUT_PARTS else full * price_input + cached * price_cached
        assert cost == pytest.approx(expected / 1e6, abs=1e-12), key
    searches = made(semconv.UNITS, history, ragmeter_unit="storage_searches")
    assert made(semconv.COST, history, ragmeter_part="search") == pytest.approx(searches * DOLLARS_A_SEARCH, abs=1e-12)
    for strategy in values(semconv.STRATEGY, semconv.QUERY_COST, history):
        of_queries = made(semconv.QUERY_COST, history, ragmeter_strategy=strategy)
        assert of_queries == pytest.approx(made(semconv.COST, history, ragmeter_strategy=strategy), abs=1e-12)


def check_context(history: History) -> None:
    for strategy in RETRIEVING:
        key = {"ragmeter_strategy": strategy}
        tokens = made(semconv.PART_TOKEN_COUNT, history, ragmeter_part="context", **key)
        assert np.array_equal(made(semconv.CONTEXT_TOKENS, history, **key), tokens)
        cost = made(semconv.COST, history, ragmeter_part="context", **key)
        assert made(semconv.CONTEXT_COST, history, **key) == pytest.approx(cost, abs=1e-12)
        again = made(semconv.CONTEXT_TOKENS, history, ragmeter_chunk_fate="repeated", **key)
        assert (made(semconv.STALE_TOKENS, history, **key) <= again).all()
        used = made(semconv.CHUNKS, history, ragmeter_chunk_fate="used", **key)
        assert np.array_equal(counted(semconv.USED_RANK, history, **key), used)
        assert (made(semconv.CITED_CHUNKS, history, **key) <= used).all()
        returned = sum(
            made(semconv.SEARCH_RESULTS, history, db_collection_name=collection)
            for collection in values(semconv.DB_COLLECTION, semconv.CHUNKS, history)
        )
        assert (made(semconv.CHUNKS, history, ragmeter_chunk_fate="unsent", **key) <= returned).all()


def check_counts(history: History) -> None:
    for strategy in values(semconv.STRATEGY, semconv.QUERIES, history):
        queries = made(semconv.QUERIES, history, ragmeter_strategy=strategy)
        assert np.array_equal(counted(semconv.QUERY_DURATION, history, ragmeter_strategy=strategy), queries)
        calls = {"ragmeter_strategy": strategy, "gen_ai_operation_name": "chat"}
        assert np.array_equal(made(semconv.OPERATIONS, history, **calls), queries)
        priced = queries - made(semconv.OPERATIONS, history, **calls, ragmeter_price_state="unpriced")
        assert np.array_equal(counted(semconv.QUERY_COST, history, ragmeter_strategy=strategy), priced)
    for operation in ("chat", "embeddings"):
        calls = made(semconv.OPERATIONS, history, gen_ai_operation_name=operation)
        assert np.array_equal(counted(semconv.DURATION, history, gen_ai_operation_name=operation), calls)
    searches = made(semconv.OPERATIONS, history, gen_ai_operation_name="search")
    assert np.array_equal(counted(semconv.DB_DURATION, history), searches)
    for collection in values(semconv.DB_COLLECTION, semconv.SEARCH_DURATION, history):
        key = {"db_collection_name": collection}
        assert np.array_equal(
            counted(semconv.DB_DURATION, history, **key), counted(semconv.SEARCH_DURATION, history, **key)
        )
        failed = sum(counted(semconv.SEARCH_DURATION, history, error_type=error, **key) for error in errors(history))
        results = counted(semconv.SEARCH_RESULTS, history, **key)
        assert np.array_equal(results + failed, counted(semconv.SEARCH_DURATION, history, **key))
        empty = sum(line.buckets[0] for line in history.of(semconv.SEARCH_RESULTS, **key))
        assert np.array_equal(made(semconv.SEARCH_EMPTY, history, **key), empty)
        assert np.array_equal(counted(semconv.SEARCH_SCORE, history, **key), results - empty)


def errors(history: History) -> set[str]:
    return values(semconv.ERROR_TYPE, semconv.SEARCH_DURATION, history)


def check_values(history: History) -> None:
    for line in history.lines:
        assert (line.growth >= 0).all(), line.metric.name
        if line.buckets is None:
            continue
        bounds = np.array(line.metric.buckets)
        least = (np.array([0.0, *bounds])[:, None] * line.buckets).sum(axis=0)
        most = (np.array([*bounds, np.inf])[:, None] * np.where(line.buckets > 0, line.buckets, 1)).sum(axis=0)
        assert (line.buckets >= 0).all()
        assert (line.growth >= least - 1e-9).all(), line.labels
        assert (line.growth <= most).all(), line.labels
        assert ((line.buckets.sum(axis=0) > 0) | (line.growth == 0)).all(), line.labels


@given(period=PERIODS, seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_the_figures_of_any_history_agree(period: Period, seed: int) -> None:
    """Parts sum to prompts and to money, fates to context, counts to counters: whenever it is and whatever is drawn."""
    check(generate(period, seed=seed))


def test_the_figures_agree_through_all_incidents(fortnight: History) -> None:
    """The same holds in two weeks with every incident in them."""
    check(fortnight)


# --- the shape of the traffic


def test_strategies_cost_what_is_believable(fortnight: History) -> None:
    """Cost of 1,000 queries grows from base over fine-tuned and RAG to both; RAG costs 1 to 3 dollars an hour."""
    costs = {
        strategy: made(semconv.COST, fortnight, ragmeter_strategy=strategy).sum()
        / made(semconv.QUERIES, fortnight, ragmeter_strategy=strategy).sum()
        for strategy in ("base", "fine_tuned", "rag", "fine_tuned_rag")
    }
    assert list(costs) == sorted(costs, key=costs.__getitem__)
    wednesday = datetime(2026, 4, 22, tzinfo=UTC)
    by_day = during(fortnight, wednesday.replace(hour=10), wednesday.replace(hour=20))
    assert 1 < made(semconv.COST, fortnight, ragmeter_strategy="rag")[by_day].sum() / 10 < 3


def test_traffic_has_a_rhythm(fortnight: History) -> None:
    """Nights have about a seventh of the peak's queries, weekends are quieter than working days."""
    queries = made(semconv.QUERIES, fortnight)

    def between(day: int, first: int, last: int) -> float:
        start = datetime(2026, 4, day, tzinfo=UTC)
        return float(queries[during(fortnight, start.replace(hour=first), start.replace(hour=last))].sum())

    night, peak = between(22, 2, 4), between(22, 14, 16)
    assert 0.1 < night / peak < 0.22
    assert 0.45 < between(25, 0, 23) / between(22, 0, 23) < 0.75  # a Saturday and a Wednesday


def test_shares_are_those_of_a_real_shop(fortnight: History) -> None:
    """Errors, empty searches, unpriced calls, cache reads and used ranks have the shares that the demo promises."""
    before = fortnight.times <= incident(fortnight, "RagmeterRetrievalEmpty").start.timestamp()

    def share(part: np.ndarray, whole: np.ndarray) -> float:
        return float(part[before].sum() / whole[before].sum())

    queries, operations = made(semconv.QUERIES, fortnight), made(semconv.OPERATIONS, fortnight)
    failed = sum(made(semconv.QUERIES, fortnight, error_type=error) for error in ("openai.RateLimitError",))
    assert 0.003 < share(failed, queries) < 0.007
    assert 0.025 < share(made(semconv.SEARCH_EMPTY, fortnight), counted(semconv.SEARCH_RESULTS, fortnight)) < 0.035
    assert 0 < share(made(semconv.OPERATIONS, fortnight, ragmeter_price_state="unpriced"), operations) < 0.03
    assert 0 < share(made(semconv.OPERATIONS, fortnight, ragmeter_price_state="estimated"), operations) < 0.03
    rag = {"ragmeter_strategy": "rag"}
    prompts = made(semconv.PROMPT_TOKENS, fortnight, **rag)
    cached = made(semconv.PART_TOKEN_COUNT, fortnight, ragmeter_token_rate="cache_read", **rag)
    assert 0.2 < share(cached, prompts) < 0.3
    context = made(semconv.CONTEXT_TOKENS, fortnight, **rag)
    assert 0.4 < share(made(semconv.CONTEXT_TOKENS, fortnight, ragmeter_chunk_fate="unused", **rag), context) < 0.5
    assert 0.04 < share(made(semconv.CONTEXT_TOKENS, fortnight, ragmeter_chunk_fate="repeated", **rag), context) < 0.06
    ranks = sum(line.buckets[:, before].sum(axis=1) for line in fortnight.of(semconv.USED_RANK, **rag))
    assert ranks[:4].sum() / ranks.sum() > 0.7


# --- incidents


def incident(history: History, alert: str) -> Incident:
    (found,) = (each for each in history.incidents if each.alert == alert)
    return found


def per(part: np.ndarray, whole: np.ndarray, steps: np.ndarray) -> float:
    return float(part[steps].sum() / whole[steps].sum())


def test_the_release_makes_prompts_longer_but_queries_hardly_dearer(fortnight: History) -> None:
    """In a day RAG's prompts grow by more than 1.5, its cost per query by less than 1.45; unused stays below .65."""
    release, rag = incident(fortnight, "RagmeterContextBloat"), {"ragmeter_strategy": "rag"}
    day = timedelta(days=1)
    before, after = during(fortnight, release.start - day, release.start), during(fortnight, release.start, release.end)
    prompts, calls = made(semconv.PROMPT_TOKENS, fortnight, **rag), counted(semconv.PROMPT_TOKENS, fortnight, **rag)
    assert 1.5 < per(prompts, calls, after) / per(prompts, calls, before) < 1.9
    cost, queries = made(semconv.COST, fortnight, **rag), made(semconv.QUERIES, fortnight, **rag)
    assert 1.2 < per(cost, queries, after) / per(cost, queries, before) < 1.45
    used, unused, repeated = (
        made(semconv.CONTEXT_TOKENS, fortnight, ragmeter_chunk_fate=fate, **rag)
        for fate in ("used", "unused", "repeated")
    )
    wasted, known = unused + repeated, used + unused + repeated
    assert per(wasted, known, before) + 0.05 < per(wasted, known, after) < 0.65


def test_the_loop_costs_more_by_its_number_alone(fortnight: History) -> None:
    """The client in a loop makes fine_tuned_rag cost over three times a day ago, at the same cost for each query."""
    loop = incident(fortnight, "RagmeterCostSpike")
    key, day = {"ragmeter_strategy": loop.strategy}, timedelta(days=1)
    now = during(fortnight, loop.start, loop.end)
    yesterday = during(fortnight, loop.start - day, loop.end - day)
    cost, queries = made(semconv.COST, fortnight, **key), made(semconv.QUERIES, fortnight, **key)
    assert cost[now].sum() > 3.5 * cost[yesterday].sum()
    assert cost[now].sum() > 1
    assert per(cost, queries, now) / per(cost, queries, yesterday) == pytest.approx(1, abs=0.15)


def test_the_outage_stops_the_queries_that_need_the_collection(fortnight: History) -> None:
    """While most searches fail, fewer RAG queries come than a day ago; what was spent stands under no strategy."""
    outage = incident(fortnight, "RagmeterRetrievalFailing")
    day, now = timedelta(days=1), during(fortnight, outage.start, outage.end)
    yesterday = during(fortnight, outage.start - day, outage.end - day)
    searches = counted(semconv.SEARCH_DURATION, fortnight, db_collection_name=outage.collection)
    made_well = counted(semconv.SEARCH_RESULTS, fortnight, db_collection_name=outage.collection)
    assert 0.05 < per(made_well, searches, now) < 0.3
    queries = made(semconv.QUERIES, fortnight, ragmeter_strategy="rag")
    assert queries[now].sum() < 0.7 * queries[yesterday].sum()
    lost = made(semconv.OPERATIONS, fortnight, ragmeter_strategy="none", gen_ai_operation_name="search")
    assert lost[now].sum() > 10 * lost[yesterday].sum()


def test_the_slow_index_and_the_lost_documents_hit_one_collection(fortnight: History) -> None:
    """Only in `faq`, a tenth of the searches takes over a second for a while, and for another most are empty."""
    seconds = semconv.SEARCH_DURATION.buckets.index(1.0)
    slow, lost = incident(fortnight, "RagmeterRetrievalSlow"), incident(fortnight, "RagmeterRetrievalEmpty")
    for collection in ("manuals", "faq", "products"):
        key = {"db_collection_name": collection}
        long = sum(line.buckets[seconds + 1 :].sum(axis=0) for line in fortnight.of(semconv.SEARCH_DURATION, **key))
        share = per(long, counted(semconv.SEARCH_DURATION, fortnight, **key), during(fortnight, slow.start, slow.end))
        assert (share > 0.06) == (collection == slow.collection)
        empty, found = made(semconv.SEARCH_EMPTY, fortnight, **key), counted(semconv.SEARCH_RESULTS, fortnight, **key)
        share = per(empty, found, during(fortnight, lost.start, lost.end))
        assert share == pytest.approx(0.6 if collection == lost.collection else 0.03, abs=0.05)


def test_incidents_name_alerts_that_exist(fortnight: History) -> None:
    """Each incident is due to raise another alert, and each of these alerts exists."""
    due = [each.alert for each in fortnight.incidents]
    assert len(set(due)) == len(due) == 5
    assert set(due) <= {alert.name for group in alerts() for alert in group.rules}


@pytest.mark.parametrize(("days", "planted"), [(2, 0), (5, 0), (6, 1), (8, 1), (9, 2), (11, 3), (13, 4), (14, 5)])
def test_only_what_fits_is_planted(days: int, planted: int) -> None:
    """A shorter history has the incidents that lie within it."""
    period = Period(timedelta(days=days), FRIDAY, timedelta(hours=1))
    found = incidents(period.start, period.end)
    assert len(found) == planted
    assert all(period.start <= each.start < each.end <= period.end for each in found)
