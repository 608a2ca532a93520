"""One finished operation measured: tokens, strategy, parts, context and cost. Pure; the worker calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragmeter import anatomy, pricing, strategy
from ragmeter.anatomy import Dissection, JudgedPlace, Share
from ragmeter.model import Operation, OperationKind, Origin, PriceState, Usage
from ragmeter.pricing import Cost, Part, RateCard
from ragmeter.weights import Weigher, tokenizer_of

SINGLE_PART = {
    OperationKind.EMBEDDINGS: "embedding",
    OperationKind.SEARCH: "search",
    OperationKind.RERANK: "rerank",
}


@dataclass(frozen=True, slots=True)
class ContextUse:
    """One place of a chunk in a prompt: what became of it, and what it took of the prompt's tokens and cost."""

    place: JudgedPlace
    tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class Metered:
    """An operation with everything derived from it.

    `usage` is the provider's, or with `estimated` our own estimate; `context` are the chunks that stand in its prompt.
    """

    operation: Operation
    usage: Usage | None
    estimated: bool
    cost: Cost
    parts: tuple[Part, ...]
    strategy: str
    context: tuple[ContextUse, ...] = ()

    @property
    def context_tokens(self) -> int:
        """Prompt tokens of retrieved text."""
        return self._tokens(Origin.CONTEXT)

    @property
    def stale_tokens(self) -> int:
        """Prompt tokens of retrieved text that stands in earlier turns."""
        return sum(use.tokens for use in self.context if use.place.is_stale)

    @property
    def question_tokens(self) -> int:
        """Prompt tokens of the question alone."""
        return self._tokens(Origin.QUESTION)

    def _tokens(self, origin: Origin) -> int:
        return sum(part.tokens for part in self.parts if part.part == origin)


def meter_inference(
    operation: Operation, dissection: Dissection, card: RateCard | None, weigher: Weigher, *, fine_tuned: bool
) -> Metered:
    """Measure a call of a model whose prompt was taken apart as `dissection` says.

    An operation whose prompt was not kept has all its input in `other`; totals stay what they are.
    """
    usage, estimated = tokens_of(operation, weigher)
    cost = cost_of(operation, usage, card, estimated=estimated)
    parts: tuple[Part, ...] = ()
    if usage is not None:
        parts = pricing.split(usage, anatomy.apportion(dissection, usage.input_tokens or 0), cost)
    retrieved = bool(dissection.places) or operation.response.retrieved
    label = strategy.derive(fine_tuned=fine_tuned, retrieved=retrieved)
    context = context_of(dissection.places, parts)
    return Metered(operation, usage, estimated, cost, pricing.merged(parts), label, context)


def context_of(places: Sequence[JudgedPlace], parts: Sequence[Part]) -> tuple[ContextUse, ...]:
    """What each place took of the tokens and of the cost of its prompt's parts."""
    tokens = [0] * len(places)
    # A chunk that got no whole token costs nothing where there is a price, and nobody knows what where there is none.
    nothing = 0.0 if any(part.cost is not None for part in parts) else None
    costs: list[float | None] = [nothing] * len(places)
    for part in parts:
        if part.place is not None:
            tokens[part.place] += part.tokens
            if part.cost is not None:
                costs[part.place] = (costs[part.place] or 0.0) + part.cost
    return tuple(ContextUse(*each) for each in zip(places, tokens, costs, strict=True))


def meter_other(operation: Operation, card: RateCard | None, weigher: Weigher) -> Metered:
    """Measure an embedding, a search or a rerank.

    A search that reports no usage has no price of its own: a database is paid by the month.
    """
    usage, estimated = tokens_of(operation, weigher)
    if operation.request.kind is OperationKind.SEARCH and usage is None:
        return Metered(operation, None, estimated, Cost(0.0, PriceState.PRICED, {}), (), strategy.NONE)
    cost = cost_of(operation, usage, card, estimated=estimated)
    parts = () if usage is None else pricing.single(SINGLE_PART[operation.request.kind], usage, cost)
    return Metered(operation, usage, estimated, cost, parts, strategy.NONE)


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
    """The operation's usage, with what nobody reported estimated from its texts, and whether anything was."""
    usage, response = operation.response.usage, operation.response
    if usage is not None and not response.usage_is_early:
        return usage, False
    if operation.request.kind in (OperationKind.SEARCH, OperationKind.RERANK) or response.pending:
        return usage, False
    if usage is None and operation.error_type is not None and not (response.text or response.reasoning):
        return None, False
    tokenizer = tokenizer_of(operation.model)
    is_inference = operation.request.kind.is_inference
    written = ("".join(response.reasoning), "".join(response.text))
    estimate = Usage(
        input_tokens=weigher.estimate((part.text for part in operation.prompt.parts), tokenizer),
        output_tokens=weigher.estimate(written, tokenizer) if is_inference else None,
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
