"""An OpenTelemetry meter provider that keeps every point it is given: what single queries add, before any sum."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.metrics import (
    CallbackOptions,
    Histogram,
    Meter,
    NoOpHistogram,
    NoOpMeter,
    NoOpMeterProvider,
    NoOpObservableCounter,
    ObservableCounter,
    Observation,
)

Labels = tuple[tuple[str, str], ...]
"""Attributes of a series, by their names in OpenTelemetry."""

Point = tuple[str, Labels, int | float]
"""A value for a series: the metric's name, its labels, and what a counter holds or a histogram got."""

Callback = Callable[[CallbackOptions], Iterable[Observation]]


class Meters(NoOpMeterProvider):
    """Gives histograms that keep their points, and counters that are read when asked, those of some names aside."""

    def __init__(self, but: Collection[str] = ()) -> None:
        self._but = but
        self._points: list[Point] = []
        self._counters: list[tuple[str, Callback]] = []

    def get_meter(self, name: str, *_: Any, **__: Any) -> Meter:
        """A meter whose points are kept here."""
        return _Meter(name, self._points, self._counter)

    def _counter(self, name: str, callbacks: Iterable[Callback]) -> None:
        if name not in self._but:
            self._counters += [(name, callback) for callback in callbacks]

    def taken(self) -> list[Point]:
        """What histograms got since it was last asked, and what counters hold."""
        points = list(self._points)
        self._points.clear()
        options = CallbackOptions()
        for name, callback in self._counters:
            points += [(name, _labels(each.attributes), each.value) for each in callback(options)]
        return points


class _Meter(NoOpMeter):
    def __init__(self, name: str, points: list[Point], counter: Callable[[str, Iterable[Callback]], None]) -> None:
        super().__init__(name)
        self._kept, self._counter = points, counter

    def create_histogram(self, name: str, *_: Any, **__: Any) -> Histogram:
        return _Histogram(name, self._kept)

    def create_observable_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, *_: Any, **__: Any
    ) -> ObservableCounter:
        self._counter(name, callbacks or ())
        return NoOpObservableCounter(name)


class _Histogram(NoOpHistogram):
    def __init__(self, name: str, points: list[Point]) -> None:
        super().__init__(name)
        self._name, self._kept = name, points

    def record(self, amount: float, attributes: Mapping[str, Any] | None = None, *_: Any, **__: Any) -> None:
        self._kept.append((self._name, _labels(attributes), amount))


def _labels(attributes: Mapping[str, Any] | None) -> Labels:
    return tuple((name, str(value)) for name, value in (attributes or {}).items())
