"""Long work in slices: whoever waits for the interpreter may have it between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from typing import Any, TypeVar

Thing = TypeVar("Thing")

Pause = Callable[[], None]
"""Called between slices of the work, none of which is to take longer than some milliseconds whatever the text is."""

BLOCK = 4_096
"""Things that are handled in one go where each takes a fraction of a microsecond."""


SORTED = 1_024
"""Things that are sorted in one go."""

SOME = 256
"""Things that are handled in one go where each takes some microseconds."""


def without_pause() -> None:
    """The pause of those who have the interpreter to themselves: commands, tests."""


def blocks(length: int, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Starts and ends of the slices of something of this length."""
    for start in range(0, length, size):
        yield start, min(start + size, length)


def paused(things: Collection[Thing], pause: Pause, every: int = SOME) -> Iterable[Thing]:
    """The things one after the other, with a pause whenever `every` of them are done; none where they are few."""
    return things if len(things) <= every else _paused(iter(things), pause, every)


def _paused(rest: Iterator[Thing], pause: Pause, every: int) -> Iterator[Thing]:
    yield from islice(rest, every)
    for thing in rest:
        pause()
        yield thing
        yield from islice(rest, every - 1)


class _OfThread(threading.local):
    """What code pauses by that is not told: readers of clients, which know nothing of the thread they run on."""

    def __init__(self) -> None:
        self.pause: Pause = without_pause


_of_thread = _OfThread()


@contextmanager
def pausing(pause: Pause) -> Iterator[None]:
    """Within it, what this thread goes through by `long` is paused."""
    before = _of_thread.pause
    _of_thread.pause = pause
    try:
        yield
    finally:
        _of_thread.pause = before


def pause_of_thread() -> None:
    """Pause as this thread does, for those who are not told how."""
    _of_thread.pause()


class _Long(tuple[Any, ...]):
    """Many things, with pauses between them for those who go through them all."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return _paused(super().__iter__(), _of_thread.pause, SOME)


def long(things: list[Any] | tuple[Any, ...]) -> list[Any] | tuple[Any, ...]:
    """The things of a list as they are; many of them are paused between on a thread that is `pausing`."""
    return things if len(things) <= SOME or _of_thread.pause is without_pause else _Long(things)


def itself(thing: Thing) -> Thing:
    """What sorts things by themselves."""
    return thing


def in_order(things: Sequence[Thing], pause: Pause, key: Callable[[Thing], Any] = itself) -> Iterable[Thing]:
    """The things sorted: many of them in runs, which are merged as they are asked for."""
    if len(things) <= SORTED:
        return sorted(things, key=key)
    runs: list[list[Thing]] = []
    for start, end in blocks(len(things), SORTED):
        runs.append(sorted(things[start:end], key=key))
        pause()
    return _paused(merge(*runs, key=key), pause, SOME)


LONG_TEXT = 262_144
"""Characters that are hashed in one go, two milliseconds at the most."""


def hash_of(text: str, pause: Pause) -> int:
    """A hash of a text that is long at times, keyed for each process as Python's own is."""
    if len(text) <= LONG_TEXT:
        return hash(text)
    hashes: list[int] = []
    for start, end in blocks(len(text), LONG_TEXT):
        hashes.append(hash(text[start:end]))
        pause()
    return hash(tuple(hashes))
