"""ragmeter in the process of the benchmark itself, with openai's client taken out: both are put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import ragmeter
from benchmarks.cases import take_out_the_client
from benchmarks.configurations import Nowhere

PATIENCE = 60.0
"""Seconds to wait for the worker."""

MOST_SERIES = 50_000
"""Series that the reader keeps apart: labels are then counted one by one."""


@contextmanager
def without_the_client() -> Iterator[None]:
    """While it lasts, openai's client neither sends nor parses."""
    put_back = take_out_the_client()
    try:
        yield
    finally:
        put_back()


@contextmanager
def instrumented(**settings: Any) -> Iterator[InMemoryMetricReader]:
    """While it lasts, ragmeter records; gives what reads its metrics. Its worker's thread runs from the first call."""
    reader = InMemoryMetricReader(cardinality_limits={ObservableCounter: MOST_SERIES, Histogram: MOST_SERIES})
    tracer_provider, meter_provider = TracerProvider(), MeterProvider([reader])
    tracer_provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    ragmeter.instrument(tracer_provider=tracer_provider, meter_provider=meter_provider, **settings)
    try:
        yield reader
    finally:
        ragmeter.uninstrument()
        tracer_provider.shutdown()
        meter_provider.shutdown()


def drain() -> None:
    """Wait until the worker has handled what it was given; queries that wait for more stay open."""
    for runtime in ragmeter._running:  # noqa: SLF001 - `flush` would post them
        runtime.worker.drain(PATIENCE)
