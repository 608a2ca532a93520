"""What a dashboard lets its reader choose: its variables, and the matchers they put into each query."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from ragmeter import semconv
from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards.options import Options
from ragmeter.hourly_series import Hourly
from ragmeter.prometheus_names import label_name, metric_name
from ragmeter.semconv import Metric

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

RATE = "$__rate_interval"
RANGE = "$__range"

WITH_STRATEGY = frozenset(
    (
        semconv.QUERIES,
        semconv.COST,
        semconv.PART_TOKEN_COUNT,
        semconv.OPERATIONS,
        semconv.CONTEXT_TOKENS,
        semconv.CONTEXT_COST,
        semconv.STALE_TOKENS,
        semconv.CHUNKS,
        semconv.CITED_CHUNKS,
        semconv.QUERY_DURATION,
        semconv.QUERY_COST,
        semconv.PROMPT_TOKENS,
        semconv.CONTEXT_SHARE,
        semconv.USED_RANK,
        semconv.SEARCH_SHARE,
    )
)
WITH_MODEL = frozenset(
    (semconv.COST, semconv.PART_TOKEN_COUNT, semconv.OPERATIONS, semconv.PROMPT_TOKENS, semconv.CONTEXT_SHARE)
)
WITH_COLLECTION = frozenset(
    (
        semconv.SEARCH_DURATION,
        semconv.SEARCH_RESULTS,
        semconv.SEARCH_EMPTY,
        semconv.SEARCH_SCORE,
        semconv.CONTEXT_TOKENS,
        semconv.CONTEXT_COST,
        semconv.STALE_TOKENS,
        semconv.CHUNKS,
        semconv.CITED_CHUNKS,
        semconv.USED_RANK,
    )
)
WITHOUT_LABELS = frozenset(
    (semconv.INTERNAL_ERRORS, semconv.OVERFLOWED, semconv.LABELS_OVERFLOWED, semconv.QUEUED, semconv.CLIENTS)
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The variables of a dashboard; `labels` are the app's own, by their names in Prometheus.

    `strategies`, `models` and `collections` say which variables there are besides the data source and the service.
    A query gets the matchers of those variables whose label its metric has.
    """

    labels: tuple[str, ...] = ()
    strategies: bool = True
    models: bool = False
    collections: bool = False

    def matchers(self, metric: Metric) -> tuple[str, ...]:
        """The matchers of `metric`."""
        found = [promql.one_of(promql.JOB, "$service")]
        if self.strategies and metric in WITH_STRATEGY:
            found.append(promql.one_of(promql.STRATEGY, "$strategy"))
        if self.models and metric in WITH_MODEL:
            found.append(promql.one_of(promql.MODEL, "$model"))
        if self.collections and metric in WITH_COLLECTION:
            found.append(promql.one_of(promql.COLLECTION, "$collection"))
        if metric not in WITHOUT_LABELS:
            found.extend(promql.one_of(label, f"${label}") for label in self.labels)
        return tuple(found)

    def series(self, metric: Metric, *where: str, ending: str = "") -> str:
        """The series of `metric` that the reader chose, and that `where` lets through."""
        return promql.selector(metric, (*self.matchers(metric), *where), ending=ending)

    def rate(self, metric: Metric, *by: str, where: tuple[str, ...] = (), ending: str = "") -> str:
        """Growth per second around each point of a graph, summed by labels."""
        return promql.total(promql.rate(self.series(metric, *where, ending=ending), RATE), by)

    def grown(
        self,
        metric: Metric,
        *by: str,
        where: tuple[str, ...] = (),
        ending: str = "",
        window: str = RANGE,
        offset: str = "",
    ) -> str:
        """Growth over a window, which is the chosen range unless given and ends `offset` ago, summed by labels."""
        return promql.total(promql.increase(self.series(metric, *where, ending=ending), window, offset), by)

    def recorded(self, series: Hourly, *where: str, by_labels: bool = True) -> str:
        """The recorded hours of a metric that the reader chose, by the variables whose labels they have.

        Without `by_labels` the app's labels do not count: to be compared with series that lack them.
        """
        matchers = [promql.one_of(promql.JOB, "$service")]
        if self.strategies:
            matchers.append(promql.one_of(promql.STRATEGY, "$strategy"))
        if by_labels and series.has_labels:
            matchers.extend(promql.one_of(label, f"${label}") for label in self.labels)
        if self.models and semconv.RESPONSE_MODEL in series.by:
            matchers.append(promql.one_of(promql.MODEL, "$model"))
        return promql.selector(series.name, (*matchers, *where))

    def variables(self) -> tuple[build.DatasourceVariable | build.QueryVariable, ...]:
        """The variables, in the order of their dependence: the service narrows the others."""
        chosen = [promql.one_of(promql.JOB, "$service")]
        found: list[build.DatasourceVariable | build.QueryVariable] = [
            build.DatasourceVariable("datasource").label("Data source").type("prometheus"),
            _values("service", "Service", semconv.CLIENTS, promql.JOB),
        ]
        if self.strategies:
            found.append(_values("strategy", "Strategy", semconv.QUERIES, promql.STRATEGY, *chosen))
        if self.models:
            found.append(_values("model", "Model", semconv.OPERATIONS, promql.MODEL, *chosen))
        if self.collections:
            found.append(
                _values(
                    "collection", "Collection", semconv.SEARCH_DURATION, promql.COLLECTION, *chosen, ending="_count"
                )
            )
        found.extend(
            _values(label, label.replace("_", " ").capitalize(), semconv.QUERIES, label, *chosen)
            for label in self.labels
        )
        return tuple(found)


def scope(options: Options, *, strategies: bool = True, models: bool = False, collections: bool = False) -> Scope:
    """A scope with the app's labels."""
    labels = tuple(label_name(label) for label in options.labels)
    return Scope(labels, strategies=strategies, models=models, collections=collections)


def _values(name: str, title: str, metric: Metric, label: str, *where: str, ending: str = "") -> build.QueryVariable:
    """Several values of a label, or all. All is `.*`: it also matches series that lack the label."""
    series = promql.selector(f"{metric_name(metric)}{ending}", where)
    every = VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        build.QueryVariable(name)
        .label(title)
        .datasource(DATASOURCE)
        .query({"query": f"label_values({series}, {label})", "refId": f"variable-{name}"})
        .definition(f"label_values({series}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(every)
    )
