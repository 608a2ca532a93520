"""The article's table, computed from the metrics that ragmeter exports: pure, but for `render`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragmeter.domain.model import Origin
from ragmeter.money.dollars import dollars
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric

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


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram: upper bounds, and one count more than bounds, the last for what lies above all of them."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0

    def quantile(self, share: float) -> float | None:
        """The value below which `share` of the observations lie, as Prometheus' `histogram_quantile` finds it.

        Linear inside a bucket, whose lowest begins at 0; the highest bound for what lies above it; `None` when empty.
        """
        rank = share * sum(self.counts)
        if not rank:
            return None
        below, lower = 0, 0.0
        for upper, count in zip(self.bounds, self.counts, strict=False):
            if count and below + count >= rank:
                return lower + (upper - lower) * (rank - below) / count
            below, lower = below + count, upper
        return lower


def figures(metrics: MetricsData | None) -> tuple[StrategyFigures, ...]:
    """The rows of the table, the cheapest strategy first; none when there are no queries in the metrics."""
    queries = _sums(metrics, semconv.QUERIES)
    cost = _sums(metrics, semconv.COST)
    tokens = _sums(metrics, semconv.PART_TOKEN_COUNT, lambda labels: labels[semconv.PART] in INPUT_PARTS)
    context = _sums(metrics, semconv.PART_TOKEN_COUNT, lambda labels: labels[semconv.PART] == Origin.CONTEXT)
    question = _sums(metrics, semconv.PART_TOKEN_COUNT, lambda labels: labels[semconv.PART] == Origin.QUESTION)
    durations = _histograms(metrics, semconv.QUERY_DURATION)
    shares = _histograms(metrics, semconv.SEARCH_SHARE)
    rows = (
        StrategyFigures(
            strategy=strategy,
            cost_per_1k=cost[strategy] / number * 1000 if strategy in cost else None,
            queries=int(number),
            input_tokens=tokens.get(strategy, 0.0) / number,
            context_tokens=context.get(strategy, 0.0) / number,
            bloat_factor=tokens[strategy] / question[strategy] if question.get(strategy) else None,
            search_share=shares[strategy].total / number if strategy in shares else 0.0,
            p50=durations[strategy].quantile(0.5) if strategy in durations else None,
            p95=durations[strategy].quantile(0.95) if strategy in durations else None,
        )
        for strategy, number in queries.items()
    )
    return tuple(sorted(rows, key=lambda row: (row.cost_per_1k is None, row.cost_per_1k or 0.0)))


def spent_outside_queries(metrics: MetricsData | None) -> float | None:
    """US dollars spent for no query: embedding the documents. `None` where no price is known."""
    queries = _sums(metrics, semconv.QUERIES)
    costs = [cost for strategy, cost in _sums(metrics, semconv.COST).items() if strategy not in queries]
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


def _points(metrics: MetricsData | None, wanted: Metric) -> Iterator[Any]:
    for resource in metrics.resource_metrics if metrics is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == wanted.name:
                    yield from metric.data.data_points


def _sums(
    metrics: MetricsData | None, wanted: Metric, chosen: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> dict[str, float]:
    """A counter by strategy, over those of its series that are `chosen` by their labels."""
    sums: dict[str, float] = defaultdict(float)
    for point in _points(metrics, wanted):
        if chosen(point.attributes):
            sums[point.attributes[semconv.STRATEGY]] += point.value
    return dict(sums)


def _histograms(metrics: MetricsData | None, wanted: Metric) -> dict[str, Buckets]:
    """A histogram by strategy, its series added up."""
    points: dict[str, list[Any]] = defaultdict(list)
    for point in _points(metrics, wanted):
        points[point.attributes[semconv.STRATEGY]].append(point)
    return {strategy: _added(each) for strategy, each in points.items()}


def _added(points: Iterable[Any]) -> Buckets:
    series = list(points)
    counts = zip(*(point.bucket_counts for point in series), strict=True)
    return Buckets(
        bounds=tuple(series[0].explicit_bounds),
        counts=tuple(sum(column) for column in counts),
        total=sum(point.sum for point in series),
    )
