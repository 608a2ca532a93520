"""What runs around the work: nothing, the floor of OpenTelemetry, ragmeter, and peers where they are installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.cases import Step


class Nowhere(SpanExporter):
    """An exporter that throws spans away, so that exporting is not measured."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """How a step is run, and what must be waited for until all its work is done."""

    around: Callable[[Step], Step]
    settle: Callable[[], object]


def _providers() -> tuple[TracerProvider, MeterProvider]:
    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    return tracer_provider, MeterProvider([InMemoryMetricReader()])


def bare() -> Configuration:
    """The work alone."""
    return Configuration(lambda step: step, lambda: None)


def floor() -> Configuration:
    """What any tool on the OpenTelemetry SDK must spend: one span with 15 attributes, 6 points with 5 attributes."""
    tracer_provider, meter_provider = _providers()
    tracer, meter = tracer_provider.get_tracer("floor"), meter_provider.get_meter("floor")
    histograms = [meter.create_histogram(f"floor.{number}") for number in range(6)]
    on_span = {f"attribute.{number}": "value" for number in range(15)}
    on_point = {f"attribute.{number}": "value" for number in range(5)}

    def around(step: Step) -> Step:
        def measured() -> None:
            span = tracer.start_span("floor", attributes=on_span)
            step()
            span.end()
            for histogram in histograms:
                histogram.record(1.0, on_point)

        return measured

    return Configuration(around, lambda: None)


def ragmeter() -> Configuration:
    """Ours, with everything on; settling drains the worker, so that all its work is in the figures."""
    import ragmeter as ours

    tracer_provider, meter_provider = _providers()
    ours.instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)
    return Configuration(lambda step: step, lambda: ours.flush(60))


def _peer(module: str, name: str) -> Callable[[], Configuration]:
    def instrumented() -> Configuration:
        tracer_provider, meter_provider = _providers()
        instrumentor: Any = getattr(import_module(module), name)()
        instrumentor.instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)
        return Configuration(lambda step: step, lambda: None)

    return instrumented


def _openlit() -> Configuration:
    openlit: Any = import_module("openlit")
    tracer_provider, _ = _providers()
    openlit.init(tracer=tracer_provider.get_tracer("openlit"), disable_batch=False)
    return Configuration(lambda step: step, lambda: None)


PEER_MODULES = {
    "official genai-openai": "opentelemetry.instrumentation.genai.openai",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "openinference": "openinference.instrumentation.openai",
    "openlit": "openlit",
}
CONFIGURATIONS: dict[str, Callable[[], Configuration]] = {
    "bare": bare,
    "floor": floor,
    "ragmeter": ragmeter,
    "official genai-openai": _peer(PEER_MODULES["official genai-openai"], "OpenAIInstrumentor"),
    "openllmetry": _peer(PEER_MODULES["openllmetry"], "OpenAIInstrumentor"),
    "openinference": _peer(PEER_MODULES["openinference"], "OpenAIInstrumentor"),
    "openlit": _openlit,
}


def installed_peers() -> list[str]:
    """The peers that can be imported here; none is a dependency of this project."""
    found = []
    for name, module in PEER_MODULES.items():
        try:
            if find_spec(module) is not None:
                found.append(name)
        except ModuleNotFoundError:
            continue
    return found
