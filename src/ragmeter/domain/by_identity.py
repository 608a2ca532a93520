"""What is known of objects that may be neither hashable nor like themselves alone, for as long as they live."""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

Known = TypeVar("Known")


class ByIdentity(Generic[Known]):
    """A table by identity that keeps alive nothing that stands in it. No locks: things are forgotten at any moment."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Known]] = {}

    def put(self, thing: Any, known: Known, owner: Any = None) -> None:
        """Know this of `thing` until it is gone; `owner` is what it goes with, where it cannot be referred to weakly.

        A `TypeError` says that neither can.
        """
        number = id(thing)
        reference = weakref.ref(thing if owner is None else owner, lambda gone: self._forget(number, gone))
        self._known[number] = reference, known

    def get(self, thing: Any) -> Known | None:
        """What is known of `thing`."""
        found = self._known.get(id(thing))
        return None if found is None else found[1]

    def pop(self, thing: Any) -> Known | None:
        """The same, and from now on nothing is."""
        found = self._known.pop(id(thing), None)
        return None if found is None else found[1]

    def _forget(self, number: int, gone: weakref.ref[Any]) -> None:
        found = self._known.get(number)
        # Another object may have got its number meanwhile.
        if found is not None and found[0] is gone:
            self._known.pop(number, None)
