"""What a dashboard lets its reader choose: its variables, and the matchers they put into each query."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards.options import Options
from ragmeter.naming import semconv
from ragmeter.naming.hourly_series import Hourly
from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import label_name, metric_name

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

RATE = "$__rate_interval"
RANGE = "$__range"
RANGE_SECONDS = "$__range_s"
BEFORE = "$compare"
"""How far back that lies which is compared with: a variable of its own dashboard."""
FINEST, FINE, ROUGH = "15s", "1m", "5m"
"""How exactly it is looked when there was data: for each point of a graph, for a range, for each hour of a graph."""
ALIKE = "0.9"
"""Two times are compared when the earlier one has data for so much of what the later one has."""


@dataclass(frozen=True, slots=True)
class Selection:
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
        chosen = self._chosen()
        found.extend(matcher for attribute, matcher in chosen.items() if attribute in metric.labels)
        if metric.has_app_labels:
            found.extend(promql.one_of(label, f"${label}") for label in self.labels)
        return tuple(found)

    def _chosen(self) -> dict[str, str]:
        """The matcher of each variable besides the service and the app's labels, by the attribute it chooses."""
        variables = (
            (self.strategies, semconv.STRATEGY, "$strategy"),
            (self.models, semconv.RESPONSE_MODEL, "$model"),
            (self.collections, semconv.DB_COLLECTION, "$collection"),
        )
        return {
            attribute: promql.one_of(label_name(attribute), variable)
            for is_there, attribute, variable in variables
            if is_there
        }

    def series(self, metric: Metric, *where: str, ending: str = "") -> str:
        """The series of `metric` that the reader chose, and that `where` lets through."""
        return promql.selector(metric, (*self.matchers(metric), *where), ending=ending)

    def rate(self, metric: Metric, *by: str, where: tuple[str, ...] = (), ending: str = "") -> str:
        """Growth per second around each point of a graph, summed by labels."""
        return promql.total(promql.rate(self.series(metric, *where, ending=ending), RATE), by)

    def pace(self, metric: Metric, *by: str, where: tuple[str, ...] = (), ending: str = "") -> str:
        """Growth per second around each point of a graph, summed by labels: also while there are data of a part only.

        A rate divides by the whole window, in which an app may just have begun.
        """
        grown = self.grown(metric, *by, where=where, ending=ending, window=RATE)
        seconds = self.seconds_with_data(RATE, FINEST)
        return f"({grown} / on () group_left () {seconds} or {self.rate(metric, *by, where=where, ending=ending)})"

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

    def metered(self, offset: str = "") -> str:
        """1 where a process of the chosen services is metered, or was `offset` ago, whether it is used or not."""
        # The queue has one series in each process: the cheapest of the gauges.
        series = promql.selector(semconv.QUEUED, self.matchers(semconv.QUEUED))
        return f"group({series}{f' offset {offset}' if offset else ''})"

    def was_metered(self, window: str = RANGE) -> str:
        """1 where a process of the chosen services was metered at any time of a window."""
        series = promql.selector(semconv.QUEUED, self.matchers(semconv.QUEUED))
        return f"group(last_over_time({series}[{window}]))"

    def grown_or_zero(self, metric: Metric, *where: str, window: str = RANGE) -> str:
        """Growth over a window, and 0 where nothing grew while there was something to be counted."""
        return f"({self.grown(metric, where=where, window=window)} or {promql.zero_where(self.was_metered(window))})"

    def seconds_with_data(self, window: str, fine: str = FINE, offset: str = "") -> str:
        """Seconds of a window, which ends `offset` ago, in which the chosen services were metered."""
        seconds = {FINEST: 15, FINE: 60, ROUGH: 300}[fine]
        before = f" offset {offset}" if offset else ""
        return f"({seconds} * count_over_time({self.metered()}[{window}:{fine}]{before}))"

    def length_of_data(self) -> str:
        """Seconds from the first to the last minute of the chosen range in which the chosen services were metered.

        It is what a total is divided by that shall tell a pace: a range may be longer than the app is old. At least a
        minute.
        """
        at = f"timestamp({self.metered()})[{RANGE}:{FINE}]"
        length = f"max_over_time({at}) - min_over_time({at}) + {promql.MINUTE}"
        return f"scalar({length} or {promql.MINUTE} * {self.was_metered()} or vector({RANGE_SECONDS}))"

    def comparable(self, window: str, fine: str = FINE) -> str:
        """Something where a window may be compared with the one `BEFORE`: there was data throughout, and none is both.

        Throughout means as long as in the window itself: an app may rest at night.
        """
        now, before = (self.seconds_with_data(window, fine, offset) for offset in ("", BEFORE))
        whole = f"{before} >= {ALIKE} * {now}"
        if window != RANGE:
            return f"({whole})"
        back = f"(vector(time()) - last_over_time(vector(time())[1m:1s] offset {BEFORE}))"
        return f"({whole} and on () ({back} >= {RANGE_SECONDS}))"

    def recorded(self, series: Hourly, *where: str, by_labels: bool = True) -> str:
        """The recorded hours of a metric that the reader chose, by the variables whose labels they have.

        Without `by_labels` the app's labels do not count: to be compared with series that lack them.
        """
        by = (semconv.STRATEGY, *series.by)
        matchers = [promql.one_of(promql.JOB, "$service")]
        matchers.extend(matcher for attribute, matcher in self._chosen().items() if attribute in by)
        if by_labels and series.has_labels:
            matchers.extend(promql.one_of(label, f"${label}") for label in self.labels)
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


def selection(
    options: Options, *, strategies: bool = True, models: bool = False, collections: bool = False
) -> Selection:
    """A selection with the app's labels."""
    labels = tuple(label_name(label) for label in options.labels)
    return Selection(labels, strategies=strategies, models=models, collections=collections)


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
