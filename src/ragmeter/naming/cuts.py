"""Where a list of chunks may be cut, by rank or by score: the metrics of it and the values of their labels. Pure.

Both labels are bounded, whatever a database says. Places count from 0, the best rank or the lowest score first.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import StrEnum
from itertools import pairwise

from ragmeter.naming.metric import Metric

EXACT_RANKS = 20
RANK_ENDS = (*range(1, EXACT_RANKS + 1), 30, 50, 100)
"""The last rank of each place; beyond them is one more."""

SCORE_BOUNDS = (*(round(0.05 * step, 2) for step in range(21)), 2.0, 5.0, 10.0, 20.0, 50.0)
"""From which score on each place but the first one reaches: finer where similarities and cosine distances lie."""


class ScoreOrder(StrEnum):
    """What of a score is nearer to the question: the values of `ragmeter.score.order`."""

    HIGHER = "higher_is_nearer"
    LOWER = "lower_is_nearer"
    UNKNOWN = "unknown"


class SquaresOf(StrEnum):
    """What is squared for each query: the values of `ragmeter.squares.of`.

    With `n` the used chunks of a query down to a place, `N` all of them and `t` the tokens below that place: what
    stands down to the place adds up to the sum over all queries of `n * n` and of `n * N`, what stands below it to the
    sum of `t * t`.
    """

    USED = "used"
    USED_IN_ALL = "used_in_all"
    TOKENS = "tokens"


def _rank_labels() -> tuple[str, ...]:
    spans = [(before + 1, end) for before, end in pairwise((0, *RANK_ENDS))]
    named = [str(end) if first == end else f"{first}-{end}" for first, end in spans]
    return (*named, f"{RANK_ENDS[-1] + 1}+")


def _score_labels() -> tuple[str, ...]:
    named = [f"{low:g}-{high:g}" for low, high in pairwise(SCORE_BOUNDS)]
    return (f"<{SCORE_BOUNDS[0]:g}", *named, f"{SCORE_BOUNDS[-1]:g}+")


RANK_LABELS = _rank_labels()
SCORE_LABELS = _score_labels()
"""The value of the label at each place."""


def place_of_rank(rank: int) -> int:
    """The place of a rank, which counts from 0 as `KnownChunk` has it."""
    return bisect_left(RANK_ENDS, max(1, rank + 1))


def by_rank(collection: str, rank: str, fate: str, squares_of: str) -> tuple[Metric, Metric, Metric, Metric]:
    """Chunks, tokens, cost and squares by rank; the arguments are the names of the labels."""
    chunks = "Chunks by their rank in the last ranking before the prompt and by what became of them"
    tokens, cost = "Input tokens of retrieved text by its rank", "Cost of retrieved text in prompts by its rank"
    squares = "Sums of squares over queries, by which the figures by rank have their intervals"
    by = (collection, rank)
    return (
        Metric("ragmeter.rank.chunks", "{chunk}", chunks, (*by, fate), of_collections=True),
        Metric("ragmeter.rank.tokens", "{token}", tokens, by, of_collections=True),
        Metric("ragmeter.rank.cost.usd", "{USD}", cost, by, of_collections=True),
        Metric("ragmeter.rank.squares", "{square}", squares, (*by, squares_of), of_collections=True),
    )


def by_score(collection: str, order: str, score: str) -> tuple[Metric, Metric]:
    """Used chunks and tokens by score; the arguments are the names of the labels."""
    used = "Chunks that the answer used by their score in the last ranking that gave one"
    tokens = "Input tokens of retrieved text by its score"
    by = (collection, order, score)
    return (
        Metric("ragmeter.score.used", "{chunk}", used, by, of_collections=True),
        Metric("ragmeter.score.tokens", "{token}", tokens, by, of_collections=True),
    )
