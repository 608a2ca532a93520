"""Bodies that the app reads itself: as a whole, in pieces of a generator, or some at a time, of any HTTP library."""

from __future__ import annotations

import weakref
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from functools import partial
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from ragmeter.reading.declaration import Unread
from ragmeter.wrapping.generators import Steps, handed_on
from ragmeter.wrapping.hearing import Around, hear, unhear

MOST_KEPT = 1_000_000
"""Bytes of a body that are kept."""

ALL = (None, -1)
"""Sizes by which all that is left is asked for."""

SIZES = ("amt", "size", "n")
"""Names of the argument that says how much is asked for."""

NO_MORE = (b"", "", (b"", False))
"""Portions that say that there are no more. Some clients say beside one whether a chunk of the transfer ends there."""

Done = Callable[[object, BaseException | None], None]
"""Called with what was read of a body and what has ended the reading, if it has failed."""


class HeardBody:
    """A body as the app reads it; `done` is called once: when there is no more to come, it is closed, or it fails."""

    __slots__ = ("_carrier", "_done", "_failure", "_inside", "_is_closed", "_is_over", "_kept", "_size", "_source")

    def __init__(self, carrier: Any, done: Done) -> None:
        self._carrier = weakref.ref(carrier)
        self._done = done
        self._source: str | None = None
        self._failure: CancelledError | None = None
        self._inside = self._is_closed = self._is_over = False
        self._kept: list[bytes] = []
        self._size = 0

    def hear(self, unread: Unread) -> None:
        """Hear what the app reads, of the carrier and of what that reads from."""
        reads = Around(self.begin, partial(self._read, unread.body), self.failed)
        around = {
            **dict.fromkeys(unread.reads, reads),
            **dict.fromkeys(unread.pieces, Around(self._is_outside, self._handed_on)),
            **dict.fromkeys(unread.reads_some, Around(self.begin, self._some, self.failed)),
            **dict.fromkeys(unread.portions, Around(self.begin, self._portion, self.failed)),
            **dict.fromkeys(unread.closes, Around(after=self._close, failed=lambda _: self.closed())),
        }
        hear(unread.carrier, around)
        if unread.source is not None:
            self._source = unread.source
            hear(getattr(unread.carrier, unread.source), around, owner=unread.carrier)

    def begin(self) -> bool:
        """The app asks for something; false where only what it has asked for asks on."""
        if self._inside or self._is_over:
            return False
        self._inside = True
        return True

    def leave(self) -> None:
        """It has got what it has asked for."""
        self._inside = False

    def took(self, piece: Any) -> bool:
        """Keep one piece, as long as they are not too many; the app gets all of them."""
        self._failure = None
        piece = piece[0] if isinstance(piece, tuple) and piece else piece
        piece = piece.encode(errors="replace") if isinstance(piece, str) else piece
        if isinstance(piece, bytes | bytearray | memoryview):
            self._size += len(piece)
            if self._size <= MOST_KEPT:
                self._kept.append(bytes(piece))
            else:
                self._kept.clear()
        return False

    def ended(self, error: BaseException | None) -> None:
        """A generator has ended; without an error the app has closed it, or let go of it."""
        if isinstance(error, StopIteration | StopAsyncIteration) or (error is None and self._is_closed):
            self.over()
        elif error is not None:
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """What the app has asked for has failed."""
        self._inside = False
        if isinstance(error, CancelledError):
            # The app may go on reading. One of our own: the app's holds all that was on its way.
            self._failure = CancelledError()
            if self._is_closed:
                self.over()
        else:
            self._failure = None
            self._tell(self._taken(), error)

    def closed(self) -> None:
        """The body was closed."""
        # Reading closes the connection before it has stored what it read, or has handed on the last of it.
        self._is_closed = True
        if not self._inside:
            self.over()

    def over(self) -> None:
        """There is no more to come."""
        self._tell(self._taken(), self._failure)

    def let_go(self) -> None:
        """Nothing more is heard, and nobody told."""
        self._is_over = True
        self._kept.clear()
        carrier = self._carrier()
        if carrier is not None:
            unhear(carrier)
            if self._source is not None:
                unhear(getattr(carrier, self._source, None))

    def _taken(self) -> bytes | None:
        """What was taken; `None` for nothing, and for more than is kept."""
        return b"".join(self._kept) if 0 < self._size <= MOST_KEPT else None

    def _tell(self, body: object, error: BaseException | None) -> None:
        if not self._is_over:
            self.let_go()
            self._done(body, error)

    def _is_outside(self) -> bool:
        return not self._inside and not self._is_over

    def _handed_on(self, _: Any, pieces: Any, *__: Any) -> Any:
        if not isinstance(pieces, GeneratorType | AsyncGeneratorType):
            return pieces
        return handed_on(pieces, lambda: Steps(self.took, self.ended, self._enter, self.leave))

    def _enter(self) -> None:
        self._inside = True

    def _read(self, body: Callable[[Any], object], carrier: Any, result: Any, *_: Any) -> Any:
        self.leave()
        self._tell(body(carrier), None)
        return result

    def _some(self, _: Any, some: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        size = _size_of(arguments, keywords)
        return self._next(some, is_last=size in ALL or _is_end(some, size))

    def _portion(self, _: Any, portion: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        return self._next(portion, is_last=_is_end(portion, _size_of(arguments, keywords)))

    def _next(self, some: Any, *, is_last: bool) -> Any:
        self.leave()
        self.took(some)
        if is_last:
            self.over()
        return some

    def _close(self, _: Any, result: Any, *__: Any) -> Any:
        self.closed()
        return result


def _is_end(some: Any, size: Any) -> bool:
    """Whether there is no more; an empty portion that was asked for as such does not say so."""
    return isinstance(some, bytes | str | tuple) and some in NO_MORE and size != 0


def _size_of(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """How much that may be, as it is asked for."""
    return arguments[0] if arguments else next((keywords[name] for name in SIZES if name in keywords), None)
