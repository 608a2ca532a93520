"""All instruments of ``ragmeter.naming.semconv`` under their promised names in Prometheus, by the real exporters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, start_http_server

from ragmeter.naming.semconv import SCOPE

from .client import PrometheusClient
from .names import METRICS, series_names
from .servers import free_port


def expected_names() -> frozenset[str]:
    """The series names of all instruments."""
    return frozenset().union(*(series_names(metric) for metric in METRICS))


@contextmanager
def all_recorded(reader: MetricReader) -> Iterator[None]:
    """One point of every instrument, collected by ``reader`` until the block ends."""
    provider = MeterProvider([reader], resource=Resource.create({"service.name": "names"}))
    meter = provider.get_meter(SCOPE)
    for metric in METRICS:
        if metric.buckets:
            histogram = meter.create_histogram(
                metric.name,
                metric.unit,
                metric.description,
                explicit_bucket_boundaries_advisory=metric.buckets,
            )
            histogram.record(1)
        elif metric.is_gauge:
            meter.create_gauge(metric.name, metric.unit, metric.description).set(1)
        else:
            meter.create_counter(metric.name, metric.unit, metric.description).add(1)
    provider.force_flush()
    try:
        yield
    finally:
        provider.shutdown()


def own_names(client: PrometheusClient) -> frozenset[str]:
    """The names that Prometheus has of us, without those it and the exporter make about a scrape."""
    names = client.metric_names()
    return frozenset(name for name in names if name.startswith(("ragmeter_", "gen_ai_", "db_")))


def test_every_instrument_has_a_name_of_its_own() -> None:
    """No two instruments become one series in Prometheus."""
    names = [name for metric in METRICS for name in series_names(metric)]
    assert len(names) == len(set(names))


def test_a_scrape_gives_the_promised_names(start_prometheus: Callable[..., PrometheusClient]) -> None:
    """Prometheus has exactly the promised names from a scrape of all instruments."""
    registry = CollectorRegistry()
    port = free_port()
    with all_recorded(PrometheusMetricReader(registry=registry)):
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
        try:
            client = start_prometheus(f"127.0.0.1:{port}")
            client.wait_for(lambda known: expected_names() <= own_names(known), what="a scrape")
            assert own_names(client) == expected_names()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def test_a_push_gives_the_promised_names(pushed_prometheus: tuple[PrometheusClient, str]) -> None:
    """Prometheus has exactly the promised names from an OTLP push of all instruments."""
    client, endpoint = pushed_prometheus
    with all_recorded(PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint))):
        client.wait_for(lambda known: expected_names() <= own_names(known), what="a push")
    assert own_names(client) == expected_names()
