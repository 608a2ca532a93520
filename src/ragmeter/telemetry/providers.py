"""Providers for an app that has none: Prometheus to pull from, or OTLP to push to. Never set globally.

The app may set providers of its own later, which the API allows only once: ours stay private so that it can.
A forked child makes its own with its first call: its parent's hold the parent's counts, its connections, and threads
that are no more. The SDK's fork hooks are left out of ours, see `fork_hooks`.
"""

from __future__ import annotations

import inspect
import logging
import os
import socket
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.metrics import MeterProvider as ApiMeterProvider
from opentelemetry.metrics import NoOpMeterProvider, get_meter_provider
from opentelemetry.sdk.environment_variables import OTEL_RESOURCE_ATTRIBUTES
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, get_tracer_provider
from opentelemetry.trace import TracerProvider as ApiTracerProvider
from opentelemetry.util.types import AttributeValue

from ragmeter.settings import Settings
from ragmeter.telemetry import otel_environment
from ragmeter.telemetry.fork_hooks import threads_are_greenlets, without_fork_hooks
from ragmeter.telemetry.otel_environment import NONE, Signal
from ragmeter.telemetry.pushing import (
    CONSOLE,
    OTLP,
    OwnSpans,
    PushReader,
    default_port,
    limits,
    made,
    push_reader,
    push_target,
)
from ragmeter.telemetry.series_room import readers_of
from ragmeter.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from prometheus_client import CollectorRegistry

    from ragmeter.telemetry.metrics_page import MetricsPage

logger = logging.getLogger("ragmeter")

ZERO_CODE = "opentelemetry.instrumentation.auto_instrumentation"
LISTENING_SECONDS = 0.2

INSTANCE_ID = "service.instance.id"
PROMETHEUS = "prometheus"
KNOWN_EXPORTERS = {Signal.METRICS: (OTLP, PROMETHEUS, CONSOLE), Signal.TRACES: (OTLP, CONSOLE)}


@dataclass(slots=True)
class OwnMetrics:
    """A meter provider of ours, with the readers that push from it and the page that shows it."""

    provider: ApiMeterProvider
    pushing: tuple[PushReader, ...] = ()
    pushes_to: tuple[str, ...] = ()
    page: MetricsPage | None = None

    @property
    def description(self) -> str:
        """Where the metrics go at this moment."""
        shown = () if self.page is None else (self.page.description,)
        return ", ".join((*self.pushes_to, *shown)) or f"nothing: {Signal.METRICS.exporter_variable}={NONE}"

    def shutdown(self) -> None:
        """Push what is there, and close."""
        if isinstance(self.provider, MeterProvider):
            self.provider.shutdown()
        if self.page is not None:
            self.page.close()


