"""One finished operation measured: tokens, strategy, parts and cost. Pure; the worker calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragmeter import anatomy, pricing, strategy
from ragmeter.anatomy import Place
from ragmeter.model import Chunk, Operation, OperationKind, Origin, PriceState, Usage
from ragmeter.pricing import Cost, Part, RateCard
from ragmeter.weights import estimate_tokens

SINGLE_PART = {
    OperationKind.EMBEDDINGS: "embedding",
    OperationKind.SEARCH: "search",
    OperationKind.RERANK: "rerank",
}


@dataclass(frozen=True, slots=True)
class Metered:
    """An operation with everything derived from it.

    `usage` is the provider's, or with `estimated` our own estimate; `found` are the chunks that stand in its prompt.
    """

    operation: Operation
    usage: Usage | None
    estimated: bool
    cost: Cost
    parts: tuple[Part, ...]
    strategy: str
    found: tuple[Chunk, ...] = ()

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
    operation: Operation, places: Sequence[Place], card: RateCard | None, *, fine_tuned: bool
) -> Metered:
    """Measure a call of a model; `places` are where retrieved text stands in its prompt.

    An operation whose prompt was not kept has all its input in `other`; totals stay what they are.
    """
    usage, estimated = tokens_of(operation)
    cost = cost_of(operation, usage, card, estimated=estimated)
    parts: tuple[Part, ...] = ()
    if usage is not None:
        segments = anatomy.segments(operation.prompt, places)
        shares = anatomy.apportion(segments, usage.input_tokens or 0, has_media=operation.prompt.has_media)
        parts = pricing.split(usage, shares, cost)
    retrieved = bool(places) or operation.response.retrieved
    found = tuple({id(place.chunk): place.chunk for place in places}.values())
    label = strategy.derive(fine_tuned=fine_tuned, retrieved=retrieved)
    return Metered(operation, usage, estimated, cost, parts, label, found)


def meter_other(operation: Operation, card: RateCard | None) -> Metered:
    """Measure an embedding, a search or a rerank.

    A search that reports no usage has no price of its own: a database is paid by the month.
    """
    usage, estimated = tokens_of(operation)
    if operation.request.kind is OperationKind.SEARCH and usage is None:
        return Metered(operation, None, estimated, Cost(0.0, PriceState.PRICED, {}), (), strategy.NONE)
    cost = cost_of(operation, usage, card, estimated=estimated)
    parts = () if usage is None else pricing.single(SINGLE_PART[operation.request.kind], usage, cost)
    return Metered(operation, usage, estimated, cost, parts, strategy.NONE)


def tokens_of(operation: Operation) -> tuple[Usage | None, bool]:
    """The operation's usage, with what nobody reported estimated from its texts, and whether anything was."""
    usage, response = operation.response.usage, operation.response
    if usage is not None and not response.usage_is_early:
        return usage, False
    if operation.request.kind in (OperationKind.SEARCH, OperationKind.RERANK) or response.pending:
        return usage, False
    if usage is None and operation.error_type is not None and not response.text:
        return None, False
    texts = [part.text for part in operation.prompt.parts]
    estimate = Usage(
        input_tokens=estimate_tokens(*texts),
        output_tokens=estimate_tokens("".join(response.text)) if operation.request.kind.is_inference else None,
    )
    if usage is None:
        return estimate, True
    # Cut short: the provider's last word on the output is older than what the app has received.
    output = max(usage.output_tokens or 0, estimate.output_tokens or 0)
    known_input = estimate.input_tokens if usage.input_tokens is None else usage.input_tokens
    return replace(usage, input_tokens=known_input, output_tokens=output), True


def cost_of(operation: Operation, usage: Usage | None, card: RateCard | None, *, estimated: bool) -> Cost:
    """The cost of an operation; one that the provider refused costs nothing, by every provider's terms."""
    if usage is None and operation.is_refused:
        return Cost(0.0, PriceState.PRICED, {})
    return pricing.price(usage, card, estimated=estimated)
