"""What a query costs with each strategy: measured where it was, else derived from one that was, else assumed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

from ragmeter.domain import strategy as names
from ragmeter.domain.model import Origin
from ragmeter.domain.strategy import STRATEGIES
from ragmeter.planning.assumptions import Assumption, Assumptions
from ragmeter.planning.bills import Line, Term, is_tuned, retrieves
from ragmeter.planning.quantities import ORIGINS, QUANTITIES
from ragmeter.planning.ranges import Z95, Range
from ragmeter.planning.workload import Traffic, Workload

LEAST_QUERIES = 30
"""Fewer queries of a strategy say nothing of what one costs."""

LEAST_UNKNOWN = 200
"""Fewer say nothing where it is not known how far they differ in cost: if they do by as much as they cost, the mean of
200 is off by 7 %."""

MOST_ERROR = 0.2
"""A mean whose standard error is a larger share of it is none."""

CONTEXT = Origin.CONTEXT.value
OUTPUTS = ("output", "reasoning")
RETRIEVING = ("embedding", "search", "rerank")
PER_MILLION = 1e-6


class Basis(StrEnum):
    """Where a unit cost comes from."""

    MEASURED = "measured"
    DERIVED = "derived"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one query costs; `why` says in a sentence how that is known, or what to write so that it is.

    `tokens` are those of a query by part, in the middle of what is assumed; `source` is the strategy whose traffic they
    come from.
    """

    strategy: str
    basis: Basis
    why: str
    terms: tuple[Term, ...] = ()
    tokens: Mapping[str, float] | None = None
    source: str | None = None


def _in_words(strategy: str) -> str:
    return strategy.replace("_", " ")


SIBLINGS = {
    names.BASE: names.RAG,
    names.RAG: names.BASE,
    names.FINE_TUNED: names.FINE_TUNED_RAG,
    names.FINE_TUNED_RAG: names.FINE_TUNED,
}
"""The strategy with the same model."""

SOURCES = {
    names.BASE: (names.RAG, names.FINE_TUNED, names.FINE_TUNED_RAG),
    names.RAG: (names.BASE, names.FINE_TUNED_RAG, names.FINE_TUNED),
    names.FINE_TUNED: (names.FINE_TUNED_RAG, names.RAG, names.BASE),
    names.FINE_TUNED_RAG: (names.RAG, names.FINE_TUNED, names.BASE),
}
"""Whose traffic a strategy is derived from, the likest first."""


def too_little(traffic: Traffic) -> str:
    """Why what was seen of a strategy is too little to say what a query costs; nothing where it is enough.

    What is assumed needs not be seen.
    """
    error = standard_error(traffic)
    seen = f"only {traffic.queries:,.0f} queries of {traffic.strategy} were seen"
    if 0 < traffic.queries < LEAST_QUERIES:
        return f"{seen}, fewer than {LEAST_QUERIES}"
    if error is None and 0 < traffic.queries < LEAST_UNKNOWN:
        return f"{seen}, fewer than the {LEAST_UNKNOWN} that it takes where it is not known how far they differ in cost"
    if error is not None and error > MOST_ERROR:
        return f"{seen}, whose mean cost may be off by {error:.0%}: more than {MOST_ERROR:.0%}"
    return ""


def sampling(workload: Workload) -> dict[str, Assumption]:
    """The factor by which each measured mean may be off: its standard error, as the range of a factor around 1."""
    found = {}
    for name, traffic in workload.strategies.items():
        path = f"traffic.{name}.sampling"
        error = standard_error(traffic)
        if path in QUANTITIES and error:
            ends = Range((1 + error) ** -Z95, (1 + error) ** Z95)
            found[path] = Assumption(QUANTITIES[path], ends, f"the standard error of {traffic.queries:,.0f} queries")
    return found


def standard_error(traffic: Traffic) -> float | None:
    """The standard error of the mean cost of a query, as a share of it; `None` where it was not measured."""
    if not traffic.queries or not traffic.cost_per_query or traffic.cost_deviation is None:
        return None
    return traffic.cost_deviation / sqrt(traffic.queries) / traffic.cost_per_query


def unit_costs(workload: Workload, assumptions: Assumptions) -> dict[str, UnitCost]:
    """What a query costs with each of the four strategies."""
    deriving = Deriving(workload, assumptions)
    return {name: deriving.unit_cost(name) for name in STRATEGIES}


