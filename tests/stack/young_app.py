"""An app that has just begun, in a Prometheus that has had our rules for long: every minute of its first hour or so.

The series are those of the real app: each counter grows by what the app counts in one run, every fifteen seconds.
Times are made up, so that no test waits for an hour.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from ragmeter.dashboards.options import Options
from ragmeter.dashboards.recording import hourly, limits, lookbacks
from ragmeter.demo.history.openmetrics import END, samples

from . import servers
from .backfill import backfill_rules
from .client import PrometheusClient
from .test_application import served_app

SCRAPE = 15
"""Seconds between two samples: Grafana's own guess."""
LENGTH = 70 * 60
"""Seconds that the app has been there at the end."""
BEFORE = 30 * 60
"""Seconds that the rules have been there when the app begins."""
OPTIONS = Options(budget=2_000_000)
GAUGES = ("ragmeter_queue_operations", "ragmeter_clients", "target_info")


@dataclass(frozen=True)
class Clock:
    """When the app begins, in seconds since 1970, and how many minutes later the first hour of it is recorded.

    Its first sample is one of zeros, or (`from_zero` is false) of what it had counted by then.
    """

    start: int
    hour_recorded: int
    from_zero: bool = True


@dataclass(frozen=True)
class Young:
    """A Prometheus with an app's first hour, and what the app counts in each `SCRAPE`."""

    client: PrometheusClient
    clock: Clock
    run: tuple[Sample, ...]

    def counted(self, name: str, **labels: str) -> float:
        """What one run adds to a metric, over all series that have these labels."""
        chosen = (sample for sample in self.run if sample.name == name)
        return sum(s.value for s in chosen if all(s.labels.get(label) == value for label, value in labels.items()))


def one_run() -> tuple[Sample, ...]:
    """Everything that the app's page shows of us after all its queries were asked once."""
    port = servers.free_port()
    with served_app(port), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    ours = ("ragmeter_", "gen_ai_", "db_client_", "target_info")
    return tuple(sample for family in families for sample in family.samples if sample.name.startswith(ours))


def unlabelled(run: tuple[Sample, ...], labels: Collection[str]) -> tuple[Sample, ...]:
    """The same without some labels: what an app counts that has not declared them."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for sample in run:
        kept = frozenset((label, value) for label, value in sample.labels.items() if label not in labels)
        value = sample.value
        key = (sample.name, kept)
        found[key] = value if sample.name in GAUGES else found.get(key, 0.0) + value
    return tuple(Sample(name, dict(kept), value) for (name, kept), value in found.items())


@contextmanager
def young_app(folder: Path, run: tuple[Sample, ...], clock: Clock) -> Iterator[Young]:
    """The app's first hour by a clock."""
    data, written = folder / "data", folder / "young.om"
    times = range(clock.start, clock.start + LENGTH + 1, SCRAPE)
    stamps = [f" {time}\n" for time in times]
    first = 0 if clock.from_zero else 1
    with written.open("w") as file:
        for name in dict.fromkeys(sample.name for sample in run):
            for sample in (each for each in run if each.name == name):
                steps = [1.0] * len(stamps) if name in GAUGES else [float(first + at) for at in range(len(stamps))]
                values = (f"{sample.value * step:.12g}" for step in steps)
                file.write(samples(name, {"job": "app", "instance": "app:1", **sample.labels}, values, stamps))
        file.write(END)
    servers.load_history(written, data)
    start, end = float(clock.start), float(clock.start + LENGTH)
    backfill_rules((limits(OPTIONS), lookbacks()), folder=folder, data=data, start=start - BEFORE, end=end)
    recorded = start + 60.0 * clock.hour_recorded
    backfill_rules((hourly(OPTIONS),), folder=folder, data=data, start=recorded, end=end)
    with servers.prometheus(folder, data=data) as url:
        yield Young(PrometheusClient(url), clock, run)
