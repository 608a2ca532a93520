"""Reading one field, whether the client gives objects or dictionaries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ABSENT: Any = object()
_NOTHING: dict[str, Any] = {}


def field(value: Any, name: str, default: Any = None) -> Any:
    """The attribute or key `name` of `value`; `default` where it is missing or `None`."""
    if isinstance(value, dict):
        found = value.get(name)
    else:
        own: dict[str, Any] = getattr(value, "__dict__", _NOTHING)
        found = own.get(name, _ABSENT)
        if found is _ABSENT:
            found = _attribute(value, name)
    return default if found is None else found


def _attribute(value: Any, name: str) -> Any:
    """An attribute that is not in the instance itself; asking a pydantic model for what it lacks takes microseconds."""
    extra = getattr(value, "__pydantic_extra__", _ABSENT)
    if extra is _ABSENT:
        return getattr(value, name, None)
    return None if extra is None else extra.get(name)


def items(value: Any) -> Iterable[Any]:
    """The elements of a list or tuple; nothing for anything else, above all for generators, which are the app's."""
    return value if isinstance(value, list | tuple) else ()


def count(value: Any, *names: str) -> int | None:
    """The whole number under the path `names`, `None` where any step is missing."""
    if value is None:
        return None
    for name in names:
        value = field(value, name)
        if value is None:
            return None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def amount(value: Any, *names: str) -> float | None:
    """The number under the path `names`, `None` where any step is missing."""
    for name in names:
        value = field(value, name)
        if value is None:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_of(content: Any) -> tuple[list[str], bool]:
    """The texts inside a message's content, and whether it also holds images, audio or files.

    Content is a string, or blocks with `text` (OpenAI, Anthropic), or blocks with nested `content` (tool results).
    """
    if isinstance(content, str):
        return [content], False
    texts: list[str] = []
    media = False
    for block in items(content):
        text = block if isinstance(block, str) else field(block, "text", field(block, "refusal"))
        if isinstance(text, str):
            texts.append(text)
            continue
        nested = field(block, "content", field(block, "output"))
        if nested is None:
            media = True
            continue
        inner, inner_media = text_of(nested)
        texts += inner
        media = media or inner_media
    return texts, media


def size_of(held: Any) -> int:
    """The approximate number of characters reachable from `held`, two levels deep: what keeping it costs."""
    if isinstance(held, str):
        return len(held)
    total = 0
    for item in items(held):
        content = item.get("content") if isinstance(item, dict) else item
        if isinstance(content, str):
            total += len(content)
        else:
            for block in items(content):
                text = block.get("text") if isinstance(block, dict) else block
                total += len(text) if isinstance(text, str) else 100
    return total
