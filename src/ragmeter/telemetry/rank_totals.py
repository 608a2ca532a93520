"""What each rank and each score of a retrieved list takes and gives: totals by which a smaller list can be judged.

Plain lists, one number for each place, so that a chunk costs some additions; attributes are only made when metrics are
collected. The intervals of the figures need more than sums: chunks of one query are not independent of each other, so
sums of squares over queries are kept as well (`naming/cuts.py` says which).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from ragmeter.domain.model import Fate
from ragmeter.domain.pausing import Pause, paused
from ragmeter.ledger.entries import ContextSum, QueryReport
from ragmeter.naming import semconv
from ragmeter.naming.cuts import (
    EXACT_RANKS,
    RANK_LABELS,
    SCORE_BOUNDS,
    SCORE_LABELS,
    ScoreOrder,
    SquaresOf,
    place_of_rank,
)
from ragmeter.telemetry.totals import OTHER, UNKNOWN, Attributes, Totals

MOST_COLLECTIONS = 10
"""Collections with totals of their own; those of all others are one more, and those of no name. So each instrument
stays below the 2,000 attribute sets that SDKs keep apart."""

Row = tuple[int, int, float | None, bool]
"""A chunk that was sent: its place, its tokens, its cost, and whether the answer used it. A plain tuple: a query makes
some twenty of them."""


class Ranks:
    """What stands at each rank, of the chunks that were sent; `is_priced` says that the cost of any is known."""

    def __init__(self) -> None:
        self.tokens = [0] * len(RANK_LABELS)
        self.cost = [0.0] * len(RANK_LABELS)
        self.is_priced = False
        self.squares = {of: [0] * len(RANK_LABELS) for of in SquaresOf}

    def add(self, rows: list[Row], pause: Pause) -> None:
        """Add the chunks of one query.

        From the worst rank on: the square of what stands below a rank grows with each chunk there, and that of how many
        are used down to a rank is 1 + 3 + 5 and so on.
        """
        tokens_at, cost_at = self.tokens, self.cost
        down_to, in_all, below = self.squares.values()
        passed, used = 0, sum([row[3] for row in rows])
        left = used
        rows.sort(reverse=True)
        for place, tokens, cost, is_used in paused(rows, pause):
            tokens_at[place] += tokens
            below[place] += tokens * (passed + passed + tokens)
            passed += tokens
            if cost:
                cost_at[place] += cost
            if is_used:
                down_to[place] += left + left - 1
                in_all[place] += used
                left -= 1


class Scores:
    """What has a score in each step, of the chunks that were sent."""

    def __init__(self) -> None:
        self.used = [0] * len(SCORE_LABELS)
        self.tokens = [0] * len(SCORE_LABELS)


class CollectionTotals:
    """The totals of one collection: by rank and fate, and by score in the order that its scores have."""

    def __init__(self) -> None:
        self.chunks = {fate: [0] * len(RANK_LABELS) for fate in Fate}
        self.ranks = Ranks()
        self.distances = Scores()
        self.similarities = Scores()

    def add(self, sums: Sequence[ContextSum], pause: Pause) -> None:
        """Add all that one query has sent of the collection."""
        rows: list[Row] = []
        for each in sums:
            chunks, is_used = self.chunks[each.fate], each.fate is Fate.USED
            for use in paused(each.uses, pause):
                chunk, tokens = use.place.chunk, use.tokens
                rank, score = chunk.rank, chunk.score
                if rank is not None:
                    place = rank if 0 <= rank < EXACT_RANKS else place_of_rank(rank)
                    chunks[place] += 1
                    rows.append((place, tokens, use.cost, is_used))
                if score is not None and chunk.score_is_distance is not None:
                    scores = self.distances if chunk.score_is_distance else self.similarities
                    place = bisect_right(SCORE_BOUNDS, score)
                    scores.tokens[place] += tokens
                    scores.used[place] += is_used
        self.ranks.is_priced |= any(each.cost is not None for each in sums)
        self.ranks.add(rows, pause)


class RankTotals:
    """The totals of all collections, which `totals` read when metrics are collected. Used under the worker's lock.

    `bound` makes a label's value of a collection's name.
    """

    def __init__(self, totals: Totals, bound: Callable[[str | None], str], pause: Pause) -> None:
        self._bound = bound
        self._pause = pause
        self._collections: dict[str, CollectionTotals] = {}
        totals.follow(semconv.RANK_CHUNKS, self._read(_chunks), forget=self._collections.clear)
        totals.follow(semconv.RANK_TOKENS, self._read(_tokens))
        totals.follow(semconv.RANK_COST, self._read(_cost))
        totals.follow(semconv.RANK_SQUARES, self._read(_squares))
        totals.follow(semconv.SCORE_USED, self._read(partial(_scores, lambda scores: scores.used)))
        totals.follow(semconv.SCORE_TOKENS, self._read(partial(_scores, lambda scores: scores.tokens)))

    def add(self, report: QueryReport) -> None:
        """Add what was retrieved for one query, and what became of it."""
        collections: dict[str | None, list[ContextSum]] = {}
        for entry in report.operations:
            for each in entry.context:
                collections.setdefault(each.collection, []).append(each)
        for collection, sums in collections.items():
            self._of(collection).add(sums, self._pause)
        for chunk in paused(report.unsent, self._pause):
            if chunk.rank is not None:
                self._of(chunk.collection).chunks[Fate.UNSENT][place_of_rank(chunk.rank)] += 1

    def _of(self, collection: str | None) -> CollectionTotals:
        name = self._bound(collection)
        if name not in self._collections:
            is_full = len(self._collections.keys() - {OTHER, UNKNOWN}) >= MOST_COLLECTIONS
            name = OTHER if is_full and name != UNKNOWN else name
            self._collections.setdefault(name, CollectionTotals())
        return self._collections[name]

    def _read(self, points: Points) -> Callable[[], Mapping[Attributes, float]]:
        """What is read of a metric when it is collected, of all collections."""
        return lambda: {
            ((semconv.DB_COLLECTION, name), *attributes): amount
            for name, each in list(self._collections.items())
            for attributes, amount in points(each)
        }


Points = Callable[[CollectionTotals], Iterator[tuple[Attributes, float]]]
"""The amounts of one metric and one collection, with their other attributes."""


def _chunks(of: CollectionTotals) -> Iterator[tuple[Attributes, float]]:
    for fate, numbers in of.chunks.items():
        for rank, number in _there(RANK_LABELS, numbers):
            yield ((semconv.RANK, rank), (semconv.CHUNK_FATE, fate.value)), number


def _tokens(of: CollectionTotals) -> Iterator[tuple[Attributes, float]]:
    for rank, tokens in _there(RANK_LABELS, of.ranks.tokens):
        yield ((semconv.RANK, rank),), tokens


def _cost(of: CollectionTotals) -> Iterator[tuple[Attributes, float]]:
    # A cost of nothing is one, where something was sent.
    if of.ranks.is_priced:
        for rank, _ in _there(RANK_LABELS, of.ranks.tokens):
            yield ((semconv.RANK, rank),), of.ranks.cost[RANK_LABELS.index(rank)]


def _squares(of: CollectionTotals) -> Iterator[tuple[Attributes, float]]:
    for what, numbers in of.ranks.squares.items():
        for rank, number in _there(RANK_LABELS, numbers):
            yield ((semconv.RANK, rank), (semconv.SQUARES_OF, what.value)), number


def _scores(numbers: Callable[[Scores], Sequence[int]], of: CollectionTotals) -> Iterator[tuple[Attributes, float]]:
    for order, scores in ((ScoreOrder.LOWER, of.distances), (ScoreOrder.HIGHER, of.similarities)):
        for score, number in _there(SCORE_LABELS, numbers(scores)):
            yield ((semconv.SCORE_ORDER, order.value), (semconv.SCORE, score)), number


def _there(labels: Sequence[str], numbers: Sequence[int]) -> Iterator[tuple[str, int]]:
    return ((label, number) for label, number in zip(labels, numbers, strict=True) if number)
