"""The ledger of an answer: what was done for one query, collected until it ends and posted once.

Everything here runs on the worker, under its lock. Retrieval that shares no scope, span or trace with its answer
(another thread, a cached result) is found again by content: its text stands in the prompt.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import islice

from ragmeter.anatomy.parts import current_turn, question_of
from ragmeter.domain.model import KnownChunk, Prompt, Role, TextKey
from ragmeter.domain.pausing import Pause, paused, without_pause
from ragmeter.domain.query import Ending, QueryHandle
from ragmeter.ledger.continuations import Continuations, hash_of_question
from ragmeter.ledger.entries import Entry, QueryReport, entries_of, report_of
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
    `has_question` says that something in it has embedded a text, `written` stands for the question that a call of it
    has made of its conversation.
    """

    handle: QueryHandle
    deadline: float
    operations: list[Entry] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    chunks: dict[TextKey, KnownChunk] = field(default_factory=dict)
    sent: set[TextKey] = field(default_factory=set)
    has_inference: bool = False
    has_question: bool = False
    is_over: bool = False
    written: int | None = None

    def send(self, keys: Iterable[TextKey]) -> None:
        """Remember what stands in a prompt of it; a query that is open for days has prompts without end."""
        self.sent.update(keys)
        if len(self.sent) > 2 * MOST_CHUNKS:
            self.sent.intersection_update(self.chunks)

    def may_be_for(self, other: OpenQuery) -> bool:
        """Whether what was done in it may be for another query: no label of both has two values."""
        labels = {**other.labels, **other.handle.labels}
        own = {**self.labels, **self.handle.labels}
        return all(labels.get(name, value) == value for name, value in own.items())

    @property
    def has_open_span(self) -> bool:
        """Whether the app has left it, and its span waits to be ended."""
        return self.handle.span is not None and self.handle.ended is not None and not self.handle.posted

    def enter(self, entries: Sequence[Entry]) -> None:
        """Add operations of it."""
        self.operations += entries
        self.has_question = self.has_question or any(entry.question for entry in entries)

    @property
    def claimable(self) -> list[Entry]:
        """Its operations that may belong to another answer: documents on their way into an index belong to none."""
        return [each for each in self.operations if not each.ingests]


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
        self.counted: Counter[Ending] = Counter()
        self._continuations: Continuations[OpenQuery] = Continuations(pause)
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
            _rank(query, chunks)
            _keep(query, chunks)
        if handle.ended is not None:
            self.end(handle)

    def add(
        self,
        handle: QueryHandle,
        metered: Metered,
        labels: Mapping[str, str],
        chunks: Sequence[KnownChunk] = (),
        within: Sequence[Metered] = (),
    ) -> None:
        """Enter a finished operation, what it retrieved and what was made within it; post its query if it is over."""
        handle.finished += 1
        query = self._query_of(handle, metered, labels, chunks)
        query.labels.update(labels)
        if metered.operation.request.kind.means.ranks:
            _rank(query, chunks)
        _keep(query, chunks)
        query.send([use.place.chunk.key for use in paused(metered.context, self._pause)])
        query.enter(entries_of(metered, within, self._pause))
        if handle.ending is Ending.OPERATION and metered.ingests:
            # Documents on their way into a database: no answer will ever claim them.
            self._finish(query)
        elif metered.answers or any(each.answers for each in within):
            self._answer(query, metered, labels)
        if handle.ended is not None:
            self.end(handle)

    def _query_of(
        self, handle: QueryHandle, metered: Metered, labels: Mapping[str, str], chunks: Sequence[KnownChunk]
    ) -> OpenQuery:
        """The query of a call: that of its scope or span, of the call that it goes on with, or else its own."""
        query = self._open.get(handle)
        kind = metered.operation.request.kind
        if query is None and handle.ending is Ending.OPERATION:
            if kind.is_inference:
                query = self._gone_on_with(metered, labels)
            elif kind.means.ranks:
                query = self._reranked(chunks)
        return query or self._start(handle)

    def _gone_on_with(self, metered: Metered, labels: Mapping[str, str]) -> OpenQuery | None:
        step = self._continuations.find(metered.operation, labels)
        if step is None:
            return None
        query = step.query
        query.written = step.written or query.written
        self._wait_on(query)
        return query

    def _reranked(self, chunks: Sequence[KnownChunk]) -> OpenQuery | None:
        """The latest search whose passages these are: they have their new ranks in every search that gave them."""
        keys = {chunk.key for chunk in chunks}
        searches = [query for query in self._latest_searches() if not keys.isdisjoint(query.chunks)]
        for query in searches:
            _rank(query, chunks)
        return searches[0] if searches else None

    def _answer(self, query: OpenQuery, metered: Metered, labels: Mapping[str, str]) -> None:
        """Enter that a model has answered, or has failed to: a query of its own is then over, unless it goes on."""
        was_waited_for, query.has_inference = query.has_inference, True
        self._unanswered.pop(query.handle, None)
        self._claim(query, metered)
        if query.handle.ending is not Ending.OPERATION:
            if query.handle.posted:
                self._post_query(query)
            return
        operation = metered.operation
        # A call that failed may be made again.
        goes_on = self._continuations.wait(query, operation, labels) or (was_waited_for and operation.error_type)
        if not goes_on:
            self._finish(query)
        elif query.handle.posted:
            self._post_query(query)

    def _finish(self, query: OpenQuery) -> None:
        self._post_query(query)
        self._close(query)

    def _wait_on(self, query: OpenQuery) -> None:
        """Give a query its time once more, at the end of those that wait."""
        self._open.pop(query.handle, None)
        query.deadline = time.monotonic() + WAIT_SECONDS
        self._open[query.handle] = query

    def end(self, handle: QueryHandle) -> None:
        """The app has left the query: post it, unless calls made in it are still going on or nobody asked a model."""
        if handle.finished < len(handle.begun):
            return
        query = self._open.get(handle)
        if query is None and handle.begun:
            # All that was done in it has left nothing, such as a retrieval by hand that has found nothing.
            self._finish(OpenQuery(handle, 0.0))
        elif query is not None:
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
                or (ending in (Ending.TIME, Ending.OPERATION) and query.has_inference)
                or (until is Until.UNANSWERED and ending in (Ending.TIME, Ending.OPERATION))
            ):
                self._give_up(query)

    def _not_yet_searched(self, chunks: Sequence[KnownChunk]) -> Sequence[KnownChunk]:
        """Chunks without those a search has just given, which only get their new ranks.

        Outside of any scope nothing else joins a search to its retriever.
        """
        searches = self._latest_searches()
        for query in searches:
            _rank(query, chunks)
        searched = {key for query in searches for key in query.chunks}
        return [chunk for chunk in chunks if chunk.key not in searched]

    def _latest_searches(self) -> list[OpenQuery]:
        latest = islice(reversed(self._unanswered.values()), LATEST_SEARCHES)
        return [query for query in latest if query.is_over]

    def _start(self, handle: QueryHandle) -> OpenQuery:
        if len(self._open) >= MOST_OPEN:
            self._finish(next(iter(self._open.values())))
        is_over = handle.ending is Ending.OPERATION
        query = OpenQuery(handle, time.monotonic() + WAIT_SECONDS, is_over=is_over)
        self._open[handle] = self._unanswered[handle] = query
        return query

    def _give_up(self, query: OpenQuery) -> None:
        had_operations, handle = bool(query.operations), query.handle
        self._post_query(query)
        is_open = handle.ending in (Ending.SCOPE, Ending.ROOT_SPAN) and handle.ended is None
        if had_operations and (is_open or (handle.ending is Ending.OPERATION and query.has_inference)):
            # Still open in the app: what comes later is charged when it comes, and counts as no second query.
            self._unanswered.pop(handle, None)
            self._wait_on(query)
        else:
            self._close(query)

    def _close(self, query: OpenQuery) -> None:
        self._open.pop(query.handle, None)
        self._unanswered.pop(query.handle, None)
        self._continuations.forget(query)
        if query.handle.ending is Ending.TIME:
            self._forget(query.handle)

    def _post_query(self, query: OpenQuery) -> None:
        operations, query.operations = tuple(query.operations), []
        unsent: tuple[KnownChunk, ...] = ()
        if query.chunks:
            unsent = tuple([chunk for key, chunk in query.chunks.items() if key not in query.sent])
            query.sent.update(query.chunks)
        if operations or unsent or query.has_open_span:
            report = report_of(query.handle, operations, query.labels, unsent)
            self.counted[query.handle.ending] += report.counts
            self._post(report)

    def _claim(self, query: OpenQuery, metered: Metered) -> None:
        """Take over retrieval whose text this prompt holds, and embeddings of its question, if unanswered so far.

        Each text is claimed once, from the latest search that gave it: an equal search of someone else stays theirs, as
        does what was done under other labels.
        """
        latest = list(islice(reversed(self._unanswered.values()), MOST_UNANSWERED))
        others = [each for each in latest if each.is_over and each.may_be_for(query)]
        if not others:
            return
        missing = {use.place.chunk.key for use in metered.context}.difference(query.chunks)
        has_questions = any(each.has_question for each in others)
        asked = _asked(metered.operation.prompt, self._pause) if has_questions else ""
        for other in others:
            if other.chunks.keys().isdisjoint(missing):
                self._claim_questions(query, other, asked)
            else:
                missing.difference_update(other.chunks)
                self._take(query, other, other.claimable)

    def _claim_questions(self, query: OpenQuery, other: OpenQuery, asked: str) -> None:
        if not other.has_question:
            return
        taken = [each for each in other.claimable if _is_asked(each, asked, query.written)]
        if taken:
            self._take(query, other, taken)

    def _take(self, query: OpenQuery, other: OpenQuery, taken: Sequence[Entry]) -> None:
        query.operations[:0] = taken
        other.operations = [each for each in other.operations if each not in taken]
        if not any(each.kind.means.searches for each in other.operations):
            # No search is left that has found them.
            query.chunks, other.chunks = {**other.chunks, **query.chunks}, {}
            _keep(query, ())
        if not other.operations:
            self._finish(other)


