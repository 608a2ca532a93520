"""The ledger of an answer: what was done for one query, collected until it ends and posted once.

Everything here runs on the worker, under its lock. Retrieval that shares no scope, span or trace with its answer
(another thread, a cached result) is found again by content: its text stands in the prompt.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import islice

from ragmeter.anatomy.parts import question_of
from ragmeter.domain.model import KnownChunk, OperationKind, TextKey
from ragmeter.domain.pausing import Pause, paused, without_pause
from ragmeter.domain.query import Ending, QueryHandle
from ragmeter.ledger.entries import Entry, QueryReport, entry_of, report_of
from ragmeter.ledger.metering import Metered

WAIT_SECONDS = 30.0
"""A query whose end nobody tells is posted this long after its first operation."""

MOST_OPEN = 10_000
"""Queries that collect at once: beyond it the oldest is posted as it stands."""

MOST_CHUNKS = 4_096
"""Retrieved chunks that one query keeps the marks of: beyond it the oldest go."""

MOST_UNANSWERED = 256
"""Retrievals without an answer that are looked at for a prompt, the latest first."""

LATEST_SEARCHES = 16
"""Retrievals without an answer, the latest, among which the search of a framework's retriever is looked for."""


class Until(Enum):
    """How far to post what is open: answers whose end nothing tells, also retrieval without an answer, everything."""

    ANSWERED = auto()
    UNANSWERED = auto()
    EVERYTHING = auto()


@dataclass(eq=False, slots=True)
class OpenQuery:
    """A query that is still collecting; `chunks` are those retrieved for it, `sent` the keys of those in its prompts.

    `is_over` says that no call of it is still to come: only then may its retrieval belong to another answer.
    """

    handle: QueryHandle
    deadline: float
    operations: list[Entry] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    chunks: dict[TextKey, KnownChunk] = field(default_factory=dict)
    sent: set[TextKey] = field(default_factory=set)
    has_inference: bool = False
    is_over: bool = False


