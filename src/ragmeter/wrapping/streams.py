"""A stream handed on unchanged, read on the way, finished exactly once.

The client's own stream object stays what the app gets; only the iterator inside it is replaced. Of each piece what
cannot change any more is kept: its text as it came over the wire where the client shows it, its leaves elsewhere. The
caller's thread pays for an append, not for reading: what a very long stream has given goes to the worker meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

from ragmeter.domain.model import Response
from ragmeter.domain.pausing import pause_of_thread
from ragmeter.guard import Guard
from ragmeter.reading.declaration import Reader, Streamed
from ragmeter.wrapping.hearing import hear_close
from ragmeter.wrapping.records import Answer

BATCH = 256
"""Pieces that are read at once, with a pause after them."""

MOST_KEPT = 1_000_000
"""Characters of pieces that are kept before the worker gets them, to be read before the stream is over."""

SIZE_OF_LEAVES = 256
"""What a piece that is no text is taken for."""

RUNNING = ("gi_running", "ag_running")
"""Attributes of generators that say whether someone is asking them."""


class StreamReading:
    """What has been seen of one stream; `finish` is called once, with the error that ended it if any.

    `first` and `last` are when its first piece came and its end, `None` for an end that the app did not wait for.
    `ahead` gets pieces that are to be read before the end, in their order and one after the other, and their size.
    """

    __slots__ = (
        "_ahead",
        "_finish",
        "_guard",
        "_hides_extra",
        "_reader",
        "advancing",
        "first",
        "hears",
        "kept",
        "last",
        "number",
        "pieces",
        "so_far",
    )

    def __init__(
        self,
        reader: Reader,
        guard: Guard,
        finish: Callable[[BaseException | None], None],
        *,
        ahead: Callable[[Answer, int], None],
        hides_extra: bool,
    ) -> None:
        self.pieces: list[Any] = []
        self.so_far = Response()
        self.first: float | None = None
        self.last: float | None = None
        self.number = 0
        self.advancing = False
        self.hears = False
        self.kept = 0
        self._reader = reader
        self._guard = guard
        self._finish = finish
        self._ahead = ahead
        self._hides_extra = hides_extra

    def took(self, piece: Any) -> bool:
        """Note `piece`; whether the app should not see it, because we asked for it."""
        self.advancing = False
        if self.first is None:
            self.first = perf_counter()
        if not self.hears:
            try:
                self.keep(self._reader.take(piece))
            except Exception as error:
                self.caught(error)
        return self._hides_extra and self._is_extra(piece)

    def keep(self, taken: object) -> None:
        """Keep what cannot change any more of a piece."""
        self.pieces.append(taken)
        self.kept += len(taken) if isinstance(taken, str) else SIZE_OF_LEAVES
        if self.kept > MOST_KEPT:
            pieces, size = self.pieces, self.kept
            self.pieces, self.kept = [], 0
            self._ahead(partial(self._fold, pieces), size)

    def fold(self) -> Response:
        """Everything seen as one response; for the worker, once the stream is over."""
        pieces, self.pieces = self.pieces, []
        return self._fold(pieces)

    def _fold(self, pieces: Sequence[Any]) -> Response:
        self.number += len(pieces)
        read, decode = self._reader.pieces, self._reader.decode
        if read is None:
            return self.so_far
        for start in range(0, len(pieces), BATCH):
            try:
                self.so_far = read(self.so_far, [decode(each) for each in pieces[start : start + BATCH]])
            except Exception as error:
                self._guard.caught("reading a stream", error)
            pause_of_thread()
        self.so_far = replace(self.so_far, pieces=self.number)
        return self.so_far

    def caught(self, error: Exception) -> None:
        """A piece could not be taken: the app gets it all the same."""
        self._guard.caught("taking a piece", error)

    def end(self, error: BaseException | None = None) -> None:
        """The stream is over: exhausted, failed, closed or forgotten."""
        self.advancing = False
        is_exhausted = isinstance(error, StopIteration | StopAsyncIteration)
        if is_exhausted:
            self.last = perf_counter()
        self._finish(None if is_exhausted else error)

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


class HeardEvents:
    """The events of a stream as they come over the wire, each taken before the client makes an object of it."""

    __slots__ = ("_events", "_of_event", "_reading")

    def __init__(self, events: Any, of_event: Callable[[Any], object], reading: StreamReading) -> None:
        self._events = events
        self._of_event = of_event
        self._reading = reading
        reading.hears = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    def __iter__(self) -> HeardEvents:
        return self

    def __next__(self) -> Any:
        return self._take(next(self._events))

    def __aiter__(self) -> HeardEvents:
        return self

    async def __anext__(self) -> Any:
        return self._take(await self._events.__anext__())

    def _take(self, event: Any) -> Any:
        reading = self._reading
        try:
            reading.keep(self._of_event(event))
        except Exception as error:
            reading.caught(error)
        return event


class _Read:
    """What both kinds of iterator are: the client's own one, and what has been read of it."""

    __slots__ = ("_iterator", "_reading")

    def __init__(self, iterator: Any, reading: StreamReading) -> None:
        self._iterator = iterator
        self._reading = reading

    def __del__(self) -> None:
        self._reading.end()

    def _failed(self, error: BaseException) -> None:
        # A generator that another thread or task is asking refuses, and goes on for the other.
        if not any(getattr(self._iterator, name, False) for name in RUNNING):
            self._reading.end(error)


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
                self._failed(error)
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
                self._failed(error)
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
    if streamed.events is not None:
        _hear_events(streamed.stream, streamed.events, streamed.of_event, reading)
    setattr(streamed.stream, streamed.iterator, read(iterator, reading))


def _hear_events(stream: Any, name: str, of_event: Callable[[Any], object], reading: StreamReading) -> None:
    """Hear the events that the method `name` of this one stream will give when it is called for the first time."""
    events = getattr(stream, name, None)
    if events is None:
        return

    def heard() -> HeardEvents:
        # Taken away at once: a method kept in its own instance would keep the stream alive.
        vars(stream).pop(name, None)
        return HeardEvents(events(), of_event, reading)

    setattr(stream, name, heard)
