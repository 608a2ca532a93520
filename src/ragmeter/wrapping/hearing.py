"""Methods of one instance heard: something of ours is called around them, and the app gets what it ever gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any

HEARD = "heard_by_ragmeter"
"""Attribute of a function that stands in an instance for its own method."""


def _nothing() -> None:
    return None


CLOSES = ("close", "aclose")
"""Methods that close a connection."""


def hear_close(connection: Any, listener: Callable[[], None], names: tuple[str, ...] = CLOSES) -> None:
    """Call `listener` after this one connection was closed for the first time; then nothing of it is heard any more.

    What stayed in the instance could not be pickled, and a copy's method would be that of this one.
    """

    def closed() -> None:
        unhear(connection)
        listener()

    hear(connection, names, after=closed)


def hear(
    instance: Any, names: tuple[str, ...], *, after: Callable[[], None], before: Callable[[], None] = _nothing
) -> None:
    """Call `before` and `after` around each call of the named methods of this one instance, those that it has."""
    replace_methods(instance, names, lambda method: _heard(method, before, after))


def replace_methods(instance: Any, names: tuple[str, ...], replacement: Callable[[Any], Any]) -> None:
    """Put a function in the place of each of the named methods of this one instance, those that it has."""
    for name in names:
        method = getattr(instance, name, None)
        if method is not None:
            heard = replacement(method)
            setattr(heard, HEARD, True)
            setattr(instance, name, heard)


def unhear(instance: Any) -> None:
    """Hear nothing of this one instance any more."""
    attributes = getattr(instance, "__dict__", {})
    for name, value in list(attributes.items()):
        if isinstance(value, FunctionType) and hasattr(value, HEARD):
            del attributes[name]


def _heard(method: Any, before: Callable[[], None], after: Callable[[], None]) -> Any:
    if inspect.iscoroutinefunction(method):

        @wraps(method)
        async def heard_async(*arguments: Any, **keywords: Any) -> Any:
            before()
            try:
                return await method(*arguments, **keywords)
            finally:
                after()

        return heard_async

    @wraps(method)
    def heard(*arguments: Any, **keywords: Any) -> Any:
        before()
        try:
            return method(*arguments, **keywords)
        finally:
            after()

    return heard
