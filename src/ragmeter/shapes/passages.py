"""The text of a retrieved passage, wherever a framework or an app has put it in the record's payload."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ragmeter.model import Chunk
from ragmeter.shapes.fields import field

TEXT_KEYS = ("text", "document", "page_content", "content", "chunk", "chunk_text", "body", "passage")
"""Names under which the text is stored: LangChain writes `page_content`, Haystack `content`, qdrant `document`."""

ID_KEYS = ("id", "id_", "node_id", "chunk_id", "doc_id")
"""Names of a passage's id: LlamaIndex's nodes have `id_`."""

NODE_KEY = "_node_content"
"""LlamaIndex stores the whole node as JSON under this name."""


def text_in(payload: Any) -> str:
    """The text of a payload: under a usual name, else the longest of its strings, nested ones too; "" without any."""
    if isinstance(payload, str):
        return payload
    if not isinstance(payload, Mapping):
        return ""
    for key in TEXT_KEYS:
        if isinstance(text := payload.get(key), str) and text:
            return text
    if isinstance(node := payload.get(NODE_KEY), str):
        return _node_text(node)
    strings = [value for value in payload.values() if isinstance(value, str)]
    nested = [text_in(value) for value in payload.values() if isinstance(value, Mapping)]
    return max((*strings, *nested), key=len, default="")


def hold_passages(result: Any) -> Sequence[Any] | None:
    """What a retriever gave, as references: the app owns the list and may change it. `None` for what is no list."""
    return tuple(result) if isinstance(result, list) else None


def read_passages(passages: Sequence[Any], collection: str | None = None) -> tuple[Chunk, ...]:
    """Passages that an app or a framework holds, best first, as chunks: texts, mappings, or documents of frameworks.

    LlamaIndex wraps a passage with its score in a node, which has the text and the id.
    """
    return tuple(_read_passage(passage, rank, collection) for rank, passage in enumerate(passages))


def _read_passage(passage: Any, rank: int, collection: str | None) -> Chunk:
    if isinstance(passage, str):
        return Chunk(passage, None, None, rank, collection)
    score = score_of(field(passage, "score"))
    node = field(passage, "node", passage)
    identifier = next((found for name in ID_KEYS if (found := field(node, name)) is not None), None)
    text = next((found for name in TEXT_KEYS if isinstance(found := field(node, name), str) and found), None)
    if text is None:
        text = text_in(node) if isinstance(node, Mapping) else ""
    return Chunk(text, None if identifier is None else str(identifier), score, rank, collection)


def score_of(value: Any) -> float | None:
    """A score as a number, also from the numeric types of array libraries; `None` when there is none."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _node_text(node: str) -> str:
    try:
        fields = json.loads(node)
    except ValueError:
        return ""
    text = fields.get("text") if isinstance(fields, dict) else None
    return text if isinstance(text, str) else ""
