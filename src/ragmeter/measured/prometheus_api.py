"""Asks a server by the query API of Prometheus, which VictoriaMetrics, Thanos, Mimir and others answer as well."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.http import NOBODY, Access, get
from ragmeter.telemetry.otel_environment import without_secrets

TIMEOUT = 120.0
"""Seconds to wait for an answer: Prometheus itself gives a query up after two minutes."""

LONGEST_REASON = 300
"""Characters of what a server says that are shown."""

REFUSALS = (400, 422, 503)
"""Statuses with which a server says in its answer why it does not answer a query."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of an answer: its labels, and its points as seconds since 1970 and value."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class PrometheusApi:
    """The server at `url`, below which `/api/v1/query` is found."""

    url: str
    access: Access = NOBODY

    @property
    def shown(self) -> str:
        """Its address without secrets."""
        return without_secrets(self.url).rstrip("/")

    def at(self, expression: str, time: float) -> tuple[Series, ...]:
        """The series that an expression has at a time, in seconds since 1970.

        A series that is selected with a length of time has all its samples of that time. `MeasuredError` when the
        server cannot be reached, does not speak Prometheus' API, or refuses the query.
        """
        return self._asked("query", {"query": expression, "time": f"{time:.3f}"})

    def between(self, expression: str, start: float, end: float, step: float) -> tuple[Series, ...]:
        """The series that an expression has at `start` and every `step` seconds later, up to `end`; errors as `at`."""
        if start == end:
            # VictoriaMetrics leaves the last half minute out of ranges with short steps.
            return self.at(expression, end)
        whole = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        return self._asked("query_range", {"query": expression, **whole})

    def _asked(self, path: str, parameters: Mapping[str, str]) -> tuple[Series, ...]:
        # Without nocache VictoriaMetrics leaves out the last half minute, and moves the times of a range.
        given = {**parameters, "nocache": "1"}
        answer = get(f"{self.url.rstrip('/')}/api/v1/{path}", seconds=TIMEOUT, parameters=given, access=self.access)
        try:
            found: Any = answer.json()
            if found["status"] == "success":
                return tuple(_series(found["data"]["result"]))
            reason = str(found["error"])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise MeasuredError(
                f"{self.shown} does not answer as Prometheus does (status {answer.status_code}); "
                "give the address below which /api/v1/query is found."
            ) from error
        raise MeasuredError(f"{self.shown} refuses a query: {reason[:LONGEST_REASON]}")


def _series(result: Sequence[Mapping[str, Any]]) -> Iterator[Series]:
    for each in result:
        points = each["values"] if "values" in each else [each["value"]]
        # VictoriaMetrics shows the mark of a series' end among its samples, as a value that is no number.
        values = ((float(time), float(value)) for time, value in points)
        yield Series(dict(each["metric"]), [(time, value) for time, value in values if math.isfinite(value)])
