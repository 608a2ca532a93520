"""A distribution that was counted in buckets: its mean, quantiles and spread. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

MOST_BEYOND = 0.01
"""Share of the values that may lie above all bounds for a spread to be told."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Upper bounds, and one count more than bounds, the last for what lies above all of them; the sum of all values."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float = 0.0

    @property
    def count(self) -> float:
        """How many values there are."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """The mean, exact; `None` when empty."""
        return self.sum / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The value below which `share` of the values lie, as Prometheus' `histogram_quantile` finds it.

        Linear inside a bucket, whose lowest begins at 0; the highest bound for what lies above it; `None` when empty.
        """
        rank = share * self.count
        if not rank:
            return None
        below, lower = 0.0, 0.0
        for upper, count in zip(self.bounds, self.counts, strict=False):
            if count and below + count >= rank:
                return lower + (upper - lower) * (rank - below) / count
            below, lower = below + count, upper
        return lower

    @property
    def deviation(self) -> float | None:
        """The standard deviation, estimated: values lie evenly in their bucket.

        `None` for less than two values, and where so many lie above all bounds that nothing tells how far they spread.

        The variance of grouped data, between the buckets' middles and within them (their width squared, by twelve). The
        buckets' mean differs from the exact one by what the middles are wrong; the result is brought to its scale.
        Values that lie closer together than a bucket is wide seem to lie as far apart as that.
        """
        if self.count < 2 or self.counts[-1] > MOST_BEYOND * self.count:
            return None
        ends = (0.0, *self.bounds, *self.bounds[-1:])
        groups = [
            ((lower + upper) / 2, upper - lower, count)
            for lower, upper, count in zip(ends, ends[1:], self.counts, strict=False)
        ]
        middle = sum(centre * count for centre, _, count in groups) / self.count
        variance = sum(((centre - middle) ** 2 + width**2 / 12) * count for centre, width, count in groups) / self.count
        scale = self.sum / self.count / middle if middle else 1.0
        return math.sqrt(variance) * scale


def of_cumulative(below: Mapping[float, float], total: float) -> Histogram | None:
    """A histogram of how many values are not above each bound, as Prometheus keeps it, and the sum of all values.

    The bound of the highest count is infinity; `None` where that is missing.
    """
    bounds = sorted(below)
    if not bounds or bounds[-1] != math.inf:
        return None
    counts, before = [], 0.0
    for bound in bounds:
        counts.append(max(0.0, below[bound] - before))
        before = max(before, below[bound])
    return Histogram(tuple(bounds[:-1]), tuple(counts), total)
