"""Which price applies: the app's own table, then our dated rows, then genai-prices.

Looking a model up in genai-prices may take some milliseconds: the worker does it, and what comes out are plain floats
that are kept for a minute (some prices depend on the time of day, in whole minutes).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import NamedTuple

from ragmeter.domain.model import Operation
from ragmeter.domain.strategy import is_fine_tuned
from ragmeter.money.price_conditions import STANDARD_TIERS, is_plain_geography, known_to, priced_moments, surcharge
from ragmeter.money.price_rows import fees_of, row_of, unsure_fees
from ragmeter.money.price_table import (
    PriceTable,
    PriceTableError,
    card_of,
    card_of_provider,
    entry_of,
    meant_by,
    read_price_table,
    with_fees,
)
from ragmeter.money.price_updates import NewerPrices, PriceUpdates
from ragmeter.money.pricing import Line, Rate, RateCard, without_requests
from ragmeter.reading.price_library import PriceLibrary
from ragmeter.reading.price_models import Found, Prices, Tiers, Unit
from ragmeter.reading.providers import is_asked_first, library_id, names_of_library_ids, provider_named, vendor_of_model

__all__ = ["PriceBook", "PriceTable", "PriceTableError", "card_of", "check_aliases", "read_price_table"]

logger = logging.getLogger("ragmeter")

MINUTE = 60_000_000_000
MOST_KEPT = 4_096

OWN_TABLE = "prices="
"""What stands for a provider where the app's own table has a model's price, whoever serves it."""

CLOSE = 0.9
"""Likeness, by `difflib`, from which the unknown model of an alias is taken for a slip of the pen."""


class Meaning(NamedTuple):
    """What to look for: a provider of the library and a model's name there.

    `asked` is the operation's name that is meant so; `declared` that an alias of the app's says it.
    """

    provider: str
    name: str
    asked: str
    declared: bool = False


class PriceBook:
    """Finds the rate card of an operation; not thread-safe, used under the worker's lock.

    It is made on the caller's thread, which reads the price library's file; `pause` is called wherever a look-up may
    give the interpreter away. `fine_tuned` are the app's own patterns of fine-tuned models, `updates` a file of newer
    prices: the rows of its table stand above the app's own, its list in place of the installed one.
    """

    def __init__(
        self,
        prices: PriceTable,
        *,
        builtin: bool = True,
        fine_tuned: Sequence[str] = (),
        updates: PriceUpdates | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._given = prices
        self._fine_tuned = fine_tuned
        self._builtin = builtin
        self._updates = updates
        self._pause = pause
        self._take_prices()
        self._kept: dict[tuple[str | bool | None, ...], tuple[int, RateCard | None]] = {}
        self._tuned: dict[tuple[str | None, str | None], bool] = {}
        self._told = False

    def _take_prices(self) -> None:
        """Take the prices as they are now: rows of a newer table above the app's, a newer list in place of ours."""
        newer = NewerPrices() if self._updates is None else self._updates.newer
        self._prices: PriceTable = {**self._given, **newer.table}
        self._library = PriceLibrary(self._pause, newer.library) if self._builtin or newer.library else None

    def card(self, operation: Operation, *, load: bool = True) -> RateCard | None:
        """The prices of `operation`, `None` when none is known. Without `load` only what is already resolved."""
        response, request = operation.response, operation.request
        if load and self._updates is not None and self._updates.refresh():
            self._take_prices()
            self._kept.clear()
            self._tuned.clear()
        where = (request.server_address, response.inference_geo)
        served = (response.service_tier, response.speed, request.service_tier, request.speed)
        key = (request.kind, request.provider, response.model, request.model, *served, *where, operation.shares_request)
        kept = self._kept.get(key)
        minute = operation.started // MINUTE
        if kept is not None and (kept[0] == minute or not load):
            return kept[1]
        if not load:
            return None
        card = self.find(operation)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (minute, card)
        if card is None:
            self._tell(operation)
        return card

    def _canonical(self, model: str | None) -> str | None:
        """The model that a name stands for by the app's aliases; the name itself where it is none."""
        return None if model is None else meant_by(self._prices, model)

    def is_fine_tuned(self, operation: Operation) -> bool:
        """Whether the model asked or answered is a fine-tuned one, by its name or by what an alias of the app means."""
        names = (operation.request.model, operation.response.model)
        known = self._tuned.get(names)
        if known is None:
            if len(self._tuned) >= MOST_KEPT:
                self._tuned.clear()
            aliases = {*names, *map(self._canonical, names)}
            known = self._tuned[names] = any(is_fine_tuned(name, self._fine_tuned) for name in aliases)
        return known

    def sellers(self, model: str) -> tuple[str, ...]:
        """The providers, by the conventions' names, that list a model; `OWN_TABLE` where the app's prices have it."""
        model = meant_by(self._prices, model)
        if entry_of(self._prices, model) is not None:
            return (OWN_TABLE,)
        if self._library is None:
            return ()
        names = names_of_library_ids()
        listed = [names[found.provider] for each in names if (found := self._library.find(each, model)) is not None]
        row, vendor = row_of(model), vendor_of_model(model)
        tuned = [] if row is None else [names.get(row.provider, row.provider)]
        return tuple(dict.fromkeys([*tuned, *listed, *([] if vendor is None else [vendor[0]])]))

    def models(self) -> tuple[str, ...]:
        """The names of all models that have a price, without those that only a pattern means."""
        library = () if self._library is None else self._library.model_ids()
        return tuple(sorted({*self._prices, *library}))

    def find(self, operation: Operation) -> RateCard | None:
        """The prices of `operation`, looked up anew and without a word where there are none."""
        card = self._card_of_call(operation)
        if card is None or not operation.shares_request:
            return card
        return without_requests(card, is_inference=operation.request.kind.is_inference)

    def _card_of_call(self, operation: Operation) -> RateCard | None:
        names = _names(operation)
        fees = card_of_provider(self._prices, operation.request.provider, exact=_is_plain(operation))
        if (own := self._own_card(operation, names)) is not None:
            return with_fees(own, fees, above=False)
        if (known := self._known_card(operation, names)) is not None:
            return with_fees(known, fees, above=True)
        return fees if fees is not None and _can_stand_alone(fees, operation) else None

    def _own_card(self, operation: Operation, names: Sequence[str]) -> RateCard | None:
        """The card of the app's own table."""
        for name in names:
            entry = entry_of(self._prices, meant_by(self._prices, name))
            if entry is not None and not isinstance(entry[1], str):
                return card_of(entry[1], f"prices[{entry[0]!r}]", exact=_is_plain(operation))
        return None

    def _known_card(self, operation: Operation, names: Sequence[str]) -> RateCard | None:
        """The card of our own rows or of genai-prices."""
        if self._library is None:
            return None
        is_tuned = any(is_fine_tuned(name, self._fine_tuned) for name in names)
        for meaning in self._meanings(operation.request.provider, names):
            card = _card(self._library, operation, meaning)
            if card is not None:
                return card if meaning.declared else _undeclared(card, meaning, names[0], is_tuned=is_tuned)
        return None

    def _meanings(self, provider: str, names: Sequence[str]) -> Iterator[Meaning]:
        own = library_id(provider)
        for name in names:
            # An alias says what a deployment is; the name in the response may be the deployment's own.
            alias = self._canonical(name)
            if alias and alias != name:
                yield Meaning(own, alias, name, declared=True)
                if (vendor := vendor_of_model(alias)) is not None:
                    yield Meaning(library_id(vendor[0]), vendor[1], name, declared=True)
        for name in names:
            yield Meaning(own, name, name)
            vendor = vendor_of_model(name)
            if vendor is not None and library_id(vendor[0]) == own:
                yield Meaning(own, vendor[1], name)

    def _tell(self, operation: Operation) -> None:
        """One line a process for the first model without a price, and the setting that gives it one."""
        if self._told or not _lacks_price(operation):
            return
        self._told = True
        provider, usage = operation.request.provider, operation.response.usage
        if usage is not None and usage.units and not operation.request.kind.is_inference:
            _tell_of_units(provider, usage.units)
        else:
            _tell_of_model(provider, operation.model or "unknown")


