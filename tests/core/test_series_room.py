"""Totals that an exporter can take, and metrics of a meter provider that keeps a limited number of series apart."""

from __future__ import annotations

import inspect
from collections import Counter

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader
from opentelemetry.sdk.metrics.view import View

import ragmeter
from ragmeter.naming import semconv
from ragmeter.telemetry.instruments import Instruments, instruments_of
from ragmeter.telemetry.series_room import most_series
from shop import QUESTION, answer
from telemetry_seen import Seen
from wire import Wire

HAS_LIMIT = "cardinality_limits" in inspect.signature(MetricReader).parameters
limited = pytest.mark.skipif(not HAS_LIMIT, reason="this SDK keeps any number of series apart")

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini")
PASSAGE = "The warranty of the blue kettle lasts for two years from the day of purchase, and not a day longer."
TEAMS = 100
ORDERS = {
    "team by team": [(team, model, rag) for team in range(TEAMS) for model in MODELS for rag in (False, True)],
    "model by model": [(team, model, rag) for rag in (False, True) for model in MODELS for team in range(TEAMS)],
}


def ask(client, team, model, *, rag):
    with ragmeter.query(**({} if team is None else {"team": f"team-{team}"})):
        if rag:
            ragmeter.context([PASSAGE])
        content = f"{PASSAGE}\n\n{QUESTION}" if rag else QUESTION
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])


def by(seen, name, label):
    counted = Counter()
    for key, value in seen.metric(name).items():
        counted[dict(key).get(label)] += value
    return counted


@limited
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_money_keeps_its_strategy_when_the_provider_has_no_room_for_every_team(watch, order):
    """100 teams, 4 models and 2 strategies are more series than the SDK keeps: only teams become `other`."""
    prices = {model: {"input": 1.0, "output": 1.0} for model in MODELS}
    seen = watch(labels=["team"], providers={"127.0.0.1": "openai"}, prices=prices)
    with Wire(answer) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        for team, model, rag in order:
            ask(client, team, model, rag=rag)
    plain, with_passage = len(QUESTION.split()) + 10, len(f"{PASSAGE} {QUESTION}".split()) + 10
    expected = {"base": 4 * TEAMS * plain, "rag": 4 * TEAMS * with_passage}
    assert by(seen, "ragmeter.tokens", "ragmeter.strategy") == expected
    assert by(seen, "ragmeter.tokens", "gen_ai.response.model") == dict.fromkeys(MODELS, sum(expected.values()) / 4)
    cost = by(seen, "ragmeter.cost.usd", "ragmeter.strategy")
    assert cost == pytest.approx({name: tokens / 1e6 for name, tokens in expected.items()})
    # Of each team either a query with all its money is its own, or the query and all its money are of `other`.
    queries, tokens = by(seen, "ragmeter.queries", "team"), by(seen, "ragmeter.tokens", "team")
    assert queries.keys() == tokens.keys()
    assert "other" in queries
    assert all(tokens[team] <= queries[team] * with_passage for team in queries)
    assert all(tokens[team] >= queries[team] * plain for team in queries)
    status = ragmeter.status()
    assert status.full_labels == ("team",)
    assert "ragmeter.tokens" in status.crowded_metrics
    assert seen.total("ragmeter.labels.overflowed", ragmeter_label="team") > 0


def test_with_room_for_all_nothing_is_other(watch):
    """A few teams are far from any limit: each has its own series, and no label is called full."""
    seen = watch(labels=["team"], providers={"127.0.0.1": "openai"})
    with Wire(answer) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        for team in range(5):
            ask(client, team, MODELS[0], rag=True)
    assert by(seen, "ragmeter.queries", "team") == {f"team-{team}": 1 for team in range(5)}
    assert ragmeter.status().crowded_metrics == ragmeter.status().full_labels == ()


@limited
def test_without_labels_models_make_room(monkeypatch, watch):
    """An app without labels that asks many models keeps strategy and part of all money; models become `other`."""
    reader = InMemoryMetricReader(cardinality_limits={ObservableCounter: 60})
    monkeypatch.setattr("telemetry_seen.InMemoryMetricReader", lambda: reader)
    seen = watch(providers={"127.0.0.1": "openai"})
    with Wire(answer) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        for number in range(90):
            ask(client, None, f"model-{number}", rag=number % 2 == 0)
    tokens = by(seen, "ragmeter.tokens", "ragmeter.strategy")
    assert set(tokens) == {"base", "rag"}
    assert by(seen, "ragmeter.operations", "ragmeter.strategy") == {"base": 45, "rag": 45}
    assert None not in by(seen, "ragmeter.tokens", "ragmeter.part")


