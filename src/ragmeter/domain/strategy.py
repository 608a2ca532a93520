"""Which strategy an answer was made with: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ragmeter.facts import Fact, read

BASE = "base"
RAG = "rag"
FINE_TUNED = "fine_tuned"
FINE_TUNED_RAG = "fine_tuned_rag"
STRATEGIES = (BASE, RAG, FINE_TUNED, FINE_TUNED_RAG)

NONE = "none"
"""The label of money spent for no query: ingestion, searches that nobody asked a model about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTunedId(Fact):
    """What an id of a fine-tuned model has somewhere in it, in capitals or not."""

    pattern: str


FINE_TUNED_IDS = tuple(re.compile(row.pattern, re.IGNORECASE) for row in read("fine_tuned_ids", FineTunedId))


def is_fine_tuned(model: str | None, patterns: Iterable[str] = ()) -> bool:
    """Whether `model` is a fine-tuned one: by its id, or by the app's own list of names (shell patterns)."""
    if not model:
        return False
    is_known = any(pattern.search(model) for pattern in FINE_TUNED_IDS)
    return is_known or any(fnmatchcase(model, pattern) for pattern in patterns)


def derive(*, fine_tuned: bool, retrieved: bool) -> str:
    """The strategy of one inference: retrieved text was in its prompt or not, its model is fine-tuned or not."""
    if fine_tuned:
        return FINE_TUNED_RAG if retrieved else FINE_TUNED
    return RAG if retrieved else BASE


def highest(strategies: Iterable[str]) -> str:
    """The strategy of a query: the most that its inferences used together."""
    seen = set(strategies)
    if not seen:
        return NONE
    return derive(
        fine_tuned=bool(seen & {FINE_TUNED, FINE_TUNED_RAG}),
        retrieved=bool(seen & {RAG, FINE_TUNED_RAG}),
    )
