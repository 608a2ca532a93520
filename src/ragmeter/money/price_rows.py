"""Prices that genai-prices lacks, from `facts/`: dated rows, each with its source. US dollars."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ragmeter.facts import Fact, read


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow(Fact):
    """Prices of a provider's models whose names a shell pattern fits, in US dollars per million tokens by unit."""

    provider: str
    models: str
    prices: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow(Fact):
    """A unit beside tokens: at a provider of genai-prices, for the models that a pattern fits in full."""

    provider: str
    models: str
    unit: str

    def fits(self, provider: str, model: str) -> bool:
        """Whether the row is about a model of a provider of genai-prices."""
        return self.provider == provider and re.fullmatch(self.models, model.lower()) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRow(UnitRow):
    """The price of one unit."""

    price: float


_MODEL_ROWS = read("prices", ModelRow)

FEE_ROWS = read("fees", FeeRow)
"""The first row that fits counts; the library's own price of a unit stands above."""

UNSURE_FEES = read("unsure_fees", UnitRow)
"""Units whose fee depends on what no answer tells."""


def row_of(model: str, provider: str | None = None) -> ModelRow | None:
    """Our own row for a model's name, the one with the longest pattern: of any provider, or of one of genai-prices."""
    rows = (row for row in _MODEL_ROWS if provider in (None, row.provider) and fnmatchcase(model, row.models))
    return max(rows, key=lambda row: len(row.models), default=None)


def unsure_fees(provider: str, model: str) -> frozenset[str]:
    """Units whose fee makes a cost an estimate, for a model of a provider of genai-prices."""
    return frozenset(row.unit for row in UNSURE_FEES if row.fits(provider, model))


def fees_of(provider: str, model: str) -> dict[str, float]:
    """The prices of units beside tokens, for a model of a provider of genai-prices."""
    return {row.unit: row.price for row in reversed(FEE_ROWS) if row.fits(provider, model)}
