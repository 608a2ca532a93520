"""Panels over months answer at once, for a hundred shops as for one: they read recorded series."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dashboards.shipped import ShippedQuery, panel_queries
from ragmeter import hourly_series
from ragmeter.dashboards.recording import BUDGET, limits
from ragmeter.dashboards.rule_files import rule_file

from . import servers
from .client import PrometheusClient
from .history import loaded_hourly, period_until_now
from .past import OPTIONS

DAYS = 35
"""More than a month: one has ended within."""
SHOPS = 100
LIMIT = 0.2
"""Seconds for one query."""
OF_MONTHS = [query for query in panel_queries() if ":increase1h" in query.expression]


@pytest.fixture(scope="module")
def hundred_shops(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusClient]:
    """A Prometheus that has the hourly series of a month of a hundred shops."""
    folder = tmp_path_factory.mktemp("months")
    data = loaded_hourly(folder, period_until_now(DAYS), SHOPS)
    rules = folder / "limits.yaml"
    rules.write_text(rule_file([dataclasses.replace(limits(OPTIONS), interval="1s")], OPTIONS.runbooks))
    with servers.prometheus(folder, data=data, rules=[rules]) as url:
        client = PrometheusClient(url)
        client.wait_for(lambda known: bool(known.query(BUDGET.record)), what="the limits")
        yield client


@pytest.mark.parametrize("query", OF_MONTHS, ids=str)
def test_a_month_of_a_hundred_shops_is_answered_at_once(hundred_shops: PrometheusClient, query: ShippedQuery):
    """Every panel that reads recorded series answers for 35 days in less than 200 ms, the best of five times."""
    expression = query.filled(rate="4h", window=f"{DAYS}d")
    end = time.time()
    took = []
    for _ in range(5):
        started = time.perf_counter()
        if query.instant:
            assert hundred_shops.query(expression)
        else:
            assert hundred_shops.query_range(expression, end - DAYS * 86_400, end, 86_400)
        took.append(time.perf_counter() - started)
    assert min(took) < LIMIT


def test_the_month_begins_on_its_first_day(hundred_shops: PrometheusClient):
    """`Month so far` is what was spent since the first of this month, and of the days before nothing."""
    month = next(query for query in panel_queries() if str(query) == "ragmeter-overview: Month so far A")
    (shown,) = hundred_shops.query(month.filled(rate="4h", window="24h"))
    now = datetime.now(UTC)
    since = int((now - now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)).total_seconds())
    (spent,) = hundred_shops.query(f"sum(sum_over_time({hourly_series.COST.name}[{since}s]))")
    assert shown.value == pytest.approx(spent.value, rel=1e-9)
    (longer,) = hundred_shops.query(f"sum(sum_over_time({hourly_series.COST.name}[{DAYS}d]))")
    assert shown.value < longer.value


def test_there_are_such_panels():
    """The dashboards have panels over months: the test above is about something."""
    assert len(OF_MONTHS) >= 6