class Ledger:
    """All open queries and the retrieval that still waits for its answer."""

    def __init__(
        self,
        post: Callable[[QueryReport], None],
        forget: Callable[[QueryHandle], None],
        pause: Pause = without_pause,
    ) -> None:
        self._pause = pause
        self._post = post
        self._forget = forget
        # Both in the order of their deadlines: a query that gets a later one is entered again.
        self._open: dict[QueryHandle, OpenQuery] = {}
        self._unanswered: OrderedDict[QueryHandle, OpenQuery] = OrderedDict()

    def own_chunks(self, handle: QueryHandle) -> tuple[KnownChunk, ...]:
        """What was retrieved for this query so far, each text once."""
        query = self._open.get(handle)
        return () if query is None else tuple(query.chunks.values())

    def add_chunks(self, handle: QueryHandle, chunks: Sequence[KnownChunk], labels: Mapping[str, str]) -> None:
        """Enter what the app has retrieved by itself under its query."""
        handle.finished += 1
        if handle.ending is Ending.OPERATION:
            chunks = self._not_yet_searched(chunks)
        if chunks:
            query = self._open.get(handle) or self._start(handle)
            query.labels.update(labels)
            _keep(query, chunks)
        if handle.ended is not None:
            self.end(handle)

    def add(
        self, handle: QueryHandle, metered: Metered, labels: Mapping[str, str], chunks: Sequence[KnownChunk] = ()
    ) -> None:
        """Enter a finished operation and what it retrieved; post its query if it waited for no more."""
        handle.finished += 1
        query = self._open.get(handle) or self._start(handle)
        query.labels.update(labels)
        _keep(query, chunks)
        query.sent.update([use.place.chunk.key for use in paused(metered.context, self._pause)])
        query.operations.append(entry_of(metered, self._pause))
        if handle.ending is Ending.OPERATION and _has_many_texts(metered):
            # Documents on their way into a database: no answer will ever claim them.
            self._post_query(query)
        elif metered.operation.request.kind.is_inference:
            query.has_inference = True
            self._unanswered.pop(handle, None)
            self._claim(query, metered)
            if handle.ending is Ending.OPERATION or handle.posted:
                self._post_query(query)
        if handle.ended is not None:
            self.end(handle)

    def end(self, handle: QueryHandle) -> None:
        """The app has left the query: post it, unless calls made in it are still going on or nobody asked a model."""
        query = self._open.get(handle)
        if query is not None and handle.finished >= len(handle.begun):
            query.is_over = True
            if query.has_inference:
                self._post_query(query)
            if handle.posted:
                self._close(query)

    def expire(self, now: float) -> None:
        """Post what has waited long enough, and charge retrieval that no answer came for."""
        while self._open:
            query = next(iter(self._open.values()))
            if query.deadline > now:
                return
            self._give_up(query)

    def next_deadline(self) -> float | None:
        """When `expire` has something to do next, on the monotonic clock."""
        return next((query.deadline for query in self._open.values()), None)

    def settle(self, until: Until) -> None:
        """Post what is open without waiting for its end."""
        for query in list(self._open.values()):
            ending = query.handle.ending
            if (
                until is Until.EVERYTHING
                or (ending is Ending.TIME and query.has_inference)
                or (until is Until.UNANSWERED and ending in (Ending.TIME, Ending.OPERATION))
            ):
                self._give_up(query)

    def _not_yet_searched(self, chunks: Sequence[KnownChunk]) -> Sequence[KnownChunk]:
        """Chunks without those a search has just given: outside of any scope nothing else joins it to its retriever."""
        latest = islice(reversed(self._unanswered.values()), LATEST_SEARCHES)
        searched = {key for query in latest if query.is_over for key in query.chunks}
        return [chunk for chunk in chunks if chunk.key not in searched]

    def _start(self, handle: QueryHandle) -> OpenQuery:
        if len(self._open) >= MOST_OPEN:
            oldest = next(iter(self._open.values()))
            self._post_query(oldest)
            self._close(oldest)
        is_over = handle.ending is Ending.OPERATION
        query = OpenQuery(handle, time.monotonic() + WAIT_SECONDS, is_over=is_over)
        self._open[handle] = self._unanswered[handle] = query
        return query

    def _give_up(self, query: OpenQuery) -> None:
        had_operations = bool(query.operations)
        self._post_query(query)
        self._close(query)
        handle = query.handle
        if had_operations and handle.ending in (Ending.SCOPE, Ending.ROOT_SPAN) and handle.ended is None:
            # Still open in the app: what comes later is charged when it comes, and counts as no second query.
            query.deadline = time.monotonic() + WAIT_SECONDS
            self._open[handle] = query

    def _close(self, query: OpenQuery) -> None:
        self._open.pop(query.handle, None)
        self._unanswered.pop(query.handle, None)
        if query.handle.ending is Ending.TIME:
            self._forget(query.handle)

    def _post_query(self, query: OpenQuery) -> None:
        operations, query.operations = tuple(query.operations), []
        unsent = Counter(chunk.collection for key, chunk in query.chunks.items() if key not in query.sent)
        query.sent.update(query.chunks)
        if operations or unsent:
            self._post(report_of(query.handle, operations, query.labels, unsent))
        if query.handle.ending is Ending.OPERATION:
            self._close(query)

    def _claim(self, query: OpenQuery, metered: Metered) -> None:
        """Take over retrieval whose text this prompt holds, and embeddings of its question, if unanswered so far.

        Each text is claimed once, from the latest search that gave it: an equal search of someone else stays theirs.
        """
        missing = {use.place.chunk.key for use in metered.context}.difference(query.chunks)
        question = question_of(metered.operation.prompt, pause=self._pause)
        for other in list(islice(reversed(self._unanswered.values()), MOST_UNANSWERED)):
            if not other.is_over:
                continue
            searched = not missing.isdisjoint(other.chunks)
            taken = [each for each in other.operations if searched or (each.question and each.question in question)]
            if not taken and not searched:
                continue
            if searched:
                missing.difference_update(other.chunks)
                query.chunks = {**other.chunks, **query.chunks}
                other.chunks = {}
            query.operations[:0] = taken
            other.operations = [each for each in other.operations if each not in taken]
            if not other.operations and other.handle.ending is Ending.OPERATION:
                self._close(other)


def _keep(query: OpenQuery, chunks: Sequence[KnownChunk]) -> None:
    """Add chunks to a query's own: of a text that came twice the first one counts, which has the better rank."""
    for chunk in chunks:
        query.chunks.setdefault(chunk.key, chunk)
    while len(query.chunks) > MOST_CHUNKS:
        del query.chunks[next(iter(query.chunks))]


def _has_many_texts(metered: Metered) -> bool:
    operation = metered.operation
    return operation.request.kind is OperationKind.EMBEDDINGS and len(operation.prompt.parts) > 1
