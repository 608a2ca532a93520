"""Conditions on our labels: which part of a prompt, which fate of a chunk, which kind of call."""

from __future__ import annotations

from ragmeter.dashboards import expressions as promql
from ragmeter.domain import strategy
from ragmeter.domain.model import KINDS, Fate, OperationKind, Origin, PriceState
from ragmeter.naming.cuts import ScoreOrder


def _any_of(label: str, *values: str) -> str:
    return promql.one_of(label, "|".join(values))


def _not(label: str, value: str) -> str:
    return f'{label}!="{value}"'


def is_part(*parts: str) -> str:
    """What is posted under any of these parts."""
    return _any_of(promql.PART, *parts)


def is_kind(*kinds: str) -> str:
    """Operations of any of these kinds."""
    return _any_of(promql.OPERATION, *kinds)


IS_INPUT = is_part(*Origin)
IS_OUTPUT = is_part("output", "reasoning")
IS_OF_CALL = is_part(*Origin, "output", "reasoning")
"""Tokens of a model's call: embedding a pile of documents makes no call longer."""
IS_CONTEXT = promql.equals(promql.PART, Origin.CONTEXT)
IS_QUESTION = promql.equals(promql.PART, Origin.QUESTION)
IS_RETRIEVAL = is_part(*(each.part for each in KINDS.values() if each.is_retrieval and each.part))
IS_INGESTION = promql.equals(promql.PART, KINDS[OperationKind.INGESTION].part or "")
IS_NO_INGESTION = _not(promql.PART, KINDS[OperationKind.INGESTION].part or "")

IS_USED = promql.equals(promql.FATE, Fate.USED)
IS_UNSENT = promql.equals(promql.FATE, Fate.UNSENT)
IS_WASTE = _any_of(promql.FATE, Fate.UNUSED, Fate.REPEATED)
IS_KNOWN = _any_of(promql.FATE, Fate.USED, Fate.UNUSED, Fate.REPEATED)
"""Sent, and the answer tells what became of it."""
WAS_SENT = _not(promql.FATE, Fate.UNSENT)
WAS_RETRIEVED_ONCE = _not(promql.FATE, Fate.REPEATED)

IS_CALL = is_kind(*sorted(kind for kind in KINDS if kind.is_inference))
IS_UNPRICED = promql.equals(promql.PRICE_STATE, PriceState.UNPRICED)
IS_ESTIMATED = promql.equals(promql.PRICE_STATE, PriceState.ESTIMATED)
FAILED = _not(promql.ERROR, "")
IS_DISTANCE = promql.equals(promql.SCORE_ORDER, ScoreOrder.LOWER)
IS_NO_DISTANCE = _not(promql.SCORE_ORDER, ScoreOrder.LOWER)

OF_QUERIES = _not(promql.STRATEGY, strategy.NONE)
"""Without what no query asked for, such as the embedding of documents."""
