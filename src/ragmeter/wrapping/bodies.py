"""Bodies that the app reads itself: as a whole, in pieces of a generator, or part by part, of whatever HTTP library."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import aclosing
from functools import partial, wraps
from typing import Any

from ragmeter.reading.declaration import Unread
from ragmeter.wrapping.hearing import hear, hear_close, replace_methods, unhear

MOST_KEPT = 1_000_000
"""Bytes of a body that are kept."""

ALL = (None, -1)
"""Sizes by which all that is left is asked for."""


class HeardBody:
    """A body as the app reads it; `done` is called with it when there is no more to come, or it is closed."""

    __slots__ = ("_done", "_is_closed", "_is_read", "_is_taken", "_kept", "_size")

    def __init__(self, done: Callable[[object], None]) -> None:
        self._done = done
        self._is_closed = self._is_read = self._is_taken = False
        self._kept: list[bytes] = []
        self._size = 0

    def taken(self) -> bytes | None:
        """What was taken; `None` for nothing, and for more than is kept."""
        return b"".join(self._kept) if 0 < self._size <= MOST_KEPT else None

    def begin(self) -> None:
        """The app begins to take pieces."""
        self._is_taken, self._size = True, 0
        self._kept.clear()

    def keep(self, piece: Any) -> None:
        """Keep one piece, as long as they are not too many."""
        piece = piece.encode(errors="replace") if isinstance(piece, str) else piece
        if isinstance(piece, bytes):
            self._size += len(piece)
            if self._size <= MOST_KEPT:
                self._kept.append(piece)
            else:
                self._kept.clear()

    def end(self, *, is_whole: bool) -> None:
        """The app takes no more pieces, because there are none or because it wants none."""
        self._is_taken = False
        if (self._is_closed or is_whole) and not self._is_read:
            self._done(self.taken())

    def part(self, part: Any, size: Any) -> None:
        """The app has taken one part, of at most `size` bytes."""
        self.keep(part)
        if not self._is_read and (size in ALL or (not part and size != 0)):
            self._done(self.taken())

    def begin_read(self) -> None:
        """The app reads all of it."""
        self._is_read = True

    def closed(self) -> None:
        """The body was closed."""
        # Reading closes the connection before it has stored what it read, or has handed on the last of it.
        self._is_closed = True
        if not self._is_read and not self._is_taken:
            self._done(self.taken())


def hear_body(unread: Unread, done: Callable[[object], None]) -> None:
    """Hear what the app reads of a body; `done` is called with it, then nothing is heard any more."""
    carrier = unread.carrier

    def finish(body: object) -> None:
        unhear(carrier)
        done(body)

    body = HeardBody(finish)
    replace_methods(carrier, unread.pieces, partial(_heard_pieces, body))
    replace_methods(carrier, unread.parts, partial(_heard_parts, body))
    hear(carrier, unread.reads, before=body.begin_read, after=lambda: finish(unread.body()))
    hear_close(carrier, body.closed, unread.closes)


def _heard_pieces(body: HeardBody, method: Any) -> Any:
    if inspect.isasyncgenfunction(method):

        @wraps(method)
        async def heard_async(*arguments: Any, **keywords: Any) -> Any:
            body.begin()
            is_whole = False
            # Closed where the app closes ours: a generator that is only let go of is closed by the event loop, later.
            async with aclosing(method(*arguments, **keywords)) as pieces:
                try:
                    async for piece in pieces:
                        body.keep(piece)
                        yield piece
                    is_whole = True
                finally:
                    body.end(is_whole=is_whole)

        return heard_async

    @wraps(method)
    def heard(*arguments: Any, **keywords: Any) -> Any:
        body.begin()
        is_whole = False
        try:
            for piece in method(*arguments, **keywords):
                body.keep(piece)
                yield piece
            is_whole = True
        finally:
            body.end(is_whole=is_whole)

    return heard


def _heard_parts(body: HeardBody, method: Any) -> Any:
    if inspect.iscoroutinefunction(method):

        @wraps(method)
        async def heard_async(*arguments: Any, **keywords: Any) -> Any:
            part = await method(*arguments, **keywords)
            body.part(part, _size_of(arguments, keywords))
            return part

        return heard_async

    @wraps(method)
    def heard(*arguments: Any, **keywords: Any) -> Any:
        part = method(*arguments, **keywords)
        body.part(part, _size_of(arguments, keywords))
        return part

    return heard


def _size_of(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """How much a part may be: the only thing that can be said of one."""
    return next(iter((*arguments, *keywords.values())), None)
