"""What each collection's list of chunks took and gave, from what its metrics have grown in a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import dropwhile

from ragmeter.domain import strategy
from ragmeter.domain.model import Fate
from ragmeter.measured.samples import Samples
from ragmeter.naming import semconv
from ragmeter.naming.cuts import RANK_ENDS, RANK_LABELS, SCORE_BOUNDS, SCORE_LABELS, ScoreOrder, SquaresOf
from ragmeter.planning.right_k import Queries, Retrieved, RightK, Step, right_k

METRICS = (
    semconv.CHUNKS,
    semconv.RANK_CHUNKS,
    semconv.RANK_TOKENS,
    semconv.RANK_COST,
    semconv.RANK_SQUARES,
    semconv.SCORE_USED,
    semconv.SCORE_TOKENS,
)
"""All that the right k is told by, beside how many queries there were and what they cost."""

RANK_NAMES = (*(f"k = {end}" for end in RANK_ENDS), f"k > {RANK_ENDS[-1]}")
AT_LEAST = tuple(f"score \u2265 {low:g}" if low is not None else "any score" for low in (None, *SCORE_BOUNDS))
AT_MOST = tuple(f"distance < {high:g}" if high is not None else "any distance" for high in (*SCORE_BOUNDS, None))
"""What a list is cut to that keeps a place and all that are nearer."""


def right_ks(grown: Samples, days: float) -> tuple[RightK, ...]:
    """The right k of each collection whose chunks were sent, the dearest first, from what grew in `days`."""
    found = [
        (sum(step.cost or 0.0 for step in each.ranks), sum(step.tokens for step in each.ranks), right)
        for each in retrieved(grown)
        if (right := right_k(each, queries(grown, days))) is not None
    ]
    return tuple(right for *_, right in sorted(found, key=lambda each: (-each[0], -each[1], each[2].collection)))


def queries(grown: Samples, days: float) -> Queries:
    """The queries of the strategies that send retrieved chunks."""
    places = grown.sums(semconv.CHUNKS, semconv.STRATEGY, semconv.CHUNK_FATE)
    retrieving = {name for (name, fate), number in places.items() if number and fate != Fate.UNSENT}
    theirs = grown.only(semconv.STRATEGY, *(retrieving - {strategy.NONE}))
    return Queries(theirs.total(semconv.QUERIES) or 0.0, days, theirs.total(semconv.COST))


def retrieved(grown: Samples) -> tuple[Retrieved, ...]:
    """What each collection has sent by rank and by score, by its name."""
    names = grown.by(semconv.RANK_CHUNKS, semconv.DB_COLLECTION)
    return tuple(_retrieved(name, grown.only(semconv.DB_COLLECTION, name)) for name in sorted(names))


def _retrieved(name: str, of: Samples) -> Retrieved:
    by_fate = of.by(semconv.RANK_CHUNKS, semconv.CHUNK_FATE)
    ranked = sum(number for fate, number in by_fate.items() if fate != Fate.UNSENT)
    places = sum(number for fate, number in of.by(semconv.CHUNKS, semconv.CHUNK_FATE).items() if fate != Fate.UNSENT)
    return Retrieved(
        collection=name,
        ranks=_ranks(of),
        scores=_scores(of),
        sent=max(ranked, places),
        unknown=by_fate.get(Fate.UNKNOWN, 0.0),
        unranked=max(0.0, places - ranked),
    )


def _ranks(of: Samples) -> tuple[Step, ...]:
    used = of.only(semconv.CHUNK_FATE, Fate.USED).by(semconv.RANK_CHUNKS, semconv.RANK)
    tokens, cost = of.by(semconv.RANK_TOKENS, semconv.RANK), of.by(semconv.RANK_COST, semconv.RANK)
    squares = {what: of.only(semconv.SQUARES_OF, what).by(semconv.RANK_SQUARES, semconv.RANK) for what in SquaresOf}
    return tuple(
        Step(
            name=name,
            used=used.get(label, 0.0),
            tokens=tokens.get(label, 0.0),
            cost=cost.get(label, 0.0) if cost else None,
            squares=squares[SquaresOf.USED].get(label, 0.0),
            products=squares[SquaresOf.USED_IN_ALL].get(label, 0.0),
            tokens_squared=squares[SquaresOf.TOKENS].get(label, 0.0),
        )
        for name, label in zip(RANK_NAMES, RANK_LABELS, strict=True)
    )


def _scores(of: Samples) -> tuple[Step, ...]:
    """By score, in the order in which most was sent: distances and a reranker's relevance have no scale in common."""
    sent = of.by(semconv.SCORE_TOKENS, semconv.SCORE_ORDER)
    if not sent:
        return ()
    order = max(sent, key=lambda each: (sent[each], each))
    in_order = of.only(semconv.SCORE_ORDER, order)
    used, tokens = (in_order.by(each, semconv.SCORE) for each in (semconv.SCORE_USED, semconv.SCORE_TOKENS))
    return tuple(_scored(order, used, tokens))


def _scored(order: str, used: Mapping[str, float], tokens: Mapping[str, float]) -> tuple[Step, ...]:
    """The steps from the nearest score that was seen on."""
    names = AT_MOST if order == ScoreOrder.LOWER else AT_LEAST
    steps = [
        Step(name, used.get(label, 0.0), tokens.get(label, 0.0), None)
        for name, label in zip(names, SCORE_LABELS, strict=True)
    ]
    nearest_first = steps if order == ScoreOrder.LOWER else steps[::-1]
    return tuple(dropwhile(lambda step: not step.tokens, nearest_first))
