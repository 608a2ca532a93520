"""The demo's history in a real Prometheus, loaded as its command says: it answers with what was made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ragmeter.cli import application
from ragmeter.demo.history.generation import generate
from ragmeter.demo.history.series import History
from ragmeter.naming import hourly_series, semconv
from ragmeter.naming.metric import Metric, Profile

from . import servers
from .client import COST_PER_1000_QUERIES, PrometheusClient
from .history import loaded, loaded_hourly, period_until_now
from .names import METRICS, series_names

DAYS = 2
MADE_UP = semconv.metrics_of(Profile.OWN, Profile.RELEASED)


@pytest.fixture(scope="module")
def shop(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PrometheusClient, History, Path]]:
    """A Prometheus with two days of history, the history itself, and the folder of its blocks."""
    folder = tmp_path_factory.mktemp("history")
    period = period_until_now(DAYS)
    data = loaded(folder, period)
    with servers.prometheus(folder, data=data) as url:
        yield PrometheusClient(url), generate(period), data


def by_strategy(history: History, metric: Metric) -> dict[str, float]:
    """All that a metric grew by, by strategy."""
    found: dict[str, float] = {}
    for line in history.of(metric):
        strategy = dict(line.labels)[semconv.STRATEGY]
        found[strategy] = found.get(strategy, 0.0) + float(line.growth.sum())
    return found


def test_the_published_query_gives_the_cost_that_was_made_up(
    shop: tuple[PrometheusClient, History, Path],
) -> None:
    """Cost of 1,000 queries by strategy is what the single queries of the history cost."""
    client, history, _ = shop
    costs, queries = by_strategy(history, semconv.COST), by_strategy(history, semconv.QUERIES)
    expected = {strategy: 1000 * costs[strategy] / number for strategy, number in queries.items()}
    assert set(expected) == {"base", "rag", "fine_tuned", "fine_tuned_rag"}
    assert client.by_label(COST_PER_1000_QUERIES, "ragmeter_strategy") == pytest.approx(expected, rel=1e-6)


def test_a_plan_has_the_unit_costs_that_were_made_up(shop: tuple[PrometheusClient, History, Path]) -> None:
    """`ragmeter plan` takes each strategy's cost from the server as measured, and plans with the traffic of a day."""
    client, history, _ = shop
    costs, queries = by_strategy(history, semconv.COST), by_strategy(history, semconv.QUERIES)
    command = ["plan", "--prometheus", client.url, "--range", f"{DAYS}d", "--draws", "500", "--json"]
    result = CliRunner().invoke(application(), command)
    assert result.exit_code == 0, result.stderr
    plan = json.loads(result.stdout)
    for row in plan["rows"]:
        assert row["basis"] == "measured"
        assert row["cost_per_thousand"] == pytest.approx(
            1000 * costs[row["strategy"]] / queries[row["strategy"]], rel=1e-3
        )
    assert plan["queries_per_day"] == pytest.approx(sum(queries.values()) / DAYS, rel=0.01)
    assert plan["built"] == ["retrieval", "fine_tuning"]


def test_all_series_are_there_under_their_promised_names(shop: tuple[PrometheusClient, History, Path]) -> None:
    """Prometheus has every series of the profile `released` but those that the shop has no cause for, and no other."""
    client, _, _ = shop
    expected = {
        name
        for metric in METRICS
        if metric in MADE_UP and metric not in (semconv.INTERNAL_ERRORS, semconv.UNSCOPED)
        for name in series_names(metric)
    }
    assert client.metric_names() == expected


def test_a_quantile_of_prometheus_is_one_of_the_searches_made_up(
    shop: tuple[PrometheusClient, History, Path],
) -> None:
    """The median of a day's searches lies in the bucket that half of them have reached."""
    client, history, _ = shop
    query = (
        "histogram_quantile(0.5, sum by (le, db_collection_name) "
        '(increase(ragmeter_search_duration_seconds_bucket{error_type=""}[1d])))'
    )
    bounds = (0.0, *semconv.SEARCH_DURATION.buckets)
    for collection, median in client.by_label(query, "db_collection_name").items():
        lines = [
            line
            for line in history.of(semconv.SEARCH_DURATION, db_collection_name=collection)
            if semconv.ERROR_TYPE not in dict(line.labels)
        ]
        counts = np.sum([line.buckets[:, len(history.times) // 2 :].sum(axis=1) for line in lines], axis=0)
        bucket = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        assert bounds[bucket] <= median <= bounds[bucket + 1], collection


def test_promtool_reads_the_file_no_more_often_than_needed(shop: tuple[PrometheusClient, History, Path]) -> None:
    """The history becomes one block, or two where it lies across the border of blocks."""
    blocks = [path for path in shop[2].iterdir() if (path / "meta.json").exists() and (path / "index").exists()]
    assert 1 <= len(blocks) <= 2


def test_hourly_series_of_many_shops_can_be_loaded(programs: None, tmp_path: Path) -> None:
    """Each shop has the same hourly series, whose sum is what the history cost."""
    period = period_until_now(DAYS, timedelta(hours=1))
    spent = sum(by_strategy(generate(period), semconv.COST).values())
    data = loaded_hourly(tmp_path, period, copies=3)
    with servers.prometheus(tmp_path, data=data) as url:
        client = PrometheusClient(url)
        assert client.metric_names() == {series.name for series in hourly_series.ALL}
        costs = client.by_label(f"sum by (job) (sum_over_time({hourly_series.COST.name}[{DAYS + 1}d]))", "job")
    assert costs == pytest.approx(dict.fromkeys(("shop-1", "shop-2", "shop-3"), spent), rel=1e-6)
