"""What a model costs before anybody has called it: its rates, where they come from, and the cost of given tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from ragmeter.domain.model import Operation, OperationKind, Prompt, Request, Response, Usage
from ragmeter.money.pricebook import PriceBook
from ragmeter.money.pricing import Cost, Rate, RateCard, price

MILLION = 1_000_000
THOUSAND = 1_000

MOST_MEANT = 3
"""Names that are offered in place of one that nobody knows."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The rates of a model at one provider, in US dollars for one of each unit, and the cost of some tokens."""

    model: str
    provider: str
    card: RateCard
    cost: Cost


@dataclass(frozen=True, slots=True)
class RateRow:
    """One rate as it is shown: the unit, the price of `per` of them, and from how many tokens of input it holds."""

    unit: str
    price: float
    per: int
    above: int = 0


class QuoteError(ValueError):
    """A model that has no price; the message says which names are known, or what to do."""


def quotes(book: PriceBook, model: str, provider: str | None, usage: Usage, at: datetime) -> tuple[Quote, ...]:
    """The quote of `model` at `provider`, or at every provider that lists it; `at` is when it would be called.

    Raises `QuoteError` when it has no price there.
    """
    sellers = (provider,) if provider else book.sellers(model)
    found = tuple(_quotes(book, model, sellers, usage, at))
    if not found:
        raise QuoteError(_unknown(book, model, provider))
    return found


def _quotes(book: PriceBook, model: str, sellers: tuple[str, ...], usage: Usage, at: datetime) -> Iterator[Quote]:
    for seller in sellers:
        card = card_at(book, model, seller, at)
        if card is not None and card.rates:
            yield Quote(model, seller, card, price(usage, card))


def card_at(book: PriceBook, model: str, provider: str, at: datetime) -> RateCard | None:
    """The rates of a model at a provider for a plain call at a moment, `None` where no price is known."""
    asked = Request(OperationKind.CHAT, provider, model=model)
    return book.find(Operation(asked, Response(), Prompt(), int(at.timestamp() * 1e9), 0.0))


def rows_of(rate: Rate) -> tuple[RateRow, ...]:
    """The rows that show a rate: one, and one more for each length of input from which it changes."""
    per = MILLION if rate.unit.endswith("tokens") else THOUSAND
    return (
        RateRow(rate.unit, rate.price * per, per),
        *(RateRow(rate.unit, each * per, per, start) for start, each in rate.tiers),
    )


def _unknown(book: PriceBook, model: str, provider: str | None) -> str:
    sellers = book.sellers(model)
    if provider and sellers:
        return f"No price is known for {model!r} at {provider!r}, but at {', '.join(sellers)}."
    close = get_close_matches(model.lower(), book.models(), n=MOST_MEANT)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"No price is known for the model {model!r}.{meant} Give its own with a file of prices: --prices prices.toml"
