"""The immutable leaves of what an app or its client holds, taken at once: both may change the moment a call returns.

Numbers, texts and bytes are shared, never copied; what holds them is made anew as plain dictionaries and tuples. So
a reader may look at its own time, and nothing of the app is kept alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

DEEPEST = 24
"""Levels that are followed: schemas of tools reach a dozen; a structure that holds itself must end somewhere."""

_IMMUTABLE: Final = frozenset((str, int, float, bool, type(None), bytes))
_PLAIN: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, bytes.__bytes__),
)
"""What makes a member of an enumeration or a number of numpy a plain value, without calling a method of its own."""

_ABSENT: Final = object()


class Opaque:
    """Stands for what cannot be taken apart: it has no fields and no elements."""

    __slots__ = ()


class Once(Opaque):
    """Stands for what gives its elements only once: they are the app's, and so they stay unread."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(())


OPAQUE: Final = Opaque()
ONCE: Final = Once()


def leaves_of(value: Any, depth: int = DEEPEST) -> Any:
    """The same structure in plain dictionaries and tuples: of mappings, lists, dataclasses and clients' models.

    Anything else, and what lies deeper than `depth` levels, is `OPAQUE`; an iterator is `ONCE`, and is not touched.
    """
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    if depth <= 0:
        return OPAQUE
    if kind is dict:
        return {name: leaves_of(each, depth - 1) for name, each in list(value.items())}
    if kind is list or kind is tuple:
        if value and type(value[0]) in (int, float):
            # Tokens or a vector, thousands of which are not worth a look each.
            return tuple(value)
        return tuple([leaves_of(each, depth - 1) for each in list(value)])
    return _unusual(value, depth)


def _unusual(value: Any, depth: int) -> Any:
    for base, plain in _PLAIN:
        if isinstance(value, base):
            return plain(value)
    named = _fields(value)
    if named is not None:
        return {str(name): leaves_of(each, depth - 1) for name, each in named.items()}
    if isinstance(value, list | tuple):
        return tuple([leaves_of(each, depth - 1) for each in list(value)])
    return ONCE if isinstance(value, Iterable) else OPAQUE


def _fields(value: Any) -> dict[Any, Any] | None:
    """What a mapping, a model of pydantic or a dataclass holds by name; `None` for anything else."""
    if isinstance(value, Mapping):
        return dict(value)
    extra = getattr(value, "__pydantic_extra__", _ABSENT)
    if extra is not _ABSENT or hasattr(value, "__fields_set__"):
        return {**vars(value), **(extra if isinstance(extra, dict) else {})}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in fields(value)}
    return None
