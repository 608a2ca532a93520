"""Which strategy an answer was made with: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

BASE = "base"
RAG = "rag"
FINE_TUNED = "fine_tuned"
FINE_TUNED_RAG = "fine_tuned_rag"
STRATEGIES = (BASE, RAG, FINE_TUNED, FINE_TUNED_RAG)

NONE = "none"
"""The label of money spent for no query: ingestion, searches that nobody asked a model about."""

FINE_TUNED_ID = re.compile(
    r"^ft:|\.ft-|^tunedModels/|:(custom|imported)-model(-deployment)?/|^accounts/(?!fireworks/)[^/]+/models/"
    r"|-ft(-|$)|(^|[-_/])lora([-_/]|$)",
    re.IGNORECASE,
)
"""Model ids of fine-tuned models: OpenAI, Azure, Google, Bedrock, Fireworks and suffixes that are common elsewhere."""


def is_fine_tuned(model: str | None, patterns: Iterable[str] = ()) -> bool:
    """Whether `model` is a fine-tuned one: by its id, or by the app's own list of names (shell patterns)."""
    if not model:
        return False
    return FINE_TUNED_ID.search(model) is not None or any(fnmatchcase(model, pattern) for pattern in patterns)


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
