"""What a price depends on beside the model: where the request ran, how long it was, its tier, and the day.

The rows are in `facts/`; genai-prices has none for these. A geography that no row knows does not change the price, but
makes it an estimate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ragmeter.facts import Fact, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Surcharge(Fact):
    """A factor on the price of tokens: at a provider of genai-prices, at hosts, for models; each a pattern in full.

    `factor` is `None` where it is not known whether there is one.
    """

    provider: str
    hosts: str
    models: str
    factor: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Geography(Fact):
    """Where a provider of genai-prices says that it has answered, and its factor on the price of tokens.

    `geography` is empty where the answer names none.
    """

    provider: str
    geography: str
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LongPrompt(Fact):
    """How many tokens long a prompt may be until its price is not known: at a provider of genai-prices, for models."""

    provider: str
    models: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday(Fact):
    """A public holiday of China, from its first to its last day."""

    first: str
    last: str

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day."""
        return date.fromisoformat(self.first), date.fromisoformat(self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakDays(Fact):
    """Models of a provider of genai-prices whose peak hours are those of China's working days, from the day `since` on.

    A day begins `hours_from_utc` before it does in UTC; the hour `quiet_hour` of UTC is off-peak on every day.
    """

    provider: str
    models: str
    since: str
    hours_from_utc: int
    quiet_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardTier(Fact):
    """A service tier that changes no price, as a provider of genai-prices calls it."""

    provider: str
    tier: str


SURCHARGES = read("surcharges", Surcharge)
"""The first row that fits counts."""

GEOGRAPHIES = {(row.provider, row.geography): row.factor for row in read("geographies", Geography)}
_TELL_GEOGRAPHIES = frozenset(provider for provider, _ in GEOGRAPHIES)

LONG_PROMPTS = read("long_prompts", LongPrompt)
PEAK_DAYS = read("peak_days", PeakDays)

STANDARD_TIERS = frozenset(row.tier for row in read("standard_tiers", StandardTier))
"""Tiers that change no price, whoever names them."""


def surcharge(provider: str, model: str, host: str | None, geography: str | None) -> float | None:
    """The factor on the price of tokens: of the host that was asked, times that of the geography the answer names.

    `None` where one of them is not known.
    """
    by_geography = GEOGRAPHIES.get((provider, geography or "")) if provider in _TELL_GEOGRAPHIES else 1.0
    by_host = _of_host(provider, model.lower(), host or "")
    return None if by_geography is None or by_host is None else by_geography * by_host


def is_plain_geography(geography: str | None) -> bool:
    """Whether it changes no provider's price that an answer comes from there."""
    factors = [factor for (_, known), factor in GEOGRAPHIES.items() if known == (geography or "")]
    return bool(factors) and all(factor == 1.0 for factor in factors)


def _of_host(provider: str, model: str, host: str) -> float | None:
    for row in SURCHARGES:
        if row.provider == provider and re.fullmatch(row.hosts, host) and re.fullmatch(row.models, model):
            return row.factor
    return 1.0


def known_to(provider: str, model: str) -> int | None:
    """The length of a prompt in tokens beyond which the prices of a model are a guess."""
    rows = (row for row in LONG_PROMPTS if row.provider == provider and re.fullmatch(row.models, model.lower()))
    return next((row.tokens for row in rows), None)


CALENDAR = tuple(row.days for row in read("holidays", Holiday))
"""China's public holidays, first and last day, as far as a calendar is out and the rule is old."""

FRIDAY = 5


def priced_moments(provider: str, model: str, at: datetime) -> tuple[datetime, ...]:
    """The moment whose prices hold at `at`, and further ones whose prices may hold instead."""
    name = model.lower()
    rows = (row for row in PEAK_DAYS if row.provider == provider and re.fullmatch(row.models, name))
    row = next(rows, None)
    return (at,) if row is None else _at_peak_or_not(row, at)


def _at_peak_or_not(row: PeakDays, at: datetime) -> tuple[datetime, ...]:
    day = (at.astimezone(UTC) + timedelta(hours=row.hours_from_utc)).date()
    if day < date.fromisoformat(row.since):
        return (at,)
    quiet = at.replace(hour=row.quiet_hour, minute=0)
    if day.isoweekday() > FRIDAY or any(first <= day <= last for first, last in CALENDAR):
        return (quiet,)
    has_calendar = any(first.year == day.year for first, _ in CALENDAR)
    return (at,) if has_calendar else (at, quiet)
