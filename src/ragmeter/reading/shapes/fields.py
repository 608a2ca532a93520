"""Reading one field, whether the client gives objects or dictionaries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ragmeter.domain import gate
from ragmeter.domain.pausing import long

TEXT_TYPES = frozenset(("text", "input_text", "output_text", "summary_text", "reasoning_text"))
"""Blocks whose `text` is all that the model reads of them, like one without a type; what is quoted beside it is not
counted again."""

SILENT = (
    *("type", "id", "role", "status", "phase", "index", "detail", "media_type", "filename", "file_type", "format"),
    *("cache_control", "prompt_cache_breakpoint", "signature", "fingerprint", "citations", "annotations"),
    *("logprobs", "caller", "execution", "stop_reason", "transformations", "acknowledged_safety_checks"),
    *("pending_safety_checks", "score", "attributes"),
)
"""Fields that steer a request or describe a text: the model does not read them, or hardly."""

OPAQUE = ("file_data", "encrypted_content", "encrypted_stdout", "input_audio", "audio", "video", "image")
"""Fields in which the provider counts tokens that no text here shows."""

LINKS = ("url", "file_id")
"""Where the provider finds what it puts into the prompt, unless the text itself stands beside it."""

LONGEST_COUNT = 16
"""Digits of the largest count."""

BLOCK_DEPTH = 4
OTHER_SIZE = 20
"""How deep the size of a block is looked for, on the app's thread, and what is taken for all that is no string."""

_ENCODED = re.compile(r"data:[\w/+.-]*;base64,|[A-Za-z0-9+/_=-]{256}")
"""The start of bytes written as text: no language goes on for so long without a space or a mark."""

Treatment = Callable[[Any, Any, list[str]], int]
"""Looks at a field of a block of some kind, adds its texts, and tells what else there is."""

_NO_MORE, _UNREADABLE, _ELSEWHERE = 0, 1, 2
"""What there is beside texts: nothing, what a model reads otherwise, a link to it."""

_LISTS, _NUMBERS, _TEXTS = (list, tuple), (int, float), (str, bytes)

_ABSENT: Any = object()
_NOTHING: dict[str, Any] = {}


def field(value: Any, name: str, default: Any = None) -> Any:
    """The attribute or key `name` of `value`; `default` where it is missing or `None`."""
    if isinstance(value, dict):
        found = value.get(name)
    elif value is None:
        return default
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


def may_have(value: Any, names: frozenset[str]) -> bool:
    """Whether any of these fields could be there: one look instead of one for each."""
    return not names.isdisjoint(value) if isinstance(value, dict) else value is not None


def those_in(value: Any, names: frozenset[str]) -> Iterable[str]:
    """Those of these fields that could be there."""
    if isinstance(value, dict):
        return names.intersection(value)
    return () if value is None else names


def numbers_in(value: Any) -> int:
    """How many tokens are given as numbers: in a list, or in several lists."""
    if not isinstance(value, list | tuple):
        return 0
    return sum(numbers_in(each) if isinstance(each, list | tuple) else type(each) is int for each in value)


