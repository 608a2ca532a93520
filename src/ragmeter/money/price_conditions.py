"""What a price depends on beside the model: where the request ran, how long it was, and the day.

The rows are in `facts/`; genai-prices has none for these. A place that no row knows does not change the price, but
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
    """The place in which a provider of genai-prices says that it has answered, and its factor on the price of tokens.

    `place` is empty where the answer names none.
    """

    provider: str
    place: str
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


SURCHARGES = read("surcharges", Surcharge)
"""The first row that fits counts."""

GEOGRAPHIES = {(row.provider, row.place): row.factor for row in read("geographies", Geography)}
_TELL_PLACES = frozenset(provider for provider, _ in GEOGRAPHIES)

LONG_PROMPTS = read("long_prompts", LongPrompt)


def surcharge(provider: str, model: str, host: str | None, geography: str | None) -> float | None:
    """The factor on the price of tokens: of the host that was asked, times that of the place the answer names.

    `None` where one of them is not known.
    """
    by_place = GEOGRAPHIES.get((provider, geography or "")) if provider in _TELL_PLACES else 1.0
    by_host = _of_host(provider, model.lower(), host or "")
    return None if by_place is None or by_host is None else by_place * by_host


def _of_host(provider: str, model: str, host: str) -> float | None:
    for row in SURCHARGES:
        if row.provider == provider and re.fullmatch(row.hosts, host) and re.fullmatch(row.models, model):
            return row.factor
    return 1.0


def known_to(provider: str, model: str) -> int | None:
    """The length of a prompt in tokens beyond which the prices of a model are a guess."""
    rows = (row for row in LONG_PROMPTS if row.provider == provider and re.fullmatch(row.models, model.lower()))
    return next((row.tokens for row in rows), None)


BEIJING = timedelta(hours=8)
DEEPSEEK_MODELS = re.compile(r"deepseek-(flash|v4)")
DEEPSEEK_WEEKENDS = date(2026, 8, 23)
DEEPSEEK_HOLIDAYS = tuple(row.days for row in read("holidays", Holiday))
"""China's public holidays, first and last day, as far as a calendar is out and the rule is old."""

FRIDAY = 5
QUIET_HOUR = 12
"""An hour of UTC that is off-peak at DeepSeek on every day."""


def priced_moments(provider: str, model: str, at: datetime) -> tuple[datetime, ...]:
    """The moment whose prices hold at `at`, and further ones whose prices may hold instead.

    DeepSeek's peak hours are those of Monday to Friday without China's public holidays, from 2026-08-23 on
    (https://api-docs.deepseek.com/quick_start/pricing); genai-prices has them on every day.
    """
    if provider != "deepseek" or DEEPSEEK_MODELS.match(model.lower()) is None:
        return (at,)
    day = (at.astimezone(UTC) + BEIJING).date()
    if day < DEEPSEEK_WEEKENDS:
        return (at,)
    quiet = at.replace(hour=QUIET_HOUR, minute=0)
    if day.isoweekday() > FRIDAY or any(first <= day <= last for first, last in DEEPSEEK_HOLIDAYS):
        return (quiet,)
    has_calendar = any(first.year == day.year for first, _ in DEEPSEEK_HOLIDAYS)
    return (at,) if has_calendar else (at, quiet)