@limited
@pytest.mark.parametrize("limit", [12, 24, 60, 200])
def test_a_small_limit_leaves_room_for_strategies(monkeypatch, watch, limit):
    """However few series a reader keeps apart, labels and models leave room for each strategy and part of the money."""
    reader = InMemoryMetricReader(cardinality_limits={ObservableCounter: limit})
    monkeypatch.setattr("telemetry_seen.InMemoryMetricReader", lambda: reader)
    prices = {model: {"input": 1.0, "output": 1.0} for model in MODELS}
    seen = watch(labels=["team"], providers={"127.0.0.1": "openai"}, prices=prices)
    with Wire(answer) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        for number in range(80):
            ask(client, number // 8, MODELS[number // 2 % 4], rag=number % 2 == 1)
    plain, with_passage = len(QUESTION.split()) + 10, len(f"{PASSAGE} {QUESTION}".split()) + 10
    assert by(seen, "ragmeter.tokens", "ragmeter.strategy") == {"base": 40 * plain, "rag": 40 * with_passage}
    assert None not in by(seen, "ragmeter.cost.usd", "ragmeter.part")


@limited
def test_beyond_the_limit_is_said(caplog, monkeypatch, watch):
    """A limit that is below what strategies alone need is told once for each metric, with what helps."""
    reader = InMemoryMetricReader(cardinality_limits={ObservableCounter: 2})
    monkeypatch.setattr("telemetry_seen.InMemoryMetricReader", lambda: reader)
    watch(providers={"127.0.0.1": "openai"})
    with Wire(answer) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        for number in range(6):
            ask(client, None, MODELS[0], rag=number % 2 == 0)
    assert ragmeter.flush(10)
    said = [record.getMessage() for record in caplog.records if "higher limit" in record.getMessage()]
    assert sum("ragmeter.tokens" in each for each in said) == 1
    assert "ragmeter.tokens" in ragmeter.status().crowded_metrics


@limited
def test_the_limit_is_that_of_reader_and_view():
    """What a reader or a view says of the number of series is known; the least of several counts."""
    reader = InMemoryMetricReader(cardinality_limits={ObservableCounter: 500})
    provider = MeterProvider([reader, InMemoryMetricReader()])
    counter = provider.get_meter("test").create_observable_counter("ragmeter.tokens")
    assert most_series(provider, counter) == 500
    view = View(instrument_name="ragmeter.tokens", aggregation_cardinality_limit=70)
    provider = MeterProvider([InMemoryMetricReader()], views=[view])
    meter = provider.get_meter("test")
    assert most_series(provider, meter.create_observable_counter("ragmeter.tokens")) == 70
    assert most_series(provider, meter.create_observable_counter("ragmeter.queries")) == 2_000
    assert most_series(object(), counter) == 2_000


ODD = (-1, -0.5, float("nan"), float("inf"), -float("inf"), 10**20, 2**53, 1e300, True, None, "7", [1])


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_what_is_no_amount_enters_no_total(value):
    """A count that is negative, endless or beyond what a metric holds raises where it would enter."""
    seen = Seen()
    totals = Instruments(seen.meter_provider).totals
    totals.expose((semconv.QUERIES,))
    totals.add(semconv.QUERIES, 2, ())
    with pytest.raises(ValueError, match=r"ragmeter\.queries"):
        totals.add(semconv.QUERIES, value, ())
    data = seen._reader.get_metrics_data()
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert point.value == 2


@given(st.lists(st.one_of(st.integers(), st.floats(), st.integers(0, 2**53)), max_size=30))
def test_a_total_never_falls_and_can_always_be_pushed(values):
    """Whatever is added, a total grows or stays, is finite, and fits the wire."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

    seen = Seen()
    totals = instruments_of(seen.meter_provider).totals
    totals.expose((semconv.PART_TOKEN_COUNT,))
    before = 0
    for value in [0, *values, *[2**53 - 1] * 1_100]:
        try:
            totals.add(semconv.PART_TOKEN_COUNT, value, ())
        except ValueError:
            continue
        after = totals._values[semconv.PART_TOKEN_COUNT.name][()]
        assert before <= after < float("inf")
        before = after
    assert encode_metrics(seen._reader.get_metrics_data()).SerializeToString()
