"""What differs between two lists of prices: pure but for the price library's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isclose

from ragmeter.money.price_table import PriceTable, card_of
from ragmeter.money.pricebook import OWN_TABLE, PriceBook
from ragmeter.money.pricing import RateCard
from ragmeter.money.quotes import card_at, rows_of
from ragmeter.reading.price_library import PriceLibrary
from ragmeter.reading.price_models import Prices, Tiers

SAME = 1e-9
"""Two prices that differ by less, relatively, are one that was calculated twice."""

PriceKey = tuple[str, int, int]
"""Unit, how many the price is for, and the length of prompts, in tokens, above which it holds."""


@dataclass(frozen=True, slots=True)
class PriceChange:
    """The price of a unit of a model in two lists: US dollars for `per` of it, `None` where a list has none.

    `above` is the length of prompts, in tokens, from which it holds.
    """

    provider: str
    model: str
    unit: str
    per: int
    before: float | None
    after: float | None
    above: int = 0


def changes_of_library(before: PriceLibrary, after: PriceLibrary, at: datetime) -> Iterator[PriceChange]:
    """The prices that two lists of genai-prices do not have in common at a moment, by provider, model and unit."""
    for provider in dict.fromkeys((*before.provider_ids(), *after.provider_ids())):
        old, new = _models(before, provider, at), _models(after, provider, at)
        for model in dict.fromkeys((*old, *new)):
            yield from _changes(provider, model, old.get(model, {}), new.get(model, {}))


def changes_of_table(book: PriceBook, table: PriceTable, at: datetime) -> Iterator[PriceChange]:
    """The prices of a table that differ from those that a book has at a moment, by model and unit.

    A model that several providers list is compared with the first of them.
    """
    for name, entry in table.items():
        if not isinstance(entry, str):
            seller = next(iter(book.sellers(name)), OWN_TABLE)
            card = card_at(book, name, seller, at)
            old, new = ({} if each is None else _of_card(each) for each in (card, card_of(entry, "")))
            # What the table does not price stays as it is.
            yield from _changes(seller, name, {key: price for key, price in old.items() if key in new}, new)


def _changes(
    provider: str, model: str, old: Mapping[PriceKey, float], new: Mapping[PriceKey, float]
) -> Iterator[PriceChange]:
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if was is None or now is None or not isclose(was, now, rel_tol=SAME):
            unit, per, above = key
            yield PriceChange(provider, model, unit, per, was, now, above)


def _of_card(card: RateCard) -> dict[PriceKey, float]:
    return {(row.unit, row.per, row.above): row.price for rate in card.rates for row in rows_of(rate)}


def _models(library: PriceLibrary, provider_id: str, at: datetime) -> dict[str, dict[PriceKey, float]]:
    provider = library.provider(provider_id)
    if provider is None:
        return {}
    return {model.id: dict(_flat(library, model.prices_at(at, {}))) for model in provider.models}


def _flat(library: PriceLibrary, prices: Prices) -> Iterator[tuple[PriceKey, float]]:
    """Prices by unit and length of the prompt."""
    units = library.units()
    for name, price in prices.items():
        if (unit := units.get(name)) is not None:
            base, tiers = (price.base, price.tiers) if isinstance(price, Tiers) else (price, ())
            yield (unit.name, unit.per, 0), base
            yield from (((unit.name, unit.per, start), each) for start, each in tiers)
