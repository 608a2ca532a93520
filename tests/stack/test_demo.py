"""``ragmeter demo`` in a real Prometheus, by scrape and by OTLP push: it answers with the demo's own figures."""

from __future__ import annotations

import json
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ragmeter.measured.server import read_server
from ragmeter.measured.times import last

from . import servers
from .client import COST_PER_1000_QUERIES, PrometheusClient
from .servers import free_port
from .subprocesses import environment, push_variables

RAGMETER = Path(sysconfig.get_path("scripts")) / "ragmeter"
QUESTIONS = 3
STRATEGIES = {"base", "rag", "fine_tuned", "fine_tuned_rag"}
DEMO_SECONDS = 120.0


def command(figures: Path, *more: str) -> list[str]:
    """The demo with few questions and a fast model, its figures written to a file."""
    return [str(RAGMETER), "demo", f"--questions={QUESTIONS}", "--speed=50", f"--json={figures}", *more]


@contextmanager
def served_demo(figures: Path, port: int) -> Iterator[None]:
    """The demo, from when its figures are written, serving its metrics on ``port``; ended by Ctrl-C."""
    process = subprocess.Popen(command(figures, "--serve", f"--port={port}"), env=environment())
    deadline = time.monotonic() + DEMO_SECONDS
    try:
        while not (figures.exists() and figures.read_text().endswith("]\n")):
            assert process.poll() is None, "the demo ended before it was done"
            assert time.monotonic() < deadline, f"the demo took more than {DEMO_SECONDS:g} s"
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        ended_with = process.wait(timeout=30)
    assert ended_with == 0


@dataclass(frozen=True)
class Demo:
    """Databases that have all metrics of a demo, a Prometheus first, and the demo's own figures."""

    databases: tuple[PrometheusClient, ...]
    figures: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["scrape", "push"])
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo whose page a Prometheus and a VictoriaMetrics scrape, or that pushes to a Prometheus."""
    figures = tmp_path_factory.mktemp("demo") / "figures.json"
    if request.param == "scrape":
        start: Callable[..., PrometheusClient] = request.getfixturevalue("start_prometheus")
        port = free_port()
        target = f"127.0.0.1:{port}"
        with servers.victoria_metrics(tmp_path_factory.mktemp("victoria"), targets=[target]) as url:
            databases = (start(target), PrometheusClient(url))
            for client in databases:
                # Who comes when another has seen a value already gets no zero before it.
                client.wait_for(lambda known: bool(known.query("up")), what="the first scrape")
            with served_demo(figures, port):
                for client in databases:
                    wait_for_queries(client)
                yield Demo(databases, json.loads(figures.read_text()))
        return
    client, endpoint = request.getfixturevalue("pushed_prometheus")
    subprocess.run(command(figures), env=environment(**push_variables(endpoint)), check=True, timeout=DEMO_SECONDS)
    wait_for_queries(client)
    yield Demo((client,), json.loads(figures.read_text()))


def wait_for_queries(client: PrometheusClient) -> None:
    """Return when Prometheus has counted all queries of the demo."""
    number = QUESTIONS * len(STRATEGIES)
    client.wait_for(
        lambda known: [sample.value for sample in known.query("sum(ragmeter_queries_total)")] == [number],
        what=f"{number} queries",
    )


def test_prometheus_answers_with_the_demos_costs(
    demo: Demo,
) -> None:
    """The published query gives the cost of 1,000 queries that the demo printed, for each strategy."""
    client, figures = demo.databases[0], demo.figures
    printed = {row["strategy"]: row["cost_per_1k"] for row in figures}
    assert set(printed) == STRATEGIES
    assert all(cost > 0 for cost in printed.values())
    assert client.by_label(COST_PER_1000_QUERIES, "ragmeter_strategy") == pytest.approx(printed, rel=1e-9)


def test_prometheus_answers_with_the_demos_tokens(
    demo: Demo,
) -> None:
    """Queries, and context tokens per query, are those the demo printed, for each strategy."""
    client, figures = demo.databases[0], demo.figures
    queries = "sum by (ragmeter_strategy) (ragmeter_queries_total)"
    context = 'sum by (ragmeter_strategy) (ragmeter_tokens_total{ragmeter_part="context"})'
    assert client.by_label(queries, "ragmeter_strategy") == {row["strategy"]: row["queries"] for row in figures}
    with_context = {row["strategy"]: row["context_tokens"] for row in figures if row["context_tokens"]}
    assert set(with_context) == {"rag", "fine_tuned_rag"}
    assert client.by_label(f"{context} / {queries}", "ragmeter_strategy") == pytest.approx(with_context, rel=1e-9)


def test_a_workload_that_is_read_back_has_the_demos_figures(demo: Demo) -> None:
    """For each strategy, queries, unit cost, tokens and latencies are the demo's own, from each database."""
    for database in demo.databases:
        read = read_server(database.url, last("1h", datetime.now(UTC)))
        assert set(read.strategies) == STRATEGIES
        for row in demo.figures:
            traffic = read.strategies[row["strategy"]]
            assert traffic.queries == row["queries"]
            assert traffic.cost_per_query is not None
            assert traffic.cost_per_query * 1000 == pytest.approx(row["cost_per_1k"], rel=1e-9)
            assert traffic.tokens.get("context", 0.0) == pytest.approx(row["context_tokens"])
            assert (traffic.latency_p50, traffic.latency_p95) == pytest.approx((row["p50"], row["p95"]))
        assert sum(read.outside.values()) > 0
