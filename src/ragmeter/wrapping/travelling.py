"""Observations that travel on an object of the client, to where the app reads it: held beside it, not in it."""

from __future__ import annotations

import weakref
from typing import Any, Protocol


class Forgettable(Protocol):
    """What travels."""

    def forgotten(self) -> None:
        """The object is gone, and nobody has read it."""


class Travelling:
    """What travels on which object. That may be neither hashable nor like itself alone: it is known by its identity."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def put(self, carrier: Any, travels: Forgettable) -> bool:
        """Let `travels` go with `carrier`; false where that cannot be referred to weakly."""
        number = id(carrier)
        try:
            reference = weakref.ref(carrier, lambda gone: self._gone(number, gone))
        except TypeError:
            return False
        self._known[number] = reference, travels
        return True

    def take(self, carrier: Any) -> Any:
        """What travels on `carrier`, `None` if nothing does; from now on nothing does."""
        known = self._known.get(id(carrier))
        if known is None or known[0]() is not carrier:
            return None
        self._known.pop(id(carrier), None)
        return known[1]

    def _gone(self, number: int, gone: weakref.ref[Any]) -> None:
        known = self._known.get(number)
        # Another object may have got its number meanwhile.
        if known is not None and known[0] is gone:
            self._known.pop(number, None)
            known[1].forgotten()


TRAVELLING = Travelling()
"""Of the whole process: a body may be read after `uninstrument()`."""