def _lacks_price(operation: Operation) -> bool:
    """Whether an operation without a card costs what nobody knows."""
    usage = operation.response.usage
    if operation.error_type is not None:
        return False
    return not operation.request.kind.means.of_database if usage is None else usage.reported_cost is None


def _tell_of_model(provider: str, model: str) -> None:
    gateway = "" if provider_named(provider) else f" providers={{{provider!r}: 'openai'}} (or who else serves it) or"
    logger.warning(
        "ragmeter: no price is known for the model %r at %r: its cost is not counted. Give instrument()%s prices={%r: "
        "{'input': ..., 'output': ...}} in US dollars per million tokens. ragmeter.status() lists all such models.",
        model,
        provider,
        gateway,
        model,
    )


def _tell_of_units(provider: str, units: Iterable[str]) -> None:
    logger.warning(
        "ragmeter: no price is known for the units that %r bills: their cost is not counted. Give instrument() "
        "prices={%r: {'units': {%s}}} in US dollars per unit. ragmeter.status() lists all such calls.",
        provider,
        provider,
        ", ".join(f"{unit!r}: ..." for unit in units),
    )


def _can_stand_alone(fees: RateCard, operation: Operation) -> bool:
    """Whether a provider's prices are those of a call by themselves: the fees beside an inference's tokens are not."""
    return not operation.request.kind.is_inference or any(rate.line is not Line.UNITS for rate in fees.rates)


