"""What an app has spent and on what: the figures that `ragmeter top`, `report()` and the line at exit all show. Pure.

They are read from one table of samples: of one moment, or of what has grown between two. What is not known is `None`,
never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from ragmeter.domain import strategy
from ragmeter.domain.model import KINDS, Fate, Origin, PriceState
from ragmeter.measured.advice import warnings_of
from ragmeter.measured.samples import Samples
from ragmeter.naming import semconv

HOUR = 3600.0
WASTED = (Fate.UNUSED, Fate.REPEATED)
JUDGED = (Fate.USED, *WASTED)
"""Fates of context of which the answer tells whether it was of use."""

CACHE_READ = "cache_read"
"""The value of `ragmeter.token.rate` of tokens that came from a cache."""

ORIGINS = tuple(origin.value for origin in Origin)
DISTRIBUTIONS = (semconv.SEARCH_DURATION,)
"""Those that figures are read from: all else comes from totals."""

SEARCHES = tuple(kind.value for kind, means in KINDS.items() if means.searches)


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, and what they cost in US dollars: `None` where nothing of it has a known price."""

    tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class StrategySpend:
    """The queries of one strategy, how many of them failed, and what they cost together, in US dollars.

    `unpriced` calls have no known price: the cost lacks them. The strategy `none` is what was spent for no query, such
    as the embedding of documents.
    """

    strategy: str
    queries: int
    failed: int
    cost: float | None
    unpriced: int

    @property
    def cost_per_1k(self) -> float | None:
        """US dollars for 1,000 queries; `None` without queries or without a price."""
        return self.cost / self.queries * 1000 if self.queries and self.cost is not None else None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Searches in vector databases, and questions that found nothing.

    `p50` and `p95` are seconds that a search takes, estimated from buckets as Prometheus does; `None` where no
    distribution is at hand.
    """

    searches: int
    empty: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What was spent, on what, and what of it was of no use; in US dollars and tokens.

    `seconds` is the time in which all of it was spent, `None` where that is not known. `strategies` begin with the one
    that cost most, and their costs add up to `spend`; so do those of `parts`, which are the origins of prompts' tokens
    and whatever else money goes to (`output`, `embedding` ...). `context` is retrieved text in prompts, by its fate.
    `cached_share` is the share of prompts' tokens that came from a cache. `price_states` counts calls. `warnings` are
    sentences that say what to do.
    """

    seconds: float | None
    spend: float | None
    queries: int
    failed: int
    strategies: tuple[StrategySpend, ...]
    parts: Mapping[str, Amount]
    retrieval: Retrieval
    cached_share: float | None
    context: Mapping[str, Amount]
    price_states: Mapping[str, int]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, samples: Samples, seconds: float | None = None) -> Self:
        """The figures of a reading, or of what has grown in `seconds` between two."""
        strategies = _strategies(samples)
        return cls(
            seconds=seconds,
            spend=_cost(samples),
            queries=sum(each.queries for each in strategies),
            failed=sum(each.failed for each in strategies),
            strategies=strategies,
            parts=_parts(samples),
            retrieval=_retrieval(samples),
            cached_share=cached_share(samples),
            context=_context(samples),
            price_states=_price_states(samples),
            warnings=warnings_of(samples),
        )

    @property
    def spend_per_hour(self) -> float | None:
        """US dollars an hour, at the rate of the time in which they were spent; `None` without such a time."""
        return self.spend / self.seconds * HOUR if self.seconds and self.spend is not None else None

    @property
    def prompt(self) -> Mapping[str, Amount]:
        """The tokens of prompts by their origin."""
        return {part: amount for part, amount in self.parts.items() if part in ORIGINS}

    @property
    def unused_share(self) -> float | None:
        """Share of the context's tokens that bought nothing: unused, or in the prompt already.

        Of what could be judged; `None` where nothing could be.
        """
        wasted, judged = (sum(_tokens(self.context, fates)) for fates in (WASTED, JUDGED))
        return wasted / judged if judged else None

    @property
    def wasted(self) -> float | None:
        """US dollars for context that was unused or in the prompt already; `None` where no price is known."""
        return added(self.context[fate].cost for fate in WASTED if fate in self.context)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured: no call has been counted yet."""
        return not (self.queries or self.price_states or self.parts)


def cached_share(samples: Samples) -> float | None:
    """The share of prompts' tokens that came from a cache; `None` where there are none."""
    rates = samples.only(semconv.PART, *ORIGINS).by(semconv.PART_TOKEN_COUNT, semconv.TOKEN_RATE)
    prompts = sum(rates.values())
    return rates.get(CACHE_READ, 0.0) / prompts if prompts else None


