"""How many attribute sets an SDK keeps apart on one instrument, and how many of them are ours.

Beyond its limit the SDK folds whatever is new into one point, `otel.metric.overflow`, that has no label left: money
without a strategy. The limit came with release 1.45 (2,000 unless reader or view say otherwise); before there is none.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable
from typing import Any

from opentelemetry.sdk.metrics import ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality

logger = logging.getLogger("ragmeter")


class Room:
    """The attribute sets of each instrument of one provider. Used under the worker's lock.

    `share` is how full the fullest instrument is: 1.0 at its limit.
    """

    def __init__(self) -> None:
        self._most: dict[str, int] = {}
        self._known: dict[str, set[Hashable]] = {}
        self.share = 0.0

    def open(self, name: str, most: int | None) -> None:
        """Keep count of the instrument `name`, which keeps `most` sets apart; `None` is any number."""
        self._known[name] = set()
        if most is not None:
            self._most[name] = max(1, most)

    def enter(self, name: str, attributes: Hashable) -> None:
        """Count a set that gets its first point."""
        most = self._most.get(name)
        known = self._known[name]
        if most is None or attributes in known:
            return
        known.add(attributes)
        self.share = max(self.share, len(known) / most)
        if len(known) == most + 1:
            logger.warning(
                "ragmeter: the app's meter provider keeps at most %d series of %s apart, and there are more: the rest "
                "is counted without a strategy. Give its reader, or the view, a higher limit.",
                most,
                name,
            )

    def holds(self, points: Iterable[tuple[str, Hashable]], share: float, spare: int) -> bool:
        """Whether these sets, by the name of their instrument, are known or fit into `share` of its limit.

        So many as are `spare` stay free in any case, or half of an instrument that keeps few.
        """
        fresh: dict[str, set[Hashable]] = {}
        for name, attributes in points:
            if name in self._most and attributes not in self._known[name]:
                fresh.setdefault(name, set()).add(attributes)
        return all(
            len(self._known[name]) + len(sets) <= min(share * most, most - min(spare, most / 2))
            for name, sets in fresh.items()
            for most in (self._most[name],)
        )

    def crowded(self, share: float) -> tuple[str, ...]:
        """The instruments that are filled to `share` of their limit or beyond."""
        return tuple(sorted(name for name, most in self._most.items() if len(self._known[name]) >= share * most))


def most_series(provider: Any, instrument: Any) -> int | None:
    """How many attribute sets a provider keeps apart on an instrument: the least of its readers; `None` is no limit.

    A provider that does not tell, such as a wrapper, is taken for one of the installed SDK as it comes.
    """
    default = _default()
    config = getattr(provider, "_sdk_config", None)
    if config is None or default is None:
        return default
    of_views = [_of_view(view) for view in getattr(config, "views", ()) if _matches(view, instrument)]
    limits = [limit for limit in of_views if limit is not None]
    if not of_views or None in of_views:
        limits += [_of_reader(reader, instrument, default) for reader in readers_of(provider)]
    return min(limits, default=default)


def readers_of(provider: Any) -> tuple[Any, ...]:
    """The metric readers of an SDK's provider, which has no public name for them; none of another's."""
    # Until 1.43 the provider's configuration had them.
    config = getattr(provider, "_sdk_config", None)
    return tuple(getattr(provider, "_metric_readers", None) or getattr(config, "metric_readers", None) or ())


def exports_differences(provider: Any) -> bool:
    """Whether a reader of an SDK's provider exports by how much counters have grown: delta temporality."""
    chosen = [getattr(reader, "_instrument_class_temporality", {}) for reader in readers_of(provider)]
    of_counters = [each for kinds in chosen for kind, each in kinds.items() if issubclass(kind, ObservableCounter)]
    return AggregationTemporality.DELTA in of_counters


def _matches(view: Any, instrument: Any) -> bool:
    match = getattr(view, "_match", None)
    return match is not None and bool(match(instrument))


def _of_view(view: Any) -> int | None:
    return getattr(view, "_aggregation_cardinality_limit", None)


def _of_reader(reader: Any, instrument: Any, default: int) -> int:
    limits: dict[type, int] = getattr(reader, "_instrument_class_cardinality_limit", {})
    return limits.get(type(instrument), default)


def _default() -> int | None:
    try:
        from opentelemetry.sdk.metrics._internal._view_instrument_match import _DEFAULT_CARDINALITY_LIMIT
    except ImportError:
        return None
    return int(_DEFAULT_CARDINALITY_LIMIT)
