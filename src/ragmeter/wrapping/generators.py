"""A generator handed on as a generator of the same kind, read on the way.

What the app gets is a real generator that passes everything on to the client's own: what is sent or thrown into it,
its closing, its return value. Of what passes nothing is kept: neither a piece nor an exception outlives its step.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from dataclasses import dataclass
from types import AsyncGeneratorType
from typing import Any


def _nothing(*_: Any) -> None:
    return None


def _hides_nothing(_: Any) -> bool:
    return False


@dataclass(slots=True)
class Steps:
    """What is done around each step of a generator: `took` says of a piece whether the app should not see it.

    `end` is called with what has ended the generator, or when it is forgotten. `generator` is asked in place of the one
    that was handed on.
    """

    took: Callable[[Any], bool] = _hides_nothing
    end: Callable[[BaseException | None], None] = _nothing
    enter: Callable[[], None] = _nothing
    leave: Callable[[], None] = _nothing
    generator: Any = None

    def hides(self, passing: list[Any]) -> bool:
        """Whether the app should not see the piece that is on its way, in place of which nothing is then."""
        if not self.took(passing[0]):
            return False
        passing[0] = None
        return True

    def __del__(self) -> None:
        # A generator that waits while it is closed, with no loop around it, is dropped in the middle of a step.
        self.leave()
        self.end(None)


def handed_on(generator: Any, begin: Callable[[], Steps]) -> Any:
    """A generator in the place of `generator`; `begin` is called with its first step."""
    make: Callable[..., Any] = _asynchronous if isinstance(generator, AsyncGeneratorType) else _synchronous
    handed = make(generator, begin)
    handed.__name__, handed.__qualname__ = generator.__name__, generator.__qualname__
    return handed


def _synchronous(generator: Any, begin: Callable[[], Steps]) -> Generator[Any, Any, Any]:
    steps = begin()
    del begin
    generator = steps.generator or generator
    # What is on its way lies in `passing` and not in a variable, which would keep it while the app has its turn.
    passing: list[Any] = [None]
    ask = generator.send
    while True:
        try:
            try:
                steps.enter()
                passing.append(ask(passing.pop()))
                steps.leave()
            except StopIteration as stop:
                steps.leave()
                steps.end(stop)
                return stop.value
        # Outside of the other: a signal may come while that one is looked at.
        except BaseException as error:
            steps.leave()
            steps.end(_failure(error))
            raise
        ask = generator.send
        if steps.hides(passing):
            continue
        try:
            passing.append((yield passing.pop()))
        except BaseException as error:
            ask = generator.throw
            passing.append(error)


async def _asynchronous(generator: Any, begin: Callable[[], Steps]) -> AsyncGenerator[Any, Any]:
    steps = begin()
    del begin
    generator = steps.generator or generator
    ours = _Life()
    passing: list[Any] = [None]
    ask = _first_step(generator, ours)
    try:
        while True:
            try:
                try:
                    steps.enter()
                    passing.append(await ask(passing.pop()))
                    steps.leave()
                except StopAsyncIteration as stop:
                    steps.leave()
                    steps.end(stop)
                    return
            except BaseException as error:
                steps.leave()
                steps.end(_failure(error))
                raise
            ask = generator.asend
            if steps.hides(passing):
                continue
            try:
                passing.append((yield passing.pop()))
            except BaseException as error:
                ask = generator.athrow
                passing.append(error)
    finally:
        ours.is_over = True


def _failure(error: BaseException) -> BaseException | None:
    """What a generator has failed with; that the app closes it is no failure."""
    return None if isinstance(error, GeneratorExit) else error


class _Life:
    """Whether the generator that the app has got is over."""

    __slots__ = ("is_over",)

    def __init__(self) -> None:
        self.is_over = False


def _first_step(generator: Any, ours: _Life) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    """The first step of the client's own generator, made unknown to the event loop.

    The loop closes the asynchronous generators that it knows when they are forgotten and when it ends. It knows ours,
    which closes this one as the app would have it; both closed by the loop would get into each other's way.
    """

    def ask(sent: Any) -> Any:
        known = sys.get_asyncgen_hooks()
        finalizer = known.finalizer

        def forgotten(generator: Any) -> None:
            if ours.is_over and finalizer is not None:
                finalizer(generator)

        sys.set_asyncgen_hooks(None, None if finalizer is None else forgotten)
        try:
            return generator.asend(sent)
        finally:
            sys.set_asyncgen_hooks(*known)

    return ask
