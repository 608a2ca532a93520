"""Panels over months read little, for a hundred shops as for one: one sample an hour of each recorded series."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dashboards.shipped import ShippedQuery, panel_queries
from ragmeter.dashboards.recording import BUDGET, limits
from ragmeter.dashboards.rule_files import rule_file
from ragmeter.naming import hourly_series

from . import servers
from .client import PrometheusClient
from .history import loaded_hourly, period_until_now
from .past import OPTIONS
from .replay import seconds

DAYS = 35
"""More than a month: one has ended within."""
SHOPS = 100
HOURS = 32 * 24
"""The longest that a query looks back: a month, and a day that is not over."""
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
def test_a_month_of_a_hundred_shops_is_few_samples(hundred_shops: PrometheusClient, query: ShippedQuery):
    """Every panel that reads recorded series has an answer, and reads no hour of theirs twice."""
    expression = query.filled(rate="4h", window=f"{DAYS}d")
    end = time.time()
    start = end if query.instant else end - 30 * 86_400
    assert query.stands_in or hundred_shops.query_range(expression, start, end, 86_400)
    names = set(re.findall(r"job_strategy\w*:\w+:increase1h", expression))
    counts = (hundred_shops.query(f"count(last_over_time({name}[2h]))") for name in names)
    series = sum(count.value for (count,) in counts)
    assert 0 < hundred_shops.samples_read(expression, start, end, 86_400) <= HOURS * series


@pytest.mark.parametrize("query", OF_MONTHS, ids=str)
def test_counters_themselves_are_read_for_hours_only(query: ShippedQuery):
    """What such a panel reads of the counters is the time that is not recorded yet: two hours at the most."""
    windows = re.findall(r"\bragmeter_\w+\{[^}]*\}\)*\[(\w+)", query.expression)
    assert {seconds(window) <= 7_200 for window in windows} <= {True}


def test_the_month_begins_on_its_first_day(hundred_shops: PrometheusClient):
    """`Month so far` is what was spent since the first of this month, and of the days before nothing."""
    month = next(query for query in panel_queries() if str(query) == "ragmeter-overview: Month so far A")
    (shown,) = hundred_shops.query(month.filled(rate="4h", window="24h"))
    now = datetime.now(UTC)
    since = int((now - now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)).total_seconds())
    (spent,) = hundred_shops.query(f"sum(sum_over_time({hourly_series.COST.name}[{since}s]))")
    (last,) = hundred_shops.query(f"sum(last_over_time({hourly_series.COST.name}[2h]))")
    # There are no counters here: of the last hour only that part is known which its sample has.
    assert spent.value - last.value <= shown.value <= spent.value * (1 + 1e-9)
    (longer,) = hundred_shops.query(f"sum(sum_over_time({hourly_series.COST.name}[{DAYS}d]))")
    assert shown.value < longer.value


def test_there_are_such_panels():
    """The dashboards have panels over months: the test above is about something."""
    assert len(OF_MONTHS) >= 6