def score(value: Any, *names: str) -> float | None:
    """The score under the path `names`, which may be negative; `None` where any step is missing, and for no number."""
    for name in names:
        value = field(value, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < gate.MOST else None


def named(value: Any, *names: str) -> str | None:
    """The name under the path `names`: `None` where any step is missing, and for what is no text."""
    for name in names:
        value = field(value, name)
    return gate.name(value)


def items(value: Any) -> Sequence[Any]:
    """The elements of a list or tuple; nothing for anything else, above all for generators, which are the app's."""
    return long(value) if isinstance(value, _LISTS) else ()


def count(value: Any, *names: str) -> int | None:
    """The count under the path `names`; `None` where any step is missing, and for what is no count."""
    if value is None:
        return None
    for name in names:
        value = field(value, name)
        if value is None:
            return None
    return gate.whole(_number(value) if isinstance(value, str) else value)


def _number(text: str) -> int | None:
    """A count that a server has written as text."""
    return int(text) if len(text) <= LONGEST_COUNT and text.isascii() and text.isdigit() else None


def text_of(content: Any) -> tuple[list[str], bool]:
    """The texts inside a message's content, and whether something in it cannot be read: images, audio, files.

    Content is a string, or blocks: one of plain text is its `text`, any other is every string inside it, and one
    without any string cannot be read.
    """
    if isinstance(content, str):
        return [content], False
    texts: list[str] = []
    is_opaque = False
    for block in blocks_of(content):
        text = plain_text(block)
        if text is not None:
            texts.append(text)
            continue
        inner, inner_opaque = strings_in(block)
        texts += inner
        is_opaque = is_opaque or inner_opaque or not inner
    return texts, is_opaque


def blocks_of(content: Any) -> Sequence[Any]:
    """The blocks of a message's content: what is no list stands as one block, also a generator, which is the app's."""
    if isinstance(content, list | tuple):
        return long(content)
    return () if content is None else (content,)


def plain_text(block: Any) -> str | None:
    """The text of a block that is nothing but text, `None` for every other."""
    if isinstance(block, str):
        return block
    kind = field(block, "type")
    text = field(block, "text") if kind is None or (isinstance(kind, str) and kind in TEXT_TYPES) else None
    return text if isinstance(text, str) else None


def strings_in(value: Any) -> tuple[list[str], bool]:
    """Every string inside `value` that a model reads as text, and whether there is also what it reads otherwise."""
    texts: list[str] = []
    return texts, bool(_gather(value, None, texts))


def _gather(value: Any, _: Any, texts: list[str]) -> int:
    """Add the strings inside `value` to `texts`, and tell whether there is also what a model reads otherwise."""
    if isinstance(value, str):
        if _ENCODED.match(value):
            return _UNREADABLE
        if value:
            texts.append(value)
        return _NO_MORE
    if isinstance(value, _LISTS):
        found = _NO_MORE
        for each in long(value):
            found |= _gather(each, None, texts)
        return found
    return _NO_MORE if value is None or isinstance(value, _NUMBERS) else _gather_fields(value, texts)


def _gather_fields(value: Any, texts: list[str]) -> int:
    named = entries(value)
    if named is None:
        return _UNREADABLE
    before, kind, found = len(texts), field(value, "type"), _NO_MORE
    for name, each in named:
        if each is not None:
            found |= (_TREATMENTS.get(name) or _by_ending(name))(each, kind, texts)
    is_only_link = found == _ELSEWHERE and len(texts) == before
    return _UNREADABLE if found & _UNREADABLE or is_only_link else _NO_MORE


def _skip(_: Any, __: Any, ___: list[str]) -> int:
    return _NO_MORE


def _count_unread(_: Any, __: Any, ___: list[str]) -> int:
    return _UNREADABLE


def _follow(_: Any, __: Any, ___: list[str]) -> int:
    return _ELSEWHERE


def _gather_data(value: Any, kind: Any, texts: list[str]) -> int:
    """Bytes stand under `data`, but in a block of text."""
    return _UNREADABLE if isinstance(value, str) and kind != "text" else _gather(value, kind, texts)


def _by_ending(name: str) -> Treatment:
    if name.endswith("_id"):
        return _skip
    return _count_unread if name.endswith("_url") else _gather


_TREATMENTS: dict[str, Treatment] = {
    **dict.fromkeys(SILENT, _skip),
    **dict.fromkeys(OPAQUE, _count_unread),
    **dict.fromkeys(LINKS, _follow),
    "data": _gather_data,
}
"""What is done with a field, by its name; of any other its ending tells."""


def is_silent(name: str) -> bool:
    """Whether a field of this name steers the request and is no part of the prompt."""
    return (_TREATMENTS.get(name) or _by_ending(name)) is _skip


def entries(value: Any) -> Iterable[tuple[str, Any]] | None:
    """The fields of a dictionary or of a client's model with their names; `None` for anything else."""
    if isinstance(value, dict):
        return [(str(name), each) for name, each in value.items()]
    extra = getattr(value, "__pydantic_extra__", _ABSENT)
    return None if extra is _ABSENT else [*vars(value).items(), *(extra or _NOTHING).items()]


def size_of(held: Any) -> int:
    """The approximate number of characters reachable from `held`, a few levels deep: what keeping it costs."""
    if isinstance(held, _TEXTS):
        return len(held)
    if isinstance(held, dict):
        return sum([size_of(each) for each in held.values()])
    if isinstance(held, _LISTS) and _is_numbers(held):
        return len(held)
    total = 0
    for item in items(held):
        content = item.get("content") if isinstance(item, dict) else item
        if isinstance(content, str):
            total += len(content)
        else:
            total += _shallow_size(item) if content is None else _size_of_blocks(content)
    return total


def _size_of_blocks(blocks: Any) -> int:
    total = 0
    for block in items(blocks):
        text = block.get("text") if isinstance(block, dict) else block
        total += len(text) if isinstance(text, str) else _nested_size(block, BLOCK_DEPTH)
    return total


def _shallow_size(item: Any) -> int:
    """What a tool's result, a document or a definition holds in its first two levels: apps have many definitions."""
    if not isinstance(item, dict):
        return OTHER_SIZE
    total = 0
    for value in item.values():
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, dict):
            total += sum([len(each) for each in value.values() if isinstance(each, str)])
        else:
            total += _nested_size(value, BLOCK_DEPTH)
    return total


def _nested_size(value: Any, depth: int) -> int:
    if isinstance(value, str):
        return len(value)
    if depth:
        if isinstance(value, dict):
            return sum([_nested_size(each, depth - 1) for each in value.values()])
        if isinstance(value, _LISTS) and not _is_numbers(value):
            return sum([_nested_size(each, depth - 1) for each in value])
    return OTHER_SIZE


def _is_numbers(values: Sequence[Any]) -> bool:
    """Whether these are tokens or a vector, thousands of which are not worth a look each."""
    return bool(values) and isinstance(values[0], _NUMBERS)
