"""Our own totals: plain dictionaries that observable counters read, so that counting costs an addition.

Label values are bounded: beyond the cap a value is counted under `other`, and no series is ever lost or made twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ragmeter.domain import gate
from ragmeter.naming.metric import Metric
from ragmeter.telemetry.series_room import Room

OTHER = "other"

UNSET = "unset"
"""Value of a declared label that nobody has set: a lost label is seen, not hidden."""

UNKNOWN = "unknown"

Attributes = tuple[tuple[str, str], ...]


class LabelCaps:
    """Makes label values of what comes from outside: text that every exporter takes, and a bounded number of values.

    The first `most` values of a label are kept, later ones become `other`; `always` are values that have their place
    whatever else comes. `overflowed` holds how often a value of each label became `other`.
    """

    def __init__(self, most: int, always: Mapping[str, Iterable[str]] | None = None) -> None:
        self._most = most
        self._seen: dict[str, set[str]] = {}
        self._always = {label: frozenset(values) for label, values in (always or {}).items()}
        self._closed: set[str] = set()
        self.overflowed: Counter[str] = Counter()

    def bound(self, label: str, value: Any) -> str:
        """`value` as a label's value: `other` when the label is full, `unknown` when it is no text or an empty one."""
        seen = self._seen.get(label)
        if seen is None:
            seen = self._seen[label] = set()
        # What was seen has passed the gate.
        if type(value) is str and value in seen:
            return value
        text = gate.name(value) or UNKNOWN
        if text in seen or text in (UNSET, UNKNOWN, OTHER) or text in self._always.get(label, ()):
            return text
        if len(seen) >= self._most or label in self._closed:
            self.overflowed[label] += 1
            return OTHER
        seen.add(text)
        return text

    def close(self, labels: Iterable[str]) -> None:
        """Take no new values of these labels: there is no room for more series."""
        self._closed.update(labels)

    def fold(self, label: str, values: Iterable[str]) -> bool:
        """Count these values under `other` from now on, in every metric alike; whether there was one to fold."""
        self._closed.add(label)
        seen = self._seen.get(label, set())
        folded = seen.intersection(values)
        seen -= folded
        return bool(folded)

    def values(self, label: str) -> int:
        """How many values a label has."""
        return len(self._seen.get(label, ()))

    def clear(self) -> None:
        """Start from nothing: in a forked child the parent's values are the parent's."""
        self._seen.clear()
        self.overflowed.clear()

    @property
    def full(self) -> tuple[str, ...]:
        """The labels whose new values become `other`."""
        capped = {label for label, seen in self._seen.items() if len(seen) >= self._most}
        return tuple(sorted(capped | (self._closed & self.overflowed.keys())))


class Totals:
    """Counters by attributes, exported through one observable instrument for each metric.

    `most_series` tells how many attribute sets an instrument keeps apart, `room` counts them. Where the provider
    `differs`, it exports by how much each total has grown since it last read it.
    """

    def __init__(
        self, meter: Meter, room: Room, most_series: Callable[[Any], int | None], *, differs: bool = False
    ) -> None:
        self._meter = meter
        self._room = room
        self._most_series = most_series
        self._differs = differs
        self._read: dict[str, dict[Attributes, float]] = {}
        self._inherited: dict[str, dict[Attributes, float]] = {}
        self._begun: dict[str, dict[Attributes, float]] = {}
        self._values: dict[str, dict[Attributes, float]] = {}
        self._sources: dict[str, list[Callable[[], Mapping[Attributes, float]]]] = {}
        self._forgetting: list[Callable[[], None]] = []

    def expose(self, metrics: Iterable[Metric]) -> None:
        """Make the instruments of `metrics`, those that are not there yet."""
        for metric in metrics:
            if metric.name not in self._values:
                self._values[metric.name] = {}
                create = (
                    self._meter.create_observable_gauge if metric.is_gauge else self._meter.create_observable_counter
                )
                instrument = create(
                    metric.name,
                    callbacks=[self._observer(metric)],
                    unit=metric.unit,
                    description=metric.description,
                )
                # Those of collections have a bound of their own, and no label that could be folded.
                self._room.open(metric.name, None if metric.of_collections else self._most_series(instrument))

    def add(self, metric: Metric, value: float, attributes: Attributes) -> None:
        """Add `value`, from 0 to below 2**53, to the total of `attributes`; called under the worker's lock.

        What is no such amount raises `ValueError`: one of them would make a counter fall, or end the app's own export.
        """
        if gate.amount(value) is None:
            raise ValueError(f"{metric.name} grows by amounts, not by {value!r}")
        values = self._values[metric.name]
        try:
            values[attributes] += value
        except KeyError:
            values[attributes] = value
            self._room.enter(metric.name, attributes)

    def follow(
        self,
        metric: Metric,
        count: Callable[[], Mapping[Attributes, float]],
        forget: Callable[[], None] | None = None,
    ) -> Callable[[], None]:
        """Let a metric that is counted elsewhere be read when it is collected; several sources are added up.

        `forget` starts its source from nothing, in a forked child. Gives what ends the following: a counter must go on
        for as long as its provider, a state ends with what it is of.
        """
        sources = self._sources.setdefault(metric.name, [])
        sources.append(count)
        if forget is not None:
            self._forgetting.append(forget)
        return lambda: sources.remove(count)

    def clear(self) -> None:
        """Start from nothing: in a forked child the parent's totals are the parent's.

        Where differences are exported, nothing is what was last read: from less they would be negative.
        """
        for name, values in self._values.items():
            values.clear()
            values.update(self._read.get(name, {}))
        for forget in self._forgetting:
            forget()
        self._begun = {name: dict(read) for name, read in self._read.items()}
        self._inherited = {name: self._begun[name] for name in self._sources if name in self._begun}

    def counted(self) -> Iterator[tuple[str, Attributes, float]]:
        """What this process has counted: the name of a metric, attributes and their total; from any thread.

        Nothing is told of what a forked child has only taken over from its parent.
        """
        for name in list(self._values):
            begun = self._begun.get(name, {})
            for key, total in list(self._current(name).items()):
                if key not in begun or total > begun[key]:
                    yield name, key, total - begun.get(key, 0.0)

    def _observer(self, metric: Metric) -> Callable[[CallbackOptions], list[Observation]]:
        def observe(_: CallbackOptions) -> list[Observation]:
            read = list(self._current(metric.name).items())
            if self._differs and not metric.is_gauge:
                self._read[metric.name] = dict(read)
            return [Observation(_observed(value), dict(key)) for key, value in read]

        return observe

    def _current(self, name: str) -> Mapping[Attributes, float]:
        return self._followed(name) if name in self._sources else self._values[name]

    def _followed(self, name: str) -> Mapping[Attributes, float]:
        added: Counter[Attributes] = Counter()
        for count in list(self._sources[name]):
            added.update(count())
        before = self._inherited.get(name, {})
        return {key: float(added[key] + before.get(key, 0.0)) for key in {**added, **before}}


def _observed(total: float) -> float:
    """A total as exporters take it: whole numbers beyond 64 bits end an export."""
    return total if total < gate.MOST else float(total)
