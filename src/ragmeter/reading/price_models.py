"""What genai-prices says of models and their prices, as plain values. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tiers:
    """A price by the length of the input: that of the last start which is exceeded holds for all of it."""

    base: float
    tiers: tuple[tuple[int, float], ...]


Prices = Mapping[str, "float | Tiers"]
"""US dollars by the library's price key."""


@dataclass(frozen=True, slots=True)
class FirstDay:
    """The day, in UTC, from which a price holds."""

    start_date: datetime.date

    def holds(self, at: datetime.datetime) -> bool:
        """Whether the price holds at this moment of UTC."""
        return at.date() >= self.start_date


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """The time of each day, in UTC, in which a price holds; it may go over midnight."""

    start: datetime.time
    end: datetime.time

    def holds(self, at: datetime.datetime) -> bool:
        """Whether the price holds at this moment of UTC."""
        now = at.time()
        if self.end < self.start:
            return now >= self.start or now < self.end
        return self.start <= now < self.end


When = FirstDay | TimeOfDay | None


@dataclass(frozen=True, slots=True)
class Variant:
    """Prices that stand in place of the standard ones where a request's context has all of `context`."""

    context: Mapping[str, str]
    prices: Prices
    when: When


@dataclass(frozen=True, slots=True)
class Model:
    """A model: whether a name in lower case means it, and its prices, of which the last that holds counts."""

    id: str
    is_match: Callable[[str], bool]
    prices: tuple[tuple[When, Prices], ...]
    variants: tuple[Variant, ...]

    def prices_at(self, at: datetime.datetime, context: Mapping[str, str]) -> Prices:
        """The prices at a moment of UTC, with those of the first fitting variant in place of the standard ones."""
        holding = [prices for when, prices in self.prices if when is None or when.holds(at)]
        if not holding and not self.prices:
            return {}
        found = dict(holding[-1] if holding else self.prices[0][1])
        for variant in reversed(self._variants_at(at, context)):
            found.update(variant.prices)
        return found

    def has_prices_for(self, wanted: Mapping[str, str], at: datetime.datetime, context: Mapping[str, str]) -> bool:
        """Whether there are prices of its own for each tier and speed that are wanted, in a request's context."""
        known = self._variants_at(at, context)
        return all(any(key in variant.context for variant in known) for key in wanted)

    def _variants_at(self, at: datetime.datetime, context: Mapping[str, str]) -> tuple[Variant, ...]:
        """The variants that fit a request's context at a moment of UTC."""
        return tuple(
            variant
            for variant in self.variants
            if variant.context.items() <= context.items() and (variant.when is None or variant.when.holds(at))
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: the pattern of its URLs, its own models, and the providers whose models it offers as well."""

    id: str
    url: str
    models: Iterable[Model]
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A model and the id of the provider whose table has it, which may be one that another falls back to."""

    model: Model
    provider: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that is charged: its name, how many the price is for, and what it counts, by dimension."""

    name: str
    per: int
    dimensions: Mapping[str, str]