class Deriving:
    """Finds the unit cost of every strategy in one workload."""

    def __init__(self, workload: Workload, assumptions: Assumptions) -> None:
        self._assumptions = assumptions
        self._usable = {name: each for name, each in workload.strategies.items() if not too_little(each)}

    def unit_cost(self, strategy: str) -> UnitCost:
        """The unit cost of one strategy: its own traffic's, else that of the likest one."""
        if (own := self._usable.get(strategy)) is not None:
            return self._own(strategy, own)
        tried = [self._derived(strategy, self._usable[name]) for name in SOURCES[strategy] if name in self._usable]
        known = [each for each in tried if each.basis is not Basis.UNKNOWN]
        nothing = UnitCost(strategy, Basis.UNKNOWN, "no strategy was seen that it could be derived from")
        return (known or tried or [nothing])[0]

    def _own(self, strategy: str, traffic: Traffic) -> UnitCost:
        seen = f"of {traffic.queries:,.0f} queries" if traffic.queries else "of the scenario"
        prices = self._prices_of(strategy)
        if traffic.cost_per_query is not None and prices != strategy:
            basis = Basis.MEASURED if traffic.queries else Basis.ASSUMED
            return self._known(strategy, basis, f"the mean {seen}", tuple(self._measured(traffic)), traffic)
        if prices is None:
            return UnitCost(strategy, Basis.UNKNOWN, f"no price is known for it: {self._write_prices(strategy)}")
        basis = Basis.DERIVED if traffic.queries else Basis.ASSUMED
        whose = "given" if prices == strategy else f"of {_in_words(prices)}"
        terms = (*self._priced(strategy, traffic), *self._retrieval(strategy, traffic))
        return self._known(strategy, basis, f"the tokens {seen} at the price {whose}", terms, traffic)

    def _derived(self, strategy: str, source: Traffic) -> UnitCost:
        if retrieves(strategy) and self._context(source) is None:
            why = "how much context it would need is not known: write retrieval.context (tokens)"
            return UnitCost(strategy, Basis.UNKNOWN, why)
        priced = self._derived_terms(strategy, source)
        if priced is None:
            return UnitCost(strategy, Basis.UNKNOWN, f"no price is known for it: {self._write_prices(strategy)}")
        at, terms = priced
        why = f"{_in_words(source.strategy)} {self._difference(strategy, source)}{at}"
        basis = Basis.DERIVED if source.queries else Basis.ASSUMED
        return self._known(strategy, basis, why, (*terms, *self._retrieval(strategy, source)), source)

    def _derived_terms(self, strategy: str, source: Traffic) -> tuple[str, tuple[Term, ...]] | None:
        """At which price the source's tokens are taken (a given one, else that of the same model), and their cost."""
        if self._prices_of(strategy) is not None:
            at = "at the fine-tuned model's price" if is_tuned(strategy) else "at the price given"
            return at, self._priced(strategy, source)
        is_same_model = is_tuned(strategy) == is_tuned(source.strategy)
        if retrieves(strategy) or not is_same_model or source.cost_per_query is None:
            return None
        terms = (term for term in self._measured(source) if term.line not in (Line.CONTEXT, Line.RETRIEVAL))
        return "at the price measured", tuple(terms)

    def _known(self, strategy: str, basis: Basis, why: str, terms: tuple[Term, ...], traffic: Traffic) -> UnitCost:
        tokens = {part: count for part, count in traffic.tokens.items() if part in (*ORIGINS, *OUTPUTS)}
        if not retrieves(strategy):
            tokens.pop(CONTEXT, None)
        elif (context := self._context(traffic)) is not None:
            tokens[CONTEXT] = context[0] * self._middle(context[1])
        return UnitCost(strategy, basis, why, terms, tokens, traffic.strategy)

    def _middle(self, paths: Iterable[str]) -> float:
        product = 1.0
        for path in paths:
            product *= self._assumptions.values[path].middle
        return product

    @staticmethod
    def _difference(strategy: str, source: Traffic) -> str:
        if retrieves(strategy) == retrieves(source.strategy):
            return ""
        return "with the context it would need " if retrieves(strategy) else "without its context "

    @staticmethod
    def _write_prices(strategy: str) -> str:
        return f"write prices.{strategy}.model, or prices.{strategy}.input and .output (dollars per million tokens)"

    def _prices_of(self, strategy: str) -> str | None:
        """The strategy whose given prices apply: its own, or the one's with the same model."""
        has = self._assumptions.has
        for name in (strategy, SIBLINGS[strategy]):
            if has(f"prices.{name}.input") and has(f"prices.{name}.output"):
                return name
        return None

    def _measured(self, traffic: Traffic) -> Iterator[Term]:
        """The measured cost by part; what no part accounts for stands on a line of its own."""
        off = (f"traffic.{traffic.strategy}.sampling",)
        factors = off if self._assumptions.has(off[0]) else ()
        costs = ((part, cost) for part, cost in traffic.cost.items() if cost)
        yield from (Term(LINE_OF_PART.get(part, Line.PROMPT), cost, factors, part) for part, cost in costs)
        rest = (traffic.cost_per_query or 0.0) - sum(traffic.cost.values())
        if rest > 1e-9 * (traffic.cost_per_query or 0.0):
            yield Term(Line.UNPLACED, rest, factors)

    def _priced(self, strategy: str, source: Traffic) -> tuple[Term, ...]:
        """The tokens of `source`, as `strategy` would send them, at the prices given."""
        return (*self._priced_input(strategy, source), *self._priced_output(strategy, source), *self._request(strategy))

    def _priced_input(self, strategy: str, source: Traffic) -> Iterator[Term]:
        cached, cached_context = _cached_shares(source)
        for part in ORIGINS:
            if part != CONTEXT:
                yield from self._at_rates(strategy, part, self._tokens(source, part), cached)
        if retrieves(strategy) and (context := self._context(source)) is not None:
            kept = ("fine_tuning.context_kept",) if is_tuned(strategy) and not is_tuned(source.strategy) else ()
            amount = (context[0], (*context[1], *kept))
            yield from self._at_rates(strategy, CONTEXT, amount, cached_context)

    def _priced_output(self, strategy: str, source: Traffic) -> Iterator[Term]:
        longer = ("fine_tuning.answer_length",) if is_tuned(strategy) and not is_tuned(source.strategy) else ()
        price = self._price(strategy, "output")
        for part in OUTPUTS:
            tokens, factors = self._tokens(source, part)
            if tokens:
                yield Term(Line.OUTPUT, tokens * PER_MILLION, (*factors, *longer, price), part)

    def _at_rates(
        self, strategy: str, part: str, tokens: tuple[float, tuple[str, ...]], cached: float
    ) -> Iterator[Term]:
        count, factors = tokens
        line = LINE_OF_PART.get(part, Line.PROMPT)
        for unit, share in (("input", 1.0 - cached), ("cache_read", cached)):
            if count * share:
                yield Term(line, count * share * PER_MILLION, (*factors, self._price(strategy, unit)), part)

    def _price(self, strategy: str, unit: str) -> str:
        """The path of a price; a price of cached tokens that nobody gives is that of any input."""
        prices = f"prices.{self._prices_of(strategy)}"
        is_given = unit != "cache_read" or self._assumptions.has(f"{prices}.cache_read")
        return f"{prices}.{unit}" if is_given else f"{prices}.input"

    def _request(self, strategy: str) -> Iterator[Term]:
        path = f"prices.{self._prices_of(strategy)}.request"
        if self._assumptions.values[path].range != Range(0.0, 0.0):
            yield Term(Line.REQUEST, 1.0, (path,))

    def _retrieval(self, strategy: str, source: Traffic) -> tuple[Term, ...]:
        """What retrieving costs a query: as measured with it or with another strategy, else as assumed."""
        if not retrieves(strategy):
            return ()
        for traffic in (source, *self._usable.values()):
            costs = ((part, traffic.cost.get(part, 0.0)) for part in RETRIEVING)
            if terms := tuple(Term(Line.RETRIEVAL, cost, self._off(traffic), part) for part, cost in costs if cost):
                return terms
        path = "retrieval.query_cost"
        return (Term(Line.RETRIEVAL, 1.0, (path,)),) if self._assumptions.values[path].range.high else ()

    def _tokens(self, traffic: Traffic, part: str) -> tuple[float, tuple[str, ...]]:
        """The tokens of a part and the paths of what they are multiplied with: a range stands for itself."""
        path = f"traffic.{traffic.strategy}.tokens.{part}"
        return (1.0, (path,)) if self._assumptions.has(path) else (traffic.tokens.get(part, 0.0), self._off(traffic))

    def _off(self, traffic: Traffic) -> tuple[str, ...]:
        path = f"traffic.{traffic.strategy}.sampling"
        return (path,) if self._assumptions.has(path) else ()

    def _context(self, source: Traffic) -> tuple[float, tuple[str, ...]] | None:
        """The context of a query: the source's own, that of any strategy with retrieval, or what is assumed."""
        for traffic in (source, *self._usable.values()):
            tokens = self._tokens(traffic, CONTEXT)
            if tokens[0]:
                return tokens
        return (1.0, ("retrieval.context",)) if self._assumptions.has("retrieval.context") else None


LINE_OF_PART = {
    CONTEXT: Line.CONTEXT,
    **dict.fromkeys(OUTPUTS, Line.OUTPUT),
    **dict.fromkeys(RETRIEVING, Line.RETRIEVAL),
}
"""On which line the cost of a part stands; the rest of the prompt is the prompt's."""


def _cached_shares(traffic: Traffic) -> tuple[float, float]:
    """Which shares of the prompt without context, and of the context, come from the cache: it holds the front."""
    context = traffic.tokens.get(CONTEXT, 0.0)
    rest = sum(traffic.tokens.get(part, 0.0) for part in ORIGINS) - context
    cached = (traffic.cached_share or 0.0) * (rest + context)
    of_rest = min(1.0, cached / rest) if rest else 0.0
    return of_rest, min(1.0, (cached - of_rest * rest) / context) if context else 0.0
