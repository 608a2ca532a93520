"""What a reranking has put in order: its answer often names documents by their number in the request alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragmeter.domain.model import Chunk, Operation, Role


def named_chunks(operation: Operation) -> Sequence[Chunk]:
    """The chunks of an answer, each with the text it has in the request where the answer only gives its number."""
    chunks = operation.response.chunks
    if all(chunk.document is None for chunk in chunks):
        return chunks
    documents = [fragment.text for fragment in operation.prompt.fragments if fragment.role is Role.DOCUMENT]
    return [_named(chunk, documents) for chunk in chunks]


def _named(chunk: Chunk, documents: Sequence[str]) -> Chunk:
    number = chunk.document
    if chunk.text or not isinstance(number, int) or not 0 <= number < len(documents):
        return chunk
    return replace(chunk, text=documents[number])