class Providers:
    """Where spans and metrics go: to the app's providers, or to ours."""

    def __init__(
        self,
        settings: Settings,
        tracer_provider: ApiTracerProvider,
        meter_provider: ApiMeterProvider | None,
        *,
        spans: OwnSpans | None = None,
        resource: Resource | None = None,
        wanted: tuple[str, ...] = (),
    ) -> None:
        self.tracer_provider = tracer_provider
        self._settings = settings
        self._given = meter_provider
        self._spans = spans
        self._resource = Resource.get_empty() if resource is None else resource
        self._wanted = wanted
        self._metrics = None if meter_provider is not None else own_metrics(settings, self._resource, wanted)

    @property
    def meter_provider(self) -> ApiMeterProvider:
        """The app's meter provider, or ours."""
        provider = self._given if self._metrics is None else self._metrics.provider
        return NoOpMeterProvider() if provider is None else provider

    @property
    def registry(self) -> CollectorRegistry | None:
        """What our own page is written from; `None` where there is no page, or others write into it as well."""
        from prometheus_client import REGISTRY

        page = None if self._metrics is None else self._metrics.page
        return None if page is None or page.registry is REGISTRY else page.registry

    @property
    def description(self) -> str:
        """Where metrics go, for people."""
        if self._metrics is not None:
            return self._metrics.description
        if isinstance(self._given, MeterProvider) and not readers_of(self._given):
            return "nothing: the app's meter provider has no reader"
        if self._given is not None:
            return "the app's meter provider"
        return "nothing yet: this process was forked, and exports from its first call on"

    def forked(self) -> None:
        """In a forked child: what is ours is the parent's."""
        if self._metrics is not None and self._metrics.page is not None:
            self._metrics.page.left_by_fork()
        self._metrics = None

    def begin(self) -> bool:
        """In a forked child, with its first call: make providers of its own; whether there is a new one."""
        if self._given is not None or self._metrics is not None:
            return False
        # Looking for a resource takes a pool of threads, which the interpreter has no more when it exits.
        self._resource = self._resource.merge(Resource(_of_this_process(self._settings)))
        self._metrics = own_metrics(self._settings, self._resource, self._wanted)
        return True

    def used(self) -> None:
        """A call was counted: a page is served from now on by this process."""
        if self._metrics is not None and self._metrics.page is not None:
            self._metrics.page.used()

    def flush(self, timeout: float) -> None:
        """Push what is ours now. A page is left alone: its exporter would show everything twice."""
        if self._spans is not None:
            self._spans.force_flush(int(timeout * 1000))
        for reader in () if self._metrics is None else self._metrics.pushing:
            reader.force_flush(timeout * 1000)

    def shutdown(self) -> None:
        """Flush and close what is ours."""
        if self._spans is not None:
            self._spans.shutdown()
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            metrics.shutdown()


def choose_providers(
    settings: Settings, tracer_provider: ApiTracerProvider | None, meter_provider: ApiMeterProvider | None
) -> Providers:
    """The given providers, else those the app has set globally, else our own."""
    if tracer_provider is None and _is_unheard():
        return _unheard(settings, meter_provider)
    spans = resource = None
    if tracer_provider is None:
        tracer_provider = get_tracer_provider()
        if isinstance(tracer_provider, ProxyTracerProvider) and (wanted := _wanted_exporters(Signal.TRACES)):
            spans = OwnSpans(wanted)
            resource = Resource.create(_of_this_process(settings))
            tracer_provider = _own_tracer_provider(resource, spans)
    if meter_provider is None:
        meter_provider = _global_meter_provider()
    if meter_provider is None and resource is None:
        resource = Resource.create(_of_this_process(settings))
    wanted = _wanted_exporters(Signal.METRICS) if meter_provider is None else ()
    return Providers(settings, tracer_provider, meter_provider, spans=spans, resource=resource, wanted=wanted)


def _unheard(settings: Settings, meter_provider: ApiMeterProvider | None) -> Providers:
    """Zero code without a collector: the page in the place of an OTLP endpoint that nobody named and nobody listens at.

    The distribution pushes to it unasked, and each process would end ten seconds later: it tries again and again.
    """
    logger.warning(
        "ragmeter: no OTLP endpoint is named and nothing listens at the default one, %s; metrics are served to "
        "Prometheus instead, and no spans of ragmeter's are exported. Name an endpoint with %s, or what you want with "
        "%s and %s.",
        f"localhost:{default_port(Signal.METRICS)}",
        otel_environment.ENDPOINT,
        *(signal.exporter_variable for signal in Signal),
    )
    resource = Resource.create(_of_this_process(settings))
    wanted = (PROMETHEUS,) if meter_provider is None else ()
    return Providers(settings, NoOpTracerProvider(), meter_provider, resource=resource, wanted=wanted)


def _is_unheard() -> bool:
    """Whether zero code has set up OTLP to the default endpoint, and nothing listens there."""
    if ZERO_CODE not in sys.modules or any(otlp_endpoint(signal) for signal in Signal):
        return False
    if any(otel_environment.exporters(signal, os.environ) != (OTLP,) for signal in Signal):
        return False
    try:
        socket.create_connection(("localhost", default_port(Signal.METRICS)), LISTENING_SECONDS).close()
    except OSError:
        return True
    return False


