"""Our own totals: plain dictionaries that observable counters read, so that counting costs an addition.

Label values are bounded: beyond the cap a value is counted under `other`, and no series is ever lost or made twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ragmeter.semconv import Metric

OTHER = "other"
Attributes = tuple[tuple[str, str], ...]


class LabelCaps:
    """Keeps the number of values of each label bounded: the first `most` are kept, later ones become `other`.

    `overflowed` holds how often that happened to each label.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[str, set[str]] = {}
        self.overflowed: Counter[str] = Counter()

    def bound(self, label: str, value: str) -> str:
        """`value`, or `other` when the label already has its number of values."""
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= self._most:
            self.overflowed[label] += 1
            return OTHER
        seen.add(value)
        return value

    @property
    def full(self) -> tuple[str, ...]:
        """The labels that have reached their cap."""
        return tuple(sorted(label for label, seen in self._seen.items() if len(seen) >= self._most))


class Totals:
    """Counters by attributes, exported through one observable instrument for each metric."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._values: dict[str, dict[Attributes, float]] = {}
        self._sources: dict[str, list[Callable[[], Mapping[Attributes, int]]]] = {}

    def expose(self, metrics: Iterable[Metric]) -> None:
        """Make the instruments of `metrics`, those that are not there yet."""
        for metric in metrics:
            if metric.name not in self._values:
                self._values[metric.name] = {}
                create = (
                    self._meter.create_observable_gauge if metric.is_gauge else self._meter.create_observable_counter
                )
                create(
                    metric.name,
                    callbacks=[self._observer(metric.name)],
                    unit=metric.unit,
                    description=metric.description,
                )

    def add(self, metric: Metric, value: float, attributes: Attributes) -> None:
        """Add `value` to the total of `attributes`; called under the worker's lock."""
        values = self._values[metric.name]
        values[attributes] = values.get(attributes, 0) + value

    def follow(self, metric: Metric, count: Callable[[], Mapping[Attributes, int]]) -> Callable[[], None]:
        """Let a metric that is counted elsewhere be read when it is collected; several sources are added up.

        Gives what ends it: a counter must go on for as long as its provider, a state ends with what it is of.
        """
        sources = self._sources.setdefault(metric.name, [])
        sources.append(count)
        return lambda: sources.remove(count)

    def clear(self) -> None:
        """Start from nothing: in a forked child the parent's totals are the parent's."""
        for values in self._values.values():
            values.clear()

    def _observer(self, name: str) -> Callable[[CallbackOptions], list[Observation]]:
        def observe(_: CallbackOptions) -> list[Observation]:
            values = self._values[name]
            if name in self._sources:
                added: Counter[Attributes] = Counter()
                for count in list(self._sources[name]):
                    added.update(count())
                values = {key: float(value) for key, value in added.items()}
            return [Observation(value, dict(key)) for key, value in list(values.items())]

        return observe
