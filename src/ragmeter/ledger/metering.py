"""One finished operation measured: tokens, strategy, parts, context and cost. Pure; the worker calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragmeter.anatomy.parts import Dissection, JudgedPlace, Share, apportion
from ragmeter.anatomy.weights import Weigher, tokenizer_of
from ragmeter.domain import strategy
from ragmeter.domain.model import (
    COUNTS,
    Count,
    Fate,
    Operation,
    OperationKind,
    Origin,
    PriceState,
    Response,
    Usage,
)
from ragmeter.domain.pausing import Pause, paused, without_pause
from ragmeter.money import pricing
from ragmeter.money.pricing import Cost, Part, RateCard

PARTS = tuple(count for count in COUNTS if count.part_of is not None)
"""The counts that another one holds."""

FREE = Cost(0.0, PriceState.PRICED, {})
"""What costs nothing, and that is known."""


@dataclass(frozen=True, slots=True)
class ContextUse:
    """One place of a chunk in a prompt: what became of it, and what it took of the prompt's tokens and cost."""

    place: JudgedPlace
    tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class Metered:
    """An operation with everything derived from it.

    `usage` is the provider's, or with `estimated` our own estimate; `context` are the chunks that stand in its prompt,
    and those of which nobody knows whether they do. `ingests` says that it brings documents into an index.
    """

    operation: Operation
    usage: Usage | None
    estimated: bool
    cost: Cost
    parts: tuple[Part, ...]
    strategy: str
    context: tuple[ContextUse, ...] = ()
    ingests: bool = False

    @property
    def answers(self) -> bool:
        """Whether a model has answered somebody: not where it wrote of documents on their way into an index."""
        return self.operation.request.kind.is_inference and not self.ingests

    @property
    def context_tokens(self) -> int:
        """Prompt tokens of retrieved text."""
        return self._tokens(Origin.CONTEXT)

    @property
    def question_tokens(self) -> int:
        """Prompt tokens of the question alone."""
        return self._tokens(Origin.QUESTION)

    def _tokens(self, origin: Origin) -> int:
        return sum(part.tokens for part in self.parts if part.part == origin)


def meter_inference(
    operation: Operation,
    dissection: Dissection,
    card: RateCard | None,
    weigher: Weigher,
    *,
    fine_tuned: bool,
    pause: Pause = without_pause,
) -> Metered:
    """Measure a call of a model whose prompt was taken apart as `dissection` says.

    An operation whose prompt was not kept has all its input in `other`; totals stay what they are.
    """
    usage, estimated = tokens_of(operation, weigher)
    cost = cost_of(operation, usage, card, estimated=estimated)
    parts: tuple[Part, ...] = ()
    if usage is not None:
        parts = pricing.split(usage, apportion(dissection, usage.input_tokens or 0, pause), cost, pause)
    retrieved = bool(dissection.places) or operation.response.retrieved
    label = strategy.derive(fine_tuned=fine_tuned, retrieved=retrieved)
    unsettled = paused(dissection.unsettled, pause)
    unknown = [ContextUse(JudgedPlace(chunk, Fate.UNKNOWN), 0, None) for chunk in unsettled]
    context = (*context_of(dissection.places, parts, pause), *unknown)
    return Metered(operation, usage, estimated, cost, pricing.merged(parts, pause), label, context)


def context_of(
    places: Sequence[JudgedPlace], parts: Sequence[Part], pause: Pause = without_pause
) -> tuple[ContextUse, ...]:
    """What each place took of the tokens and of the cost of its prompt's parts."""
    tokens = [0] * len(places)
    # A chunk that got no whole token costs nothing where there is a price, and nobody knows what where there is none.
    nothing = 0.0 if any(part.cost is not None for part in paused(parts, pause)) else None
    costs: list[float | None] = [nothing] * len(places)
    for part in paused(parts, pause):
        if part.place is not None:
            tokens[part.place] += part.tokens
            if part.cost is not None:
                costs[part.place] = (costs[part.place] or 0.0) + part.cost
    return tuple([ContextUse(*each) for each in zip(paused(places, pause), tokens, costs, strict=True)])


def meter_other(
    operation: Operation,
    card: RateCard | None,
    weigher: Weigher,
    *,
    alone: bool = False,
    ingests: bool | None = None,
) -> Metered:
    """Measure what is no inference: an embedding, a search, a rerank, documents on their way into an index.

    `alone` says that it was made in no query; `ingests` is given where the call that it was made within tells. A
    database that counts nothing has no price of its own unless the app gives its requests one: it is paid by the month.
    """
    ingests = _is_ingestion(operation, alone=alone, told=ingests)
    usage, estimated = tokens_of(operation, weigher)
    if usage is None and operation.request.kind.means.of_database:
        usage = _asked_of_database(operation, card)
        if usage is None:
            return Metered(operation, None, estimated, FREE, (), strategy.NONE, ingests=ingests)
    if usage is not None and card is not None and not pricing.covers(card, usage):
        card = None
    cost = cost_of(operation, usage, card, estimated=estimated)
    part = (OperationKind.INGESTION if ingests else operation.request.kind).means.part or Origin.OTHER.value
    parts = () if usage is None else pricing.single(part, usage, cost)
    return Metered(operation, usage, estimated, cost, parts, strategy.NONE, ingests=ingests)


def _asked_of_database(operation: Operation, card: RateCard | None) -> Usage | None:
    """The usage of a database's call that counts nothing: one request, where the app has given it a price."""
    if card is None or operation.error_type is not None or not pricing.prices_requests(card):
        return None
    return Usage()


