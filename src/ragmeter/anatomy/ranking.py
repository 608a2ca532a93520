"""What a ranking says: which documents a reranking has put in order, and which scores are nearer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ragmeter.domain.model import Chunk, Operation, Role


def named_chunks(operation: Operation) -> Sequence[Chunk]:
    """The chunks of an answer, each with the text it has in the request where the answer only gives its number."""
    chunks = operation.response.chunks
    if all(chunk.document is None for chunk in chunks):
        return chunks
    documents = [fragment.text for fragment in operation.prompt.fragments if fragment.role is Role.DOCUMENT]
    return [_named(chunk, documents) for chunk in chunks]


def scores_are_distances(operation: Operation) -> bool | None:
    """Whether less of a score is nearer; rerankers give relevance, else the client tells, or the order shows it."""
    if operation.request.kind.means.ranks:
        return False
    told = operation.response.score_is_distance
    return order_shows_distances(operation.response.chunks) if told is None else told


def order_shows_distances(chunks: Sequence[Chunk]) -> bool | None:
    """Whether chunks stand in the order of rising scores; `None` where no two neighbours differ."""
    for one, other in pairwise(chunks):
        if one.score is not None and other.score is not None and one.rank < other.rank and one.score != other.score:
            return one.score < other.score
    return None


def _named(chunk: Chunk, documents: Sequence[str]) -> Chunk:
    number = chunk.document
    if chunk.text or not isinstance(number, int) or not 0 <= number < len(documents):
        return chunk
    return replace(chunk, text=documents[number])
