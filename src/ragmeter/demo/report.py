"""The article's table, computed from the metrics that ragmeter exports: pure, but for `render`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragmeter.domain.model import Origin
from ragmeter.measured.collected import samples_of
from ragmeter.measured.samples import Samples
from ragmeter.money.dollars import dollars
from ragmeter.naming import semconv

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from rich.console import RenderableType

COST_PER_1000_QUERIES = (
    "sum by (ragmeter_strategy) (ragmeter_cost_usd_total) / sum by (ragmeter_strategy) (ragmeter_queries_total) * 1000"
)
"""The cost column as a query to Prometheus."""

INPUT_PARTS = frozenset(origin.value for origin in Origin)
"""Values of `ragmeter.part` that are tokens of a prompt."""


@dataclass(frozen=True, slots=True)
class StrategyFigures:
    """One row: what the queries of one strategy cost, in US dollars, tokens and seconds.

    `input_tokens` and `context_tokens` are per query; `search_share` is the mean share of a query's duration that was
    spent searching. `cost_per_1k` is `None` when nothing had a known price, `bloat_factor` when no question was found,
    `p50` and `p95` when no duration was recorded.
    """

    strategy: str
    cost_per_1k: float | None
    queries: int
    input_tokens: float
    context_tokens: float
    bloat_factor: float | None
    search_share: float
    p50: float | None
    p95: float | None


def figures(metrics: MetricsData | None) -> tuple[StrategyFigures, ...]:
    """The rows of the table, the cheapest strategy first; none when there are no queries in the metrics."""
    samples = samples_of(metrics)
    rows = (
        _row(strategy, number, samples.only(semconv.STRATEGY, strategy))
        for strategy, number in samples.by(semconv.QUERIES, semconv.STRATEGY).items()
    )
    return tuple(sorted(rows, key=lambda row: (row.cost_per_1k is None, row.cost_per_1k or 0.0)))


def _row(strategy: str, queries: float, samples: Samples) -> StrategyFigures:
    cost = samples.total(semconv.COST)
    parts = samples.by(semconv.PART_TOKEN_COUNT, semconv.PART)
    prompt = sum(tokens for part, tokens in parts.items() if part in INPUT_PARTS)
    question = parts.get(Origin.QUESTION)
    durations, shares = samples.histogram(semconv.QUERY_DURATION), samples.histogram(semconv.SEARCH_SHARE)
    return StrategyFigures(
        strategy=strategy,
        cost_per_1k=None if cost is None else cost / queries * 1000,
        queries=int(queries),
        input_tokens=prompt / queries,
        context_tokens=parts.get(Origin.CONTEXT, 0.0) / queries,
        bloat_factor=prompt / question if question else None,
        search_share=shares.sum / queries if shares else 0.0,
        p50=durations.quantile(0.5) if durations else None,
        p95=durations.quantile(0.95) if durations else None,
    )


def spent_outside_queries(metrics: MetricsData | None) -> float | None:
    """US dollars spent for no query: embedding the documents. `None` where no price is known."""
    samples = samples_of(metrics)
    queries = samples.by(semconv.QUERIES, semconv.STRATEGY)
    costs = [cost for strategy, cost in samples.by(semconv.COST, semconv.STRATEGY).items() if strategy not in queries]
    return sum(costs) if costs else None


def render(rows: Sequence[StrategyFigures]) -> RenderableType:
    """The table for people, in 80 columns."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("strategy", no_wrap=True)
    for heading in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.strategy, *(written(row) for written in COLUMNS.values()))
    return table


COLUMNS: Mapping[str, Callable[[StrategyFigures], str]] = {
    "cost per\n1K\nqueries": lambda row: dollars(row.cost_per_1k, 4),
    "input\ntokens": lambda row: f"{row.input_tokens:,.0f}",
    "context\ntokens": lambda row: f"{row.context_tokens:,.0f}",
    "bloat\nfactor": lambda row: _written(row.bloat_factor, "{:,.1f}"),
    "search\nshare": lambda row: f"{row.search_share:.1%}",
    "p50\ns": lambda row: _written(row.p50, "{:.2f}"),
    "p95\ns": lambda row: _written(row.p95, "{:.2f}"),
    "queries": lambda row: f"{row.queries:,}",
}
"""The columns beside the strategy, and how a row is written in each. Tokens are per query."""


def _written(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
