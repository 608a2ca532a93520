"""What is counted in this process, by us or by the SDK, as the samples that a scrape of it would have had."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ragmeter.measured.samples import BUCKET, COUNT, SUM, UPPER, Row, Samples, series_names
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import label_name, metric_name

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from prometheus_client import CollectorRegistry

BY_NAME = {metric.name: metric for metric in semconv.METRICS}

Counted = Iterable[tuple[str, tuple[tuple[str, str], ...], float]]
"""Names of metrics, attributes and totals."""


def rows_of(counted: Counted) -> Iterator[Row]:
    """The series of totals that are counted here."""
    for name, attributes, total in counted:
        yield metric_name(BY_NAME[name]), {label_name(key): value for key, value in attributes}, total


def distributions_of(registry: CollectorRegistry, *metrics: Metric) -> Iterator[Row]:
    """The distributions of some metrics that a page of this process has."""
    wanted = frozenset(name for metric in metrics for name in series_names(metric))
    for family in registry.collect():
        for each in family.samples:
            if each.name in wanted:
                yield each.name, each.labels, each.value


def samples_of(metrics: MetricsData | None) -> Samples:
    """The samples of what a reader has collected (cumulative, as readers are unless told otherwise)."""
    return Samples.of(_rows(metrics))


def _rows(metrics: MetricsData | None) -> Iterator[Row]:
    for resource in metrics.resource_metrics if metrics is not None else ():
        for scope in resource.scope_metrics:
            for each in scope.metrics:
                if (metric := BY_NAME.get(each.name)) is not None:
                    for point in each.data.data_points:
                        yield from _of_point(metric, point)


def _of_point(metric: Metric, point: Any) -> Iterator[Row]:
    name = metric_name(metric)
    labels = {label_name(attribute): str(value) for attribute, value in (point.attributes or {}).items()}
    if not metric.buckets:
        yield name, labels, point.value
        return
    bounds = (*point.explicit_bounds, math.inf)
    for bound, below in zip(bounds, accumulate(point.bucket_counts), strict=True):
        yield f"{name}{BUCKET}", {**labels, UPPER: str(bound)}, below
    yield f"{name}{SUM}", labels, point.sum
    yield f"{name}{COUNT}", labels, point.count
