"""The calls under way, so that the process's end can count those whose answer nobody will wait for.

The interpreter stops in the middle of what daemon threads do. A request that has gone out is served and paid all the
same: it is counted as a call without an answer. From then on a thread for which nobody waits has its call counted and
exported before it is sent: between the two the process may be gone.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Protocol

HOLD_SECONDS = 1.0
"""How long a request waits for the last export: most often the process is gone before, and it is never sent."""

HOLD_STEP_SECONDS = 0.001


class Endable(Protocol):
    """A call that can be ended before its own end."""

    def cut_off(self) -> None:
        """The process ends: be counted now if the request has gone out, and not once more later."""

    def leave_to_parent(self) -> None:
        """In a forked child: the call goes on in the parent, and is counted there."""


Mark = weakref.ref[Endable]


class UnderWay:
    """The calls that have begun and are not counted yet, held weakly. No locks: adding and removing are atomic."""

    def __init__(self) -> None:
        self._calls: set[Mark] = set()
        self._ends_on: int | None = None
        self._is_held = False

    def add(self, call: Endable) -> Mark:
        """A call begins. What is returned is given to `discard` at its end, and to `sent` when its request goes out."""
        mark = weakref.ref(call, self._calls.discard)
        self._calls.add(mark)
        return mark

    def discard(self, mark: Mark | None) -> None:
        """The call is counted."""
        if mark is not None:
            self._calls.discard(mark)

    def clear(self) -> None:
        """In a forked child: what is under way is so in the parent, and nothing has ended yet."""
        for mark in tuple(self._calls):
            call = mark()
            if call is not None:
                call.leave_to_parent()
        self._calls.clear()
        self._ends_on = None
        self._is_held = False

    def end(self) -> None:
        """The process ends on this thread: count what was sent."""
        self._ends_on = get_ident()
        for mark in tuple(self._calls):
            call = mark()
            if call is not None:
                call.cut_off()

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the last export is made, requests of other threads are not sent: they would be missing from it."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def sent(self, mark: Mark | None) -> None:
        """The request of a call goes out."""
        # What is called on the thread on which the process ends is waited for.
        if self._ends_on is None or self._ends_on == get_ident():
            return
        deadline = time.monotonic() + HOLD_SECONDS
        while self._is_held and mark in self._calls and time.monotonic() < deadline:
            time.sleep(HOLD_STEP_SECONDS)
        call = mark() if mark is not None and mark in self._calls else None
        if call is not None:
            call.cut_off()
