"""The text of a retrieved passage, wherever a framework or an app has put it in the record's payload."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

TEXT_KEYS = ("text", "document", "page_content", "content", "chunk", "chunk_text", "body", "passage")
"""Names under which the text is stored: LangChain writes `page_content`, Haystack `content`, qdrant `document`."""

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
