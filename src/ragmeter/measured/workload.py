"""The traffic of an app, strategy by strategy, from what its metrics have grown in a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ragmeter.domain import strategy
from ragmeter.domain.model import KINDS
from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.figures import cached_share
from ragmeter.measured.ranks import METRICS as CUT_METRICS
from ragmeter.measured.ranks import right_ks
from ragmeter.measured.samples import Samples
from ragmeter.naming import semconv
from ragmeter.planning.days import LEAST_DAYS
from ragmeter.planning.workload import Traffic, Workload

METRICS = (
    semconv.QUERIES,
    semconv.COST,
    semconv.PART_TOKEN_COUNT,
    semconv.OPERATIONS,
    semconv.CONTEXT_TOKENS,
    semconv.QUERY_DURATION,
    semconv.QUERY_COST,
    *CUT_METRICS,
)
"""All that a workload is made of."""

OF_MODELS = tuple(kind.value for kind, means in KINDS.items() if not means.of_database)

Key = TypeVar("Key")


def workload(grown: Samples, days: float, source: str, notes: tuple[str, ...] = ()) -> Workload:
    """The workload of what the metrics have grown in `days`; `MeasuredError` where no query was answered.

    A strategy without a query in that time has no traffic. Money of the strategy `none` is spent outside of queries.
    """
    queries = {name: number for name, number in grown.by(semconv.QUERIES, semconv.STRATEGY).items() if number > 0}
    if not queries or days <= 0:
        raise MeasuredError(
            f"{source} counted no query in that time; choose a time in which the app answers, or one that is longer."
        )
    strategies = {name: _traffic(name, grown.only(semconv.STRATEGY, name), days) for name in sorted(queries)}
    outside = grown.only(semconv.STRATEGY, strategy.NONE).by(semconv.COST, semconv.PART)
    # Less than a day says nothing of a month.
    right = right_ks(grown, days if days >= LEAST_DAYS else 0.0)
    return Workload(strategies, days, source, notes, {part: cost for part, cost in outside.items() if cost}, right)


def _traffic(name: str, grown: Samples, days: float) -> Traffic:
    queries = grown.total(semconv.QUERIES) or 0.0
    cost = grown.total(semconv.COST)
    durations, costs = grown.histogram(semconv.QUERY_DURATION), grown.histogram(semconv.QUERY_COST)

    def mean(sums: Mapping[str, float]) -> dict[str, float]:
        return {key: amount / queries for key, amount in sums.items()}

    return Traffic(
        strategy=name,
        queries=queries,
        queries_per_day=queries / days,
        tokens=mean(grown.by(semconv.PART_TOKEN_COUNT, semconv.PART)),
        cost=mean(grown.by(semconv.COST, semconv.PART)),
        cost_per_query=None if cost is None else cost / queries,
        cost_deviation=costs.deviation if costs else None,
        cached_share=cached_share(grown),
        price_states=_shares(grown.by(semconv.OPERATIONS, semconv.PRICE_STATE)),
        models=_shares(_models(grown)),
        latency_p50=durations.quantile(0.5) if durations else None,
        latency_p95=durations.quantile(0.95) if durations else None,
        error_rate=1 - _shares(grown.by(semconv.QUERIES, semconv.ERROR_TYPE)).get("", 0.0),
        context_tokens=mean(grown.by(semconv.CONTEXT_TOKENS, semconv.CHUNK_FATE)),
    )


def _models(grown: Samples) -> dict[tuple[str, str], float]:
    """Operations by provider and model; a vector database has none."""
    asked = grown.only(semconv.OPERATION_NAME, *OF_MODELS)
    sums = asked.sums(semconv.OPERATIONS, semconv.PROVIDER_NAME, semconv.RESPONSE_MODEL)
    return {(provider, model): number for (provider, model), number in sums.items()}


def _shares(amounts: Mapping[Key, float]) -> dict[Key, float]:
    whole = sum(amounts.values())
    return {key: amount / whole for key, amount in amounts.items() if amount}
