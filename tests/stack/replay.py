"""Alerts over a time that has passed: when each would have fired, by Prometheus' own evaluation of its expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ragmeter.dashboards.rules import Alert

from .client import PrometheusClient

STEP = 60.0
"""Seconds between evaluations, as in the groups of our alerts."""
MOST_POINTS = 10_000
"""Of one range query; Prometheus refuses more than 11,000."""
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True)
class Firing:
    """One alert that fired for one set of labels, from `start` to `end` in seconds since 1970."""

    alert: str
    labels: Mapping[str, str]
    start: float
    end: float


def seconds(duration: str) -> float:
    """A duration such as `5m` in seconds; nothing is none."""
    return float(duration[:-1]) * SECONDS[duration[-1]] if duration else 0.0


def pieces(start: float, end: float, step: float) -> Iterator[tuple[float, float]]:
    """The times between two, in ranges that Prometheus answers at once."""
    at = start
    while at <= end:
        until = min(end, at + step * (MOST_POINTS - 1))
        yield at, until
        at = until + step


def replay(client: PrometheusClient, alert: Alert, start: float, end: float) -> tuple[Firing, ...]:
    """When `alert` fires between `start` and `end`: as Prometheus does it, with its `for` and `keep_firing_for`."""
    moments: dict[frozenset[tuple[str, str]], list[float]] = {}
    for at, until in pieces(start, end, STEP):
        for series in client.query_range(alert.expression, at, until, STEP):
            key = frozenset((name, value) for name, value in series.labels.items() if name != "__name__")
            moments.setdefault(key, []).extend(moment for moment, _ in series.points)
    return tuple(
        Firing(alert.name, dict(key), first, last)
        for key, found in moments.items()
        for first, last in firings(found, seconds(alert.lasting), seconds(alert.keep_firing))
    )


def firings(moments: Sequence[float], lasting: float, keeping: float) -> list[tuple[float, float]]:
    """The times of firing, given the moments at which the expression has a value."""
    found: list[tuple[float, float]] = []
    pending: float | None = None
    last = float("-inf")
    for moment in moments:
        if found and moment - found[-1][1] <= max(STEP, keeping) * 1.01:
            found[-1] = (found[-1][0], moment)
            pending = None
        else:
            if pending is None or moment - last > STEP * 1.01:
                pending = moment
            if moment - pending >= lasting:
                found.append((moment, moment))
        last = moment
    return found
