"""What an operation costs: usage times rates, for span, metric and report alike. Pure, floats in US dollars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import fsum

from ragmeter.anatomy.parts import Share
from ragmeter.domain.model import COUNTS, Origin, PriceState, Usage
from ragmeter.domain.pausing import Pause, paused, without_pause


class Line(StrEnum):
    """The lines of a bill: the part of an operation's cost a unit belongs to."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE = "cache_write"
    OUTPUT = "output"
    UNITS = "units"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one unit: US dollars for each, by `tiers` when the input is longer than their start.

    `within` are the numbers of the card's other units that count a part of this one at a price of their own (cache
    reads within input): what they count is not charged here again. `exact` is false where the price depends on what no
    answer tells.
    """

    unit: str
    line: Line
    price: float
    tiers: tuple[tuple[int, float], ...] = ()
    within: tuple[int, ...] = ()
    exact: bool = True

    def at(self, length: int) -> float:
        """The price of one unit in a request whose input is `length` tokens long."""
        price = self.price
        for start, tier_price in self.tiers:
            if length > start:
                price = tier_price
        return price

    def times(self, factor: float) -> Rate:
        """The same rate at `factor` times the price."""
        tiers = tuple((start, each * factor) for start, each in self.tiers)
        return replace(self, price=self.price * factor, tiers=tiers)


@dataclass(frozen=True, slots=True)
class RateCard:
    """The prices of one model at one service tier; more specific units stand before those they are a part of.

    `row` names the table and row, `model` the row's model; `exact` is false when what was served has no price of its
    own and the standard one is used in its place, and for prompts longer than `exact_to` tokens. `units` are all that
    have a rate.
    """

    rates: tuple[Rate, ...]
    row: str
    exact: bool = True
    model: str | None = None
    exact_to: int | None = None
    units: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", frozenset([rate.unit for rate in self.rates]))


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation cost, in US dollars by line; `amount` is `None` when no price is known."""

    amount: float | None
    state: PriceState
    lines: Mapping[Line, float]
    source: str | None = None
    row: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of an operation's tokens with its cost: the parts sum to the operation, in tokens and in money.

    `place` is the number of the chunk's place that it is a part of.
    """

    part: str
    rate: str
    tokens: int
    cost: float | None
    place: int | None = None


PartKey = tuple[str, str, int | None]
"""Part, rate and place."""

OUTPUTS = ("output", "reasoning")
"""The parts of an answer."""

BESIDE_TOKENS = "search"
"""The part that all units beside tokens are posted under: most are searches, of the web or of files."""

UNPRICED = Cost(None, PriceState.UNPRICED, {})


FIELDS = {count.unit: count.field for count in COUNTS}
"""The units that have a field of `Usage`; any other is in its `units`."""

OWN_PRICE = tuple(count.unit for count in COUNTS if count.has_own_price)

REQUESTS = "requests"
"""The unit of which every operation has used one."""

ONLY_REQUESTS = frozenset((REQUESTS,))


def price(usage: Usage | None, card: RateCard | None, *, estimated: bool = False) -> Cost:
    """The cost of `usage` at `card`; a cost the provider itself reported stands above any table.

    `estimated` marks token counts that nobody reported. Without a price, or without tokens, the cost is unknown.
    """
    if usage is None:
        return UNPRICED
    table = UNPRICED if card is None else _price_by_card(usage, card)
    if usage.reported_cost is not None:
        return Cost(usage.reported_cost, PriceState.PRICED, table.lines, "provider", "reported by the provider")
    if table.amount is None or not estimated:
        return table
    return replace(table, state=PriceState.ESTIMATED)


def _price_by_card(usage: Usage, card: RateCard) -> Cost:
    numbers, fits = _numbers(usage, card)
    charged = [(rate, number) for rate, number in zip(card.rates, numbers, strict=True) if number]
    length = usage.longest_input or usage.input_tokens or 0
    lines: dict[Line, float] = {}
    for rate, number in charged:
        lines[rate.line] = lines.get(rate.line, 0.0) + number * rate.at(length)
    exact = fits and _is_exact(usage, card, length) and all(_is_sure(rate, usage, length) for rate, _ in charged)
    state = PriceState.PRICED if exact else PriceState.ESTIMATED
    return Cost(sum(lines.values()), state, lines, "local", card.row)


def _numbers(usage: Usage, card: RateCard) -> tuple[list[float], bool]:
    """How many are charged at each rate, without what the rates of their parts charge; whether the parts fit in."""
    numbers: list[float] = []
    fits = True
    for rate in card.rates:
        number = _count(usage, rate.unit)
        for part in rate.within:
            number -= numbers[part]
        # A part that is counted as larger than its whole is priced as far as it goes.
        fits = fits and number >= 0
        numbers.append(max(0, number))
    return numbers, fits


def _is_exact(usage: Usage, card: RateCard, length: int) -> bool:
    """Whether the counts are all of what was billed, and the card has the prices of all of it."""
    is_of_card = card.exact and (card.exact_to is None or length <= card.exact_to)
    return is_of_card and not usage.inexact and not _hides_tokens(usage) and _prices_all(usage, card)


def _is_sure(rate: Rate, usage: Usage, length: int) -> bool:
    # Of several prompts not all may have been long.
    return rate.exact and (length >= (usage.input_tokens or 0) or rate.at(length) == rate.price)


def covers(card: RateCard, usage: Usage) -> bool:
    """Whether a card has a price for anything that was used, or nothing was: else it prices other things than these."""
    used = [unit for unit in (*FIELDS, *usage.units) if _count(usage, unit)]
    return not used or not card.units.isdisjoint((REQUESTS, *used))


def prices_requests(card: RateCard) -> bool:
    """Whether a card has a price for a request, whatever it uses."""
    return REQUESTS in card.units


def without_requests(card: RateCard, *, is_inference: bool) -> RateCard | None:
    """A card for what is no request of its own; `None` when it has no other price.

    Where the price of a request has all the tokens of an inference in it, it has those of a round within it as well.
    """
    if is_inference and all(rate.unit == REQUESTS for rate in card.rates):
        return replace(card, rates=tuple([rate.times(0.0) for rate in card.rates]))
    # A price of a request is within no other, and stands behind all that others have within: their numbers stay.
    rates = tuple(rate for rate in card.rates if rate.unit != REQUESTS)
    return replace(card, rates=rates) if rates else None


def _count(usage: Usage, unit: str) -> float:
    if unit == REQUESTS:
        return 1
    name = FIELDS.get(unit)
    return usage.units.get(unit, 0) if name is None else getattr(usage, name) or 0


def _prices_all(usage: Usage, card: RateCard) -> bool:
    """Whether the card has a price for every unit that was used: at the price of another, or at none, it is a guess."""
    # Where a request has one price and nothing else has, all its tokens are in it.
    needed = usage.units if card.units == ONLY_REQUESTS else (*OWN_PRICE, *usage.units)
    return all(_count(usage, unit) == 0 for unit in needed if unit not in card.units)


def _hides_tokens(usage: Usage) -> bool:
    """Whether the provider's total says that tokens were billed which neither input nor output shows."""
    if usage.total_tokens is None or usage.output_tokens is None:
        return False
    return usage.total_tokens > (usage.input_tokens or 0) + usage.output_tokens


