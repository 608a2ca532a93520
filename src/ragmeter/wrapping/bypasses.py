"""Functions of others that lead past ours, found by looking an attribute up as the app's calls do.

A tool that came before us may have put the bare function, in a wrapper of its own, on a subclass: the class that apps
use. Our wrapper on the class above is then never reached.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Container, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from types import CellType, FunctionType
from typing import Any

DEEPEST = 8
"""Wrappers inside each other that are followed."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a function is held: `get` tells what stands there now, `put` puts another there."""

    get: Callable[[], Any]
    put: Callable[[Any], None]


def attribute_of(owner: Any, name: str) -> Slot:
    """The attribute of a class or module as it stands there itself, not inherited; keeps neither alive."""
    reference = weakref.ref(owner)

    def get() -> Any:
        held_by = reference()
        return None if held_by is None else vars(held_by).get(name)

    def put(value: Any) -> None:
        held_by = reference()
        if held_by is not None:
            setattr(held_by, name, value)

    return Slot(get, put)


def heirs(owner: Any, name: str) -> Iterator[Any]:
    """The classes below the class `owner` that have an attribute `name` of their own, over which their calls go."""
    seen: set[type] = set()
    waiting = [owner] if inspect.isclass(owner) else []
    while waiting:
        for heir in type.__subclasses__(waiting.pop()):
            if heir not in seen:
                seen.add(heir)
                waiting.append(heir)
                if name in vars(heir):
                    yield heir


def references(function: Any, is_wanted: Callable[[Any], bool]) -> Iterator[Slot]:
    """Where `function`, or a function inside it, holds a function that is wanted."""
    yield from _references(function, is_wanted, DEEPEST)


def leads_to(function: Any, ours: Container[int]) -> bool:
    """Whether `function` is or holds, however deep, one of those whose identities are given."""
    return id(function) in ours or any(True for _ in references(function, lambda held: id(held) in ours))


def asks_above(heir: type, name: str, function: Any) -> bool:
    """Whether the method `name` that `heir` has of its own calls that of a class above: then the way goes on there."""
    code = getattr(inspect.unwrap(_bare(function)), "__code__", None)
    if code is None:
        return False
    if "__class__" in code.co_freevars or "super" in code.co_names:
        return True
    return name in code.co_names and any(above.__name__ in code.co_names for above in heir.__mro__[1:])


def maker_of(function: Any) -> str:
    """The module in which a function, or the wrapper around it, was defined."""
    function = _bare(function)
    maker = function._self_wrapper if _is_proxy(function) else function  # noqa: SLF001 - the name wrapt gives it
    defined_in = getattr(maker, "__globals__", {}).get("__name__")
    return str(defined_in or type(maker).__module__)


def _references(function: Any, is_wanted: Callable[[Any], bool], deep: int) -> Iterator[Slot]:
    for slot in _held_by(_bare(function)):
        held = slot.get()
        if is_wanted(held):
            yield slot
        elif deep and _is_wrapper(held):
            yield from _references(held, is_wanted, deep - 1)
    for slot in _globals_of(_bare(function)):
        # Not followed: a function names half of the program it belongs to.
        if is_wanted(slot.get()):
            yield slot


def _held_by(function: Any) -> Iterator[Slot]:
    if _is_proxy(function):
        # A wrapper of wrapt, its own or one of its copies in other packages: the rest of it is the function's inside.
        yield Slot(lambda: function.__wrapped__, partial(setattr, function, "__wrapped__"))
    elif isinstance(function, FunctionType):
        yield from (_content(cell) for cell in function.__closure__ or ())
        yield from _entries(function.__kwdefaults__ or {})
        yield from (_default(function, at) for at in range(len(function.__defaults__ or ())))
    else:
        yield from _entries(getattr(function, "__dict__", None) or {})


def _is_wrapper(held: Any) -> bool:
    return isinstance(held, FunctionType | staticmethod | classmethod) or _is_proxy(held)


def _is_proxy(held: Any) -> bool:
    # By its type alone: what functions hold are objects of the app, whose attributes may do anything when read.
    return any(kind.__name__ in ("ObjectProxy", "BaseObjectProxy") for kind in type(held).__mro__)


def _bare(function: Any) -> Any:
    return function.__func__ if isinstance(function, staticmethod | classmethod) else function


def _content(cell: CellType) -> Slot:
    def get() -> Any:
        try:
            return cell.cell_contents
        except ValueError:
            return None

    return Slot(get, partial(setattr, cell, "cell_contents"))


def _entry(mapping: MutableMapping[str, Any], name: str) -> Slot:
    return Slot(partial(mapping.get, name), partial(mapping.__setitem__, name))


def _entries(mapping: Mapping[str, Any]) -> Iterator[Slot]:
    if isinstance(mapping, MutableMapping):
        yield from (_entry(mapping, name) for name in list(mapping))


def _default(function: FunctionType, at: int) -> Slot:
    def get() -> Any:
        return (function.__defaults__ or ())[at]

    def put(value: Any) -> None:
        defaults = list(function.__defaults__ or ())
        defaults[at] = value
        function.__defaults__ = tuple(defaults)

    return Slot(get, put)


def _globals_of(function: Any) -> Iterator[Slot]:
    if isinstance(function, FunctionType) and not _is_proxy(function):
        names = set(function.__code__.co_names) & function.__globals__.keys()
        yield from (_entry(function.__globals__, name) for name in sorted(names))
