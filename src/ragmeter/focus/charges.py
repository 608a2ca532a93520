"""One hour of an app's counters as charges: one for each meter of a model, strategy and origin. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ragmeter.domain.model import KINDS, OperationKind, Origin, PriceState
from ragmeter.measured.hours import Hour
from ragmeter.measured.samples import Samples
from ragmeter.money.pricing import BESIDE_TOKENS
from ragmeter.naming import semconv
from ragmeter.telemetry.totals import UNSET

METRICS = (semconv.PART_TOKEN_COUNT, semconv.COST, semconv.UNITS, semconv.OPERATIONS)
"""All that charges are made of."""

WHO = (semconv.STRATEGY, semconv.PROVIDER_NAME, semconv.RESPONSE_MODEL)
ORIGINS = frozenset(Origin)
FULL = "full"
NO_VALUE = ("", UNSET)
"""What a label of the app holds where nobody has set it."""

EMBEDDING, INGESTION = (str(KINDS[kind].part) for kind in (OperationKind.EMBEDDINGS, OperationKind.INGESTION))
OF_DATABASE = frozenset(kind.value for kind, means in KINDS.items() if means.of_database)

Who = tuple[str, ...]
"""Strategy, provider and model, and the values of the app's labels that were asked for."""


class Trust(StrEnum):
    """How far the cost of a charge can be trusted, which has many calls: some of them may have no price."""

    PRICED = "priced"
    ESTIMATED = "estimated"
    PARTLY_UNPRICED = "partly_unpriced"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class Charge:
    """What one meter counted in the hour from `hour` on; `cost` in US dollars, `None` where no price is known.

    A meter is a `part` of prompts or answers at a `rate`. `tokens` is `None` where it has none, `units` is what it has
    counted beside them. `share` is that of its tokens in those of all origins that are billed as one with it, `None`
    for what is no part of a prompt. `labels` are the app's, those that were asked for and are set.
    """

    hour: datetime
    strategy: str
    provider: str
    model: str
    labels: Mapping[str, str]
    part: str
    rate: str
    tokens: float | None
    units: Mapping[str, float]
    cost: float | None
    trust: Trust
    of_database: bool = False
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """What tells the charges of an hour apart."""

    who: Who
    part: str
    rate: str


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of somebody in an hour: how many by their state of price, and whether all were of databases."""

    by_state: Mapping[str, float]
    of_database: bool

    @property
    def unpriced(self) -> float:
        """Calls without a price."""
        return self.by_state.get(PriceState.UNPRICED, 0.0)

    @property
    def priced(self) -> float:
        """Calls with a price, also an estimated one."""
        return sum(self.by_state.values()) - self.unpriced


NOBODY = Calls({}, of_database=False)


@dataclass(frozen=True, slots=True)
class Books:
    """What was counted in an hour, by key and, of calls, by whose they are; `labels` are the names of the app's."""

    hour: datetime
    labels: Sequence[str]
    tokens: Mapping[Key, float]
    costs: Mapping[Key, Mapping[str, float]]
    units: Mapping[Key, Mapping[str, float]]
    calls: Mapping[Who, Calls]

    def charge(self, key: Key) -> Charge:
        """The charge of a key, without its share."""
        strategy, provider, model, *values = key.who
        calls, costs = self.calls.get(key.who, NOBODY), self.costs.get(key, {})
        cost = sum(costs.values()) if costs else None
        if not cost and calls.unpriced and not calls.priced:
            # The series is there from an hour in which there was a price.
            cost = None
        return Charge(
            hour=self.hour,
            strategy=strategy,
            provider=provider,
            model=model,
            labels={label: value for label, value in zip(self.labels, values, strict=True) if value not in NO_VALUE},
            part=key.part,
            rate=key.rate,
            tokens=self.tokens.get(key) or None,
            units=dict(self.units.get(key, {})),
            cost=cost,
            trust=_trust(cost, costs, calls),
            of_database=calls.of_database,
        )


