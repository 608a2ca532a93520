"""What a provider itself says an answer has cost, in US dollars, in each form that there is.

OpenRouter: `usage.cost`, and for a request with the app's own key the upstream's charge beside it
(https://openrouter.ai/docs/use-cases/usage-accounting). Perplexity: an object. DeepInfra: `usage.estimated_cost`. xAI:
ticks (https://docs.x.ai/developers/cost-tracking). Vercel's gateway: a text in the message's provider metadata.
"""

from __future__ import annotations

from typing import Any

from ragmeter.domain import gate
from ragmeter.reading.shapes.fields import field, items, may_have

COSTS = ("cost", "total_cost", "estimated_cost", "cost_usd", "cost_in_usd", "response_cost")
TOTALS = ("total_cost", "total", "amount")
"""The names of a cost in a usage object, and of the sum where it is an object itself."""

COST_FIELDS = frozenset((*COSTS, "cost_in_usd_ticks", "is_byok"))
BESIDE_FIELDS = frozenset((*COSTS, "provider_metadata"))

CURRENCIES = ("currency", "cost_currency")
DOLLARS = "USD"

TICKS_PER_DOLLAR = 1e10


def read_cost(usage: Any, result: Any = None) -> float | None:
    """The cost that a `usage` object, or else the answer it stands in, reports; `None` where it is not all of it."""
    if may_have(usage, COST_FIELDS):
        reported = _reported(usage)
        if reported is not None or is_own_key(usage):
            return _with_upstream(reported, usage)
    return _beside(result)


def is_own_key(usage: Any) -> bool:
    """Whether the app's own key at another provider was used, so that a router's cost is only its fee."""
    return field(usage, "is_byok") is True


def _reported(usage: Any) -> float | None:
    if not _is_in_dollars(usage):
        return None
    found = next((cost for name in COSTS if (cost := _dollars(field(usage, name))) is not None), None)
    if found is not None:
        return found
    ticks = _dollars(field(usage, "cost_in_usd_ticks"))
    return None if ticks is None else ticks / TICKS_PER_DOLLAR


def _dollars(value: Any) -> float | None:
    """A number, a number as text, or the total of an object that is in dollars."""
    if isinstance(value, str):
        try:
            return gate.amount(float(value))
        except ValueError:
            return None
    if isinstance(value, int | float):
        return gate.amount(value)
    if not _is_in_dollars(value):
        return None
    totals = [field(value, name) for name in TOTALS]
    return next((_dollars(total) for total in totals if isinstance(total, str | int | float)), None)


def _is_in_dollars(holder: Any) -> bool:
    """Whether the amounts in an object are US dollars, as they are where it names no currency."""
    return all(str(field(holder, name, DOLLARS)).upper() == DOLLARS for name in CURRENCIES)


def _with_upstream(cost: float | None, usage: Any) -> float | None:
    upstream = _dollars(field(field(usage, "cost_details"), "upstream_inference_cost"))
    if is_own_key(usage):
        return None if upstream is None else (cost or 0.0) + upstream
    if upstream is None or cost is None or field(usage, "is_byok") is False:
        return cost
    # Answers that do not say whose key it was: a router's fee is a small part, its own charge is all of it.
    return cost + upstream if upstream > cost else cost


def _beside(result: Any) -> float | None:
    """A gateway's cost that stands beside the usage."""
    choices = items(field(result, "choices"))
    holders = (result, *(field(choice, name) for choice in choices for name in ("message", "delta")))
    for holder in holders:
        if may_have(holder, BESIDE_FIELDS):
            found = _dollars(field(field(field(holder, "provider_metadata"), "gateway"), "cost"))
            if found is not None:
                return found
    if not may_have(result, BESIDE_FIELDS) or not _is_in_dollars(result):
        return None
    return next((cost for name in COSTS if (cost := _dollars(field(result, name))) is not None), None)
