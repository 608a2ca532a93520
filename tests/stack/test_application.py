"""A small app's metrics in a real Prometheus, by scrape and by OTLP: figures worked out apart from ragmeter."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from . import app
from .client import COST_PER_1000_QUERIES, PrometheusClient
from .names import METRICS, NEEDS_A_FAULT, series_names
from .servers import free_port
from .subprocesses import environment, push_variables

APP = (sys.executable, "-m", app.__name__)
APP_FOLDER = Path(__file__).parents[app.__name__.count(".")]
APP_SECONDS = 60.0


@contextmanager
def served_app(port: int) -> Iterator[None]:
    """The app, from when it has asked all its queries, serving its metrics on ``port``."""
    process = subprocess.Popen(
        [*APP, "--serve"],
        cwd=APP_FOLDER,
        env=environment(RAGMETER_PROMETHEUS_PORT=str(port)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        yield
        process.communicate(timeout=APP_SECONDS)
    assert process.returncode == 0


@pytest.fixture(scope="module", params=["scrape", "push"])
def prometheus_of_app(request: pytest.FixtureRequest) -> Iterator[PrometheusClient]:
    """A Prometheus that has all metrics of the app, by each of the two ways."""
    if request.param == "scrape":
        start: Callable[..., PrometheusClient] = request.getfixturevalue("start_prometheus")
        port = free_port()
        client = start(f"127.0.0.1:{port}")
        with served_app(port):
            wait_for_queries(client)
            yield client
        return
    client, endpoint = request.getfixturevalue("pushed_prometheus")
    subprocess.run(APP, cwd=APP_FOLDER, env=environment(**push_variables(endpoint)), check=True, timeout=APP_SECONDS)
    wait_for_queries(client)
    yield client


def wait_for_queries(client: PrometheusClient) -> None:
    """Return when Prometheus has counted all queries of the app."""
    number = sum(app.QUERIES.values()) + sum(app.FAILED.values())
    client.wait_for(
        lambda known: [sample.value for sample in known.query("sum(ragmeter_queries_total)")] == [number],
        what=f"{number} queries",
    )


def test_prometheus_tells_what_1000_queries_cost(prometheus_of_app: PrometheusClient) -> None:
    """The published query gives, for each strategy, what the prices and the server's token counts make."""
    expected = pytest.approx(app.cost_per_1000_queries(), rel=1e-9)
    # What is pushed arrives series by series: the queries may be there before the last part of their cost.
    with contextlib.suppress(TimeoutError):
        prometheus_of_app.wait_for(lambda known: costs_in(known) == expected, what="the cost of all queries")
    assert costs_in(prometheus_of_app) == expected


def costs_in(client: PrometheusClient) -> dict[str, float]:
    return client.by_label(COST_PER_1000_QUERIES, "ragmeter_strategy")


def test_every_metric_arrives_under_its_promised_name(prometheus_of_app: PrometheusClient) -> None:
    """An app that does a bit of everything has every series of both profiles but those that need a fault."""
    wanted = {name for metric in METRICS if metric not in NEEDS_A_FAULT for name in series_names(metric)}
    # One push is written to Prometheus in several parts, one after the other.
    prometheus_of_app.wait_for(lambda known: wanted <= known.metric_names(), what="all series of the app")


def test_no_series_stands_twice_on_the_page() -> None:
    """The page that is scraped has each series once: of two, Prometheus may keep the older."""
    port = free_port()
    with served_app(port), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        families = text_string_to_metric_families(page.read().decode())
    series = Counter(identity(sample.name, sample.labels) for family in families for sample in family.samples)
    assert [each for each, times in series.items() if times > 1] == []


def identity(name: str, labels: Mapping[str, str]) -> tuple[str, frozenset[tuple[str, str]]]:
    """What makes a series one."""
    return name, frozenset(labels.items())
