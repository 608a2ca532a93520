"""Series begin with a zero for databases, and for nobody else; no value ever falls back to it."""

from __future__ import annotations

import asyncio
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from prometheus_client import generate_latest, make_asgi_app, start_http_server
from prometheus_client.parser import text_string_to_metric_families

import ragmeter
from ragmeter.naming import semconv
from ragmeter.telemetry.instruments import instruments_of
from ragmeter.telemetry.scrapers import TIMEOUT, Scraper
from ragmeter.telemetry.zero_first import Beginnings, Showing
from shop import QUESTION, answer
from wire import Wire


def count(provider, name="team-1", value=3):
    """Count in a total and in a distribution of ours, as the worker does."""
    instruments = instruments_of(provider)
    instruments.totals.expose((semconv.QUERIES,))
    instruments.totals.add(semconv.QUERIES, value, (("team", name),))
    histogram = instruments.histogram(semconv.QUERY_DURATION)
    for _ in range(value):
        histogram.record(0.5, {"team": name})


def points_of(data):
    """All points of ours as (metric, attributes, time, value), in their order."""
    return [
        (
            metric.name,
            dict(point.attributes),
            point.time_unix_nano,
            getattr(point, "count", getattr(point, "value", None)),
        )
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


class Sent(OTLPMetricExporter):
    """The OTLP exporter with a memory instead of a network; `down` makes it fail."""

    def __init__(self, **keywords):
        super().__init__(endpoint="http://127.0.0.1:1/", **keywords)
        self.batches = []
        self.down = False

    def export(self, metrics_data, timeout_millis=10_000, **keywords):
        self.batches.append(points_of(metrics_data))
        return MetricExportResult.FAILURE if self.down else MetricExportResult.SUCCESS


def pushing(exporter):
    return MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])


def series(batch, name, team="team-1"):
    return [(at, value) for metric, labels, at, value in batch if metric == name and labels.get("team") == team]


NAMES = ("ragmeter.queries", "ragmeter.query.duration")


def test_a_push_has_zeros_before_a_first_value():
    """The zeros lie before the value in time, in totals and distributions alike; the next push has the value alone."""
    exporter = Sent()
    provider = pushing(exporter)
    count(provider)
    provider.force_flush()
    for name in NAMES:
        *zeros, (_, value) = series(exporter.batches[-1], name)
        assert value == 3
        assert zeros
        assert {zero for _, zero in zeros} == {0}
        times = [at for at, _ in series(exporter.batches[-1], name)]
        assert times == sorted(set(times))
    count(provider)
    count(provider, "team-2", 1)
    provider.force_flush()
    for name in NAMES:
        assert [value for _, value in series(exporter.batches[-1], name)] == [6]
        before = series(exporter.batches[0], name)[-1][0]
        *zeros, (_, value) = series(exporter.batches[-1], name, "team-2")
        assert value == 1
        assert all(at >= before - 1_000_000 for at, _ in zeros)  # at least a millisecond before the value
    provider.shutdown()


def test_zeros_are_sent_again_until_they_have_arrived_and_never_after_a_value():
    """When a receiver is down the zeros come with the next push, before the first value that may have got through."""
    exporter = Sent()
    provider = pushing(exporter)
    exporter.down = True
    count(provider)
    provider.force_flush()
    exporter.down = False
    provider.force_flush()
    provider.force_flush()
    first, second, third = (series(batch, "ragmeter.queries") for batch in exporter.batches)
    *zeros, (_, value) = second
    assert value == 3
    assert zeros
    assert all(at < first[-1][0] for at, _ in zeros)
    assert [value for _, value in third] == [3]
    provider.shutdown()


def test_what_the_app_counts_itself_is_left_alone():
    """Metrics of others, deltas, gauges and other exporters than OTLP are pushed as they are."""
    exporter = Sent()
    provider = pushing(exporter)
    count(provider)
    provider.get_meter("app").create_counter("app.own").add(2)
    provider.force_flush()
    own = [value for name, _, _, value in exporter.batches[-1] if name == "app.own"]
    assert own == [2]
    provider.shutdown()

    deltas = Sent(preferred_temporality=dict.fromkeys(counters(), AggregationTemporality.DELTA))
    provider = pushing(deltas)
    count(provider)
    provider.force_flush()
    assert [value for _, value in series(deltas.batches[-1], "ragmeter.queries")] == [3]
    provider.shutdown()

    class Other(MetricExporter):
        batches = ()

        def export(self, metrics_data, timeout_millis=10_000, **keywords):
            self.batches = (*self.batches, points_of(metrics_data))
            return MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis=10_000):
            return True

        def shutdown(self, timeout_millis=30_000, **keywords):
            pass

    other = Other()
    provider = pushing(other)
    count(provider)
    provider.force_flush()
    assert [value for _, value in series(other.batches[-1], "ragmeter.queries")] == [3]
    provider.shutdown()


def counters():
    from opentelemetry.sdk.metrics import Histogram, ObservableCounter

    return (ObservableCounter, Histogram)