def _asked(prompt: Prompt, pause: Pause) -> str:
    """The question of a prompt, and what the model has asked its tools to answer it."""
    first = max(0, current_turn(prompt.fragments)[1])
    calls = [each.text for each in prompt.fragments[first:] if each.role is Role.ASSISTANT]
    return "\n".join((question_of(prompt, pause=pause), *calls))


def _is_asked(entry: Entry, asked: str, written: int | None) -> bool:
    """Whether an operation has embedded the question, or the one that a model has made of it."""
    question = entry.question
    if not question:
        return False
    return question in asked or (written is not None and hash_of_question(question) == written)


def _keep(query: OpenQuery, chunks: Sequence[KnownChunk]) -> None:
    """Add chunks to a query's own: of a text that came twice the first one counts, which has the better rank."""
    for chunk in chunks:
        query.chunks.setdefault(chunk.key, chunk)
    while len(query.chunks) > MOST_CHUNKS:
        del query.chunks[next(iter(query.chunks))]


def _rank(query: OpenQuery, chunks: Sequence[KnownChunk]) -> None:
    """Give a query's chunks the rank they have in a later ranking, and its score where it gives one.

    What it leaves out keeps what it had.
    """
    for chunk in reversed(chunks):
        known = query.chunks.get(chunk.key)
        if known is not None:
            last = known if chunk.score is None else chunk
            query.chunks[chunk.key] = replace(
                known, rank=chunk.rank, score=last.score, score_is_distance=last.score_is_distance
            )
