"""Recording rules: what the user sets, what alerts look back at, and a few series for panels over months.

Named as Prometheus advises: the labels that are left, the metric, what was done to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.rules import Group, Recording
from ragmeter.naming import hourly_series, semconv
from ragmeter.naming.hourly_series import Hourly
from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import label_name, metric_name

COST_RATE_5M = f"job_strategy:{metric_name(semconv.COST)}:rate5m"
COST_RATE_1H = f"job_strategy:{metric_name(semconv.COST)}:rate1h"
"""US dollars per second by job and strategy."""
QUERY_RATE_1H = f"job_strategy:{metric_name(semconv.QUERIES)}:rate1h"
PROMPT_RATE_1H = f"job_strategy:{metric_name(semconv.PROMPT_TOKENS)}_count:rate1h"
"""Inferences per second by job and strategy."""
PROMPT_TOKENS_RATE_1H = f"job_strategy:{metric_name(semconv.PROMPT_TOKENS)}_sum:rate1h"
"""Input tokens per second by job and strategy."""
CONTEXT_TOKENS_RATE_1H = f"job_strategy_fate:{metric_name(semconv.CONTEXT_TOKENS)}:rate1h"
"""Tokens of retrieved text per second by job, strategy and fate."""
CHUNK_P95_1H = f"job_model:{metric_name(semconv.TIME_PER_CHUNK)}:p95_1h"
"""Seconds from one chunk of an answer to the next that 95 % of an hour's streams stay below, in either profile."""
COST_USUAL_1H = f"job_strategy:{metric_name(semconv.COST)}:usual1h"
"""What `COST_RATE_1H` is at this hour of other days."""
USUAL_DAYS = (1, 2, 3, 7)
"""How many days back is looked for what is usual: the days before and the same day of the last week."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A constant that users set: the name of its series, its default and what it means."""

    name: str
    value: float
    meaning: str

    @property
    def record(self) -> str:
        """The name of its series."""
        return f"ragmeter:limit:{self.name}"

    @property
    def scalar(self) -> str:
        """Its value in an expression: nothing is greater than it where the rule is not loaded."""
        return f"scalar({self.record})"


BUDGET = Limit("budget_usd_per_month", 0.0, "US dollars a month for all services together; 0 means no budget")
SPIKE_FACTOR = Limit("cost_spike_factor", 3.0, "a spike costs this many times the usual cost of its hour on other days")
SPIKE_FLOOR = Limit("cost_spike_floor_usd_per_hour", 1.0, "US dollars an hour below which nothing is a spike")
DEARER_FACTOR = Limit("dearer_queries_factor", 1.5, "a dearer query costs this many times as much as yesterday")
BLOAT_FACTOR = Limit("context_bloat_factor", 1.3, "a bloated prompt has this many times as many tokens as yesterday")
UNUSED_SHARE = Limit("unused_context_share", 0.7, "share of the context's tokens that no answer used")
SEARCH_SECONDS = Limit("search_p95_seconds", 1.0, "seconds that 95 % of the searches stay below")
EMPTY_SHARE = Limit("search_empty_share", 0.2, "share of the searches that find nothing")
FAILED_SHARE = Limit("search_failed_share", 0.05, "share of the searches that fail")
UNPRICED_SHARE = Limit("unpriced_share", 0.05, "share of the operations whose price is not known")
LEAST_QUERIES = Limit(
    "least_queries_per_hour", 30.0, "queries, prompts or searches an hour below which no ratio alerts"
)
LIMITS = (
    BUDGET,
    SPIKE_FACTOR,
    SPIKE_FLOOR,
    DEARER_FACTOR,
    BLOAT_FACTOR,
    UNUSED_SHARE,
    SEARCH_SECONDS,
    EMPTY_SHARE,
    FAILED_SHARE,
    UNPRICED_SHARE,
    LEAST_QUERIES,
)


def limits(options: Options) -> Group:
    """The user's constants: one file of its own, to be edited."""
    values = {limit: options.budget if limit is BUDGET else limit.value for limit in LIMITS}
    return Group(
        "ragmeter-limits",
        "1m",
        tuple(Recording(limit.record, f"vector({value:.15g})") for limit, value in values.items()),
        comment="Yours to set: what the alerts and the budget panels compare with.\n"
        + "\n".join(f"{limit.record}: {limit.meaning}" for limit in LIMITS),
    )


def lookbacks() -> Group:
    """What alerts and panels look back at, by job and strategy: six series for each, one for each fate; one a model."""
    by = (promql.JOB, promql.STRATEGY)

    def per_second(record: str, metric: Metric, window: str, *more: str, ending: str = "") -> Recording:
        series = promql.selector(metric, ending=ending)
        return Recording(record, promql.total(promql.rate(series, window), (*by, *more)))

    return Group(
        "ragmeter-lookbacks",
        "1m",
        (
            per_second(COST_RATE_5M, semconv.COST, "5m"),
            per_second(COST_RATE_1H, semconv.COST, "1h"),
            per_second(QUERY_RATE_1H, semconv.QUERIES, "1h"),
            per_second(PROMPT_RATE_1H, semconv.PROMPT_TOKENS, "1h", ending="_count"),
            per_second(PROMPT_TOKENS_RATE_1H, semconv.PROMPT_TOKENS, "1h", ending="_sum"),
            per_second(CONTEXT_TOKENS_RATE_1H, semconv.CONTEXT_TOKENS, "1h", promql.FATE),
            Recording(COST_USUAL_1H, usual(COST_RATE_1H)),
            Recording(CHUNK_P95_1H, chunk_p95("1h", (promql.JOB, promql.MODEL))),
        ),
    )


def chunk_p95(window: str, by: tuple[str, ...], where: tuple[str, ...] = ()) -> str:
    """Seconds between the chunks of an answer that 95 % of the streams stay below, whichever profile tells them."""
    profiles = (semconv.TIME_PER_CHUNK, semconv.INFERENCE_TIME_PER_CHUNK)
    return " or ".join(promql.quantile(0.95, metric, window, by, where) for metric in profiles)


def usual(series: str) -> str:
    """What a recorded series by job and strategy is at this time of other days: the median of `USUAL_DAYS`.

    Of each day the highest value within the hour after: the first hour of a series is not a whole one. Without a whole
    week most days known may be a weekend, and the highest is taken. Without a day it is the highest until an hour ago,
    if there were six hours: an average of a night would make a spike of each first morning.
    """
    by = f"{promql.JOB}, {promql.STRATEGY}"
    days = "\n  or ".join(
        f"label_replace(max_over_time({series}[1h] offset {24 * day - 1}h) and {series} offset {day}d, "
        f'"look_back", "{day}d", "", "")'
        for day in USUAL_DAYS
    )
    return (
        f"quantile by ({by}) (0.5,\n  {days}\n) and {series} offset {USUAL_DAYS[-1]}d\n"
        f"or max by ({by}) (\n  {days}\n)\n"
        f"or (max_over_time({series}[23h] offset 1h) and {series} offset 6h)"
    )


def hourly(options: Options) -> Group:
    """What each hour added, for panels over months: one sample an hour, each hour once."""
    labels = tuple(label_name(label) for label in options.labels)

    def of_hour(series: Hourly) -> Recording:
        own = (*(label_name(name) for name in series.by), *(labels if series.has_labels else ()))
        grown = promql.increase(promql.selector(series.metric), "1h")
        return Recording(series.name, promql.total(grown, (promql.JOB, promql.STRATEGY, *own)))

    return Group("ragmeter-hourly", "1h", tuple(of_hour(series) for series in hourly_series.ALL))
