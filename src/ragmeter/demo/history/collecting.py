"""Adds up what queries are counted as, step by step, to the lines of a history. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragmeter.demo.history.meters import Labels, Point
from ragmeter.demo.history.series import Line, Numbers
from ragmeter.demo.history.traffic import Floats, Ints
from ragmeter.naming.metric import Metric
from ragmeter.naming.semconv import METRICS

BY_NAME = {metric.name: metric for metric in METRICS}

AT_ONCE = 8_192
"""Queries that are added up at once: what each adds to each series fits into a few megabytes."""

Key = tuple[Metric, Labels]


@dataclass(frozen=True, slots=True)
class Series:
    """What each of some queries adds to one series.

    Rows are the growth, and for a histogram the values in each bucket; columns are the queries. `is_whole` says that
    all of its values are whole numbers.
    """

    key: Key
    rows: Floats
    is_whole: bool


def series_of(queries: Sequence[Sequence[Point]]) -> Iterator[Series]:
    """What some queries add to each series, given the points of each of them."""
    found: dict[tuple[str, Labels], list[tuple[int, int | float]]] = {}
    for number, points in enumerate(queries):
        for name, labels, value in points:
            found.setdefault((name, labels), []).append((number, value))
    for (name, labels), values in found.items():
        yield _series((BY_NAME[name], labels), values, len(queries))


def _series(key: Key, values: Sequence[tuple[int, int | float]], number: int) -> Series:
    columns, amounts = (np.array(each) for each in zip(*values, strict=True))
    rows = [np.bincount(columns, amounts, number)]
    if key[0].buckets:
        buckets = np.searchsorted(key[0].buckets, amounts)
        rows += [np.bincount(columns, buckets == bucket, number) for bucket in range(len(key[0].buckets) + 1)]
    return Series(key, np.array(rows), all(isinstance(value, int) for _, value in values))


@dataclass(slots=True)
class Collector:
    """Adds up to lines of `steps` steps."""

    steps: int
    _rows: dict[Key, Floats] = field(default_factory=dict)
    _fractions: set[Key] = field(default_factory=set)

    def add(self, series: Sequence[Series], at: Ints, picked: Ints) -> None:
        """Add up queries, of which number `picked` came in step `at`, in the order of the steps."""
        for each in series:
            if each.key not in self._rows:
                self._rows[each.key] = np.zeros((len(each.rows), self.steps))
            if not each.is_whole:
                self._fractions.add(each.key)
        table = np.ascontiguousarray(np.concatenate([each.rows for each in series]).T)
        for first in range(0, len(at), AT_ONCE):
            steps, begins = np.unique(at[first : first + AT_ONCE], return_index=True)
            self._add(series, steps, np.add.reduceat(table[picked[first : first + AT_ONCE]], begins))

    def _add(self, series: Sequence[Series], steps: Ints, grown: Floats) -> None:
        """Add up what the rows of all series grew by in these steps."""
        row = 0
        for each in series:
            self._rows[each.key][:, steps] += grown[:, row : row + len(each.rows)].T
            row += len(each.rows)

    def lines(self) -> tuple[Line, ...]:
        """What has come together, those of a metric one after the other."""
        keys = sorted(self._rows, key=lambda key: (key[0].name, key[1]))
        return tuple(self._line(key) for key in keys)

    def _line(self, key: Key) -> Line:
        growth, *_ = rows = self._rows[key]
        own: Numbers = growth if key in self._fractions else np.rint(growth).astype(np.int64)
        return Line(*key, own, np.rint(rows[1:]).astype(np.int64) if key[0].buckets else None)
