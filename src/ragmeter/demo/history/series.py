"""A history as series: what each grew by at each step, and the values that a scrape would have read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ragmeter.demo.history.accounting import Added, Labels, Posting
from ragmeter.demo.history.incidents import Incident
from ragmeter.demo.history.traffic import Floats, Ints
from ragmeter.naming.metric import Metric

Numbers = NDArray[np.int64 | np.float64]
"""Whole numbers are written as such."""


@dataclass(frozen=True, slots=True)
class Line:
    """One label set of a metric: how much it grew at each step, or its value where it is a gauge.

    For a histogram `growth` is that of the sum of its values and `buckets` how many values each bucket got: a row for
    each bucket, none of them cumulative, the last one without an upper bound.
    """

    metric: Metric
    labels: Labels
    growth: Numbers
    buckets: Ints | None = None


@dataclass(frozen=True, slots=True)
class History:
    """All lines of a history; `times` are seconds since 1970, at the end of each step.

    At the steps in `restarts` the program was started anew, so that all counters began at zero once more.
    """

    times: Ints
    lines: tuple[Line, ...]
    restarts: tuple[int, ...]
    incidents: tuple[Incident, ...]

    def of(self, metric: Metric, **labels: str) -> Iterator[Line]:
        """The lines of a metric that have these labels; dots in their names are written as underscores."""
        for line in self.lines:
            named = {name.replace(".", "_"): value for name, value in line.labels}
            if line.metric is metric and all(named.get(name) == value for name, value in labels.items()):
                yield line


@dataclass(slots=True)
class Collector:
    """Adds up postings to lines of `steps` steps."""

    steps: int
    _growth: dict[tuple[Metric, Labels], Numbers] = field(default_factory=dict)
    _buckets: dict[tuple[Metric, Labels], Ints] = field(default_factory=dict)

    def add(self, postings: Iterable[Posting], first: int, number: int) -> None:
        """Add postings whose step numbers count from step `first`; they are below `number`."""
        part = slice(first, first + number)
        for posting in postings:
            key = (posting.metric, posting.labels)
            if isinstance(posting, Added):
                self._grow(key, part, posting.at, posting.amounts)
                continue
            self._grow(key, part, posting.at, posting.values)
            bounds = np.array(posting.metric.buckets)
            rows = len(bounds) + 1
            flat = np.searchsorted(bounds, posting.values) * number + posting.at
            if key not in self._buckets:
                self._buckets[key] = np.zeros((rows, self.steps), dtype=np.int64)
            self._buckets[key][:, part] += np.bincount(flat, minlength=rows * number).reshape(rows, number)

    def lines(self) -> tuple[Line, ...]:
        """What has come together, those of a metric one after the other."""
        keys = sorted(self._growth, key=lambda key: (key[0].name, key[1]))
        return tuple(Line(*key, self._growth[key], self._buckets.get(key)) for key in keys)

    def _grow(self, key: tuple[Metric, Labels], part: slice, at: Ints, amounts: Ints | Floats) -> None:
        if key not in self._growth:
            self._growth[key] = np.zeros(self.steps, dtype=amounts.dtype)
        growth = self._growth[key][part]
        growth += np.bincount(at, weights=amounts, minlength=len(growth)).astype(amounts.dtype)


def totals(growth: Numbers, restarts: Sequence[int]) -> Numbers:
    """What a counter shows at each step (the last axis), beginning at zero where it was restarted."""
    lives = pairwise((0, *restarts, growth.shape[-1]))
    return np.concatenate([np.cumsum(growth[..., first:last], axis=-1) for first, last in lives], axis=-1)


def cumulative(buckets: Ints, restarts: Sequence[int]) -> Ints:
    """What the buckets of a histogram show at each step: each holds all values up to its bound."""
    shown: Ints = totals(np.cumsum(buckets, axis=0), restarts).astype(np.int64)
    return shown