def check_aliases(prices: PriceTable, *, builtin: bool = True) -> None:
    """Refuse an alias for a model that nobody knows, where its name is nearly a known one's."""
    library = PriceLibrary() if builtin else None
    own = [name for name, row in prices.items() if not isinstance(row, str)]
    for name, entry in prices.items():
        if isinstance(entry, str) and entry_of(prices, entry) is None and row_of(entry) is None:
            _check_alias(name, entry, own, library)


def _check_alias(name: str, meant: str, own: Sequence[str], library: PriceLibrary | None) -> None:
    """Refuse an alias for a model that neither the app's table nor our rows have, if the library has it nearly so."""
    known = own if library is None else [*own, *library.model_ids()]
    close = get_close_matches(meant, known, n=1, cutoff=CLOSE)
    if close and not (library is not None and library.mentions(meant)):
        raise PriceTableError(
            f"prices[{name!r}]: no price is known for the model {meant!r}; did you mean {close[0]!r}? "
            f"Otherwise give its own: prices[{meant!r}] = {{'input': ..., 'output': ...}}"
        )


def _names(operation: Operation) -> list[str]:
    """The names to look for, the one that says more about the price first."""
    answered, asked = operation.response.model, operation.request.model
    order = (asked, answered) if is_asked_first(operation.request.provider) else (answered, asked)
    return [name for name in order if name]


def _is_plain(operation: Operation) -> bool:
    """Whether the answer names no tier, speed or geography that changes a price, which the app's table cannot tell."""
    changes = _price_context(operation.service_tier, operation.speed)
    return not changes and is_plain_geography(operation.response.inference_geo)


def _card(library: PriceLibrary, operation: Operation, meaning: Meaning) -> RateCard | None:
    row = row_of(meaning.name, None if meaning.declared else meaning.provider)
    is_standard = operation.service_tier in (None, *STANDARD_TIERS)
    card = None if row is not None and is_standard else _library_card(library, operation, meaning)
    if row is None or (card is not None and card.exact):
        return card
    own = card_of(row.prices, f"ragmeter's row of {row.date}: {row.models}", exact=is_standard)
    return _conditioned(replace(own, model=row.models), operation, meaning.provider, meaning.name)


def _undeclared(card: RateCard, meaning: Meaning, wanted: str, *, is_tuned: bool) -> RateCard:
    """A card that no alias of the app's says to be right: an estimate where it may be that of another model.

    A model that answered under a name that no table has may be another than the one that was asked, and what was found
    for a fine-tuned model may be its base model.
    """
    is_other = meaning.asked != wanted or (is_tuned and not is_fine_tuned(card.model))
    return replace(card, exact=False) if is_other else card


