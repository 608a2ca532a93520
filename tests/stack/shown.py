"""What a panel shows at a moment: the answers to its queries as Grafana asks them, with its own range and steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.shipped import ShippedQuery, dashboards, panels

from .client import PrometheusClient, Sample
from .replay import seconds
from .young_app import SCRAPE

STEPS = {"6h": 30, "24h": 120, "7d": 600, "30d": 3600}
"""Seconds between two points of a graph of that range, on a screen of usual width."""


@dataclass(frozen=True)
class Shown:
    """One panel: the values of each query by its reference, those of graphs at all their points.

    `texts` are written in the place of a value of these queries.
    """

    dashboard: str
    title: str
    values: Mapping[str, tuple[Sample, ...]]
    instead: str
    texts: Mapping[str, str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there to be seen but the text `instead`."""
        return not any(self.values.values())

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.title}"

    def of(self, reference: str, **labels: str) -> tuple[float, ...]:
        """The values of a query with these labels; of a graph all points of one series after the other."""
        return tuple(
            sample.value
            for sample in self.values[reference]
            if all(sample.labels.get(label) == value for label, value in labels.items())
        )

    def figure(self, reference: str = "A") -> float:
        """The only value of a query."""
        (sample,) = self.values[reference]
        return sample.value


def shown(client: PrometheusClient, at: float) -> Iterator[Shown]:
    """Every panel of every dashboard, with the range that it opens with ending `at` seconds since 1970."""
    for name, dashboard in dashboards().items():
        opens_with = dashboard["time"]["from"].removeprefix("now-")
        for panel in panels(dashboard):
            window = panel.get("timeFrom") or opens_with
            values = {target["refId"]: _values(client, target, window, at) for target in panel["targets"]}
            instead = panel["fieldConfig"]["defaults"].get("noValue", "")
            yield Shown(name.removeprefix("ragmeter-"), panel["title"], values, instead, _texts(panel))


def _texts(panel: Mapping[str, Any]) -> dict[str, str]:
    return {
        override["matcher"]["options"]: each["value"][0]["options"]["result"]["text"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if override["matcher"]["id"] == "byFrameRefID" and each["id"] == "mappings"
    }


def _values(client: PrometheusClient, target: Mapping[str, Any], window: str, at: float) -> tuple[Sample, ...]:
    step = int(seconds(target["interval"])) if target.get("interval") else STEPS[window]
    rate = max(step + SCRAPE, 4 * SCRAPE)
    query = ShippedQuery("", "", target["expr"], instant=bool(target.get("instant")))
    expression = query.filled(rate=f"{rate}s", window=window)
    if query.instant:
        answer = client.ask(expression, at=at)
        assert answer.notices == (), (expression, answer.notices)
        return tuple(sample for sample in answer.samples if not math.isnan(sample.value))
    end = at // step * step
    found = client.query_range(expression, end - seconds(window) // step * step, end, step)
    return tuple(
        Sample(series.labels, value) for series in found for _, value in series.points if not math.isnan(value)
    )
