"""Two weeks that have passed: the demo's history in a Prometheus, with everything that our rules record of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.recording import hourly, limits, lookbacks
from ragmeter.dashboards.rule_files import rule_file
from ragmeter.dashboards.rules import Alert
from ragmeter.demo.history.generation import Period
from ragmeter.demo.history.incidents import Incident, incidents

from . import servers
from .backfill import backfill_rules
from .client import PrometheusClient
from .history import loaded, period_until_now
from .replay import STEP, Firing, replay

DAYS = 14
WARM_UP = 7_200.0
"""Seconds at the very beginning in which no window is full."""
OPTIONS = Options(budget=2_000)
"""The shop of the history spends about half of it."""


@dataclass(frozen=True)
class Past:
    """A Prometheus with a history, the time that it is about, what was planted into it, and what fired in it.

    What fired is also in the series `ALERTS`, as if Prometheus had been there; the earliest comes first.
    """

    client: PrometheusClient
    period: Period
    planted: tuple[Incident, ...]
    fired: tuple[Firing, ...]


@contextmanager
def two_weeks(folder: Path) -> Iterator[Past]:
    """The last two weeks of the made-up shop."""
    period = period_until_now(DAYS)
    data = loaded(folder, period)
    groups = (limits(OPTIONS), lookbacks(), hourly(OPTIONS))
    start, end = period.start.timestamp(), period.end.timestamp()
    backfill_rules(groups, folder=folder, data=data, start=start, end=end)
    with servers.prometheus(folder, data=data) as url:
        fired = replay_all(PrometheusClient(url), start + WARM_UP, end)
    written = folder / "alerts.om"
    written.write_text("".join(alert_samples(fired)))
    servers.load_history(written, data)
    rules = folder / "rules.yaml"
    rules.write_text(rule_file(groups, OPTIONS.runbooks))
    with servers.prometheus(folder, data=data, rules=[rules]) as url:
        yield Past(PrometheusClient(url), period, incidents(period.start, period.end), fired)


def replay_all(client: PrometheusClient, start: float, end: float) -> tuple[Firing, ...]:
    """Everything that fires between two times, the earliest first."""
    rules = [rule for group in alerts() for rule in group.rules if isinstance(rule, Alert)]
    found = [firing for rule in rules for firing in replay(client, rule, start, end)]
    return tuple(sorted(found, key=lambda firing: firing.start))


def alert_samples(fired: tuple[Firing, ...]) -> Iterator[str]:
    """The series that Prometheus writes of alerts that fire."""
    yield "# TYPE ALERTS gauge\n"
    for firing in fired:
        labels = {"alertname": firing.alert, "alertstate": "firing", **firing.labels}
        name = f"ALERTS{{{','.join(f'{label}={json.dumps(value)}' for label, value in sorted(labels.items()))}}}"
        moments = range(int(firing.start), int(firing.end) + 1, int(STEP))
        yield from (f"{name} 1 {moment}\n" for moment in moments)
    yield "# EOF\n"
