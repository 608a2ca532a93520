"""The third option: a smaller k. What a shorter list of chunks saves, and which used chunks it takes away. Pure.

A cut keeps the chunks down to a rank, or to a score. What an answer would have been without the others nobody knows;
the sums here say how many of the chunks that answers drew on a cut would have kept, as the fates tell, and what the
others cost. Chunks of one query depend on each other, so the query is the unit: with `n` the used chunks of a query
that a cut keeps and `N` all of them, the share kept is R = sum(n) / sum(N), and its variance, that of a ratio of sums
over independent queries, is sum((n - R N)^2) / sum(N)^2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt

from ragmeter.money.dollars import dollars
from ragmeter.planning.days import DAYS

Z = 1.959964
"""The 97.5 % quantile of the standard normal distribution: intervals hold in 19 of 20 cases."""

RULE_ERROR = 0.15
"""By how much the fates, which a rule judges, may move a share kept: a deviation on the scale of the logarithm of its
odds. On the passages that people have labelled (`tests/planning/test_right_k.py`) it is 0.08 in the mean of squares and
0.24 at worst. It is 3.7 points around one half, 0.4 around 97 %, and more traffic does not make it smaller."""

LEAST_KEPT = 0.95
"""A smaller k is recommended where at least this share of the used chunks is kept, by the low end of its interval."""

LEAST_USED = 30
"""With fewer used chunks nothing is said of a collection."""

NEXT = 0.5
"""Of how many used chunks a share of all or none is taken to be short: an interval never has no width."""


@dataclass(frozen=True, slots=True)
class Step:
    """What stands at one place of an order, summed over all queries; `name` is the cut that keeps it and all before it.

    `squares`, `products` and `tokens_squared` are those of `naming/cuts.py` (`used`, `used_in_all` and `tokens`);
    `None` where they were not counted. `cost` is in US dollars, `None` where no price is known.
    """

    name: str
    used: float
    tokens: float
    cost: float | None
    squares: float | None = None
    products: float | None = None
    tokens_squared: float | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What a collection's chunks took and gave in some time: steps by rank and by score, the nearest first.

    `sent` places of chunks stood in prompts; of `unknown` of them nobody could tell whether they were used, and
    `unranked` had no rank.
    """

    collection: str
    ranks: tuple[Step, ...]
    scores: tuple[Step, ...]
    sent: float
    unknown: float
    unranked: float


@dataclass(frozen=True, slots=True)
class Queries:
    """The queries that retrieve: how many, in how many days, and what they cost in all (`None`: no price is known).

    `days` is 0 where too little time was seen to tell of a month.
    """

    number: float
    days: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and between which two it lies in 19 of 20 cases."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """All three times a number."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a shorter list would do: `kept` is a share of the used chunks, what it saves is for 1,000 queries.

    `name` is `k = 3` or a bound of the score; dollars are `None` where no price is known.
    """

    name: str
    kept: Interval
    tokens_saved: Interval
    dollars_saved: Interval | None
    dollars_saved_a_month: Interval | None


@dataclass(frozen=True, slots=True)
class RightK:
    """All cuts of one collection's list below today's, the shortest first; `best` is the one that is recommended.

    `cost` is that of 1,000 queries today. `notes` say what these figures cannot tell.
    """

    collection: str
    today: str
    cuts: tuple[Cut, ...]
    score_cuts: tuple[Cut, ...]
    best: Cut | None
    cost: float | None
    verdict: str
    notes: tuple[str, ...]


def right_k(retrieved: Retrieved, queries: Queries) -> RightK | None:
    """What every shorter list would save and take away; `None` where nothing was sent, or no query was counted."""
    ranks = _without_end(retrieved.ranks)
    if not ranks or queries.number <= 0:
        return None
    cost = None if queries.cost is None else queries.cost / queries.number * 1000
    cuts: tuple[Cut, ...] = ()
    score_cuts: tuple[Cut, ...] = ()
    if _used(ranks) >= LEAST_USED:
        cuts = tuple(_cuts(ranks, ranks, queries))
        score_cuts = tuple(_cuts(_without_end(retrieved.scores), ranks, queries))
    best = next((cut for cut in cuts if cut.kept.low >= LEAST_KEPT), None)
    return RightK(
        collection=retrieved.collection,
        today=ranks[-1].name,
        cuts=cuts,
        score_cuts=score_cuts,
        best=best,
        cost=cost,
        verdict=_verdict(ranks, cuts, best, cost),
        notes=tuple(_notes(retrieved)),
    )


def _without_end(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps down to the last at which something was sent."""
    last = max((number for number, step in enumerate(steps, 1) if step.tokens or step.used), default=0)
    return tuple(steps[:last])


def _used(steps: Sequence[Step]) -> float:
    return sum(step.used for step in steps)


def _cuts(steps: Sequence[Step], ranks: Sequence[Step], queries: Queries) -> Iterator[Cut]:
    """Every cut but the last, which keeps everything; intervals that steps do not tell are taken from the ranks."""
    whole = _used(steps)
    for number in range(1, len(steps)) if whole else ():
        above, below = steps[:number], steps[number:]
        saved = _saved(below, ranks, queries).times(1000)
        ratio = _price(below, ranks)
        money = None if ratio is None else saved.times(ratio)
        a_month = DAYS * queries.number / queries.days / 1000 if queries.days > 0 else None
        yield Cut(
            name=above[-1].name,
            kept=kept(_used(above), whole, _variance(above, steps, ranks), _effective(ranks)),
            tokens_saved=saved,
            dollars_saved=money,
            dollars_saved_a_month=None if money is None or a_month is None else money.times(a_month),
        )


