"""The ledger of an answer: what was done for one query, collected until it ends and posted once.

Everything here runs on the worker, under its lock. Retrieval that shares no scope, span or trace with its answer
(another thread, a cached result) is found again by content: its text stands in the prompt.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ragmeter import strategy
from ragmeter.metering import Metered
from ragmeter.model import Chunk, OperationKind, Prompt, Role
from ragmeter.scopes import Ending, QueryHandle

WAIT_SECONDS = 30.0
"""A query whose end nobody tells is posted this long after its first operation."""

MOST_CHUNKS = 1_024
MOST_CHUNK_CHARACTERS = 8_000_000
"""Retrieved texts remembered for linking by content: both bounds hold, the oldest go first."""


@dataclass(frozen=True, slots=True)
class QueryReport:
    """One query as it is posted: `counts` is false for what came in after its query had been posted.

    Durations in seconds; `cost` in US dollars, `None` when nothing it did has a known price.
    """

    strategy: str
    labels: Mapping[str, str]
    operations: tuple[Metered, ...]
    counts: bool
    duration: float
    search_duration: float
    cost: float | None
    error_type: str | None
    handle: QueryHandle


@dataclass(slots=True)
class OpenQuery:
    """A query that is still collecting."""

    handle: QueryHandle
    deadline: float
    operations: list[Metered] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def has_inference(self) -> bool:
        """Whether a model was asked: only then it is a query."""
        return any(metered.operation.request.kind.is_inference for metered in self.operations)


class Ledger:
    """All open queries and the retrieval that still waits for its answer."""

    def __init__(self, post: Callable[[QueryReport], None], forget: Callable[[QueryHandle], None]) -> None:
        self._post = post
        self._forget = forget
        self._open: dict[int, OpenQuery] = {}
        self._chunks: OrderedDict[int, tuple[Chunk, QueryHandle]] = OrderedDict()
        self._chunk_characters = 0

    def own_chunks(self, handle: QueryHandle) -> tuple[Chunk, ...]:
        """What was retrieved for this query so far."""
        query = self._open.get(id(handle))
        operations = query.operations if query else ()
        return tuple(chunk for metered in operations for chunk in metered.operation.response.chunks)

    def known_chunks(self) -> tuple[Chunk, ...]:
        """Every retrieved text that is remembered, whatever it was retrieved for."""
        return tuple(chunk for chunk, _ in self._chunks.values())

    def add(self, handle: QueryHandle, metered: Metered, labels: Mapping[str, str]) -> None:
        """Enter a finished operation under its query, and post the query if this was all it waited for."""
        query = self._open.get(id(handle))
        if query is None:
            query = self._open[id(handle)] = OpenQuery(handle, time.monotonic() + WAIT_SECONDS)
        handle.finished += 1
        query.labels.update(labels)
        self._remember(metered, handle)
        query.operations.append(metered)
        if metered.operation.request.kind.is_inference:
            self._claim(query, metered)
            if handle.ending is Ending.OPERATION or handle.posted:
                self._post_query(query)
        if handle.ended is not None:
            self.end(handle)

    def end(self, handle: QueryHandle) -> None:
        """The app has left the query: post it, unless calls made in it are still going on or nobody asked a model."""
        query = self._open.get(id(handle))
        if query is not None and handle.finished >= len(handle.begun):
            if query.has_inference():
                self._post_query(query)
            if handle.posted:
                self._close(query)

    def expire(self, now: float) -> None:
        """Post what has waited long enough, and charge retrieval that no answer came for."""
        for query in [query for query in self._open.values() if query.deadline <= now]:
            self._give_up(query)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next, on the monotonic clock."""
        return min((query.deadline for query in self._open.values()), default=None)

    def settle(self, *, everything: bool = False) -> None:
        """Post the queries whose end nothing will tell; with `everything` also those that are still open."""
        for query in list(self._open.values()):
            if everything or (query.handle.ending is Ending.TIME and query.has_inference()):
                self._give_up(query)

    def _give_up(self, query: OpenQuery) -> None:
        had_operations = bool(query.operations)
        self._post_query(query)
        if had_operations and query.handle.ending in (Ending.SCOPE, Ending.ROOT_SPAN) and query.handle.ended is None:
            # Still open in the app: what comes later is charged when it comes, and counts as no second query.
            query.deadline = time.monotonic() + WAIT_SECONDS
            return
        self._close(query)

    def _close(self, query: OpenQuery) -> None:
        self._open.pop(id(query.handle), None)
        if query.handle.ending is Ending.TIME:
            self._forget(query.handle)

    def _post_query(self, query: OpenQuery) -> None:
        operations, query.operations = tuple(query.operations), []
        if not operations:
            return
        inferences = [metered for metered in operations if metered.operation.request.kind.is_inference]
        counts = bool(inferences) and not query.handle.posted
        handle = query.handle
        if inferences:
            derived = strategy.highest(metered.strategy for metered in inferences)
            handle.strategy = handle.strategy or derived
        costs = [metered.cost.amount for metered in operations if metered.cost.amount is not None]
        last_error = inferences[-1].operation.error_type if inferences else None
        handle.posted = handle.posted or counts
        self._post(
            QueryReport(
                strategy=handle.strategy if handle.strategy and (inferences or handle.posted) else strategy.NONE,
                labels={**query.labels, **handle.labels},
                operations=operations,
                counts=counts,
                duration=_duration(handle, operations),
                search_duration=sum(
                    metered.operation.duration
                    for metered in operations
                    if metered.operation.request.kind is OperationKind.SEARCH
                ),
                cost=sum(costs) if costs else None,
                error_type=handle.error_type or last_error,
                handle=handle,
            )
        )
        if handle.ending is Ending.OPERATION:
            self._close(query)

    def _remember(self, metered: Metered, owner: QueryHandle) -> None:
        for chunk in metered.operation.response.chunks:
            self._chunks[id(chunk)] = (chunk, owner)
            self._chunk_characters += len(chunk.text)
        while self._chunks and (len(self._chunks) > MOST_CHUNKS or self._chunk_characters > MOST_CHUNK_CHARACTERS):
            _, (oldest, _) = self._chunks.popitem(last=False)
            self._chunk_characters -= len(oldest.text)

    def _claim(self, query: OpenQuery, metered: Metered) -> None:
        """Take over retrieval whose text this prompt holds, and embeddings of its question, if unanswered so far."""
        owners = {self._chunks[id(chunk)][1] for chunk in metered.found if id(chunk) in self._chunks}
        question = question_of(metered.operation.prompt)
        for other in list(self._open.values()):
            if other is query or other.has_inference():
                continue
            searched = other.handle in owners
            taken = [each for each in other.operations if searched or _embeds(each, question)]
            query.operations[:0] = taken
            other.operations = [each for each in other.operations if each not in taken]
            if not other.operations and other.handle.ending is Ending.OPERATION:
                self._close(other)


def question_of(prompt: Prompt) -> str:
    """The last text of the user."""
    texts = [part.text for part in prompt.parts if part.role is Role.USER]
    return texts[-1] if texts else ""


def _embeds(metered: Metered, question: str) -> bool:
    """Whether this is the embedding of a single text that stands in `question`: not an ingestion, which has many."""
    if metered.operation.request.kind is not OperationKind.EMBEDDINGS:
        return False
    parts = metered.operation.prompt.parts
    return len(parts) == 1 and bool(parts[0].text.strip()) and parts[0].text.strip() in question


def _duration(handle: QueryHandle, operations: tuple[Metered, ...]) -> float:
    """From the start of the scope or of the first operation to the end of the last, in seconds."""
    first = min(metered.operation.started for metered in operations)
    last = max(metered.operation.started + int(metered.operation.duration * 1e9) for metered in operations)
    started = first if handle.started is None else min(handle.started, first)
    ended = last if handle.ended is None else max(handle.ended, last)
    return (ended - started) / 1e9