def split(usage: Usage, shares: Sequence[Share], cost: Cost, pause: Pause = without_pause) -> tuple[Part, ...]:
    """The parts of an inference: input by origin and place in wire order with cached tokens at its front, then output.

    `shares` sum to the input tokens. Tokens sum to the usage, costs to the cost's amount.
    """
    tokens = _of_input(usage, shares, pause) | _of_output(usage)
    if cost.amount is None:
        counted = paused(tokens.items(), pause)
        return tuple([Part(part, rate, count, None, place) for (part, rate, place), count in counted])
    return _with_cost(tokens, cost, pause)


def _of_input(usage: Usage, shares: Sequence[Share], pause: Pause) -> dict[PartKey, int]:
    total = usage.input_tokens or 0
    read = min(usage.cache_read_tokens or 0, total)
    written = min(usage.cache_write_tokens or 0, total - read)
    stretches = (("cache_read", 0, read), ("cache_write", read, read + written), ("full", read + written, total))
    tokens: dict[PartKey, int] = {}
    position = 0
    for share in paused(shares, pause):
        end = position + share.tokens
        for rate, start, stop in stretches:
            covered = min(end, stop) - max(position, start)
            if covered > 0:
                key = (share.origin.value, rate, share.place)
                tokens[key] = tokens.get(key, 0) + covered
        position = end
    return tokens


