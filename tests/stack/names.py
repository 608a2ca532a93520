"""The Prometheus names that the project promises: its dashboards and rules use them, `docs/telemetry.md` lists them."""

from __future__ import annotations

from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import metric_name
from ragmeter.naming.semconv import INTERNAL_ERRORS, LABELS_OVERFLOWED, METRICS, OVERFLOWED, UNSCOPED

__all__ = ["METRICS", "NEEDS_A_FAULT", "series_names"]

NEEDS_A_FAULT = (INTERNAL_ERRORS, LABELS_OVERFLOWED, OVERFLOWED, UNSCOPED)
"""Metrics that an app in good health never has."""


def series_names(metric: Metric) -> frozenset[str]:
    """The names of the series that one instrument becomes in Prometheus."""
    name = metric_name(metric)
    return frozenset(f"{name}{ending}" for ending in (("_bucket", "_sum", "_count") if metric.buckets else ("",)))
