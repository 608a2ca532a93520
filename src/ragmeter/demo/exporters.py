"""Where the demo's metrics go: always into memory, for the table; beside it to Prometheus and by OTLP, as asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader, MetricsData
from opentelemetry.sdk.resources import Resource

from ragmeter.telemetry.otel_environment import Signal, without_secrets
from ragmeter.telemetry.providers import otlp_endpoint
from ragmeter.telemetry.pushing import push_reader

if TYPE_CHECKING:
    from ragmeter.telemetry.metrics_page import MetricsPage

SERVICE_NAME = "ragmeter-demo"
HOST = "127.0.0.1"


class PortTakenError(RuntimeError):
    """The port for `/metrics` cannot be had; the message says what to do."""


@dataclass(slots=True)
class Exporters:
    """The demo's meter provider and what reads from it; `pushes_to` is the OTLP endpoint, where there is one."""

    provider: MeterProvider
    memory: InMemoryMetricReader
    pushes_to: str | None
    pusher: MetricReader | None
    page: MetricsPage | None = None

    def collect(self) -> MetricsData | None:
        """The metrics as they stand."""
        return self.memory.get_metrics_data()

    def serve(self, port: int) -> str:
        """Serve `/metrics` on `port`, 0 for any free one; returns its URL."""
        from prometheus_client import REGISTRY

        from ragmeter.telemetry.metrics_page import MetricsPage

        page = MetricsPage(REGISTRY, HOST, port)
        try:
            url = page.serve()
        except OSError as error:
            raise PortTakenError(
                f"Cannot serve metrics on {HOST}:{port}: {error.strerror or error}. Choose another port with --port."
            ) from error
        self.page = page
        return url

    def push(self) -> None:
        """Push the metrics as they stand, where they are pushed."""
        if self.pusher is not None:
            self.pusher.force_flush()

    def close(self) -> None:
        """Push what is still to be pushed, and stop serving."""
        self.provider.shutdown()
        if self.page is not None:
            self.page.close()


def set_up(*, with_prometheus: bool) -> Exporters:
    """A meter provider of our own, with a reader for each way out."""
    memory = InMemoryMetricReader()
    readers: list[MetricReader] = [memory]
    endpoint = otlp_endpoint(Signal.METRICS)
    pusher = push_reader() if endpoint else None
    pushes_to = without_secrets(endpoint) if endpoint else None
    if pusher is not None:
        readers.append(pusher)
    if with_prometheus:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader

        readers.append(PrometheusMetricReader())
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", SERVICE_NAME)})
    return Exporters(MeterProvider(readers, resource=resource), memory, pushes_to, pusher)
