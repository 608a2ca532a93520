"""Series that begin while an app runs: what they count is in `increase()` of a real Prometheus and VictoriaMetrics."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from prometheus_client import start_http_server

import ragmeter

from . import servers
from .app import BASE, PRICES, QUESTION, model_server
from .client import PrometheusClient
from .servers import free_port
from .subprocesses import environment, push_variables

PROJECT = Path(__file__).parents[2]
COST = 3 * ((1000 * 10 - 200 * 9 + 100 * 2.5 + 50 * 40) / 1e6 + 2 / 1e3)
"""US dollars of three queries without context, by the app's prices, token counts and one search each."""

COUNTED = {
    "ragmeter_queries_total": 3.0,
    "ragmeter_operations_total": 3.0,
    "ragmeter_cost_usd_total": COST,
    "ragmeter_query_cost_usd_sum": COST,
    "ragmeter_query_duration_seconds_count": 3.0,
    'ragmeter_query_duration_seconds_bucket{le="+Inf"}': 3.0,
}
"""What three queries add to our totals and distributions."""

SHORT_JOB = """
import openai, ragmeter
ragmeter.instrument(prices={prices}, providers={{"127.0.0.1": "openai"}}, labels=["team"])
client = openai.OpenAI(base_url={url!r}, api_key="none")
for _ in range(3):
    with ragmeter.query(team="new"):
        client.chat.completions.create(model={model!r}, messages=[{{"role": "user", "content": {question!r}}}])
"""


@dataclass(frozen=True)
class Setting:
    """A database that has metrics of this process: `refresh` is done until what is new has arrived."""

    database: PrometheusClient
    refresh: Callable[[], object]


def settings(**more: Any) -> dict[str, Any]:
    return {"prices": PRICES, "providers": {"127.0.0.1": "openai"}, "labels": ["team"], **more}


@contextmanager
def scraped(folder: Path, database: Callable[..., Any]) -> Iterator[Setting]:
    """The page that ragmeter serves, scraped twice a second."""
    port = free_port()
    with database(folder, targets=[f"127.0.0.1:{port}"]) as url:
        ragmeter.instrument(**settings(prometheus_port=port))
        yield Setting(PrometheusClient(url), lambda: None)


@contextmanager
def scraped_from_the_app(folder: Path) -> Iterator[Setting]:
    """The page of a reader in a provider of the app's own, served by Prometheus' client."""
    port = free_port()
    provider = MeterProvider([PrometheusMetricReader()], shutdown_on_exit=False)
    server, _ = start_http_server(port, addr="127.0.0.1")
    try:
        with servers.prometheus(folder, targets=[f"127.0.0.1:{port}"]) as url:
            ragmeter.instrument(meter_provider=provider, **settings())
            yield Setting(PrometheusClient(url), lambda: None)
    finally:
        provider.shutdown()
        server.shutdown()
        server.server_close()


@contextmanager
def pushed(endpoint: str, database: PrometheusClient) -> Iterator[Setting]:
    """A provider of the app's own that pushes by OTLP, whenever it is flushed."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint), export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    ragmeter.instrument(meter_provider=provider, **settings())
    try:
        yield Setting(database, provider.force_flush)
    finally:
        provider.shutdown()


@contextmanager
def receiving(folder: Path, name: str) -> Iterator[tuple[str, PrometheusClient]]:
    """An OTLP endpoint, and a client of the database behind it."""
    with ExitStack() as stack:
        if name == "VictoriaMetrics":
            url = stack.enter_context(servers.victoria_metrics(folder))
            yield f"{url}/opentelemetry/v1/metrics", PrometheusClient(url)
        else:
            url = stack.enter_context(servers.prometheus(folder))
            endpoint = stack.enter_context(servers.otlp_gateway(folder, prometheus_url=url))
            yield endpoint, PrometheusClient(url)


@pytest.fixture(
    params=[
        "scrape of the app's page, Prometheus",
        "scrape, Prometheus",
        "scrape, VictoriaMetrics",
        "push, Prometheus",
        "push, VictoriaMetrics",
    ]
)
def setting(request: pytest.FixtureRequest, programs: None, tmp_path: Path) -> Iterator[Setting]:
    """This process, instrumented, and a database that gets its metrics in each of the ways."""
    way, name = request.param.split(", ")
    with ExitStack() as stack:
        if way == "scrape of the app's page":
            yield stack.enter_context(scraped_from_the_app(tmp_path))
        elif way == "scrape":
            database = servers.prometheus if name == "Prometheus" else servers.victoria_metrics
            yield stack.enter_context(scraped(tmp_path, database))
        else:
            endpoint, client = stack.enter_context(receiving(tmp_path, name))
            yield stack.enter_context(pushed(endpoint, client))
        ragmeter.uninstrument()


def three_queries(team: str) -> None:
    """Three queries of a team, without context."""
    import openai

    with model_server() as url:
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        for _ in range(3):
            with ragmeter.query(team=team):
                client.chat.completions.create(model=BASE, messages=[{"role": "user", "content": QUESTION}])
    assert ragmeter.flush(10)


def arrived(setting: Setting, team: str, queries: int, samples: int) -> None:
    """Return when the database has so many queries of a team, and so many samples since its series began."""
    series = f'ragmeter_queries_total{{team="{team}"}}'

    def has(known: PrometheusClient) -> bool:
        setting.refresh()
        counted = [sample.value for sample in known.query(f"sum({series})")]
        return counted == [queries] and known.query(f"count_over_time({series}[5m])")[0].value >= samples

    setting.database.wait_for(has, what=f"{queries} queries of {team}")


def increase(database: PrometheusClient, series: str, team: str) -> float:
    """How much all series of a metric and a team have grown."""
    name, _, matchers = series.rstrip("}").partition("{")
    (grown,) = database.query(f'sum(increase({name}{{team="{team}",{matchers}}}[5m]))')
    return grown.value


def test_the_first_queries_of_a_new_team_are_in_increase(setting: Setting) -> None:
    """Three queries are 3, and their money is there, also when no series of their team was there before them."""
    three_queries("first")
    arrived(setting, "first", 3, samples=12)
    three_queries("new")
    arrived(setting, "new", 3, samples=12)
    for team in ("first", "new"):
        for series, amount in COUNTED.items():
            # Prometheus extrapolates to the end of its window by up to the distance of two samples.
            assert increase(setting.database, series, team) == pytest.approx(amount, rel=0.1), (team, series)
    three_queries("new")
    arrived(setting, "new", 6, samples=16)
    assert increase(setting.database, "ragmeter_queries_total", "new") == pytest.approx(6, rel=0.1)
    for series in COUNTED:
        assert {sample.value for sample in setting.database.query(f"resets({series}[5m])")} == {0}, series


@pytest.mark.parametrize("name", ["Prometheus", "VictoriaMetrics"])
def test_a_short_job_counts(programs: None, tmp_path: Path, name: str) -> None:
    """What a script counts that ends within its first interval is in `increase()`, pushed as it ends."""
    with receiving(tmp_path, name) as (endpoint, database), model_server() as url:
        subprocess.run(
            [sys.executable, "-c", SHORT_JOB.format(prices=PRICES, url=url, model=BASE, question=QUESTION)],
            env=environment(**push_variables(endpoint)),
            check=True,
            timeout=60,
        )
        series = 'ragmeter_queries_total{team="new"}'
        database.wait_for(lambda known: bool(known.query(series)), what="a push")
        for counted, amount in COUNTED.items():
            assert increase(database, counted, "new") == pytest.approx(amount, rel=0.1), counted
