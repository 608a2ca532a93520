"""Series that begin between two looks of a database: a zero first, so that `increase()` counts their first interval.

Prometheus counts no growth up to the first sample of a series: three queries of a new team are 0 there. What is pushed
gets points of zero before its first value, at times that have passed; on a page, which has no past, a series is 0 the
first time that a scraper sees it and has its value the next time. Only our own counters and histograms are changed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    Sum,
)

from ragmeter.naming.semconv import SCOPE
from ragmeter.telemetry.scrapers import Scraper, scraper
from ragmeter.telemetry.series_room import readers_of

logger = logging.getLogger("ragmeter")

Series = tuple[str, frozenset[tuple[str, Any]]]
"""A metric's name and the attributes of one of its points."""

DataPoint = Any
"""A point of a counter or of a histogram; the SDK's types tell them apart by their metric only."""

MOST_BACK = 300 * 10**9
"""Nanoseconds that a zero may lie back: the time after which Prometheus takes a series for ended."""

MOST_ZEROS = 10
"""Zeros before a first value. Prometheus extrapolates by half the distance of samples: from two alone it makes half as
much again of what a short job has counted, from eleven a twentieth."""

MOST_ADDED = 2_000
"""Zeros in one push, one for each new series at least: receivers take requests of some megabytes."""

OTLP, PROMETHEUS = "opentelemetry.exporter.otlp.", "opentelemetry.exporter.prometheus"
"""Packages of the exporters that take several points of a series, and of the reader that shows a page."""

EXPORTER, RECEIVE, COLLECTOR = "_exporter", "_receive_metrics", "_collector"
"""What the SDK's readers call the parts that are wrapped here; there is no public way to them."""

MILLISECOND = 10**6
"""Nanoseconds; databases tell samples apart by milliseconds."""

SAME_NAME = 0.9
"""Share of a scrape's timeout within which one of the same name and address comes from another database: none asks
again before it has its answer. Two of them that scrape far apart are taken for one."""