def own_metrics(settings: Settings, resource: Resource, wanted: Sequence[str]) -> OwnMetrics:
    """A meter provider with the wanted exporters."""
    if not wanted:
        return OwnMetrics(NoOpMeterProvider())
    with without_fork_hooks():
        pulled = _page_reader() if PROMETHEUS in wanted else None
        pushes = {name: push_reader(name) for name in wanted if name != PROMETHEUS}
        readers = [*pushes.values(), *(() if pulled is None else (pulled[0],))]
        provider = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    page = None if pulled is None else _open_page(settings, pulled[1])
    _say_of_greenlets()
    return OwnMetrics(provider, tuple(pushes.values()), tuple(map(push_target, pushes)), page)


def otlp_endpoint(signal: Signal) -> str | None:
    """The OTLP endpoint that the environment names for one kind of telemetry, or for all."""
    return otel_environment.endpoint(signal, os.environ)


def _wanted_exporters(signal: Signal) -> tuple[str, ...]:
    """The exporters of our own providers: those the environment names, else OTLP if it names an endpoint."""
    named = otel_environment.exporters(signal, os.environ) or ()
    return () if named == (NONE,) else _known_exporters(signal, named) or _usual_exporters(signal)


def _known_exporters(signal: Signal, named: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the named exporters that we have; a warning names the others."""
    known = KNOWN_EXPORTERS[signal]
    if unknown := [name for name in named if name not in known]:
        message = "ragmeter has no exporter %s, which %s names; it has %s and %s."
        logger.warning(message, ", ".join(unknown), signal.exporter_variable, ", ".join(known), NONE)
    return tuple(name for name in named if name in known)


def _usual_exporters(signal: Signal) -> tuple[str, ...]:
    if otlp_endpoint(signal):
        return (OTLP,)
    return (PROMETHEUS,) if signal is Signal.METRICS else ()


def _global_meter_provider() -> ApiMeterProvider | None:
    provider = get_meter_provider()
    # Until the app sets a provider the API hands out a proxy, which has no public name.
    return None if type(provider).__name__ == "_ProxyMeterProvider" else provider


def _of_this_process(settings: Settings) -> dict[str, AttributeValue]:
    """Attributes of our resource; the process's own identity keeps its counts apart from those of its parent."""
    attributes: dict[str, AttributeValue] = {
        "telemetry.distro.name": "ragmeter",
        "telemetry.distro.version": VERSION,
    }
    if INSTANCE_ID not in os.environ.get(OTEL_RESOURCE_ATTRIBUTES, ""):
        attributes[INSTANCE_ID] = str(uuid.uuid4())
    if settings.service_name is not None:
        attributes["service.name"] = settings.service_name
    return attributes


def _own_tracer_provider(resource: Resource, spans: OwnSpans) -> TracerProvider:
    with without_fork_hooks():
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(spans)
    return provider


def _page_reader() -> tuple[MetricReader, CollectorRegistry]:
    """What shows our metrics, and the registry from which a page is written."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import REGISTRY, CollectorRegistry

    # A registry of our own, where the exporter can have one: the default one is the app's, to serve or to clear.
    own = "registry" in inspect.signature(PrometheusMetricReader).parameters
    registry = CollectorRegistry() if own else REGISTRY
    reader: MetricReader = made(PrometheusMetricReader, registry=registry, **limits())
    return reader, registry


def _open_page(settings: Settings, registry: CollectorRegistry) -> MetricsPage:
    from ragmeter.telemetry.metrics_page import MetricsPage

    page = MetricsPage(registry, settings.prometheus_host, settings.prometheus_port)
    page.open()
    return page


_said_of_greenlets: list[bool] = []


def _say_of_greenlets() -> None:
    if threads_are_greenlets() and not _said_of_greenlets:
        _said_of_greenlets.append(True)
        logger.warning(
            "ragmeter: gevent is in use, so its own providers are made without the fork hooks of OpenTelemetry's SDK, "
            "which let a forked child go on as its parent would. A child exports by itself from its first call on; "
            "providers that the app sets up itself bring the hooks."
        )
