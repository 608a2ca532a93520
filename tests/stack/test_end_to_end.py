"""From a call to a message: a metered app, Prometheus with our rules and a past, Alertmanager, and a webhook."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.options import RUNBOOKS, Options
from ragmeter.dashboards.recording import COST_RATE_1H, COST_USUAL_1H, limits, lookbacks
from ragmeter.dashboards.rule_files import rule_file
from ragmeter.dashboards.rules import Alert, Group
from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import metric_name

from . import dear_app, servers
from .backfill import backfill_rules
from .client import PrometheusClient
from .servers import free_port
from .subprocesses import environment

COST = metric_name(semconv.COST)
APP_FOLDER = Path(__file__).parents[dear_app.__name__.count(".")]
DAYS = 8
USUAL = {"rag": 5.0, "base": 1000.0}
"""US dollars an hour in the days before. The others have no past: for them nothing can be called a spike."""
SPIKE = "RagmeterCostSpike"
AT_ONCE = "1s"
ALERT_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Stack:
    """What runs: a client of Prometheus, and the alerts that the webhook got so far."""

    prometheus: PrometheusClient
    told: list[dict[str, Any]]


def sped_up(group: Group) -> Group:
    """A group as it is shipped, only evaluated each second and without waiting before an alert."""
    rules = tuple(
        dataclasses.replace(rule, lasting=AT_ONCE) if isinstance(rule, Alert) else rule for rule in group.rules
    )
    return dataclasses.replace(group, interval=AT_ONCE, rules=rules)


def write_past(path: Path, start: int, end: int) -> Path:
    """The counter of money in the days before, each strategy at its usual pace, as OpenMetrics."""
    lines = [f"# TYPE {COST.removesuffix('_total')} counter"]
    for strategy, dollars in USUAL.items():
        labels = f'job="ragmeter",instance="before",ragmeter_strategy="{strategy}"'
        lines += [f"{COST}{{{labels}}} {dollars * (at - start) / 3600} {at}" for at in range(start, end, 120)]
    path.write_text("\n".join([*lines, "# EOF\n"]))
    return path


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a receiver on loopback, and the alerts that were posted to it."""
    told: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def spending_app(client: PrometheusClient, port: int) -> Iterator[None]:
    """The app, scraped on ``port``, from when Prometheus has seen it spend."""
    process = subprocess.Popen(
        [sys.executable, "-m", dear_app.__name__],
        cwd=APP_FOLDER,
        env=environment(RAGMETER_PROMETHEUS_PORT=str(port)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        for run in (1, 2):
            process.stdin.write("spend\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
            spent = 0.99 * run * dear_app.cost_of_a_run("rag")
            query = f'sum({COST}{{instance!="before",ragmeter_strategy="rag"}})'
            client.wait_for(
                lambda known, query=query, least=spent: any(each.value > least for each in known.query(query)),
                what=f"a scrape after run {run}",
            )
        yield
        process.stdin.close()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def stack(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole chain, while an app spends far more than in the days before."""
    folder = tmp_path_factory.mktemp("end-to-end")
    data = folder / "data"
    end = int(time.time())
    start = end - DAYS * 86_400
    servers.load_history(write_past(folder / "past.om", start, end), data)
    backfill_rules([lookbacks()], folder=folder, data=data, start=start, end=end)
    groups = (limits(Options()), lookbacks(), *alerts())
    rules = folder / "rules.yaml"
    rules.write_text(rule_file([sped_up(group) for group in groups], RUNBOOKS))
    port = free_port()
    with (
        webhook() as (webhook_url, told),
        servers.alertmanager(folder, webhook_url) as alertmanager,
        servers.prometheus(
            folder, targets=[f"127.0.0.1:{port}"], rules=[rules], alertmanager=alertmanager, data=data
        ) as url,
    ):
        client = PrometheusClient(url)
        with spending_app(client, port):
            yield Stack(client, told)


def test_a_spike_reaches_the_webhook_with_strategy_and_runbook(stack: Stack) -> None:
    """Whoever is on call is told which strategy of which service spends too much, and where it says what to do."""
    stack.prometheus.wait_for(lambda _: bool(spikes(stack.told)), what="a message", seconds=ALERT_SECONDS)
    (spike,) = spikes(stack.told)
    assert spike["status"] == "firing"
    assert spike["labels"] == {"alertname": SPIKE, "job": "ragmeter", "ragmeter_strategy": "rag", "severity": "page"}
    assert spike["annotations"]["runbook_url"] == f"{RUNBOOKS}#cost-spike"
    assert "rag" in spike["annotations"]["summary"]


def test_spending_as_usual_and_spending_without_a_past_is_no_spike(stack: Stack) -> None:
    """Strategies that always cost as much, and those that nobody knows yet, spend above the floor and alert nobody."""
    stack.prometheus.wait_for(lambda _: bool(spikes(stack.told)), what="a message", seconds=ALERT_SECONDS)
    dollars = stack.prometheus.by_label(f"3600 * {COST_RATE_1H}", "ragmeter_strategy")
    assert {strategy for strategy, amount in dollars.items() if amount > 1} >= {"base", "rag", "fine_tuned_rag"}
    usual = stack.prometheus.by_label(f"3600 * {COST_USUAL_1H}", "ragmeter_strategy")
    assert usual == pytest.approx(USUAL, rel=0.05)
    pending = stack.prometheus.by_label(f'ALERTS{{alertname="{SPIKE}"}}', "ragmeter_strategy")
    assert set(pending) == {"rag"}


def spikes(told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages about a spike."""
    return [alert for alert in told if alert["labels"]["alertname"] == SPIKE]
