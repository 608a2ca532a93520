"""What leaves the caller's thread: records of finished calls and of retrieval, with nothing of the app's in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opentelemetry.trace import Span

from ragmeter.domain.model import Chunk, Request, Response
from ragmeter.domain.query import QueryHandle
from ragmeter.reading.declaration import Reading

Answer = Callable[[], Response]
"""Gives the response when the worker asks, from leaves that were taken on the caller's thread."""


def no_answer() -> Response:
    """The answer of a call that brought none, or none that can be read."""
    return Response()


@dataclass(slots=True)
class Record:
    """A finished call on its way to the worker: immutable leaves, nothing read yet.

    `sent` is what its prompt is read from; sizes are in characters, about. `span` is its own, `None` where another
    instrumentation already records it, `current` the one that points to it. `time_to_end` is that of a stream which was
    read to its end. Of an exception only the name is kept, and whether it says that nothing was made.
    """

    request: Request
    reading: Reading
    span: Span | None
    current: Span
    query: QueryHandle
    labels: Mapping[str, str]
    started: int
    duration: float
    sent: object
    answer: Answer
    sent_size: int
    answer_size: int
    time_to_first_chunk: float | None
    time_to_end: float | None
    error_type: str | None
    is_refused: bool

    @property
    def size(self) -> int:
        """Characters that it keeps alive."""
        return self.sent_size + self.answer_size

    @property
    def standard(self) -> bool:
        """Whether the standard metrics are ours to record."""
        return self.span is not None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages that no client of a database has returned, on their way to the worker: immutable leaves."""

    query: QueryHandle
    labels: Mapping[str, str]
    held: Sequence[Any]
    read: Callable[[Sequence[Any]], Sequence[Chunk]]
    size: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of a stream that goes on, on their way to the worker: `read` adds them to what it has read of it."""

    read: Answer
    size: int


Item = Record | QueryHandle | Retrieved | Pieces
"""What is submitted to the worker: a finished call, a query that was left, retrieval by hand, or a part of a stream."""


def slim(item: Item, *, bare: bool) -> tuple[Item, int]:
    """What waits in a full queue, and its size: no prompt, and when even that is too much, no answer.

    That an operation was made, how long it took and how it ended is never lost.
    """
    match item:
        case Record() if bare:
            return replace(item, sent=None, answer=no_answer, sent_size=0, answer_size=0), 0
        case Record():
            return replace(item, sent=None, sent_size=0), item.answer_size
        case Retrieved():
            return replace(item, held=(), size=0), 0
        case Pieces() if bare:
            return Pieces(no_answer, 0), 0
        case Pieces():
            return item, item.size
    return item, 0
