"""The list prices of models as assumptions of a plan, from where calls are priced too: our rows and genai-prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from ragmeter.domain.strategy import BASE, RAG
from ragmeter.money.pricebook import PriceBook
from ragmeter.money.pricing import RateCard
from ragmeter.money.quotes import card_at
from ragmeter.planning.assumptions import Assumption, Assumptions
from ragmeter.planning.bills import is_tuned
from ragmeter.planning.quantities import QUANTITIES
from ragmeter.planning.ranges import Range
from ragmeter.planning.strategies import SIBLINGS, Basis, unit_costs
from ragmeter.planning.workload import Workload

UNITS = {"input": "input_tokens", "output": "output_tokens", "cache_read": "cache_read_tokens"}
"""The prices of a plan, and what a rate card calls them."""

MILLION = 1e6


class ListPriceError(ValueError):
    """A model without a list price; `path` names where it stands, the message says what to write."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


@dataclass(frozen=True, slots=True)
class ListPrice:
    """US dollars per million tokens, and the table and row they are from."""

    dollars: float
    source: str


def list_prices(models: Mapping[str, object]) -> dict[str, ListPrice]:
    """The prices by path of models (`provider/model`) by path: `prices.rag.model` gives `prices.rag.input` and so on.

    Raises `ListPriceError` for what names no model and for a model without a price.
    """
    found = {}
    for path, model in models.items():
        provider, _, name = model.partition("/") if isinstance(model, str) else ("", "", "")
        if not provider or not name:
            raise ListPriceError(path, f"{model!r} names no model; write provider/model, such as openai/gpt-4.1")
        prices = prices_of(provider, name)
        if not prices:
            there = path.removesuffix(".model")
            wanted = f"write {there}.input and {there}.output (dollars per million tokens) in its place"
            raise ListPriceError(path, f"no price is known for {model}; {wanted}")
        found.update({f"{path.removesuffix('model')}{unit}": price for unit, price in prices.items()})
    return found


def prices_of(provider: str, model: str) -> dict[str, ListPrice]:
    """The prices of a model now; none where none is known. Of prices by length it is that of short prompts."""
    card = card_at(_book(), model, provider, datetime.now(UTC))
    prices = {} if card is None else dict(_prices(card))
    return prices if {"input", "output"} <= prices.keys() else {}


def with_list_prices(workload: Workload, assumptions: Assumptions) -> Assumptions:
    """The assumptions with list prices for strategies that were not measured and that nobody gives a price.

    The price is that of the model that the strategy with the same model was measured with; for a fine-tuned model that
    nobody has yet, that of the fine-tuned form of the other strategies' model.
    """
    values = dict(assumptions.values)
    for name, cost in unit_costs(workload, assumptions).items():
        if cost.basis is Basis.UNKNOWN:
            for unit, price in _likely_prices(name, workload).items():
                path = f"prices.{name}.{unit}"
                values.setdefault(path, Assumption(QUANTITIES[path], Range(price.dollars, price.dollars), price.source))
    return replace(assumptions, values=values)


def _likely_prices(strategy: str, workload: Workload) -> dict[str, ListPrice]:
    """The list prices of the model that a strategy would most likely ask."""
    asked = [(SIBLINGS[strategy], "{}")]
    if is_tuned(strategy):
        asked += [(RAG, "ft:{}:own"), (BASE, "ft:{}:own")]
    for name, form in asked:
        traffic = workload.strategies.get(name)
        models = {} if traffic is None else traffic.models
        # The models of embeddings are among them, which have no price for output.
        for provider, model in sorted(models, key=lambda each: -models[each]):
            if prices := prices_of(provider, form.format(model)):
                return prices
    return {}


def _prices(card: RateCard) -> dict[str, ListPrice]:
    rates = {rate.unit: rate.price * MILLION for rate in card.rates}
    return {name: ListPrice(rates[unit], card.row) for name, unit in UNITS.items() if unit in rates}


@cache
def _book() -> PriceBook:
    return PriceBook({})
