"""A history as series: what each grew by at each step, and the values that a scrape would have read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ragmeter.demo.history.incidents import Incident
from ragmeter.demo.history.meters import Labels
from ragmeter.demo.history.traffic import Ints
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


def totals(growth: Numbers, restarts: Sequence[int]) -> Numbers:
    """What a counter shows at each step (the last axis), beginning at zero where it was restarted."""
    lives = pairwise((0, *restarts, growth.shape[-1]))
    return np.concatenate([np.cumsum(growth[..., first:last], axis=-1) for first, last in lives], axis=-1)


def cumulative(buckets: Ints, restarts: Sequence[int]) -> Ints:
    """What the buckets of a histogram show at each step: each holds all values up to its bound."""
    shown: Ints = totals(np.cumsum(buckets, axis=0), restarts).astype(np.int64)
    return shown