def _is_ingestion(operation: Operation, *, alone: bool, told: bool | None) -> bool:
    """Whether documents are on their way into an index.

    A database's client tells; of embeddings made `alone`, in no query, those of several texts at once are taken for it.
    """
    if told is not None:
        return told
    means = operation.request.kind.means
    return means.ingests or (alone and means.embeds and len(operation.prompt.fragments) > 1)


def meter_barely(operation: Operation) -> Metered:
    """Count an operation that could not be measured: what the provider reported, without a price."""
    usage = operation.response.usage
    parts: tuple[Part, ...] = ()
    if usage is not None:
        parts = pricing.split(usage, (Share(Origin.OTHER, usage.input_tokens or 0),), pricing.UNPRICED)
    label = strategy.BASE if operation.request.kind.is_inference else strategy.NONE
    return Metered(
        operation, usage, estimated=False, cost=pricing.UNPRICED, parts=pricing.merged(parts), strategy=label
    )


def tokens_of(operation: Operation, weigher: Weigher) -> tuple[Usage | None, bool]:
    """The operation's usage, with what nobody reported estimated from its texts, and whether anything was.

    No part of it is larger than its whole, whatever the provider has said.
    """
    usage = operation.response.usage
    if _is_complete(operation) or not _has_texts(operation):
        return None if usage is None else bounded(usage), False
    known = usage or Usage()
    if _is_of_numbers(operation):
        # Given as numbers, they need not be counted by anybody else.
        return bounded(replace(known, input_tokens=operation.prompt.tokens)), False
    completed = _completed(known, _with_total(known, _estimate(operation, weigher)))
    if usage is None and not (completed.input_tokens or completed.output_tokens):
        return None, False
    return bounded(completed), True


def _is_of_numbers(operation: Operation) -> bool:
    """Whether all that was embedded was given as tokens."""
    prompt = operation.prompt
    return bool(prompt.tokens) and not prompt.fragments and not operation.request.kind.is_inference


def _completed(known: Usage, estimate: Usage) -> Usage:
    """What the provider has counted, and the estimate of what it has not."""
    tokens = estimate.input_tokens if known.input_tokens is None else known.input_tokens
    # Cut short: the provider's last word on the output is older than what the app has received.
    outputs = [each for each in (known.output_tokens, estimate.output_tokens) if each is not None]
    return replace(known, input_tokens=tokens, output_tokens=max(outputs, default=None))


def bounded(usage: Usage) -> Usage:
    """`usage` with no part larger than its whole; where one was, what it costs can only be estimated."""
    bound = usage
    for count in PARTS:
        part: int | None = getattr(bound, count.field)
        most = None if part is None else _most(bound, count)
        if part is not None and most is not None and part > most:
            changed: dict[str, Any] = {count.field: most}
            bound = replace(bound, **changed, inexact=True)
    return bound


def _most(usage: Usage, count: Count) -> int | None:
    """The largest that a count can be, which is what the count that holds it leaves."""
    whole: int | None = None if count.part_of is None else getattr(usage, count.part_of)
    if whole is not None and count.field == "cache_write_tokens":
        # What was written was not read.
        return whole - (usage.cache_read_tokens or 0)
    return whole


def _is_complete(operation: Operation) -> bool:
    """Whether the provider has counted all of it."""
    usage = operation.response.usage
    if usage is None or usage.input_tokens is None or operation.response.usage_is_early:
        return False
    return usage.output_tokens is not None or not operation.request.kind.is_inference


def _has_texts(operation: Operation) -> bool:
    """Whether tokens can be told from the texts of an operation: something was asked of a model, and has come."""
    request, response = operation.request, operation.response
    if not request.kind.means.has_texts or response.pending or response.unanswered:
        return False
    if operation.error_type is not None:
        return response.usage is not None or bool(response.text or response.reasoning)
    # Of a stream that has given nothing nobody knows whether there was an answer.
    return not request.streams or response != Response() or operation.time_to_first_chunk is not None


def _estimate(operation: Operation, weigher: Weigher) -> Usage:
    """Tokens by the texts; those of a prompt that cannot be read are unknown, not none."""
    tokenizer, prompt, response = tokenizer_of(operation.model), operation.prompt, operation.response
    written = ("".join(response.reasoning), "".join(response.text))
    return Usage(
        input_tokens=(weigher.estimate((each.text for each in prompt.fragments), tokenizer) + prompt.tokens) or None,
        output_tokens=weigher.estimate(written, tokenizer) if operation.request.kind.is_inference else None,
    )


def _with_total(known: Usage, estimate: Usage) -> Usage:
    """The estimate, brought to the provider's total where that is all it has reported."""
    total = known.total_tokens
    if not total or known.input_tokens is not None or known.output_tokens is not None:
        return estimate
    both = (estimate.input_tokens or 0) + (estimate.output_tokens or 0)
    output = total * (estimate.output_tokens or 0) // both if both else 0
    return Usage(input_tokens=total - output, output_tokens=output)


def cost_of(operation: Operation, usage: Usage | None, card: RateCard | None, *, estimated: bool) -> Cost:
    """The cost of an operation; one that the provider refused costs nothing, by every provider's terms."""
    if usage is None and operation.is_refused:
        return FREE
    cost = pricing.price(usage, card, estimated=estimated)
    if operation.response.usage_is_early and cost.amount is not None:
        # Also what the provider itself has said before the end is not all of it.
        return replace(cost, state=PriceState.ESTIMATED)
    return cost
