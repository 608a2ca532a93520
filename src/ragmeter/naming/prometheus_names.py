"""The names that our metrics and labels have in Prometheus, by scrape and by OTLP alike.

The rules are those of the OpenTelemetry specification's "Prometheus compatibility"; `tests/stack` holds them against
the real exporters. A name written by hand into a dashboard would not follow when a metric is renamed.
"""

from __future__ import annotations

import re

from ragmeter.naming.metric import InstrumentKind, Metric

UNITS = {"s": "seconds"}
"""Units that become part of a name; those in braces are annotations and do not."""


def label_name(attribute: str) -> str:
    """The label of an attribute: `ragmeter.strategy` is `ragmeter_strategy`."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


def metric_name(metric: Metric) -> str:
    """The series of a counter or a gauge, or the stem of a histogram's `_bucket`, `_sum` and `_count`."""
    unit = UNITS.get(metric.unit)
    stem = label_name(metric.name) + (f"_{unit}" if unit else "")
    return f"{stem}_total" if metric.kind is InstrumentKind.COUNTER else stem