def test_the_exporter_stays_what_it_is():
    """An app that asks its reader for its exporter finds one of the type it made, with its attributes."""
    exporter = Sent()
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader])
    count(provider)
    assert isinstance(reader._exporter, Sent)
    assert reader._exporter.batches is exporter.batches
    provider.shutdown()


def read_page(*headers):
    """The queries of each team on the page: as `scraper` sees it, or a person."""
    url = ragmeter.status().exporter.partition(" on ")[2]
    request = urllib.request.Request(url, headers=dict(headers))
    with urllib.request.urlopen(request) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    samples = [sample for family in families for sample in family.samples]
    names = ("ragmeter_queries_total", "ragmeter_query_duration_seconds_count")
    return [sum(sample.value for sample in samples if sample.name == name) for name in names]


def test_a_page_shows_people_values_and_databases_a_zero_first():
    """A reader that is no scraper has every value at once; each database sees 0, then the value, and never 0 again."""
    first, second = ((TIMEOUT, "0"), ("User-Agent", "A")), ((TIMEOUT, "0"), ("User-Agent", "B"))
    ragmeter.instrument(prometheus_port=0, providers={"127.0.0.1": "openai"})
    try:
        with Wire(answer) as wire:
            client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
            for _ in range(3):
                client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}])
        assert ragmeter.flush(10)
        assert read_page() == [3, 3]
        assert read_page(*first) == [0, 0]
        assert read_page(*second) == [0, 0]
        assert read_page() == [3, 3]
        assert read_page(*first) == [3, 3]
        assert read_page(*second) == [3, 3]
        assert read_page((TIMEOUT, "0"), ("User-Agent", "late")) == [3, 3]
    finally:
        ragmeter.uninstrument()


def by_server(headers):
    """As `start_http_server` of Prometheus' client gives it."""
    server, thread = start_http_server(0, addr="127.0.0.1")
    try:
        request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}", headers=headers)
        with urllib.request.urlopen(request) as page:
            return page.read()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def by_asgi(headers):
    """As an ASGI server asks Prometheus' app."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message.get("body", b""))

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": raw, "client": ("a", 1)}
    asyncio.run(make_asgi_app()(scope, receive, send))
    return b"".join(sent)


def by_view(headers):
    """As a view of a framework that writes the page itself, on a thread of its own."""

    def view(request):
        assert request.headers is headers
        return generate_latest()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(view, SimpleNamespace(headers=headers)).result()


@pytest.mark.parametrize("read", [by_server, by_asgi, by_view])
def test_a_page_of_the_apps_own_begins_with_zero(read):
    """However an app serves its own reader's page: a database sees 0 and then the value, a person the value."""
    reader = PrometheusMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    try:
        count(provider)
        assert b"ragmeter_queries_total{" in read({})

        def look(**headers):
            families = text_string_to_metric_families(read(headers).decode())
            return [
                each.value for family in families for each in family.samples if each.name == "ragmeter_queries_total"
            ]

        scrape = {TIMEOUT: "0", "User-Agent": "Prometheus"}
        assert [look(), look(**scrape), look(), look(**scrape)] == [[3], [0], [3], [3]]
    finally:
        provider.shutdown()


def test_two_databases_of_one_name_each_see_the_zero():
    """Who asks again within its own timeout is another database: both see 0 before either sees the value."""
    reader, showing = InMemoryMetricReader(), Showing()
    count(MeterProvider([reader]))

    def look(timeout):
        shown = showing.to(Scraper("Prometheus", timeout), reader.get_metrics_data())
        return [value for name, _, _, value in points_of(shown) if name == "ragmeter.queries"]

    assert [look(60.0), look(60.0), look(60.0)] == [[0], [0], [0]]
    showing = Showing()
    assert [look(0.0), look(0.0)] == [[0], [3]]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 3), st.integers(1, 5)), max_size=40))
def test_no_scraper_sees_a_value_fall(looks):
    """Whoever scrapes in whatever order, what all of them have seen together of a series never falls."""
    reader, showing, latest = InMemoryMetricReader(), Showing(), {}
    provider = MeterProvider([reader])
    for scraper, team, value in looks:
        count(provider, f"team-{team}", value)
        for name, labels, _, shown in points_of(showing.to(Scraper(scraper, 0.0), reader.get_metrics_data())):
            series = name, frozenset(labels.items())
            assert shown >= latest.get(series, 0)
            latest[series] = shown


@pytest.mark.parametrize("number", [1, 300, 5_000])
def test_a_push_does_not_grow_without_bound(number):
    """Many new series at once get fewer zeros each, and one at least."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    instruments = instruments_of(provider)
    instruments.totals.expose((semconv.QUERIES,))
    for each in range(number):
        instruments.totals._values[semconv.QUERIES.name][(("team", f"{each}"),)] = 1
    beginnings, data = Beginnings(), reader.get_metrics_data()
    sent, fresh = len(points_of(beginnings.begun(data))), len(points_of(data))
    assert 2 * fresh <= sent <= max(2 * fresh, fresh + 2_000)
