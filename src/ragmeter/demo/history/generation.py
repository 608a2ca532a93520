"""From a period of time to its history: all streams of the shop, day by day, from one seed."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.random import Generator, default_rng

from ragmeter.demo.history.accounting import Added, Labels, Posting, ingestion, postings
from ragmeter.demo.history.incidents import EMPTY, LOOP, RELEASE, Incident, incidents
from ragmeter.demo.history.queries import draw
from ragmeter.demo.history.series import Collector, History, Line
from ragmeter.demo.history.shop import SEED, STREAMS
from ragmeter.demo.history.traffic import DAY, HOUR, Floats, Ints, traffic
from ragmeter.naming import semconv

EVERY = timedelta(minutes=2)

INGESTION_HOUR = 2
INGESTED_AT_NIGHT = 40
INGESTED_AGAIN = 300
"""Batches of documents that are embedded: each night what has changed, and everything before a re-index."""
INGESTED_TOKENS = 6_000
REINDEX_SECONDS = 1_200

DAILY_NOISE = 0.06
"""No day is quite like another: spread of the logarithm of its traffic."""

CLIENTS = (("openai", "2.8.1", "tested"), ("qdrant", "1.16.1", "tested"), ("langchain", "0.2.17", "untested"))
WAITING = 0.4
"""Operations that wait when metrics are read, on average."""
OVERFLOWS_A_DAY = 0.5
LABELS_OVERFLOWED_A_DAY = 1.5
LOOP_OVERFLOWS = 12


@dataclass(frozen=True, slots=True)
class Period:
    """The time that a history is about: it ends at `end` and has a sample after each step of `every`."""

    length: timedelta
    end: datetime
    every: timedelta = EVERY

    @property
    def start(self) -> datetime:
        """When the program was started."""
        return self.end - self.length

    @property
    def times(self) -> Ints:
        """Seconds since 1970 at the end of each step."""
        step, last = self.every.total_seconds(), self.end.timestamp()
        number = int(self.length / self.every)
        times: Ints = np.rint(last - step * np.arange(number - 1, -1, -1)).astype(np.int64)
        return times


def rounded_down(moment: datetime, every: timedelta) -> datetime:
    """The last moment before that is a whole number of steps after the epoch."""
    step = every.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // step * step, UTC)


def generate(period: Period, *, seed: int = SEED, advance: Callable[[], None] = lambda: None) -> History:
    """The history of a period; the same for the same period and seed. `advance` is called after each day of it."""
    times = period.times
    planted = incidents(period.start, period.end)
    collector = Collector(len(times))
    for first, number in days(times):
        part = times[first : first + number]
        collector.add(_of_day(period, part, planted, seed), first, number)
        advance()
    restarts = tuple(
        bisect.bisect_right(times.tolist(), each.start.timestamp()) for each in planted if each.name == RELEASE
    )
    return History(times, (*collector.lines(), *_gauges(times, seed)), restarts, planted)


def days(times: Ints) -> Iterator[tuple[int, int]]:
    """The steps of each day: number of the first one, and how many there are."""
    # A step belongs to the day in which it began.
    _, firsts, counts = np.unique((times - 1) // DAY, return_index=True, return_counts=True)
    yield from zip(firsts.tolist(), counts.tolist(), strict=True)


def _of_day(period: Period, times: Ints, planted: Sequence[Incident], seed: int) -> Iterator[Posting]:
    step = period.every.total_seconds()
    middles = times - int(step / 2)
    day = int(middles[0]) // DAY
    busy = float(np.exp(DAILY_NOISE * default_rng((seed, day)).standard_normal()))
    for number, stream in enumerate(STREAMS):
        found = traffic(stream, middles, planted)
        yield from postings(draw(stream, found, step * busy, default_rng((seed, day, number + 1))))
    yield from _ingested(middles, planted, step, default_rng((seed, day, len(STREAMS) + 1)))
    yield from _internals(middles, planted, step, default_rng((seed, day, len(STREAMS) + 2)))


def _ingested(middles: Ints, planted: Sequence[Incident], step: float, random: Generator) -> Iterator[Posting]:
    """Documents that are embedded, at night and before the re-index that loses some."""
    rate = np.where(middles % DAY // HOUR == INGESTION_HOUR, INGESTED_AT_NIGHT / HOUR, 0.0)
    for each in planted:
        if each.name == EMPTY:
            start = each.start.timestamp()
            rate += np.where(
                (middles >= start - REINDEX_SECONDS) & (middles < start), INGESTED_AGAIN / REINDEX_SECONDS, 0
            )
    numbers = random.poisson(rate * step)
    at: Ints = np.repeat(np.arange(len(middles)), numbers)
    tokens: Ints = np.rint(INGESTED_TOKENS * random.gamma(9.0, 1 / 9, len(at))).astype(np.int64)
    seconds: Floats = 0.6 * np.exp(0.3 * random.standard_normal(len(at)))
    yield from ingestion(at, tokens, seconds)


def _internals(middles: Ints, planted: Sequence[Incident], step: float, random: Generator) -> Iterator[Posting]:
    """The few times that ragmeter's queue or a label was full."""
    overflows = np.full(len(middles), OVERFLOWS_A_DAY / DAY)
    for each in planted:
        if each.name == LOOP:
            lasts = each.end.timestamp() - each.start.timestamp()
            inside = (middles >= each.start.timestamp()) & (middles < each.end.timestamp())
            overflows += np.where(inside, LOOP_OVERFLOWS / lasts, 0.0)
    at: Ints = np.arange(len(middles))
    yield Added(semconv.OVERFLOWED, (), at, random.poisson(overflows * step))
    full: Labels = ((semconv.LABEL, "feature"),)
    yield Added(semconv.LABELS_OVERFLOWED, full, at, random.poisson(LABELS_OVERFLOWED_A_DAY / DAY * step, len(at)))


def _gauges(times: Ints, seed: int) -> Iterator[Line]:
    """The state of ragmeter itself at each step."""
    for name, version, known in CLIENTS:
        labels = ((semconv.CLIENT, name), (semconv.CLIENT_VERSION, version), (semconv.CLIENT_RANGE, known))
        yield Line(semconv.CLIENTS, labels, np.ones(len(times), dtype=np.int64))
    yield Line(semconv.QUEUED, (), default_rng((seed, 0)).poisson(WAITING, len(times)))
