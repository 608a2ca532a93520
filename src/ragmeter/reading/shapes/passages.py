"""The text of a retrieved passage, wherever a framework or an app has put it in the record's payload.

What an app owns it may change: of each passage text, id and score are taken on the caller's thread, as they are then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ragmeter.domain import gate
from ragmeter.domain.model import Chunk
from ragmeter.reading.leaves import leaves_of
from ragmeter.reading.shapes.fields import field

TEXT_KEYS = ("text", "document", "page_content", "content", "chunk", "chunk_text", "body", "passage")
"""Names under which the text is stored: LangChain writes `page_content`, Haystack `content`, qdrant `document`."""

ID_KEYS = ("id", "id_", "node_id", "chunk_id", "doc_id")
"""Names of a passage's id: LlamaIndex's nodes have `id_`."""

NODE_KEY = "_node_content"
"""LlamaIndex stores the whole node as JSON under this name."""


class Passage(NamedTuple):
    """The immutable leaves of one passage: its text, or the payload in which it is looked for later."""

    payload: Any
    id: str | None = None
    score: float | None = None


def text_in(payload: Any) -> str:
    """The text of a payload: under a usual name, else the longest of its strings, nested ones too; "" without any."""
    if isinstance(payload, str):
        return payload
    if not isinstance(payload, Mapping):
        return ""
    if (text := _named_text(payload)) is not None:
        return text
    if isinstance(node := payload.get(NODE_KEY), str):
        return _node_text(node)
    strings = [value for value in payload.values() if isinstance(value, str)]
    nested = [text_in(value) for value in payload.values() if isinstance(value, Mapping)]
    return max((*strings, *nested), key=len, default="")


def take_payload(payload: Any) -> Any:
    """What `text_in` reads, as immutable leaves: the text alone where it stands under a usual name."""
    text = _named_text(payload)
    return leaves_of(payload) if text is None else text


def _named_text(payload: Any) -> str | None:
    return next((text for name in TEXT_KEYS if isinstance(text := field(payload, name), str) and text), None)


def hold_passages(result: Any) -> tuple[Passage, ...] | None:
    """The passages a retriever gave: the app owns the list and may change it. `None` for what is no list."""
    return take_passages(result) if isinstance(result, list) else None


def take_passages(passages: Sequence[Any]) -> tuple[Passage, ...]:
    """Passages that an app or a framework holds, best first: texts, mappings, or documents of frameworks.

    LlamaIndex wraps a passage with its score in a node, which has the text and the id.
    """
    return tuple([_take_passage(passage) for passage in passages])


def _take_passage(passage: Any) -> Passage:
    if isinstance(passage, str):
        return Passage(leaves_of(passage))
    node = field(passage, "node", passage)
    identifier = next((found for name in ID_KEYS if (found := field(node, name)) is not None), None)
    taken = take_payload(node) if isinstance(node, Mapping) else _named_text(node)
    return Passage(taken, None if identifier is None else str(identifier), score_of(field(passage, "score")))


def read_passages(passages: Sequence[Passage], collection: str | None = None) -> tuple[Chunk, ...]:
    """Passages that were taken, best first, as chunks."""
    return tuple(
        Chunk(text_in(passage.payload), passage.id, passage.score, rank, collection)
        for rank, passage in enumerate(passages)
    )


def read_scored(passages: Sequence[Passage]) -> tuple[Chunk, ...]:
    """The same, ranked by their scores where all have one: some put the best at both ends of a prompt."""
    if all(passage.score is not None for passage in passages):
        passages = sorted(passages, key=lambda passage: passage.score or 0.0, reverse=True)
    return read_passages(passages)


def score_of(value: Any) -> float | None:
    """A score as a number, also from the numeric types of array libraries.

    `None` when there is none: what is not finite, or as large as libraries fill missing rows with, ranks nothing.
    """
    try:
        score = None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return score if score is not None and abs(score) < gate.MOST else None


def _node_text(node: str) -> str:
    try:
        fields = json.loads(node)
    except (ValueError, RecursionError):
        return ""
    text = fields.get("text") if isinstance(fields, dict) else None
    return text if isinstance(text, str) else ""
