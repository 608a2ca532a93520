"""Providers for an app that has none: Prometheus to pull from, or OTLP to push to. Never set globally.

The app may set providers of its own later, which the API allows only once: ours stay private so that it can.
"""

from __future__ import annotations

import inspect
import logging
import os
from dataclasses import dataclass
from typing import Any

from opentelemetry.metrics import MeterProvider as ApiMeterProvider
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider
from opentelemetry.trace import TracerProvider as ApiTracerProvider

from ragmeter.settings import Settings
from ragmeter.version import VERSION

logger = logging.getLogger("ragmeter")

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"

MOST_SERIES = 100_000


@dataclass(slots=True)
class Providers:
    """Where spans and metrics go; `description` says so for people, `own` are those to shut down with us."""

    tracer_provider: ApiTracerProvider
    meter_provider: ApiMeterProvider
    description: str
    own: tuple[Any, ...] = ()
    server: Any = None
    is_pulled: bool = False

    def leave_server(self) -> bool:
        """In a forked child: close our copy of the parent's socket; whether there was one."""
        if self.server is None:
            return False
        self.server.server_close()
        self.server = None
        return True

    def flush(self, timeout: float) -> None:
        """Push what is ours now. A provider that is pulled is left alone: its exporter would show everything twice."""
        for provider in self.own:
            if not (self.is_pulled and provider is self.meter_provider):
                provider.force_flush(int(timeout * 1000))

    def shutdown(self) -> None:
        """Flush and close what is ours."""
        for provider in self.own:
            provider.shutdown()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()


def choose_providers(
    settings: Settings, tracer_provider: ApiTracerProvider | None, meter_provider: ApiMeterProvider | None
) -> Providers:
    """The given providers, else those the app has set globally, else our own."""
    own: list[Any] = []
    server = None
    if tracer_provider is None:
        tracer_provider = get_tracer_provider()
        if isinstance(tracer_provider, ProxyTracerProvider) and otlp_endpoint(TRACES_ENDPOINT):
            tracer_provider = _own_tracer_provider(settings)
            own.append(tracer_provider)
    description = "the app's meter provider"
    if meter_provider is None:
        meter_provider = _global_meter_provider()
    if meter_provider is None:
        meter_provider, server, description = _own_meter_provider(settings)
        own.append(meter_provider)
    is_pulled = meter_provider in own and otlp_endpoint(METRICS_ENDPOINT) is None
    return Providers(tracer_provider, meter_provider, description, tuple(own), server, is_pulled)


def otlp_endpoint(specific: str) -> str | None:
    """The OTLP endpoint that the environment names for one kind of telemetry, or for all."""
    return os.environ.get(specific) or os.environ.get(ENDPOINT)


def _global_meter_provider() -> ApiMeterProvider | None:
    provider = get_meter_provider()
    # Until the app sets a provider the API hands out a proxy, which has no public name.
    return None if type(provider).__name__ == "_ProxyMeterProvider" else provider


def _resource(settings: Settings) -> Resource:
    attributes = {"telemetry.distro.name": "ragmeter", "telemetry.distro.version": VERSION}
    if settings.service_name is not None:
        attributes["service.name"] = settings.service_name
    return Resource.create(attributes)


def _own_tracer_provider(settings: Settings) -> TracerProvider:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if _speaks_http("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # type: ignore[assignment]
            OTLPSpanExporter,
        )
    provider = TracerProvider(resource=_resource(settings), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _own_meter_provider(settings: Settings) -> tuple[MeterProvider, Any, str]:
    if endpoint := otlp_endpoint(METRICS_ENDPOINT):
        return _meter_provider(push_reader(), settings), None, f"OTLP to {endpoint}"
    return _pulled_provider(settings)


def _meter_provider(reader: MetricReader, settings: Settings) -> MeterProvider:
    return MeterProvider([reader], resource=_resource(settings), shutdown_on_exit=False)


def push_reader() -> MetricReader:
    """A metric reader that pushes to the configured OTLP endpoint, with the protocol the environment names."""
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    if _speaks_http("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    else:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # type: ignore[assignment]
            OTLPMetricExporter,
        )
    reader: MetricReader = _made(PeriodicExportingMetricReader, OTLPMetricExporter(), **_limits())
    return reader


def _pulled_provider(settings: Settings) -> tuple[MeterProvider, Any, str]:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import REGISTRY, CollectorRegistry, start_http_server

    # A registry of our own, where the exporter can have one: the default one is the app's, to serve or to clear.
    own = "registry" in inspect.signature(PrometheusMetricReader).parameters
    registry = CollectorRegistry() if own else REGISTRY
    provider = _meter_provider(_made(PrometheusMetricReader, registry=registry, **_limits()), settings)
    host, port = settings.prometheus_host, settings.prometheus_port
    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        logger.warning(
            "ragmeter cannot serve metrics on %s:%d (%s). The app is not affected. Choose another port with "
            "instrument(prometheus_port=...) or RAGMETER_PROMETHEUS_PORT; for servers with several processes push with "
            "OTLP instead: set %s.",
            host,
            port,
            error.strerror or error,
            ENDPOINT,
        )
        return provider, None, f"nothing: {host}:{port} is taken"
    return provider, server, f"Prometheus on http://{host}:{server.server_port}/metrics"


def _limits() -> dict[str, Any]:
    """More series than the SDK's 2,000 an instrument: our labels are bounded, and an overflow would hide them all."""
    from opentelemetry.sdk.metrics import Histogram, ObservableCounter

    return {"cardinality_limits": {ObservableCounter: MOST_SERIES, Histogram: MOST_SERIES}}


def _made(reader: Any, *arguments: Any, **keywords: Any) -> Any:
    """A metric reader; releases of the SDK that lack one of the keywords are made without it."""
    known = inspect.signature(reader).parameters
    return reader(*arguments, **{name: value for name, value in keywords.items() if name in known})


def _speaks_http(specific: str) -> bool:
    protocol = os.environ.get(specific) or os.environ.get(PROTOCOL) or "grpc"
    return protocol.startswith("http")
