"""What ragmeter has reported, read back from a real OpenTelemetry SDK that keeps everything in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind

import ragmeter

Labels = frozenset[tuple[str, Any]]


class Distribution(NamedTuple):
    """A histogram's point: how many values, and their sum."""

    count: int
    total: float


class Started(SpanProcessor):
    """Counts the spans that were started."""

    def __init__(self) -> None:
        self.count = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.count += 1


class Seen:
    """Providers to instrument with, and what has arrived at them. Every question first flushes ragmeter."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(sampler=sampler)
        self._started = Started()
        self.tracer_provider.add_span_processor(self._started)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([self._reader])

    def spans(self) -> tuple[ReadableSpan, ...]:
        """All finished spans, in the order in which they were started."""
        assert ragmeter.flush(10)
        return tuple(sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0))

    @property
    def spans_started(self) -> int:
        """How many spans were started, also of those that never ended."""
        return self._started.count

    def span(self) -> Mapping[str, Any]:
        """The attributes of the only span there is."""
        (only,) = self.spans()
        return dict(only.attributes or {})

    def calls(self) -> tuple[ReadableSpan, ...]:
        """The spans of the app's calls: without those of what a provider has made within one, and of queries."""
        return tuple(span for span in self.spans() if span.kind is not SpanKind.INTERNAL)

    def call(self) -> Mapping[str, Any]:
        """The attributes of the span of the only call there is."""
        (only,) = self.calls()
        return dict(only.attributes or {})

    def collected(self) -> MetricsData | None:
        """Every metric as a reader of the SDK collects it."""
        assert ragmeter.flush(10)
        return self._reader.get_metrics_data()

    def metrics(self) -> dict[str, dict[Labels, float | Distribution]]:
        """Every metric that has a value: its points by their attributes."""
        data = self.collected()
        if data is None:
            return {}
        found = [
            metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        ]
        return {metric.name: {_labels(point): _value(point) for point in metric.data.data_points} for metric in found}

    def metric(self, name: str) -> dict[Labels, Any]:
        """The points of one metric by their attributes: numbers for counters, `Distribution`s for histograms."""
        return dict(self.metrics().get(name, {}))

    def total(self, name: str, **labels: Any) -> float:
        """The sum of a counter's points that have these labels; dots in their names are written as underscores."""
        return sum(value for key, value in self.metric(name).items() if _has(key, labels))

    def count(self, name: str, **labels: Any) -> int:
        """How many values a histogram has got under these labels; dots in their names are written as underscores."""
        return sum(value.count for key, value in self.metric(name).items() if _has(key, labels))

    def operations(self) -> int:
        """How many operations were counted, in every place that counts them: they must agree."""
        counted, timed = self.total("ragmeter.operations"), self.count("gen_ai.client.operation.duration")
        assert counted == timed, f"{counted} operations counted, {timed} timed"
        return timed

    def everything(self) -> str:
        """All that was reported as one text, to look for what must not be in it."""
        spans = "".join(f"{span.to_json()}{span.events}{span.status.description}" for span in self.spans())
        return spans + repr(self.metrics())


def without_host(metrics: Mapping[str, Mapping[Labels, Any]]) -> dict[str, dict[Labels, Any]]:
    """Metrics as they compare between two runs: without the server's port, and of durations only how many."""
    return {
        name: {
            frozenset(item for item in key if item[0] != "server.port"): _comparable(name, value)
            for key, value in points.items()
        }
        for name, points in metrics.items()
    }


def _comparable(name: str, value: Any) -> Any:
    timed = name.endswith((".duration", "_chunk", ".share"))
    return value.count if timed and isinstance(value, Distribution) else value


def _labels(point: Any) -> Labels:
    return frozenset((point.attributes or {}).items())


def _value(point: Any) -> float | Distribution:
    return Distribution(point.count, point.sum) if hasattr(point, "count") else point.value


def _has(key: Labels, labels: Mapping[str, Any]) -> bool:
    names = {name.replace(".", "_"): value for name, value in key}
    return all(names.get(name) == value for name, value in labels.items())
