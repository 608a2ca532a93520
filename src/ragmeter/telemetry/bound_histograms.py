"""Histograms whose attribute sets are bound: a further point of a known set costs the addition, not the set again.

`Histogram.record` copies, checks, sorts and hashes the attributes of each point: nine microseconds, of which the sum
and its bucket take half of one. OpenTelemetry has no public way to bind a set. So the first point of it goes the public
way, and what the SDK has then added it to is looked up once. Where the SDK is newer than those we have read, is laid
out otherwise, or ends its sums with a collection, every point goes the public way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.version import __version__

IS_ON, CONSUMER = "_is_enabled", "_measurement_consumer"
CONFIG, STORAGES = "_sdk_config", "_reader_storages"
"""What the SDK calls whether an instrument is on, what that gives its points to, the configuration, and what is kept
for each reader."""

STREAMS, RESETS, VIEW, NAMES = "_instrument_view_instrument_matches", "_reset_on_collect", "_view", "_attribute_keys"
"""The streams of an instrument, one for each view; whether a collection ends its sums; the attributes it keeps."""

SUMS, ATTRIBUTES = "_attributes_aggregation", "_attributes"
"""The sums of a stream, and the attributes of one."""

NEWEST_READ = (1, 45)
"""The newest minor version of the SDK whose sums we have read, and hold against its own `record` in a test. One that
lets go of sums in its own time would lose the points added to them."""

MOST_BOUND = 4_096
"""Attribute sets of one histogram that are bound at once; SDKs keep 2,000 apart."""

AttributeSet = tuple[tuple[str, str | int], ...]


@dataclass(slots=True)
class Point:
    """One value as the SDK's sums read it: its `Measurement`, without another look at the attributes."""

    value: float
    time_unix_nano: int
    instrument: object
    context: Context
    attributes: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Bound:
    """One attribute set and the SDK's sums of it, one for each reader and view."""

    instrument: object
    attributes: Mapping[str, str | int]
    is_on: Callable[[], bool]
    is_sampled: Callable[..., bool]
    sums: tuple[Any, ...]

    def record(self, value: float, context: Context) -> None:
        """Add a value, not below zero, to the sums."""
        now = time_ns()
        is_sampled = self.is_sampled(value, now, self.attributes, context)
        point = Point(value, now, self.instrument, context, self.attributes)
        for each in self.sums:
            each.aggregate(point, is_sampled)


class BoundHistogram:
    """A histogram of the app's provider, of an SDK of that version; used under the worker's lock."""

    def __init__(self, histogram: Histogram, version: str = __version__) -> None:
        self._histogram = histogram
        self._is_read = tuple(map(int, re.findall(r"\d+", version)[:2])) <= NEWEST_READ
        self._bound: dict[AttributeSet, Bound | None] = {}
        self._storages: object = None

    def record_again(self, value: float, attributes: AttributeSet, context: Context) -> bool:
        """Record a value, not below zero, whose set is bound; whether it is."""
        bound = self._bound.get(attributes)
        if bound is None or not bound.is_on() or _storages_of(self._histogram) is not self._storages:
            return False
        bound.record(value, context)
        return True

    def record(self, value: float, attributes: AttributeSet, context: Context | None) -> None:
        """Record a value the public way, and bind its set the first time where that is possible."""
        given = dict(attributes)
        self._histogram.record(value, given, context)
        storages = _storages_of(self._histogram)
        if storages is not self._storages or len(self._bound) >= MOST_BOUND:
            # A reader has come or gone.
            self._bound.clear()
            self._storages = storages
        if attributes not in self._bound:
            self._bound[attributes] = _bound(self._histogram, given) if self._is_read else None


def _storages_of(histogram: Any) -> Any:
    """What an SDK keeps for each reader, which it replaces when one comes or goes; `None` of another's histogram."""
    return getattr(getattr(histogram, CONSUMER, None), STORAGES, None)


def _bound(histogram: Any, attributes: Mapping[str, str | int]) -> Bound | None:
    """What the SDK has added a point of this set to; `None` where that does not show, or does not last."""
    try:
        consumer = getattr(histogram, CONSUMER)
        streams = [
            stream
            for storage in getattr(consumer, STORAGES).values()
            for stream in getattr(storage, STREAMS)[histogram]
        ]
        # Of delta temporality a collection ends the sums.
        sums = [None if getattr(stream, RESETS) else _sum_of(stream, attributes) for stream in streams]
        is_on, is_sampled = getattr(histogram, IS_ON), getattr(consumer, CONFIG).exemplar_filter.should_sample
    except (AttributeError, KeyError, TypeError):
        return None
    return None if None in sums else Bound(histogram, attributes, is_on, is_sampled, tuple(sums))


def _sum_of(stream: Any, attributes: Mapping[str, str | int]) -> Any:
    """The sum of a set in the stream of one view, the latest first; `None` where its points go into the overflow."""
    kept = getattr(getattr(stream, VIEW), NAMES)
    wanted = {name: value for name, value in attributes.items() if kept is None or name in kept}
    sums = reversed(getattr(stream, SUMS).values())
    return next((each for each in sums if getattr(each, ATTRIBUTES) == wanted), None)
