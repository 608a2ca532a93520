"""Fixture: an app that was restarted, in a Prometheus and in a VictoriaMetrics that scrape its page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragmeter.measured.page import read_page
from ragmeter.measured.times import TimeRange
from ragmeter.planning.workload import Workload
from stack import app, dear_app, servers
from stack.client import PrometheusClient
from stack.subprocesses import environment

TESTS = Path(__file__).parents[1]
APP_SECONDS = 60.0
RUN = sum(app.QUERIES.values()) + sum(app.FAILED.values())
"""Queries that the app answers each time."""
RUNS = 3
"""Times that the app asks all its queries, twice before its restart and once after it."""


@dataclass(frozen=True)
class Measured:
    """Two servers by name that have all of an app's metrics, when that was, and what its page said of one run."""

    urls: dict[str, str]
    span: TimeRange
    page: Workload


@contextmanager
def asked(port: int) -> Iterator[Callable[[], None]]:
    """The app, serving its page on `port`, and a function that has it ask all its queries."""
    process = subprocess.Popen(
        [sys.executable, "-m", dear_app.__name__],
        cwd=TESTS,
        env=environment(RAGMETER_PROMETHEUS_PORT=str(port)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run() -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    with process:
        yield run
        process.communicate(timeout=APP_SECONDS)
    assert process.returncode == 0


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """An app that asked all its queries three times, and was restarted before the third; stays on two servers."""
    if servers.find_program("prometheus") is None or servers.find_program("victoria-metrics") is None:
        reason = "prometheus or victoria-metrics missing: run scripts/get-prometheus"
        pytest.fail(reason) if os.environ.get("RAGMETER_REQUIRE_STACK") == "1" else pytest.skip(reason)
    port, begun = servers.free_port(), datetime.now(UTC)
    with ExitStack() as stack:
        urls = {
            start.__name__: stack.enter_context(start(tmp_path_factory.mktemp("server"), targets=[f"127.0.0.1:{port}"]))
            for start in (servers.prometheus, servers.victoria_metrics)
        }
        for url in urls.values():
            # A server that came late to a page would miss the zeros that its series begin with.
            PrometheusClient(url).wait_for(lambda known: bool(known.query("up")), what="the first scrape")
        with asked(port) as run:
            run()
            counted(urls, RUN)
            page = read_page(f"http://127.0.0.1:{port}/metrics", 0.001, progress=once(run))
            counted(urls, 2 * RUN)
        with asked(port) as run:
            run()
            counted(urls, RUN)
            yield Measured(urls, TimeRange(begun, datetime.now(UTC)), page)


def counted(urls: dict[str, str], queries: int) -> None:
    """Return when all servers have this number of queries, of which each has its money."""
    for url in urls.values():
        PrometheusClient(url).wait_for(
            lambda known: (
                [sample.value for sample in known.query("sum(ragmeter_queries_total)")] == [queries]
                and [sample.value for sample in known.query("sum(ragmeter_operations_total)")] >= [queries]
            ),
            what=f"{queries} queries",
        )


def once(run: Callable[[], None]) -> Callable[[float], None]:
    """Runs when progress is told for the first time: between the two readings."""
    left = [run]
    return lambda _: left.pop()() if left else None