def charges(hour: Hour, labels: Sequence[str] = ()) -> tuple[Charge, ...]:
    """The charges of an hour, in a fixed order; `labels` of the app keep theirs apart.

    Their tokens, units and costs sum to what the counters have grown by.
    """
    grown, who = hour.grown, (*WHO, *labels)
    tokens = {
        Key(tuple(owner), part, rate): number
        for (*owner, part, rate), number in grown.sums(
            semconv.PART_TOKEN_COUNT, *who, semconv.PART, semconv.TOKEN_RATE
        ).items()
    }
    costs = _costs(grown, who)
    units = _units(grown, who, {*tokens, *costs})
    books = Books(hour.start, labels, tokens, costs, units, _calls(grown, who))
    keys = sorted({*tokens, *costs, *units}, key=lambda key: (key.who, key.part, key.rate))
    return _shared([each for each in map(books.charge, keys) if each.tokens or each.units or each.cost])


def _costs(grown: Samples, who: Sequence[str]) -> dict[Key, dict[str, float]]:
    """The cost of each key by its state of price."""
    costs: dict[Key, dict[str, float]] = defaultdict(dict)
    sums = grown.sums(semconv.COST, *who, semconv.PART, semconv.TOKEN_RATE, semconv.PRICE_STATE)
    for (*owner, part, rate, state), value in sums.items():
        costs[Key(tuple(owner), part, rate)][state] = value
    return costs


def _units(grown: Samples, who: Sequence[str], known: set[Key]) -> dict[Key, dict[str, float]]:
    """The units beside tokens of the key that has their money."""
    units: dict[Key, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (*owner, kind, unit), number in grown.sums(semconv.UNITS, *who, semconv.OPERATION_NAME, semconv.UNIT).items():
        if number:
            units[_posted(tuple(owner), kind, known)][unit] += number
    return units


def _posted(who: Who, kind: str, known: set[Key]) -> Key:
    """Where the units of an operation are paid: in its part, and those of an inference beside its tokens."""
    means = KINDS[OperationKind(kind)] if kind in KINDS else None
    key = Key(who, (means and means.part) or BESIDE_TOKENS, FULL)
    if key.part == EMBEDDING and key not in known and (ingested := replace(key, part=INGESTION)) in known:
        return ingested
    return key


def _calls(grown: Samples, who: Sequence[str]) -> dict[Who, Calls]:
    states: dict[Who, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    kinds: dict[Who, set[str]] = defaultdict(set)
    sums = grown.sums(semconv.OPERATIONS, *who, semconv.OPERATION_NAME, semconv.PRICE_STATE)
    for (*owner, kind, state), number in sums.items():
        if number:
            states[tuple(owner)][state] += number
            kinds[tuple(owner)].add(kind)
    return {owner: Calls(found, kinds[owner] <= OF_DATABASE) for owner, found in states.items()}


def _trust(cost: float | None, costs: Mapping[str, float], made: Calls) -> Trust:
    if cost is None:
        return Trust.UNPRICED
    if made.unpriced:
        return Trust.PARTLY_UNPRICED
    return Trust.ESTIMATED if costs.get(PriceState.ESTIMATED) else Trust.PRICED


def _shared(found: Sequence[Charge]) -> tuple[Charge, ...]:
    """The charges, those of prompts with their share of the tokens that a provider bills as one."""
    billed: dict[tuple[object, ...], float] = defaultdict(float)
    for each in found:
        billed[_billed_as(each)] += each.tokens or 0.0
    return tuple([_with_share(each, billed[_billed_as(each)]) for each in found])


def _with_share(charge: Charge, billed: float) -> Charge:
    if charge.part not in ORIGINS or not charge.tokens:
        return charge
    return replace(charge, share=charge.tokens / billed)


def _billed_as(charge: Charge) -> tuple[object, ...]:
    """What a provider's meter cannot tell apart, within one strategy and the same labels."""
    part = "" if charge.part in ORIGINS else charge.part
    return (charge.strategy, charge.provider, charge.model, tuple(charge.labels.items()), part, charge.rate)
