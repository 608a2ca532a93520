"""Times the stations of a call from outside: each function is replaced by one that looks at its thread's clock.

The time of a station is its own, without that of the stations called within it; CPU time of the thread, so that who
else works on the machine is not in it. What the looking itself takes is measured once and taken off.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, reduce
from importlib import import_module
from typing import Any

from ragmeter.reading.declaration import Wrapped
from ragmeter.wrapping.wrappers import Wrappers

REPEATS = 500
CLIENT = "the client"


@dataclass(frozen=True, slots=True)
class Station:
    """The row whose time it is, and the function as `module:Class.function`."""

    row: str
    path: str

    def place(self) -> tuple[Any, str]:
        """What the function is an attribute of, and its name; `AttributeError` or `ImportError` where there is none."""
        module, _, path = self.path.partition(":")
        *owners, name = path.split(".")
        owner: Any = reduce(getattr, owners, import_module(module))
        getattr(owner, name)
        return owner, name


@dataclass(slots=True)
class Tally:
    """What the stations of one thread have taken in nanoseconds, by row; how often they were called, and held others."""

    stack: list[Running] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    within: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Running:
    """A station that has not returned, and the nanoseconds of those that were called within it."""

    row: str
    inner: int = 0


class Clock:
    """CPU time by row since `reset`, on all threads together."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew; to be called while no station runs."""
        self._of_thread: dict[int, Tally] = {}

    def run(self, row: str, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
        """Call the function as a station of a row."""
        tally = self._of_thread.setdefault(threading.get_ident(), Tally())
        own = Running(row)
        tally.stack.append(own)
        began = time.thread_time_ns()
        try:
            return function(*arguments, **keywords)
        finally:
            taken = time.thread_time_ns() - began
            tally.stack.pop()
            tally.taken[row] += taken - own.inner
            tally.calls[row] += 1
            if tally.stack:
                tally.stack[-1].inner += taken
                tally.within[tally.stack[-1].row] += 1

    def timed(self, row: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as a station of a row."""

        def station(*arguments: Any, **keywords: Any) -> Any:
            return self.run(row, function, *arguments, **keywords)

        return station

    def microseconds(self, row: str) -> float:
        """What a row has taken, without what looking at the clock took in it."""
        inside, around = looking()
        own = [
            tally.taken[row] - tally.calls[row] * inside - tally.within[row] * around
            for tally in self._of_thread.values()
        ]
        return max(sum(own), 0.0) / 1e3

    @contextmanager
    def on(self, stations: Iterable[Station]) -> Iterator[list[str]]:
        """While it lasts, the stations are timed; gives the paths of those that this build does not have."""
        missing: list[str] = []
        with ExitStack() as undo:
            for station in stations:
                try:
                    owner, name = station.place()
                except (AttributeError, ImportError):
                    missing.append(station.path)
                    continue
                function = getattr(owner, name)
                undo.callback(setattr, owner, name, function)
                setattr(owner, name, self.timed(station.row, function))
            yield missing


@contextmanager
def timed_wrappers(clock: Clock, *, rest: str, reading: str, leaves: str) -> Iterator[None]:
    """While it lasts, wrappers that are made are timed, as are what reads a call and what takes request and answer.

    The client's own work is in none of these rows.
    """
    make = Wrappers.wrapper

    def timed(target: Any) -> Any:
        rows = (("read", reading), ("take", leaves))
        changed = {name: clock.timed(row, getattr(target, name)) for name, row in rows if hasattr(target, name)}
        return replace(target, **changed)

    def wrapper(wrappers: Wrappers, target: Wrapped, original: Any) -> Any:
        made = make(wrappers, timed(target), original)

        def observe(wrapped: Any, *others: Any) -> Any:
            return clock.run(rest, made, clock.timed(CLIENT, wrapped), *others)

        return observe

    setattr(Wrappers, "wrapper", wrapper)  # noqa: B010 - a type checker would not have it otherwise
    try:
        yield
    finally:
        setattr(Wrappers, "wrapper", make)  # noqa: B010


@cache
def looking() -> tuple[float, float]:
    """Nanoseconds that a station that does nothing takes by its own clock, and beyond that of the one around it."""
    found = [_looking() for _ in range(5)]
    return min(inside for inside, _ in found), min(around for _, around in found)


def _looking() -> tuple[float, float]:
    clock = Clock()
    inner = clock.timed("inside", lambda: None)

    def outer() -> None:
        for _ in range(REPEATS):
            inner()

    clock.run("around", outer)
    (tally,) = clock._of_thread.values()  # noqa: SLF001
    return tally.taken["inside"] / REPEATS, tally.taken["around"] / REPEATS
