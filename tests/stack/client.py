"""A small typed client of Prometheus' HTTP API: instant queries, names of metrics, waiting for an answer."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

COST_PER_1000_QUERIES = (
    "sum by (ragmeter_strategy) (ragmeter_cost_usd_total) / sum by (ragmeter_strategy) (ragmeter_queries_total) * 1000"
)
"""US dollars per 1,000 queries by strategy: the query that the project publishes."""


@dataclass(frozen=True)
class Sample:
    """One series of an instant query: its labels and its value."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Series:
    """One series of a range query: its labels, and its points as seconds since 1970 and value."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Answer:
    """The samples of an instant query, and Prometheus' warnings and remarks about it."""

    samples: tuple[Sample, ...]
    notices: tuple[str, ...] = ()


class QueryError(RuntimeError):
    """Prometheus refused a query; the message is its own."""


@dataclass(frozen=True)
class PrometheusClient:
    """Asks the Prometheus at ``url`` (such as http://127.0.0.1:9090)."""

    url: str

    def query(self, expression: str, *, at: float | None = None) -> tuple[Sample, ...]:
        """The samples that a PromQL expression has at a time, now unless given; QueryError when it is refused."""
        return self.ask(expression, at=at).samples

    def ask(self, expression: str, *, at: float | None = None) -> Answer:
        """The samples of a PromQL expression at a time, and what Prometheus remarks about it."""
        answer = self._get("query", query=expression, time=f"{time.time() if at is None else at}")
        samples = tuple(Sample(row["metric"], float(row["value"][1])) for row in answer["data"]["result"])
        return Answer(samples, (*answer.get("warnings", ()), *answer.get("infos", ())))

    def query_range(self, expression: str, start: float, end: float, step: float) -> tuple[Series, ...]:
        """The series of a PromQL expression between two times, one point every `step` seconds."""
        answer = self._get("query_range", query=expression, start=f"{start}", end=f"{end}", step=f"{step}")
        return tuple(
            Series(row["metric"], tuple((float(at), float(value)) for at, value in row["values"]))
            for row in answer["data"]["result"]
        )

    def samples_read(self, expression: str, start: float, end: float, step: float) -> int:
        """How many samples Prometheus takes into account for an expression between two times, asked every `step` s.

        One that several steps share counts for each of them: it is a measure of the work, the same on any machine.
        """
        whole = {"start": f"{start}", "end": f"{end}", "step": f"{step}"}
        answer = self._get("query_range", query=expression, stats="all", **whole)
        return int(answer["data"]["stats"]["samples"]["totalQueryableSamples"])

    def by_label(self, expression: str, label: str) -> dict[str, float]:
        """The values of an expression by one label ("" where missing), which must tell its series apart."""
        samples = self.query(expression)
        values = {sample.labels.get(label, ""): sample.value for sample in samples}
        if len(values) != len(samples):
            raise QueryError(f"several series of {expression!r} have the same {label!r}")
        return values

    def metric_names(self) -> frozenset[str]:
        """The names of all stored series."""
        return frozenset(self._get("label/__name__/values")["data"])

    def wait_for(self, holds: Callable[[PrometheusClient], bool], *, what: str, seconds: float = 30.0) -> None:
        """Return when ``holds`` is true of this client; raise TimeoutError naming ``what`` if it never is."""
        deadline = time.monotonic() + seconds
        while not holds(self):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not come about within {seconds:g} s; {self.url} has {self._counts()}")
            time.sleep(0.1)

    def _counts(self) -> dict[str, float]:
        return self.by_label('count by (__name__) ({__name__=~"ragmeter_.*"})', "__name__")

    def _get(self, path: str, **parameters: str) -> Any:
        request = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise QueryError(f"{parameters.get('query', path)}: {error.read().decode()}") from error
