"""How much is asked at each time, and what goes wrong then: rates and shares over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragmeter.demo.history.incidents import EMPTY, LOOP, OUTAGE, RELEASE, SLOW, Incident
from ragmeter.demo.history.shop import RELEASE_FACTOR, Stream

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HOUR = 3_600
DAY = 24 * HOUR

QUIETEST_HOUR = 3
NIGHT = 0.15
"""Traffic at the quietest hour, as a share of the peak twelve hours later."""
WEEKEND = 0.6
FIRST_WEEKDAY = 3
"""The epoch was a Thursday; Monday is 0."""

EMPTY_SHARE = 0.03
FAILED_SHARE = 0.0003
"""Of searches, on a good day."""

LOOP_FACTOR = 8.0
OUTAGE_SHARE = 0.85
LOST_SHARE = 0.6
SLOW_INDEX_SHARE = 0.15
"""One in seven is enough to move the 95th percentile far: a slow segment is not asked by every search."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """One stream at each step: queries an hour, chunks sent, shares of its searches that fail, are empty, are slow."""

    queries: Floats
    sent: Ints
    failing: Floats
    empty: Floats
    slow: Floats


def rhythm(times: Ints) -> Floats:
    """Traffic as a share of a working day's peak, by hour and weekday in UTC; `times` are seconds since 1970."""
    hours = (times % DAY) / HOUR - QUIETEST_HOUR
    daily = NIGHT + (1 - NIGHT) * (1 - np.cos(2 * np.pi * hours / 24)) / 2
    weekday = (times // DAY + FIRST_WEEKDAY) % 7
    return daily * np.where(weekday >= 5, WEEKEND, 1.0)


def traffic(stream: Stream, times: Ints, planted: Sequence[Incident]) -> Traffic:
    """What comes in by one stream; `times` are the middles of the steps."""
    collection = stream.collection
    usually_failing = FAILED_SHARE if collection is not None and collection.remote else 0.0
    usually_empty = 0.0 if collection is None else EMPTY_SHARE
    outage = _during(stream, times, planted, OUTAGE)
    lost = _during(stream, times, planted, EMPTY)
    return Traffic(
        queries=stream.peak * rhythm(times) * np.where(_during(stream, times, planted, LOOP), LOOP_FACTOR, 1.0),
        sent=np.where(_since(stream, times, planted, RELEASE), RELEASE_FACTOR * stream.sent, stream.sent),
        failing=np.where(outage, OUTAGE_SHARE, usually_failing),
        empty=np.where(lost, LOST_SHARE, usually_empty),
        slow=np.where(_during(stream, times, planted, SLOW), SLOW_INDEX_SHARE, 0.0),
    )


def _hits(stream: Stream, incident: Incident) -> bool:
    """Whether an incident touches a stream: its strategy, and its collection where retrieval is to blame."""
    has_collection = stream.collection is not None and stream.collection.name == incident.collection
    return stream.strategy == incident.strategy and (has_collection or not incident.collection)


def _during(stream: Stream, times: Ints, planted: Sequence[Incident], name: str) -> Bools:
    found = np.zeros(len(times), dtype=np.bool_)
    for each in planted:
        if each.name == name and _hits(stream, each):
            found |= (times >= each.start.timestamp()) & (times < each.end.timestamp())
    return found


def _since(stream: Stream, times: Ints, planted: Sequence[Incident], name: str) -> Bools:
    found = np.zeros(len(times), dtype=np.bool_)
    for each in planted:
        if each.name == name and _hits(stream, each):
            found |= times >= each.start.timestamp()
    return found