class Beginnings:
    """Puts zeros before the first value of each series that one exporter pushes."""

    def __init__(self) -> None:
        self._known: set[Series] = set()
        self._histograms: set[str] = set()
        self._tried: dict[Series, tuple[int, int]] = {}
        self._pushed = time.time_ns()
        _all.add(self)

    def forked(self) -> None:
        """In a forked child: totals begin anew, and it has a name of its own; histograms go on from the parent's."""
        self._known = {series for series in self._known if series[0] in self._histograms}
        self._tried.clear()
        self._pushed = time.time_ns()

    def begun(self, data: MetricsData) -> MetricsData:
        """`data` with zeros for the series that are new."""
        fresh = sum(series not in self._known for _, series in _growing(data))
        each = max(1, min(MOST_ZEROS, MOST_ADDED // fresh)) if fresh else 0

        def with_zeros(name: str, point: DataPoint) -> list[DataPoint]:
            series = _series(name, point)
            return [point] if series in self._known else [*self._zeros(series, point, each), point]

        return _changed(data, with_zeros) if fresh else data

    def pushed(self, data: MetricsData, *, arrived: bool) -> None:
        """Remember which series have begun, once their zeros have arrived."""
        for point, series in _growing(data):
            if arrived:
                self._pushed = max(self._pushed, point.time_unix_nano)
                self._known.add(series)
                if isinstance(point, HistogramDataPoint):
                    self._histograms.add(series[0])
        if arrived:
            self._tried.clear()

    def _zeros(self, series: Series, point: DataPoint, number: int) -> list[DataPoint]:
        """Evenly from the last push up to the value: before the first one that was tried, should that have arrived."""
        until = point.time_unix_nano
        since, until = self._tried.setdefault(
            series, (min(max(self._pushed, until - MOST_BACK), until - MILLISECOND), until)
        )
        if point.time_unix_nano - until > MOST_BACK:
            return []
        number = min(number, (until - since) // MILLISECOND)
        return [_zero(point, since, since + at * (until - since) // number) for at in range(number)]


if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    # The oldest wrapt cannot be subscripted.
    _Proxy = wrapt.ObjectProxy


class PushedFromZero(_Proxy):
    """An exporter of metrics that stays as it is, but for the zeros before our series."""

    def __init__(self, exporter: Any) -> None:
        super().__init__(exporter)
        self._self_beginnings = Beginnings()

    def export(self, metrics_data: MetricsData, *arguments: Any, **keywords: Any) -> Any:
        """Export, with a zero before what is new."""
        begun = _guarded(self._self_beginnings.begun, metrics_data)
        result = self.__wrapped__.export(begun, *arguments, **keywords)
        arrived = result is MetricExportResult.SUCCESS
        _guarded(lambda data: self._self_beginnings.pushed(data, arrived=arrived), metrics_data)
        return result


def begin_with_zero(provider: Any) -> None:
    """Let the series that a provider pushes by OTLP, or shows to Prometheus, begin with a zero, whoever has set it up.

    Other exporters may take only one point of a series at a time, and are left alone.
    """
    for reader in readers_of(provider):
        exporter = getattr(reader, EXPORTER, None)
        if _is_of(OTLP, exporter) and not isinstance(exporter, PushedFromZero):
            setattr(reader, EXPORTER, PushedFromZero(exporter))
        elif _is_of(PROMETHEUS, reader):
            _show_from_zero(reader)


class Showing:
    """What of a page has been shown to whom: a value never falls back to the zero before it."""

    def __init__(self) -> None:
        self._shown: set[Series] = set()
        self._zeroed: dict[Series, dict[str, float]] = {}

    def to(self, scraper: Scraper, data: MetricsData) -> MetricsData:
        """`data` as `scraper` is to see it: what nobody has seen yet is zero the first time, and has its value next."""
        now = time.monotonic()

        def seen(name: str, point: DataPoint) -> list[DataPoint]:
            return [point] if self._is_due(_series(name, point), scraper, now) else [_zero(point)]

        return _changed(data, seen)

    def _is_due(self, series: Series, scraper: Scraper, now: float) -> bool:
        if series in self._shown:
            return True
        zeroed = self._zeroed.setdefault(series, {})
        again = zeroed.get(scraper.name)
        if again is None:
            zeroed[scraper.name] = now + SAME_NAME * scraper.timeout
        if again is None or now < again:
            return False
        self._shown.add(series)
        del self._zeroed[series]
        return True


def _show_from_zero(reader: Any) -> None:
    """Let the series on the page of a `PrometheusMetricReader` begin with a zero for those that scrape it.

    Whoever else reads the page, a person or a test, has the values at once. One reads at a time: the exporter would
    mix what two collect.
    """
    showing, reading = Showing(), threading.Lock()
    receive, collector = getattr(reader, RECEIVE), getattr(reader, COLLECTOR)
    collect = collector.collect

    def shown(data: MetricsData) -> MetricsData:
        scrapes = scraper()
        return data if scrapes is None else showing.to(scrapes, data)

    def received(metrics_data: MetricsData | None, *arguments: Any, **keywords: Any) -> None:
        if metrics_data is not None:
            metrics_data = _guarded(shown, metrics_data)
        receive(metrics_data, *arguments, **keywords)

    def collected() -> list[Any]:
        with reading:
            return list(collect())

    setattr(reader, RECEIVE, received)
    collector.collect = collected


def _growing(data: MetricsData) -> Iterator[tuple[DataPoint, Series]]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics if scope.scope.name == SCOPE else ():
                for point in metric.data.data_points if _grows(metric) else ():
                    yield point, _series(metric.name, point)


def _changed(data: MetricsData, change: Callable[[str, DataPoint], list[DataPoint]]) -> MetricsData:
    """`data` with each point of our growing metrics replaced by those that `change` makes of it."""

    def points(metric: Metric) -> Metric:
        if not _grows(metric):
            return metric
        data: Any = metric.data
        changed = [each for point in data.data_points for each in change(metric.name, point)]
        return replace(metric, data=replace(data, data_points=changed))

    return replace(
        data,
        resource_metrics=[
            replace(
                resource,
                scope_metrics=[
                    replace(scope, metrics=[points(metric) for metric in scope.metrics])
                    if scope.scope.name == SCOPE
                    else scope
                    for scope in resource.scope_metrics
                ],
            )
            for resource in data.resource_metrics
        ],
    )


def _grows(metric: Metric) -> bool:
    data = metric.data
    grows = data.is_monotonic if isinstance(data, Sum) else isinstance(data, Histogram)
    return grows and getattr(data, "aggregation_temporality", None) == AggregationTemporality.CUMULATIVE


def _series(name: str, point: DataPoint) -> Series:
    return name, frozenset((point.attributes or {}).items())


def _zero(point: DataPoint, since: int | None = None, at: int | None = None) -> DataPoint:
    """The point as it was before there was anything to count."""
    times = {"start_time_unix_nano": since, "time_unix_nano": at}
    given: dict[str, Any] = {name: value for name, value in times.items() if value is not None}
    if isinstance(point, HistogramDataPoint):
        empty = [0] * len(point.bucket_counts)
        given |= {"min": None, "max": None}
        return replace(point, count=0, sum=0, bucket_counts=empty, exemplars=[], **given)
    return replace(point, value=type(point.value)(0), exemplars=[], **given)


def _is_of(package: str, each: Any) -> bool:
    return any(base.__module__.startswith(package) for base in type(each).__mro__)


def _guarded(step: Callable[[MetricsData], Any], data: MetricsData) -> Any:
    """What `step` makes of `data`, or `data`: no export fails because of us."""
    try:
        return step(data)
    except Exception as error:
        logger.warning("ragmeter cannot begin its series with zero (%s)", type(error).__name__)
        return data


_all: weakref.WeakSet[Beginnings] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for beginnings in list(_all):
        beginnings.forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
