"""What a metric is: an instrument, and all there is to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class InstrumentKind(StrEnum):
    """What an instrument measures: a total that grows, a state, or a distribution."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Profile(StrEnum):
    """The generations of the conventions' metrics; `OWN` are ours, which every profile has."""

    OWN = "own"
    RELEASED = "released"
    LATEST = "latest"


def generations_of(profile: str) -> tuple[Profile, ...]:
    """The generations of standard metrics that the setting `profile` asks for."""
    return (Profile.RELEASED, Profile.LATEST) if profile == "both" else (Profile(profile),)


@dataclass(frozen=True, slots=True)
class Metric:
    """One instrument and all there is to know of it: telemetry, dashboards, documents and tests read it from here.

    `labels` are the attributes that its points may carry. `buckets` makes it a histogram; without them it is a counter,
    unless it is a gauge. `field` names the field of an operation that it shows as it is: such a metric needs no code of
    its own. `of_itself` says that it tells of ragmeter, not of the app; `of_collections` that it has many series for
    each of a few collections, and so none of the app's labels.
    """

    name: str
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    is_gauge: bool = False
    profiles: tuple[Profile, ...] = (Profile.OWN,)
    field: str = ""
    of_itself: bool = False
    of_collections: bool = False

    @property
    def kind(self) -> InstrumentKind:
        """What it measures."""
        if self.buckets:
            return InstrumentKind.HISTOGRAM
        return InstrumentKind.GAUGE if self.is_gauge else InstrumentKind.COUNTER

    @property
    def has_app_labels(self) -> bool:
        """Whether its points also carry the labels that the app has declared."""
        return Profile.OWN in self.profiles and not (self.of_itself or self.of_collections)
