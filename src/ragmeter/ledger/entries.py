"""What the ledger keeps of operations, and what it posts of a query: made out of what was metered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum

from ragmeter.domain import strategy
from ragmeter.domain.model import Fate, KnownChunk, OperationKind, Origin
from ragmeter.domain.pausing import Pause, paused, without_pause
from ragmeter.domain.query import QueryHandle
from ragmeter.ledger.metering import ContextUse, Metered
from ragmeter.money.pricing import Cost, Part

LONGEST_QUESTION = 4_000
"""Characters of an embedded text that are kept to find its question again."""


@dataclass(frozen=True, slots=True)
class ContextSum:
    """All places of chunks with one fate and collection in a prompt, together."""

    fate: Fate
    collection: str | None
    chunks: int
    cited: int
    tokens: int
    stale_tokens: int
    cost: float | None
    uses: Sequence[ContextUse] = ()

    @property
    def ranks(self) -> list[int]:
        """The ranks of the chunks in their last ranking, from 1, where they are known."""
        return [use.place.chunk.rank + 1 for use in self.uses if use.place.chunk.rank is not None]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger keeps of an operation: no text but that of a single embedding, by which its question is found.

    A search has the question that was embedded within it. `is_within` says that its times are those of another.
    """

    kind: OperationKind
    provider: str
    model: str | None
    started: int
    ended: int
    error_type: str | None
    cost: Cost
    parts: tuple[Part, ...]
    context: tuple[ContextSum, ...]
    strategy: str
    question: str | None
    ingests: bool = False
    is_within: bool = False
    units: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_timed_search(self) -> bool:
        """Whether it is a search of which its time is known."""
        return self.kind.means.searches and not self.is_within

    @property
    def answers(self) -> bool:
        """Whether a model has answered somebody: not where it wrote of documents on their way into an index."""
        return self.kind.is_inference and not self.ingests

    def tokens_of(self, *origins: Origin) -> int:
        """Tokens of its prompt that came from these."""
        return sum(part.tokens for part in self.parts if part.part in origins)


@dataclass(frozen=True, slots=True)
class QueryReport:
    """One query as it is posted: `counts` is false for what came in after its query had been posted.

    Durations in seconds; `cost` in US dollars, `None` when an answer in it has no known price, or nothing has; `unsent`
    are the chunks that were retrieved and stand in no prompt.
    """

    strategy: str
    labels: Mapping[str, str]
    operations: tuple[Entry, ...]
    counts: bool
    duration: float
    search_duration: float
    cost: float | None
    error_type: str | None
    handle: QueryHandle
    unsent: tuple[KnownChunk, ...]

    @property
    def unsent_by_collection(self) -> Mapping[str | None, int]:
        """How many chunks of each collection stand in no prompt."""
        return Counter([chunk.collection for chunk in self.unsent])


def entries_of(metered: Metered, within: Sequence[Metered] = (), pause: Pause = without_pause) -> list[Entry]:
    """What the ledger keeps of a metered call: what was made within it, and last the call itself.

    They have one question, so that an answer to it gets all of them.
    """
    entries = [_entry_of(each, pause) for each in (*within, metered)]
    asked = next((entry.question for entry in entries if entry.question), None)
    return [replace(entry, question=asked) for entry in entries] if within and asked else entries


def _entry_of(metered: Metered, pause: Pause) -> Entry:
    operation = metered.operation
    fragments = operation.prompt.fragments
    embeds_one = operation.request.kind.means.embeds and len(fragments) == 1
    return Entry(
        kind=operation.request.kind,
        provider=operation.request.provider,
        model=operation.model,
        started=operation.started,
        ended=operation.started + int(operation.duration * 1e9),
        error_type=operation.error_type,
        cost=metered.cost,
        parts=metered.parts,
        context=_context_sums(metered.context, pause),
        strategy=metered.strategy,
        question=fragments[0].text.strip()[:LONGEST_QUESTION] if embeds_one else None,
        ingests=metered.ingests,
        is_within=operation.is_within,
        units={} if metered.usage is None else metered.usage.units,
    )


def _context_sums(context: Sequence[ContextUse], pause: Pause) -> tuple[ContextSum, ...]:
    groups: dict[tuple[Fate, str | None], list[ContextUse]] = {}
    for use in paused(context, pause):
        groups.setdefault((use.place.fate, use.place.chunk.collection), []).append(use)
    return tuple([_context_sum(fate, collection, uses, pause) for (fate, collection), uses in groups.items()])


def _context_sum(fate: Fate, collection: str | None, uses: Sequence[ContextUse], pause: Pause) -> ContextSum:
    known = [use.cost for use in paused(uses, pause) if use.cost is not None]
    return ContextSum(
        fate=fate,
        collection=collection,
        chunks=len(uses),
        cited=sum([use.place.is_cited for use in paused(uses, pause)]),
        tokens=sum([use.tokens for use in paused(uses, pause)]),
        stale_tokens=sum([use.tokens for use in paused(uses, pause) if use.place.is_stale]),
        cost=sum(known) if known else None,
        uses=uses,
    )


def report_of(
    handle: QueryHandle, operations: tuple[Entry, ...], labels: Mapping[str, str], unsent: tuple[KnownChunk, ...]
) -> QueryReport:
    """What is posted for a query, whose handle learns its strategy and that it was posted."""
    inferences = [entry for entry in operations if entry.answers]
    searches = [entry for entry in operations if entry.is_timed_search]
    counts = bool(inferences) and not handle.posted
    if inferences:
        handle.posted = True
        handle.strategy = handle.strategy or strategy.highest(entry.strategy for entry in inferences)
    return QueryReport(
        strategy=_strategy_of(handle),
        labels={**labels, **handle.labels},
        operations=operations,
        counts=counts,
        duration=_duration(handle, operations),
        search_duration=_covered(searches),
        cost=_cost(operations),
        error_type=handle.error_type or _last_error(inferences),
        handle=handle,
        unsent=unsent,
    )


def _strategy_of(handle: QueryHandle) -> str:
    """The strategy of a query once it has been counted: what has no answer belongs to none, whatever the app said."""
    return (handle.strategy if handle.posted else None) or strategy.NONE


def _last_error(inferences: Sequence[Entry]) -> str | None:
    return inferences[-1].error_type if inferences else None


def _cost(operations: Iterable[Entry]) -> float | None:
    """What the operations cost together: unknown, and not a smaller sum, when the price of an answer is unknown.

    Only answers make a sum unknown: an embedding by a server of the app's own, which no table has, would else take the
    cost of every query that searches.
    """
    amounts = [(entry.cost.amount, entry.answers) for entry in operations]
    if any(amount is None and is_answer for amount, is_answer in amounts):
        return None
    known = [amount for amount, _ in amounts if amount is not None]
    total = fsum(known)
    # Nothing beside something unknown is no sum: an answer that was refused, and the embedding before it.
    return total if known and (total or len(known) == len(amounts)) else None


def _duration(handle: QueryHandle, entries: tuple[Entry, ...]) -> float:
    """From the start of the scope or of the first operation to the end of the last, in seconds."""
    if not entries:
        return 0.0
    first, last = min(entry.started for entry in entries), max(entry.ended for entry in entries)
    started = first if handle.started is None else min(handle.started, first)
    ended = last if handle.ended is None else max(handle.ended, last)
    return (ended - started) / 1e9


def _covered(entries: Iterable[Entry]) -> float:
    """The time during which at least one of the operations ran, in seconds: searches in parallel are not added up."""
    total, reached = 0, 0
    for start, end in sorted((entry.started, entry.ended) for entry in entries):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total / 1e9