def added(costs: Iterable[float | None]) -> float | None:
    """The sum of those that are known; `None` where none is."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None


def _tokens(amounts: Mapping[str, Amount], keys: Iterable[str]) -> Iterable[int]:
    return (amounts[key].tokens for key in keys if key in amounts)


def _cost(samples: Samples) -> float | None:
    """All money; `None` where there is none but calls without a price."""
    cost = samples.total(semconv.COST)
    return None if not cost and _unpriced(samples) else cost


def _unpriced(samples: Samples) -> int:
    return round(samples.only(semconv.PRICE_STATE, PriceState.UNPRICED).total(semconv.OPERATIONS) or 0.0)


def _strategies(samples: Samples) -> tuple[StrategySpend, ...]:
    """The strategies that queries were answered with or money was spent for."""
    counted = (semconv.QUERIES, semconv.COST, semconv.OPERATIONS)
    names = {
        name for metric in counted for name, number in samples.by(metric, semconv.STRATEGY).items() if number and name
    }
    found = (_strategy(name, samples.only(semconv.STRATEGY, name)) for name in sorted(names))
    told = (each for each in found if each.queries or each.cost is not None)
    return tuple(sorted(told, key=lambda each: (each.strategy == strategy.NONE, -(each.cost or 0.0))))


def _strategy(name: str, samples: Samples) -> StrategySpend:
    by_error = samples.by(semconv.QUERIES, semconv.ERROR_TYPE)
    queries = round(sum(by_error.values()))
    return StrategySpend(name, queries, queries - round(by_error.get("", 0.0)), _cost(samples), _unpriced(samples))


def _parts(samples: Samples) -> dict[str, Amount]:
    tokens, costs = samples.by(semconv.PART_TOKEN_COUNT, semconv.PART), samples.by(semconv.COST, semconv.PART)
    found = _amounts(tokens, costs)
    order = (*ORIGINS, *sorted(found.keys() - set(ORIGINS)))
    return {part: found[part] for part in order if part in found}


def _context(samples: Samples) -> dict[str, Amount]:
    found = _amounts(
        samples.by(semconv.CONTEXT_TOKENS, semconv.CHUNK_FATE), samples.by(semconv.CONTEXT_COST, semconv.CHUNK_FATE)
    )
    return {fate.value: found[fate] for fate in Fate if fate in found}


def _amounts(tokens: Mapping[str, float], costs: Mapping[str, float]) -> dict[str, Amount]:
    """Tokens and money by key, without keys of which there is nothing."""
    keys = {key for each in (tokens, costs) for key, value in each.items() if value}
    return {key: Amount(round(tokens.get(key, 0.0)), costs.get(key)) for key in sorted(keys)}


def _retrieval(samples: Samples) -> Retrieval:
    times = samples.histogram(semconv.SEARCH_DURATION)
    return Retrieval(
        searches=round(samples.only(semconv.OPERATION_NAME, *SEARCHES).total(semconv.OPERATIONS) or 0.0),
        empty=round(samples.total(semconv.SEARCH_EMPTY) or 0.0),
        p50=times.quantile(0.5) if times else None,
        p95=times.quantile(0.95) if times else None,
    )


def _price_states(samples: Samples) -> dict[str, int]:
    states = samples.by(semconv.OPERATIONS, semconv.PRICE_STATE)
    return {state.value: round(states[state]) for state in PriceState if states.get(state)}
