"""What the series of our metrics hold, at one moment or grown between two: the table all figures are read from. Pure.

Names and labels are those that a scrape and a push by OTLP have in common (`naming/prometheus_names.py`); whatever else
a way of transport puts onto a series is kept, and summed over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ragmeter.domain import gate
from ragmeter.measured.histogram import Histogram, of_cumulative
from ragmeter.naming import semconv
from ragmeter.naming.metric import InstrumentKind, Metric
from ragmeter.naming.prometheus_names import label_name, metric_name

Labels = frozenset[tuple[str, str]]
Row = tuple[str, Mapping[str, str], float]
"""A series' name, its labels by their names in Prometheus, and its value."""

BUCKET, SUM, COUNT = "_bucket", "_sum", "_count"
UPPER = "le"
PROCESS = ("job", "instance", "service_instance_id")
"""Labels that tell processes apart, where several are on one page or in one database."""


def series_names(metric: Metric) -> tuple[str, ...]:
    """The names of the series that a metric becomes."""
    name = metric_name(metric)
    return tuple(f"{name}{ending}" for ending in (BUCKET, SUM, COUNT)) if metric.buckets else (name,)


GAUGES = frozenset(name for each in semconv.METRICS if each.kind is InstrumentKind.GAUGE for name in series_names(each))
OURS = frozenset(name for each in semconv.METRICS for name in series_names(each))


@dataclass(frozen=True, slots=True)
class Samples:
    """The value of each series of our metrics, by its name and its labels."""

    series: Mapping[str, Mapping[Labels, float]]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Samples:
        """A table of rows, those with the same name and labels added up; what is not ours or no amount is left out."""
        table: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        for name, labels, value in rows:
            amount = gate.amount(value)
            if name in OURS and amount is not None:
                table[name][frozenset(labels.items())] += amount
        return cls({name: dict(found) for name, found in table.items()})

    def __bool__(self) -> bool:
        return bool(self.series)

    def only(self, label: str, *values: str) -> Samples:
        """The series whose label, by its name in OpenTelemetry, has one of these values ("" where it is missing)."""
        name = label_name(label)
        chosen = {
            series: {labels: value for labels, value in found.items() if dict(labels).get(name, "") in values}
            for series, found in self.series.items()
        }
        return Samples({series: found for series, found in chosen.items() if found})

    def values(self, label: str) -> frozenset[str]:
        """The values that a label has in any series."""
        name = label_name(label)
        return frozenset(
            value for found in self.series.values() for labels in found for key, value in labels if key == name
        )

    def total(self, metric: Metric) -> float | None:
        """The sum of a counter over all its series; `None` where there is no series."""
        found = self.series.get(metric_name(metric))
        return sum(found.values()) if found else None

    def sums(self, metric: Metric, *labels: str) -> dict[tuple[str, ...], float]:
        """A counter by the values of labels ("" where one is missing)."""
        names = tuple(label_name(label) for label in labels)
        sums: dict[tuple[str, ...], float] = defaultdict(float)
        for series, value in self.series.get(metric_name(metric), {}).items():
            found = dict(series)
            sums[tuple(found.get(name, "") for name in names)] += value
        return dict(sums)

    def by(self, metric: Metric, label: str) -> dict[str, float]:
        """A counter by the values of one label ("" where it is missing)."""
        return {values[0]: value for values, value in self.sums(metric, label).items()}

    def histogram(self, metric: Metric) -> Histogram | None:
        """A distribution over all its series; `None` where there is none."""
        buckets, sums, _ = series_names(metric)
        below: dict[float, float] = defaultdict(float)
        for labels, value in self.series.get(buckets, {}).items():
            if (bound := _bound(labels)) is not None:
                below[bound] += value
        return of_cumulative(below, sum(self.series.get(sums, {}).values()))

    def restarted_since(self, earlier: Samples) -> frozenset[Labels]:
        """The processes of which a value has fallen, by their labels: what counts began anew at zero."""
        return frozenset(
            _process(labels)
            for name, found in self.series.items()
            if name not in GAUGES
            for labels, value in found.items()
            if value < earlier.series.get(name, {}).get(labels, 0.0)
        )

    def lacks(self, earlier: Samples) -> bool:
        """Whether a series of an earlier reading is gone: a process keeps its own to its end."""
        return any(
            found.keys() - self.series.get(name, {}).keys()
            for name, found in earlier.series.items()
            if name not in GAUGES
        )

    def since(self, earlier: Samples) -> Samples:
        """What has grown since an earlier reading; gauges as they are now.

        A series that was not there began at zero, and so did all series of a process that has restarted.
        """
        restarted = self.restarted_since(earlier)

        def before(name: str, labels: Labels) -> float:
            is_new = name in GAUGES or _process(labels) in restarted
            return 0.0 if is_new else earlier.series.get(name, {}).get(labels, 0.0)

        return Samples(
            {
                name: {labels: value - before(name, labels) for labels, value in found.items()}
                for name, found in self.series.items()
            }
        )


def _bound(labels: Labels) -> float | None:
    """The upper bound of a bucket; `None` where it is no number."""
    try:
        return float(dict(labels)[UPPER])
    except (KeyError, ValueError):
        return None


def _process(labels: Labels) -> Labels:
    return frozenset((name, value) for name, value in labels if name in PROCESS)
