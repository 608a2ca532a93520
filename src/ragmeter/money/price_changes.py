"""What differs between two lists of prices: pure but for the price library's file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isclose

from ragmeter.money.pricebook import OWN_TABLE, PriceBook
from ragmeter.money.pricing import RateCard
from ragmeter.money.quotes import card_at, rows_of
from ragmeter.reading.price_library import PriceLibrary
from ragmeter.reading.price_models import Model, Prices, Tiers

SAME = 1e-9
"""Two prices that differ by less, relatively, are one that was calculated twice."""

PriceKey = tuple[str, int, int, str]
"""Unit, how many the price is for, above which length of prompts, in tokens, it holds, and for which kind of call."""


@dataclass(frozen=True, slots=True)
class PriceChange:
    """The price of a unit of a model in two lists: US dollars for `per` of it, `None` where a list has none.

    `above` is the length of prompts, in tokens, from which it holds; `only` the kind of call that has this price beside
    the usual one, such as `batch`.
    """

    provider: str
    model: str
    unit: str
    per: int
    before: float | None
    after: float | None
    above: int = 0
    only: str = ""


def changes_of_library(
    before: PriceLibrary, after: PriceLibrary, at: datetime, name: str | None = None
) -> Iterator[PriceChange]:
    """The prices that two lists of genai-prices do not have in common at a moment, by provider, model and unit.

    With a `name` only those of the model that it means at each provider, in the one list or in the other.
    """
    for provider in dict.fromkeys((*before.provider_ids(), *after.provider_ids())):
        old, new = _models(before, provider, at), _models(after, provider, at)
        meant = {name, _meant(before, provider, name), _meant(after, provider, name)}
        for model in dict.fromkeys((*old, *new)):
            if name is None or model in meant:
                yield from _changes(provider, model, old.get(model, {}), new.get(model, {}))


def _meant(library: PriceLibrary, provider: str, name: str | None) -> str | None:
    """The id of the model that a name means in a provider's own list."""
    found = None if name is None else library.find(provider, name)
    return found.model.id if found is not None and found.provider == provider else None


def changes_of_table(before: PriceBook, after: PriceBook, names: Iterable[str], at: datetime) -> Iterator[PriceChange]:
    """What other prices of the app's own change for the models of these names, at a moment, by model and unit.

    A model that several providers list is compared with the first of them.
    """
    for name in names:
        seller = next(iter((*before.sellers(name), *after.sellers(name))), OWN_TABLE)
        old, new = ({} if card is None else _of_card(card) for card in _cards((before, after), name, seller, at))
        yield from _changes(seller, name, old, new)


def _cards(books: Iterable[PriceBook], name: str, seller: str, at: datetime) -> Iterator[RateCard | None]:
    return (card_at(book, name, seller, at) for book in books)


def _changes(
    provider: str, model: str, old: Mapping[PriceKey, float], new: Mapping[PriceKey, float]
) -> Iterator[PriceChange]:
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if was is None or now is None or not isclose(was, now, rel_tol=SAME):
            unit, per, above, only = key
            yield PriceChange(provider, model, unit, per, was, now, above, only)


def _of_card(card: RateCard) -> dict[PriceKey, float]:
    return {(row.unit, row.per, row.above, ""): row.price for rate in card.rates for row in rows_of(rate)}


def _models(library: PriceLibrary, provider_id: str, at: datetime) -> dict[str, dict[PriceKey, float]]:
    provider = library.provider(provider_id)
    if provider is None:
        return {}
    return {
        model.id: {
            key: price
            for only, prices in _by_kind_of_call(model, at).items()
            for key, price in _flat(library, prices, only)
        }
        for model in provider.models
    }


def _by_kind_of_call(model: Model, at: datetime) -> dict[str, Prices]:
    """The usual prices of a model at a moment, and those that other kinds of call have in their place."""
    found = {"": model.prices_at(at, {})}
    for variant in model.variants:
        if variant.when is None or variant.when.holds(at):
            only = " ".join(variant.context.values())
            found[only] = {**variant.prices, **found.get(only, {})}
    return found


def _flat(library: PriceLibrary, prices: Prices, only: str) -> Iterator[tuple[PriceKey, float]]:
    """Prices by unit and length of the prompt."""
    units = library.units()
    for name, price in prices.items():
        if (unit := units.get(name)) is not None:
            base, tiers = (price.base, price.tiers) if isinstance(price, Tiers) else (price, ())
            yield (unit.name, unit.per, 0, only), base
            yield from (((unit.name, unit.per, start, only), each) for start, each in tiers)
