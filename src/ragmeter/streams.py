"""A stream handed on unchanged, read on the way, finished exactly once.

The client's own stream object stays what the app gets; only the iterator inside it is replaced. Pieces are kept by
reference and folded a few hundred at a time, so that the caller's thread pays for an append, not for reading.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any

from ragmeter.guard import Guard
from ragmeter.integration import Reader, Streamed
from ragmeter.model import Response

FOLD_EVERY = 256
"""Pieces kept by reference before they are folded: bounds memory, spreads the work."""


def _nothing() -> None:
    return None


class StreamReading:
    """What has been seen of one stream; `finish` is called once, with the error that ended it if any."""

    __slots__ = ("_finish", "_guard", "_hides_extra", "_reader", "advancing", "first", "pieces", "so_far")

    def __init__(
        self, reader: Reader, guard: Guard, finish: Callable[[BaseException | None], None], *, hides_extra: bool
    ) -> None:
        self.pieces: list[Any] = []
        self.so_far = Response()
        self.first: float | None = None
        self.advancing = False
        self._reader = reader
        self._guard = guard
        self._finish = finish
        self._hides_extra = hides_extra

    def took(self, piece: Any) -> bool:
        """Keep `piece`; whether the app should not see it, because we asked for it."""
        self.advancing = False
        if self.first is None:
            self.first = perf_counter()
        self.pieces.append(piece)
        if len(self.pieces) >= FOLD_EVERY:
            self.fold()
        return self._hides_extra and self._is_extra(piece)

    def fold(self) -> Response:
        """Everything seen so far as one response."""
        pieces, self.pieces = self.pieces, []
        try:
            if pieces and self._reader.pieces is not None:
                self.so_far = self._reader.pieces(self.so_far, pieces)
        except Exception as error:
            self._guard.caught("reading a stream", error)
        return self.so_far

    def end(self, error: BaseException | None = None) -> None:
        """The stream is over: exhausted, failed, closed or forgotten."""
        self.advancing = False
        self._finish(None if isinstance(error, StopIteration | StopAsyncIteration) else error)

    def closed(self) -> None:
        """The app closed the stream; inside a step that is the client's own closing, and the step's end counts."""
        if not self.advancing:
            self._finish(None)

    def _is_extra(self, piece: Any) -> bool:
        try:
            return self._reader.is_extra(piece)
        except Exception as error:
            self._guard.caught("reading a stream", error)
            return False


class _Read:
    """What both kinds of iterator are: the client's own one, and what has been read of it."""

    __slots__ = ("_iterator", "_reading")

    def __init__(self, iterator: Any, reading: StreamReading) -> None:
        self._iterator = iterator
        self._reading = reading

    def __del__(self) -> None:
        self._reading.end()


class ReadIterator(_Read):
    """The iterator of a synchronous stream, read on the way."""

    __slots__ = ()

    def __iter__(self) -> ReadIterator:
        return self

    def __next__(self) -> Any:
        while True:
            self._reading.advancing = True
            try:
                piece = self._iterator.__next__()
            except BaseException as error:
                self._reading.end(error)
                raise
            if not self._reading.took(piece):
                return piece

    def close(self) -> None:
        """Close the client's iterator, as generators can be closed."""
        self._iterator.close()
        self._reading.end()


class ReadAsyncIterator(_Read):
    """The iterator of an asynchronous stream, read on the way."""

    __slots__ = ()

    def __aiter__(self) -> ReadAsyncIterator:
        return self

    async def __anext__(self) -> Any:
        while True:
            self._reading.advancing = True
            try:
                piece = await self._iterator.__anext__()
            except BaseException as error:
                self._reading.end(error)
                raise
            if not self._reading.took(piece):
                return piece

    async def aclose(self) -> None:
        """Close the client's iterator, as asynchronous generators can be closed."""
        await self._iterator.aclose()
        self._reading.end()


def read_on_the_way(streamed: Streamed, reading: StreamReading) -> None:
    """Put our iterator into the client's stream object, and hear of an early close."""
    iterator = getattr(streamed.stream, streamed.iterator)
    read = ReadAsyncIterator if hasattr(iterator, "__anext__") else ReadIterator
    hear_close(streamed.connection, reading.closed)
    setattr(streamed.stream, streamed.iterator, read(iterator, reading))


def hear_close(connection: Any, listener: Callable[[], None]) -> None:
    """Call `listener` after each `close` or `aclose` of this one connection."""
    hear(connection, ("close", "aclose"), after=listener)


def hear(
    instance: Any, names: tuple[str, ...], *, after: Callable[[], None], before: Callable[[], None] = _nothing
) -> None:
    """Call `before` and `after` around each call of the named methods of this one instance, those that it has."""
    for name in names:
        method = getattr(instance, name, None)
        if method is not None:
            setattr(instance, name, _heard(method, before, after))


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