def _library_card(library: PriceLibrary, operation: Operation, meaning: Meaning) -> RateCard | None:
    found = library.find(meaning.provider, meaning.name)
    if found is None:
        return None
    # A model found at another provider has that provider's standard price only.
    is_own = found.provider == meaning.provider
    wanted = _price_context(operation.service_tier, operation.speed)
    served = _price_context(operation.response.service_tier, operation.response.speed)
    context = wanted if is_own else {}
    moment, *others = priced_moments(meaning.provider, found.model.id, _moment(operation))
    prices = found.model.prices_at(moment, context)
    if not prices and ":free" not in found.model.id:
        # The library knows that there is such a model, and not what it costs.
        return None
    # What was asked for may not have been served.
    exact = wanted == served and found.model.has_prices_for(wanted, moment, context)
    exact = exact and all(found.model.prices_at(other, context) == prices for other in others)
    card = _compiled(prices, library.units(), meaning.provider, found, exact=exact)
    return _conditioned(card if is_own else _without_units(card), operation, meaning.provider, meaning.name)


def _moment(operation: Operation) -> datetime:
    return datetime.fromtimestamp(operation.started / 1e9, tz=UTC)


def _without_units(card: RateCard) -> RateCard:
    """A model has one price wherever it runs; what a provider's own tools cost is its own affair."""
    return replace(card, rates=tuple(rate for rate in card.rates if rate.line is not Line.UNITS))


def _price_context(tier: str | None, speed: str | None) -> dict[str, str]:
    context: dict[str, str] = {}
    if tier == "batch":
        context["processing"] = "batch"
    elif tier is not None and tier not in STANDARD_TIERS:
        context["service_tier"] = tier
    if speed not in (None, "standard"):
        context["speed"] = speed
    return context


def _compiled(prices: Prices, units: Mapping[str, Unit], provider: str, found: Found, *, exact: bool) -> RateCard:
    """Rates for one of each unit: a unit is part of another when its dimensions contain the other's."""
    priced = [(units[key], value) for key, value in prices.items() if key in units]
    priced.sort(key=lambda item: (-len(item[0].dimensions), item[0].name))
    rates = []
    for unit, value in priced:
        within = tuple(
            number
            for number, (other, _) in enumerate(priced)
            if other is not unit and unit.dimensions.items() <= other.dimensions.items()
        )
        base, tiers = (value.base, value.tiers) if isinstance(value, Tiers) else (value, ())
        per_one = tuple((start, each / unit.per) for start, each in tiers)
        rates.append(Rate(unit.name, _line(unit.dimensions), base / unit.per, per_one, within))
    return RateCard(tuple(rates), f"genai-prices: {provider}/{found.model.id}", exact, found.model.id)


def _conditioned(card: RateCard, operation: Operation, provider: str, name: str) -> RateCard:
    """A card for where the request ran, with the fees that the table lacks."""
    factor = surcharge(provider, name, operation.request.server_address, operation.response.inference_geo)
    unsure = unsure_fees(provider, name)
    rates = [
        replace(rate.times(1.0 if rate.line is Line.UNITS else factor or 1.0), exact=rate.unit not in unsure)
        for rate in card.rates
    ]
    own = {rate.unit for rate in rates}
    fees = fees_of(provider, name).items()
    rates += [Rate(unit, Line.UNITS, each, exact=unit not in unsure) for unit, each in fees if unit not in own]
    exact = card.exact and factor is not None
    return replace(card, rates=tuple(rates), exact=exact, exact_to=known_to(provider, name))


def _line(dimensions: Mapping[str, str]) -> Line:
    direction, kind = dimensions.get("direction"), dimensions.get("token_type", "")
    if direction == "output":
        return Line.OUTPUT
    if direction != "input":
        return Line.UNITS
    return {"cache_read": Line.CACHE_READ, "cache_write": Line.CACHE_WRITE}.get(kind, Line.INPUT)
