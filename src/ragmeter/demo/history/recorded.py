"""Hourly series as our recording rules would have written them, for many shops: to try queries over months."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

import numpy as np

from ragmeter.demo.history.meters import Labels
from ragmeter.demo.history.openmetrics import header, samples, texts
from ragmeter.demo.history.series import History, Numbers
from ragmeter.demo.history.shop import JOB, LABELS
from ragmeter.demo.history.traffic import HOUR, Ints
from ragmeter.naming import hourly_series, semconv
from ragmeter.naming.hourly_series import Hourly
from ragmeter.naming.prometheus_names import label_name


def recorded(
    history: History,
    file: TextIO,
    *,
    jobs: Sequence[str] = (JOB,),
    advance: Callable[[], None] = lambda: None,
) -> int:
    """Write the hourly series of a history under each of the jobs; the file is not ended.

    Each whole hour of the clock has one sample, at its end, whatever the history's steps are. `advance` is called after
    each job of each series. Gives the number of series that were written.
    """
    first, ends = whole_hours(history.times)
    stamps = [f" {time}\n" for time in ends.tolist()]
    number = 0
    for hourly in hourly_series.ALL:
        file.write(header(hourly.name, "gauge", f"Growth of {hourly.metric.name} in an hour"))
        rows = [
            (dict(labels), texts(np.add.reduceat(growth, first)[: len(ends)]))
            for labels, growth in summed(history, hourly)
        ]
        for job in jobs:
            for labels, values in rows:
                file.write(samples(hourly.name, {"job": job, **labels}, values, stamps))
            number += len(rows)
            advance()
    return number


def whole_hours(times: Ints) -> tuple[Ints, Ints]:
    """The first step of each hour that the times touch, and the ends of those hours that are over by the last time."""
    ends, first = np.unique(-(-times // HOUR) * HOUR, return_index=True)
    return first.astype(np.int64), ends[ends <= times[-1]]


def summed(history: History, hourly: Hourly) -> Sequence[tuple[Labels, Numbers]]:
    """The growth of a metric at each step by some of its labels, under their names in Prometheus."""
    by = (semconv.STRATEGY, *hourly.by, *(LABELS if hourly.has_labels else ()))
    found: dict[Labels, Numbers] = {}
    for line in history.of(hourly.metric):
        own = dict(line.labels)
        key = tuple((label_name(name), own[name]) for name in by)
        found[key] = np.add(found[key], line.growth) if key in found else line.growth
    return sorted(found.items(), key=lambda item: item[0])