def _of_output(usage: Usage) -> dict[PartKey, int]:
    output = usage.output_tokens or 0
    reasoning = min(usage.reasoning_tokens or 0, output)
    tokens: dict[PartKey, int] = {("output", "full", None): output - reasoning, ("reasoning", "full", None): reasoning}
    return {key: count for key, count in tokens.items() if count}


def single(part: str, usage: Usage, cost: Cost) -> tuple[Part, ...]:
    """The one part of an operation whose tokens are not taken apart: whatever answers nobody."""
    return (Part(part, "full", (usage.input_tokens or 0) + (usage.output_tokens or 0), cost.amount),)


def merged(parts: Sequence[Part], pause: Pause = without_pause) -> tuple[Part, ...]:
    """The parts with the places of chunks put together: one for each part and rate."""
    result: dict[tuple[str, str], Part] = {}
    for part in paused(parts, pause):
        before = result.get((part.part, part.rate))
        tokens = part.tokens + (0 if before is None else before.tokens)
        known = [each.cost for each in (before, part) if each is not None and each.cost is not None]
        result[part.part, part.rate] = Part(part.part, part.rate, tokens, sum(known) if known else None)
    return tuple(result.values())


LINES = {"full": Line.INPUT, "cache_read": Line.CACHE_READ, "cache_write": Line.CACHE_WRITE}
"""The line of the bill that input tokens at a rate stand on."""


NOTHING = 1e-18
"""US dollars that are no amount: a sum of prices below it cannot be scaled to another."""


def _line_of(key: PartKey) -> Line:
    part, rate, _ = key
    return Line.OUTPUT if part in OUTPUTS else LINES[rate]


def _with_cost(tokens: Mapping[PartKey, int], cost: Cost, pause: Pause) -> tuple[Part, ...]:
    """Each line of the bill shared over the tokens on it; the price of a request over all tokens alike."""
    counts = _by_line(tokens, pause)
    # A cost reported without a table to take it apart is shared out by tokens.
    has_lines = sum(cost.lines.values()) > NOTHING
    lines = cost.lines if has_lines else {Line.REQUEST: cost.amount or 0.0}
    each = {line: lines.get(line, 0.0) / count for line, count in counts.items() if count}
    by_request = each.get(Line.REQUEST, 0.0)
    parts = [
        Part(part, rate, count, count * (each.get(_line_of((part, rate, place)), 0.0) + by_request), place)
        for (part, rate, place), count in paused(tokens.items(), pause)
    ]
    return _meet([*parts, *_without_tokens(lines, counts)], cost.amount or 0.0, pause)


def _by_line(tokens: Mapping[PartKey, int], pause: Pause) -> dict[Line, int]:
    """The tokens on each line of the bill; on that of the request are all of them."""
    counts: dict[Line, int] = {}
    for key, count in paused(tokens.items(), pause):
        line = _line_of(key)
        counts[line] = counts.get(line, 0) + count
    counts[Line.REQUEST] = sum(counts.values())
    return counts


def _without_tokens(lines: Mapping[Line, float], counts: Mapping[Line, int]) -> Iterator[Part]:
    """The money that is on no token: of units, and of a line whose unit none counts (audio in an untold output)."""
    if units := lines.get(Line.UNITS, 0.0):
        yield Part(BESIDE_TOKENS, "full", 0, units)
    if rest := sum(amount for line, amount in lines.items() if line is not Line.UNITS and not counts.get(line)):
        yield Part(Origin.OTHER.value, "full", 0, rest)


def _meet(parts: Sequence[Part], amount: float, pause: Pause) -> tuple[Part, ...]:
    """Scaled to the total, which is the provider's where it reported one; the last digits go to the largest part."""
    have = fsum([part.cost or 0.0 for part in paused(parts, pause)])
    factor = amount / have if have > NOTHING else 0.0
    costs = [(part.cost or 0.0) * factor for part in paused(parts, pause)]
    if costs:
        largest = max(range(len(costs)), key=costs.__getitem__)
        costs[largest] += amount - fsum(costs)
    priced = zip(paused(parts, pause), costs, strict=True)
    return tuple([Part(part.part, part.rate, part.tokens, each, part.place) for part, each in priced])
