"""Spans: started on the caller's thread with what samplers read, filled and ended on the worker."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from ragmeter.anatomy.wire_order import cache_order
from ragmeter.domain import gate
from ragmeter.domain.model import Fate, Operation, Prompt, Request, Response, TextKey
from ragmeter.domain.pausing import Pause, paused, without_pause
from ragmeter.ledger.metering import ContextUse, Metered
from ragmeter.naming import semconv

Attributes = dict[str, Any]

PARAMETERS = {"conversation.id": semconv.CONVERSATION_ID, "output.type": semconv.OUTPUT_TYPE}
"""Parameters of a request whose attributes are not under `gen_ai.request.`."""

PLAIN = frozenset((int, float, bool))
"""Types of which every value can be encoded."""

_MARK_KEY = secrets.token_bytes(16)


class Tracing:
    """Starts, fills and ends the spans of operations and queries.

    `capture_content` adds the messages, `capture_chunks` each chunk's id, fate, rank and tokens.
    """

    def __init__(
        self, tracer: Tracer, *, capture_content: bool, capture_chunks: bool, pause: Pause = without_pause
    ) -> None:
        self._pause = pause
        self._tracer = tracer
        self._capture_content = capture_content
        self._capture_chunks = capture_chunks

    def start_span(self, request: Request, started: int, parent: Context) -> tuple[Span, Context]:
        """The span of an operation and the context in which it is current."""
        attributes = _sendable(_start_attributes(request))
        span = self._tracer.start_span(
            gate.text(_span_name(request)), parent, SpanKind.CLIENT, attributes=attributes, start_time=started
        )
        return span, trace.set_span_in_context(span, parent)

    def start_query(self, name: str | None, started: int) -> Span:
        """The span of a `ragmeter.query()` scope."""
        attributes = {} if name is None else {semconv.QUERY_NAME: _encodable(name)}
        return self._tracer.start_span(
            "query" if name is None else gate.text(f"query {name}"),
            otel_context.get_current(),
            SpanKind.INTERNAL,
            attributes=attributes,
            start_time=started,
        )

    def end_span(self, span: Span, metered: Metered) -> None:
        """Fill in what the operation turned out to be, and end its span at the time the call ended."""
        operation = metered.operation
        try:
            if span.is_recording():
                span.set_attributes(self._attributes(metered))
                if operation.error_type is not None:
                    span.set_status(StatusCode.ERROR)
        finally:
            span.end(operation.started + int(operation.duration * 1e9))

    def add_span(self, around: Span, metered: Metered) -> None:
        """The span of an operation that its provider has made within the call of the span `around`.

        No client asked for it, so it is internal; it lasts as long as the call, for that is all that is known of it.
        """
        operation, parent = metered.operation, trace.set_span_in_context(around, Context())
        name, attributes = gate.text(_span_name(operation.request)), _sendable(_start_attributes(operation.request))
        started = operation.started
        span = self._tracer.start_span(name, parent, SpanKind.INTERNAL, attributes=attributes, start_time=started)
        self.end_span(span, metered)

    def end_query(self, span: Span, ended: int, attributes: Mapping[str, Any], error_type: str | None) -> None:
        """End the span of a query scope with what the query cost."""
        span.set_attributes(_sendable({**attributes, semconv.ERROR_TYPE: error_type}))
        if error_type is not None:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def _attributes(self, metered: Metered) -> Attributes:
        operation = metered.operation
        found = _database_end(operation) if operation.request.kind.means.of_database else _model_end(operation)
        if metered.usage is not None or not operation.request.kind.means.of_database:
            found |= _usage(metered) | _cost(metered)
        if operation.request.kind.is_inference:
            found |= _anatomy(metered, self._pause)
            if self._capture_chunks:
                found |= _chunks(metered, self._pause)
            if self._capture_content:
                found |= _content(operation.prompt, operation.response, self._pause)
        found[semconv.ERROR_TYPE] = operation.error_type
        return _sendable(found)


def _sendable(attributes: Mapping[str, Any]) -> Attributes:
    """What is known of these, in text that can be encoded: one text that cannot be costs a whole batch of spans."""
    known = {key: value for key, value in attributes.items() if value is not None}
    return {key: value if type(value) in PLAIN else _encodable(value) for key, value in known.items()}


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return gate.text(value)
    if isinstance(value, tuple | list):
        return tuple(gate.text(each) if isinstance(each, str) else each for each in value)
    return value


def _span_name(request: Request) -> str:
    if request.kind.means.of_database:
        return f"{request.method or request.kind.value} {request.collection or ''}".rstrip()
    return f"{request.kind.value} {request.model or ''}".rstrip()


def _start_attributes(request: Request) -> Attributes:
    """What samplers may read."""
    if request.kind.means.of_database:
        found: Attributes = {
            semconv.DB_SYSTEM: request.provider,
            semconv.DB_OPERATION: request.method,
            semconv.DB_COLLECTION: request.collection,
            semconv.DB_NAMESPACE: request.namespace,
            semconv.DB_SUMMARY: gate.name(_span_name(request)),
            semconv.TOP_K: request.top_k,
        }
    else:
        found = {
            semconv.OPERATION_NAME: request.kind.value,
            semconv.PROVIDER_NAME: request.provider,
            semconv.REQUEST_MODEL: request.model,
        }
    found[semconv.SERVER_ADDRESS] = request.server_address
    found[semconv.SERVER_PORT] = request.server_port
    return found


def _database_end(operation: Operation) -> Attributes:
    if not operation.request.kind.means.is_retrieval:
        return {}
    chunks = operation.response.chunks
    # Of a batch there is no one best score.
    scores = [chunk.score for chunk in chunks if chunk.score is not None] if len(operation.response.found) < 2 else []
    rows = len(chunks) if operation.error_type is None else None
    questions = len(operation.response.found)
    return {
        semconv.DB_ROWS: rows,
        semconv.DB_BATCH_SIZE: questions if questions > 1 else None,
        semconv.TOP_SCORE: scores[0] if scores else None,
    }


def _model_end(operation: Operation) -> Attributes:
    request, response = operation.request, operation.response
    found: Attributes = {_parameter_name(name): value for name, value in operation.parameters.items()}
    found |= {
        semconv.REQUEST_STREAM: True if request.streams else None,
        semconv.RESPONSE_MODEL: response.model,
        semconv.RESPONSE_ID: response.id,
        semconv.FINISH_REASONS: response.finish_reasons or None,
        semconv.TIME_TO_FIRST_CHUNK: operation.time_to_first_chunk,
        semconv.SERVICE_TIER: response.service_tier,
    }
    return found


def _parameter_name(name: str) -> str:
    return PARAMETERS.get(name) or f"{semconv.REQUEST_PARAMETER}{name}"


def _usage(metered: Metered) -> Attributes:
    # Only what the provider reported goes under the standard names; an estimate never does.
    usage = metered.operation.response.usage
    if usage is None:
        return {semconv.TOKENS_ESTIMATED: True if metered.estimated else None}
    return {
        **{attribute: getattr(usage, count) for count, attribute in semconv.USAGE.items()},
        **{f"{semconv.UNITS_OF}{unit}": number for unit, number in usage.units.items()},
        semconv.TOKENS_ESTIMATED: True if metered.estimated else None,
    }


def _cost(metered: Metered) -> Attributes:
    cost = metered.cost
    return {
        semconv.COST_AMOUNT: cost.amount,
        semconv.COST_CURRENCY: None if cost.amount is None else "USD",
        semconv.COST_SOURCE: cost.source,
        semconv.PRICE_ROW: cost.row,
        semconv.PRICE_STATE: cost.state.value,
        semconv.CACHE_ORDER: cache_order(metered.operation),
    }


def _anatomy(metered: Metered, pause: Pause) -> Attributes:
    found: Attributes = {semconv.STRATEGY: metered.strategy} | _context(metered, pause)
    for part in metered.parts:
        name = f"{semconv.PART_TOKENS}{part.part}"
        found[name] = found.get(name, 0) + part.tokens
    if metered.usage is not None and metered.question_tokens:
        found[semconv.BLOAT_FACTOR] = (metered.usage.input_tokens or 0) / metered.question_tokens
    return found


def _context(metered: Metered, pause: Pause) -> Attributes:
    """What became of the retrieved text in the prompt, by fate; nothing of it where there is none."""
    uses = metered.context
    if not uses:
        return {}
    stale = sum([use.tokens for use in paused(uses, pause) if use.place.is_stale])
    total = metered.usage.input_tokens if metered.usage is not None else None
    found: Attributes = {
        semconv.CONTEXT_CHUNKS: len({use.place.chunk.key for use in paused(uses, pause)}),
        semconv.CONTEXT_SHARE_OF_INPUT: metered.context_tokens / total if total else None,
        semconv.CONTEXT_STALE: stale or None,
        semconv.CONTEXT_CITED: sum([use.place.is_cited for use in paused(uses, pause)]) or None,
        semconv.LAST_USED_RANK: _last_used_rank(uses, pause),
    }
    return found | _by_fate(uses, pause)


def _last_used_rank(uses: Sequence[ContextUse], pause: Pause) -> int | None:
    ranks = [use.place.chunk.rank for use in paused(uses, pause) if use.place.fate is Fate.USED]
    return max((rank + 1 for rank in ranks if rank is not None), default=None)


def _by_fate(uses: Sequence[ContextUse], pause: Pause) -> Attributes:
    """Places and tokens of each fate."""
    found: Counter[str] = Counter()
    for use in paused(uses, pause):
        found[f"{semconv.CONTEXT_CHUNKS_OF}{use.place.fate.value}"] += 1
        found[f"{semconv.CONTEXT_TOKENS_OF}{use.place.fate.value}"] += use.tokens
    return dict(found)


def _chunks(metered: Metered, pause: Pause) -> Attributes:
    """Each place of a chunk by itself, in the order of the prompt."""
    places = [use.place for use in paused(metered.context, pause)]
    if not places:
        return {}
    return {
        semconv.CHUNK_IDS: [place.chunk.id or _mark(place.chunk.key) for place in paused(places, pause)],
        semconv.CHUNK_FATES: [place.fate.value for place in paused(places, pause)],
        semconv.CHUNK_RANKS: [
            0 if place.chunk.rank is None else place.chunk.rank + 1 for place in paused(places, pause)
        ],
        semconv.CHUNK_TOKENS: [use.tokens for use in paused(metered.context, pause)],
    }


def _mark(key: TextKey) -> str:
    """A chunk without an id of its own: the same mark for the same text within this process, and nowhere else."""
    return blake2b(repr(key).encode(), digest_size=8, key=_MARK_KEY).hexdigest()


def _content(prompt: Prompt, response: Response, pause: Pause) -> Attributes:
    given = [_message(each.role.value, each.text) for each in paused(prompt.fragments, pause)]
    answer = _message("assistant", "".join(response.text))
    return {semconv.INPUT_MESSAGES: f"[{', '.join(given)}]", semconv.OUTPUT_MESSAGES: f"[{answer}]"}


def _message(role: str, text: str) -> str:
    return json.dumps({"role": role, "parts": [{"type": "text", "content": text}]}, ensure_ascii=False)
