"""What pushes, to an OTLP endpoint or to the console: for metrics a reader, for spans a processor.

Each works for the process it was made in and is silent in a forked child, where greenlets may go on as threads do not.
"""

from __future__ import annotations

import inspect
import logging
import math
import os
import sys
from collections.abc import Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from ragmeter.telemetry import otel_environment
from ragmeter.telemetry.fork_hooks import without_fork_hooks
from ragmeter.telemetry.otel_environment import Signal, without_secrets

logger = logging.getLogger("ragmeter")

MOST_SERIES = 100_000

INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
CHILD_INTERVAL_MILLIS = 5_000.0
"""How often a daemon of `multiprocessing` pushes where no interval is named: a pool may end it without a word."""


OTLP, CONSOLE = "otlp", "console"


class PushReader(PeriodicExportingMetricReader):
    """Pushes from time to time, in the process it was made in."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._process = os.getpid()
        super().__init__(*arguments, **keywords)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **keywords: Any) -> None:
        if self._process == os.getpid():
            super()._receive_metrics(metrics_data, timeout_millis, **keywords)


class OwnSpans(SpanProcessor):
    """Exports spans in batches, by the named exporters. In a forked child they are made anew with its first span."""

    def __init__(self, exporters: Sequence[str]) -> None:
        self._exporters = exporters
        self._process = os.getpid()
        self._batches = self._made()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if self._process != os.getpid():
            self._batches = self._made()
            self._process = os.getpid()
        for batch in self._batches:
            batch.on_end(span)

    def shutdown(self) -> None:
        """Export what waits, and close."""
        for batch in self._of_this_process():
            batch.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what waits."""
        flushed = [batch.force_flush(timeout_millis) for batch in self._of_this_process()]
        return all(flushed)

    def _of_this_process(self) -> Sequence[SpanProcessor]:
        return self._batches if self._process == os.getpid() else ()

    def _made(self) -> Sequence[SpanProcessor]:
        with without_fork_hooks():
            return [_batches(_OfOneProcess(_span_exporter(name))) for name in self._exporters]


def _batches(exporter: SpanExporter) -> SpanProcessor:
    try:
        return BatchSpanProcessor(exporter)
    except RuntimeError:
        return SimpleSpanProcessor(exporter)  # the interpreter is shutting down and starts no thread


class _OfOneProcess(SpanExporter):
    """A span exporter for the process it was made in."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._process = os.getpid()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export(spans) if self._process == os.getpid() else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def push_reader(name: str = OTLP) -> PushReader:
    """A metric reader that pushes: by OTLP to where and how the environment says, or to the console."""
    interval = CHILD_INTERVAL_MILLIS if _may_be_terminated() and INTERVAL not in os.environ else None
    exporter = _otlp_metric_exporter() if name == OTLP else ConsoleMetricExporter()
    try:
        reader: PushReader = made(PushReader, exporter, export_interval_millis=interval, **limits())
    except RuntimeError:
        # The interpreter is shutting down and starts no thread: the last push needs none.
        reader = made(PushReader, exporter, export_interval_millis=math.inf, **limits())
    return reader


def push_target(name: str) -> str:
    """Where an exporter of metrics pushes to, for people: without what an address may hold of secrets."""
    if name != OTLP:
        return f"the {name}"
    endpoint = otel_environment.endpoint(Signal.METRICS, os.environ)
    if endpoint is None:
        return f"OTLP to localhost:{default_port(Signal.METRICS)}"
    return f"OTLP to {without_secrets(endpoint)}"


def default_port(signal: Signal) -> int:
    """The port of the default endpoint, which depends on the protocol."""
    return otel_environment.HTTP_PORT if _speaks_http(signal) else otel_environment.GRPC_PORT


def limits() -> dict[str, Any]:
    """More series than the SDK's 2,000 an instrument: our labels are bounded, and an overflow would hide them all."""
    return {"cardinality_limits": {ObservableCounter: MOST_SERIES, Histogram: MOST_SERIES}}


def made(reader: Any, *arguments: Any, **keywords: Any) -> Any:
    """A metric reader; releases of the SDK that lack one of the keywords are made without it."""
    base = PeriodicExportingMetricReader if reader is PushReader else reader
    known = inspect.signature(base).parameters
    return reader(*arguments, **{name: value for name, value in keywords.items() if name in known})


def _speaks_http(signal: Signal) -> bool:
    protocol = otel_environment.protocol(signal, os.environ)
    if protocol not in ("grpc", "http/protobuf"):
        logger.warning("ragmeter speaks OTLP as grpc or http/protobuf, not as %s; it uses http/protobuf.", protocol)
    return protocol != "grpc"


def _otlp_metric_exporter() -> MetricExporter:
    if _speaks_http(Signal.METRICS):
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter()
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter

    return GrpcMetricExporter()


def _span_exporter(name: str) -> SpanExporter:
    if name == CONSOLE:
        return ConsoleSpanExporter()
    if _speaks_http(Signal.TRACES):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter

    return GrpcSpanExporter()


def _may_be_terminated() -> bool:
    """Whether this process is one that `multiprocessing` ends by a signal, such as a pool's."""
    current = getattr(sys.modules.get("multiprocessing"), "current_process", None)
    return current is not None and bool(current().daemon)