def _price(below: Sequence[Step], ranks: Sequence[Step]) -> float | None:
    """Dollars for a token of what a cut leaves out: by rank its own, by score the mean of the collection."""
    steps = below if all(step.cost is not None for step in below) else ranks
    tokens = sum(step.tokens for step in steps)
    costs = [step.cost for step in steps if step.cost is not None and step.tokens]
    return sum(costs) / tokens if costs and tokens else None


def _variance(above: Sequence[Step], steps: Sequence[Step], ranks: Sequence[Step]) -> float:
    """The variance of the share that a cut keeps.

    Where no squares were counted it is as large as it can be: each query keeps all of its used chunks or none.
    """
    whole = _used(steps)
    share = _used(above) / whole
    squares = [step.squares for step in above if step.squares is not None]
    products = [step.products for step in steps if step.products is not None]
    if len(squares) < len(above) or len(products) < len(steps):
        return share * (1 - share) / _effective(ranks)
    together = sum(products[: len(above)])
    return max(0.0, sum(squares) - 2 * share * together + share**2 * sum(products)) / whole**2


def _effective(ranks: Sequence[Step]) -> float:
    """How many independent used chunks those of all queries are worth at least: (sum N)^2 / sum N^2."""
    whole, products = _used(ranks), sum(step.products or 0.0 for step in ranks)
    return whole**2 / products if products else max(1.0, whole)


def kept(used: float, whole: float, variance: float, effective: float) -> Interval:
    """The share of used chunks that a cut keeps, `used` of the `whole`, and its interval.

    Wilson's interval for as many independent chunks as give the same variance, no more than there are, and widened on
    the scale of the logarithm of the odds by what the rule of the fates may be wrong.
    """
    share = used / whole
    near = min(max(share, NEXT / whole), 1 - NEXT / whole)
    number = min(whole, near * (1 - near) / variance) if variance > 0 and 0 < share < 1 else min(whole, effective)
    middle = (share + Z**2 / (2 * number)) / (1 + Z**2 / number)
    half = Z / (1 + Z**2 / number) * sqrt(share * (1 - share) / number + Z**2 / (4 * number**2))
    low, high = (_widened(middle, end) for end in (max(0.0, middle - half), min(1.0, middle + half)))
    return Interval(share, min(low, share), max(high, share))


def _widened(middle: float, end: float) -> float:
    centre, far = _logarithm_of_odds(middle), _logarithm_of_odds(end)
    if abs(far) == inf:
        return end
    distance = sqrt((far - centre) ** 2 + (Z * RULE_ERROR) ** 2)
    return 1 / (1 + exp(-(centre + distance if far > centre else centre - distance)))


def _logarithm_of_odds(share: float) -> float:
    if share <= 0:
        return -inf
    return inf if share >= 1 else log(share / (1 - share))


def _saved(below: Sequence[Step], ranks: Sequence[Step], queries: Queries) -> Interval:
    """The tokens of a query that a cut leaves out, in the mean.

    Where no squares were counted the variance is taken for as large as it can be: each query loses all or nothing.
    """
    number = queries.number
    mean = sum(step.tokens for step in below) / number
    squares = [step.tokens_squared for step in below if step.tokens_squared is not None]
    whole = sum(step.tokens for step in ranks)
    largest = mean * number / whole * sum(step.tokens_squared or 0.0 for step in ranks) if whole else 0.0
    square = sum(squares) if len(squares) == len(below) else largest
    half = Z * sqrt(max(0.0, square / number - mean**2) / number)
    return Interval(mean, max(0.0, mean - half), mean + half)


def _verdict(ranks: Sequence[Step], cuts: Sequence[Cut], best: Cut | None, cost: float | None) -> str:
    if not cuts:
        return _too_little(ranks)
    today = ranks[-1].name
    if best is not None:
        return f"{best.name} keeps {_share(best.kept)} of used chunks and saves {_amount(best, cost)}."
    nearest = cuts[-1]
    return (
        f"No k below today's ({today}) keeps {LEAST_KEPT:.0%} of used chunks for sure: {nearest.name} "
        f"keeps {_share(nearest.kept)} and saves {_amount(nearest, cost)}."
    )


def _too_little(ranks: Sequence[Step]) -> str:
    if len(ranks) < 2:
        return "One chunk is sent at the most: there is nothing to leave out."
    return (
        f"Only {_used(ranks):.0f} used chunks were seen, fewer than {LEAST_USED}: too few to say what a smaller k does."
    )


def _share(kept: Interval) -> str:
    return f"{kept.value:.0%} ({100 * kept.low:.0f}\u2013{kept.high:.0%})"


def _amount(cut: Cut, cost: float | None) -> str:
    if cut.dollars_saved is None:
        return f"{cut.tokens_saved.value:,.0f} tokens for 1,000 queries"
    of = "" if cost is None else f" of {dollars(cost)}"
    return f"{dollars(cut.dollars_saved.value)}{of} per 1,000 queries"


def _notes(retrieved: Retrieved) -> Iterator[str]:
    yield "Of chunks that were never retrieved nothing is known: a larger k may find more, or not."
    yield "Used chunks are those that answers drew on; how answers would be without them only a trial can tell."
    if retrieved.unknown:
        yield (
            f"Of {retrieved.unknown / retrieved.sent:.1%} of the chunks of {retrieved.collection} nobody could tell "
            "whether they were used: the shares are those of the others."
        )
    if retrieved.unranked > 0:
        share = retrieved.unranked / retrieved.sent
        yield f"{share:.1%} of the chunks of {retrieved.collection} have no rank, and are not counted here."
