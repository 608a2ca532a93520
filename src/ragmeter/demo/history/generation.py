"""From a period of time to its history: all streams of the shop, from one seed."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
from numpy.random import Generator, default_rng

from ragmeter.demo.history.accounting import Books
from ragmeter.demo.history.calls import Call, calls_of, embedding
from ragmeter.demo.history.cases import cases
from ragmeter.demo.history.collecting import Collector, series_of
from ragmeter.demo.history.incidents import EMPTY, LOOP, RELEASE, Incident, incidents
from ragmeter.demo.history.series import History, Line
from ragmeter.demo.history.shop import SEED, STREAMS
from ragmeter.demo.history.traffic import DAY, HOUR, Floats, Ints, traffic
from ragmeter.domain.query import Ending
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric

EVERY = timedelta(minutes=2)

MOST_DRAWN = 250
TIMES = 8
"""Queries of one kind that are drawn and accounted for, at most, and how often each of them comes, at least.

A query is accounted for in a millisecond: all of two weeks, nearly a million, would take a quarter of an hour.
"""

INGESTION_HOUR = 2
INGESTED_AT_NIGHT = 600
INGESTED_AGAIN = 300
"""Batches of documents that are embedded: each night all products, whose prices change, and a collection anew before
its re-index."""
INGESTED_TOKENS = 26_000
DOCUMENTS = 100
"""Texts in a batch."""
REINDEX_SECONDS = 1_200

DAILY_NOISE = 0.06
"""No day is quite like another: spread of the logarithm of its traffic."""

CLIENTS = (("openai", "2.8.1", "tested"), ("qdrant", "1.16.1", "tested"), ("langchain", "0.2.17", "untested"))
WAITING = 0.4
"""Operations that wait when metrics are read, on average."""
OVERFLOWS_A_DAY = 0.5
LABELS_OVERFLOWED_A_DAY = 1.5
FULL_LABEL = "feature"
LOOP_OVERFLOWS = 12

BUSY, DRAWN, INTERNAL = range(3)
"""What is drawn by itself, beside the seed."""


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
    def step(self) -> float:
        """Seconds of a step."""
        return self.every.total_seconds()

    @property
    def times(self) -> Ints:
        """Seconds since 1970 at the end of each step."""
        number = int(self.length / self.every)
        times: Ints = np.rint(self.end.timestamp() - self.step * np.arange(number - 1, -1, -1)).astype(np.int64)
        return times

    @property
    def middles(self) -> Ints:
        """Seconds since 1970 in the middle of each step."""
        return self.times - int(self.step / 2)


@dataclass(frozen=True, slots=True)
class Flow:
    """Queries of one kind, or calls for none: how many are to be expected at each step, and how some are drawn."""

    expected: Floats
    labels: Mapping[str, str]
    ending: Ending
    draw: Callable[[int, Generator], Sequence[Sequence[Call]]]


def rounded_down(moment: datetime, every: timedelta) -> datetime:
    """The last moment before that is a whole number of steps after the epoch."""
    step = every.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // step * step, UTC)


def generate(period: Period, *, seed: int = SEED, advance: Callable[[], None] = lambda: None) -> History:
    """The history of a period; the same for the same period and seed. `advance` is called after each of its `flows`."""
    times, planted = period.times, incidents(period.start, period.end)
    books, collector = Books(), Collector(len(times))
    for number, flow in enumerate(flows(period, seed)):
        _count(flow, books, collector, default_rng((seed, DRAWN, number)))
        advance()
    restarts = tuple(
        bisect.bisect_right(times.tolist(), each.start.timestamp()) for each in planted if each.name == RELEASE
    )
    lines = (*collector.lines(), *_internals(period, planted, default_rng((seed, INTERNAL))))
    return History(times, lines, restarts, planted)


def flows(period: Period, seed: int = SEED) -> Iterator[Flow]:
    """Everything that comes in a period."""
    middles, planted = period.middles, incidents(period.start, period.end)
    hours = period.step / HOUR * _busy(middles, seed)
    for stream in STREAMS:
        for case, queries in cases(stream, traffic(stream, middles, planted)):
            yield Flow(queries * hours, stream.labels, Ending.SCOPE, partial(calls_of, case))
    ingested = _ingested(middles, planted) * period.step
    if ingested.any():
        yield Flow(ingested, {}, Ending.OPERATION, _documents)


def _count(flow: Flow, books: Books, collector: Collector, random: Generator) -> None:
    """Draw some queries, account for each of them, and let some of them come at each step."""
    most = min(MOST_DRAWN, int(np.ceil(flow.expected.sum() / TIMES)))
    counted = [books.points_of(calls, flow.labels, flow.ending) for calls in flow.draw(most, random)]
    numbers = random.poisson(flow.expected)
    at: Ints = np.repeat(np.arange(len(numbers)), numbers)
    collector.add(list(series_of(counted)), at, random.integers(most, size=len(at)))


def _busy(middles: Ints, seed: int) -> Floats:
    """How busy the day of each step is."""
    days, day_of = np.unique(middles // DAY, return_inverse=True)
    noise = [default_rng((seed, BUSY, day)).standard_normal() for day in days.tolist()]
    busy: Floats = np.exp(DAILY_NOISE * np.array(noise))[day_of]
    return busy


def _ingested(middles: Ints, planted: Sequence[Incident]) -> Floats:
    """Batches of documents that are embedded in a second: at night, and before the re-index that loses some."""
    rate = np.where(middles % DAY // HOUR == INGESTION_HOUR, INGESTED_AT_NIGHT / HOUR, 0.0)
    for each in planted:
        if each.name == EMPTY:
            start = each.start.timestamp()
            before = (middles >= start - REINDEX_SECONDS) & (middles < start)
            rate += np.where(before, INGESTED_AGAIN / REINDEX_SECONDS, 0)
    return rate


def _documents(number: int, random: Generator) -> list[tuple[Call, ...]]:
    tokens = np.rint(INGESTED_TOKENS * random.gamma(9.0, 1 / 9, number)).astype(np.int64)
    seconds = 0.6 * np.exp(0.3 * random.standard_normal(number))
    return [(embedding(*each, texts=DOCUMENTS),) for each in zip(tokens.tolist(), seconds.tolist(), strict=True)]


def _internals(period: Period, planted: Sequence[Incident], random: Generator) -> Iterator[Line]:
    """The state of ragmeter itself at each step, and the few times that its queue or a label was full."""
    middles = period.middles
    overflows = np.full(len(middles), OVERFLOWS_A_DAY / DAY)
    for each in planted:
        if each.name == LOOP:
            lasts = each.end.timestamp() - each.start.timestamp()
            inside = (middles >= each.start.timestamp()) & (middles < each.end.timestamp())
            overflows += np.where(inside, LOOP_OVERFLOWS / lasts, 0.0)
    yield _own(semconv.OVERFLOWED, random.poisson(overflows * period.step))
    full = LABELS_OVERFLOWED_A_DAY / DAY * period.step
    yield _own(semconv.LABELS_OVERFLOWED, random.poisson(full, len(middles)), FULL_LABEL)
    for client in CLIENTS:
        yield _own(semconv.CLIENTS, np.ones(len(middles), dtype=np.int64), *client)
    yield _own(semconv.QUEUED, random.poisson(WAITING, len(middles)))


def _own(metric: Metric, values: Ints, *labels: str) -> Line:
    return Line(metric, tuple(zip(metric.labels, labels, strict=True)), values)
