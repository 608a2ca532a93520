"""The instruments of one meter provider: made once, also when the app instruments, uninstruments and instruments again.

The SDK keeps an instrument as long as its provider lives. A second set beside the first would report the same series
twice; counters go on from where they were instead.
"""

from __future__ import annotations

import weakref

from opentelemetry.metrics import Histogram, MeterProvider

from ragmeter.naming.metric import Metric
from ragmeter.naming.semconv import SCOPE
from ragmeter.telemetry.series_room import Room, exports_differences, most_series
from ragmeter.telemetry.totals import Totals
from ragmeter.telemetry.zero_first import begin_with_zero
from ragmeter.version import VERSION


class Instruments:
    """Totals and histograms on a provider's meter; `room` counts the series of both."""

    def __init__(self, provider: MeterProvider) -> None:
        self._provider = weakref.ref(provider)
        self._meter = provider.get_meter(SCOPE, VERSION)
        self._histograms: dict[str, Histogram] = {}
        self.room = Room()
        begin_with_zero(provider)
        self.totals = Totals(
            self._meter,
            self.room,
            lambda instrument: most_series(self._provider(), instrument),
            differs=exports_differences(provider),
        )

    def histogram(self, metric: Metric) -> Histogram:
        """The histogram of `metric`, with its buckets as advice to the SDK."""
        if metric.name not in self._histograms:
            histogram = self._meter.create_histogram(
                metric.name,
                unit=metric.unit,
                description=metric.description,
                explicit_bucket_boundaries_advisory=list(metric.buckets),
            )
            self.room.open(metric.name, most_series(self._provider(), histogram))
            self._histograms[metric.name] = histogram
        return self._histograms[metric.name]


_of_provider: weakref.WeakKeyDictionary[MeterProvider, Instruments] = weakref.WeakKeyDictionary()


def instruments_of(provider: MeterProvider) -> Instruments:
    """The one set of instruments of `provider`."""
    if provider not in _of_provider:
        _of_provider[provider] = Instruments(provider)
    return _of_provider[provider]
