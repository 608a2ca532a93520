"""Fixtures: a real Prometheus for each module, and an OTLP gateway before it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from . import servers
from .client import PrometheusClient
from .past import Past, two_weeks


@pytest.fixture(scope="session")
def programs() -> None:
    """Skip where Prometheus or vmagent is missing; fail instead when RAGMETER_REQUIRE_STACK=1, as in CI."""
    missing = [name for name in servers.PROGRAMS if servers.find_program(name) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} missing: run scripts/get-prometheus"
    if os.environ.get("RAGMETER_REQUIRE_STACK") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def start_prometheus(
    programs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., PrometheusClient]]:
    """Starts a Prometheus that scrapes the "host:port" targets given, and gives a client of it."""
    with ExitStack() as stack:
        yield lambda *targets: PrometheusClient(
            stack.enter_context(servers.prometheus(tmp_path_factory.mktemp("scrape"), targets=targets))
        )


@pytest.fixture(scope="module")
def pushed_prometheus(
    programs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PrometheusClient, str]]:
    """A client of a Prometheus that scrapes nothing, and the URL where OTLP metrics for it are posted."""
    folder = tmp_path_factory.mktemp("push")
    with servers.prometheus(folder) as url, servers.otlp_gateway(folder, prometheus_url=url) as endpoint:
        yield PrometheusClient(url), endpoint


@pytest.fixture(scope="session")
def past(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """Two weeks of the demo's history, with what our rules record of it."""
    with two_weeks(tmp_path_factory.mktemp("past")) as found:
        yield found
