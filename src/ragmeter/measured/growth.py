"""How much the counters on a server have grown in a time, to the last count: by the samples, without extrapolation.

`increase()` is an estimate: Prometheus stretches what it has seen to the ends of the window, and VictoriaMetrics counts
a whole counter again after a gap. Here a series that never fell has grown by its largest value less its smallest, which
the server works out by itself. A series that fell (its process restarted) is looked at window by window; samples are
fetched only of windows in which it fell. The first value of a series is no growth: those of ragmeter begin with a zero.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ragmeter.measured.prometheus_api import PrometheusApi, Series
from ragmeter.measured.samples import Labels, Row, series_names
from ragmeter.measured.times import TimeRange
from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import label_name

MOST_WINDOWS = 200
LEAST_WINDOW = 300.0
"""Seconds: Prometheus takes a series for ended after so long without a sample."""


@dataclass(frozen=True, slots=True)
class Windows:
    """A time cut into `number` windows of `step` seconds, the last of which ends at `end` (seconds since 1970)."""

    end: float
    step: float
    number: int

    @property
    def ends(self) -> tuple[float, ...]:
        """Where each window ends."""
        return tuple(self.end - self.step * left for left in reversed(range(self.number)))

    @property
    def length(self) -> str:
        """The length of a window in PromQL."""
        return promql_length(self.step)

    def at(self, time: float) -> int:
        """Which window ends at a time that a server has answered for."""
        return self.number - 1 - round((self.end - time) / self.step)


def windows(span: TimeRange) -> Windows:
    """The windows of a time: of five minutes and more, unless it is shorter itself; of whole milliseconds."""
    seconds = span.length.total_seconds()
    number = max(1, min(MOST_WINDOWS, int(seconds // LEAST_WINDOW)))
    return Windows(span.end.timestamp(), math.ceil(seconds / number * 1000) / 1000, number)


def promql_length(seconds: float) -> str:
    """A length of time in PromQL, to the millisecond."""
    return f"{max(1, round(seconds * 1000))}ms"


@dataclass(frozen=True, slots=True)
class Source:
    """Which series of a server are read: those that `matchers`, such as `job="shop"`, let through."""

    api: PrometheusApi
    span: TimeRange
    matchers: str = ""

    @property
    def end(self) -> float:
        """The end of the time, in seconds since 1970."""
        return self.span.end.timestamp()

    @property
    def whole(self) -> str:
        """The length of the time in PromQL."""
        return promql_length(self.span.length.total_seconds())

    def selector(self, name: str) -> str:
        """The series of a name."""
        return f"{name}{{{self.matchers}}}"


def grown(source: Source, metric: Metric) -> Iterator[Row]:
    """The growth of a metric by its own labels, over all instances and labels of the app.

    There may be several rows of the same labels, which are to be added up.
    """
    for name in series_names(metric):
        labels = tuple(label_name(label) for label in metric.labels) + (("le",) if name.endswith("_bucket") else ())
        series = source.selector(name)
        fell = f"resets({series}[{source.whole}]) > 0"
        steady = f"(max_over_time({series}[{source.whole}]) - min_over_time({series}[{source.whole}])) unless ({fell})"
        for each in source.api.at(f"sum by ({', '.join(labels)}) ({steady})", source.end):
            yield name, each.labels, each.points[0][1]
        if source.api.at(f"count({fell})", source.end):
            for found, amount in _of_restarted(source, name).items():
                yield name, {key: value for key, value in found if key in labels}, amount


def _of_restarted(source: Source, name: str) -> Mapping[Labels, float]:
    """The growth of each series that fell at least once in the time."""
    chosen = f" and (resets({source.selector(name)}[{source.whole}] @ {source.end:.3f}) > 0)"
    growth: dict[Labels, float] = defaultdict(float)
    for found in by_window(source, name, windows(source.span), {}, chosen).values():
        for labels, amount in found.items():
            growth[labels] += amount
    return growth


def by_window(
    source: Source, name: str, cut: Windows, before: dict[Labels, float], chosen: str = ""
) -> Mapping[int, Mapping[Labels, float]]:
    """How much each series of a name grew in each window, by the window's number; `chosen` leaves out some of them.

    `before` is the last value of each series before the first window, and afterwards that in the last one. What grew
    between two windows is growth of the later one, so that those of all windows are the growth of the whole time.
    """
    series = source.selector(name)
    lasts, leasts, resets = (
        _by_window(source, cut, f"{function}({series}[{cut.length}]){chosen}")
        for function in ("last_over_time", "min_over_time", "resets")
    )
    growth: dict[int, dict[Labels, float]] = defaultdict(dict)
    raw: dict[int, Mapping[Labels, Sequence[float]]] = {}
    for labels, found in lasts.items():
        for number, value in found.items():
            values: Sequence[float] = (leasts[labels][number], value)
            if resets[labels][number]:
                if number not in raw:
                    raw[number] = _samples(source, series, cut, number)
                values = raw[number].get(labels, ())
            growth[number][labels] = walked(values, before.get(labels))
            before[labels] = value
    return growth


def last_before(source: Source, name: str, time: datetime, back: timedelta) -> dict[Labels, float]:
    """The last value of each series of a name in the time of length `back` before a moment."""
    expression = f"last_over_time({source.selector(name)}[{promql_length(back.total_seconds())}])"
    return {_labels(each): each.points[0][1] for each in source.api.at(expression, time.timestamp())}


def walked(values: Sequence[float], before: float | None) -> float:
    """How much a counter grew over its values, from the one `before` them; one that fell began anew at zero."""
    growth = 0.0
    for value in values:
        growth += 0.0 if before is None else value - before if value >= before else value
        before = value
    return growth


def _by_window(source: Source, cut: Windows, expression: str) -> Mapping[Labels, Mapping[int, float]]:
    """The value of each series in each window that has one, by the number of the window."""
    found: dict[Labels, dict[int, float]] = defaultdict(dict)
    for each in source.api.between(expression, cut.ends[0], cut.end, cut.step):
        found[_labels(each)] |= {cut.at(time): value for time, value in each.points}
    return found


def _samples(source: Source, series: str, cut: Windows, number: int) -> Mapping[Labels, Sequence[float]]:
    """The values of all samples in a window."""
    found = source.api.at(f"{series}[{cut.length}]", cut.ends[number])
    return {_labels(each): [value for _, value in each.points] for each in found}


def _labels(series: Series) -> Labels:
    return frozenset((name, value) for name, value in series.labels.items() if name != "__name__")
