"""Which calls are recorded, and under what names: decided on the caller's thread before a call is made.

Every step of ours is guarded: a call that cannot be read is made as without us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span

from ragmeter.domain import gate
from ragmeter.domain.model import Chunk, Request
from ragmeter.guard import Guard
from ragmeter.reading.declaration import Call, Reading, Target
from ragmeter.reading.providers import declared_provider
from ragmeter.reading.shapes.fields import size_of
from ragmeter.wrapping.exchange import TOLD, exchange_around
from ragmeter.wrapping.late_start import LateStart
from ragmeter.wrapping.observation import Moment, Observation
from ragmeter.wrapping.others_spans import is_recorded_by
from ragmeter.wrapping.records import Pieces, Record, Retrieved
from ragmeter.wrapping.scopes import Scopes
from ragmeter.wrapping.under_way import UnderWay

OTHER_INFERENCE = "opentelemetry.genai.client.inference.context"
OTHER_EMBEDDING = "opentelemetry.genai.client.embedding.context"
"""Context keys of the official GenAI instrumentations: set while they record the call we are inside of."""

SUPPRESSED = (
    # The SDK's exporters and `suppress_instrumentation()` set this key; it has no public name.
    otel_context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001
    "suppress_instrumentation",
    "suppress_language_model_instrumentation",
)
"""Context keys under which nothing is to be recorded."""


Begun = TypeVar("Begun")


class SpanStarter(Protocol):
    """Starts the span of an operation: what of telemetry must happen before the call."""

    def start_span(self, request: Request, started: int, parent: Context) -> tuple[Span, Context]:
        """The span and the context in which it is current."""


class Observer:
    """Begins the observation of each call that is to be recorded; finished records go to `sink`."""

    def __init__(
        self,
        guard: Guard,
        spans: SpanStarter,
        scopes: Scopes,
        sink: Callable[[Record | Retrieved | Pieces], None],
        *,
        providers: Mapping[str, str],
        stream_usage: bool,
    ) -> None:
        self.guard = guard
        self.active = True
        self.under_way = UnderWay()
        self._spans = spans
        self.scopes = scopes
        self.sink = sink
        self._providers = providers
        self._stream_usage = stream_usage

    def retrieved(self, held: Sequence[Any], read: Callable[[Sequence[Any]], Sequence[Chunk]]) -> None:
        """Hand over passages that were retrieved for the current query."""
        context = otel_context.get_current()
        if not _is_suppressed(context):
            query, labels = self.scopes.enter(context)
            self.sink(Retrieved(query, labels, held, read, size_of(held)))

    def begin(self, target: Target, call: Call) -> Observation | LateStart | None:
        """The observation of a call that is about to be made, `None` where it is not ours to record."""
        return self._in_context(partial(self._begin, target, call))

    def begin_step(self, target: Target, call: Call) -> Observation | None:
        """The same for a call that is a generator whose first step is about to be made."""
        return self._in_context(partial(self._begin_now, target, call))

    def begin_told(self, target: Target, call: Call) -> Observation | None:
        """The same for a call of which a client's events tell: it is in no context of ours."""
        # Two of which events tell are never one: each has a key of its own.
        TOLD.set(None)
        observation = self.begin_step(target, call)
        if observation is not None:
            TOLD.set(observation.begin_told())
        return observation

    def _in_context(self, begin: Callable[[Context], Begun]) -> Begun | None:
        """What begins in the current context, `None` where nothing is to be recorded in it, or it cannot be read."""
        if not self.active:
            return None
        try:
            context = otel_context.get_current()
            return None if context and _is_suppressed(context) else begin(context)
        except Exception as error:
            self.guard.caught("reading a call", error)
            return None

    def _begin(self, target: Target, call: Call, parent: Context) -> Observation | LateStart | None:
        reading = target.read(call)
        if reading is None or not reading.is_lazy:
            return None if reading is None else self._observation(target, call, reading, parent)
        asked = self._asked(reading, call)

        def begin_late(began: Moment | None) -> Observation | None:
            return self._in_context(partial(self._observation, target, call, reading, asked=asked, began=began))

        return LateStart(target, asked, begin_late, self.guard)

    def _begin_now(self, target: Target, call: Call, parent: Context) -> Observation | None:
        reading = target.read(call)
        return None if reading is None else self._observation(target, call, reading, parent)

    def _observation(
        self,
        target: Target,
        call: Call,
        reading: Reading,
        parent: Context,
        *,
        asked: Call | None = None,
        began: Moment | None = None,
    ) -> Observation | None:
        request = self._known(reading.request)
        around = exchange_around(parent)
        if around is not None:
            if around.covers(target, call, reading, request):
                around.passes_on()
                return None
            around.surrounds(request)
        asked = self._asked(reading, call) if asked is None else asked
        return Observation(
            self,
            target,
            asked,
            reading=reading,
            request=request,
            parent=parent,
            hides_extra=asked is not call,
            began=began,
        )

    def _asked(self, reading: Reading, call: Call) -> Call:
        """The call as it is made: where the app wants it so, one that asks for usage in its stream."""
        return reading.with_usage(call) if self._stream_usage and reading.with_usage is not None else call

    def _known(self, request: Request) -> Request:
        """The request with names that can be written, under the provider that the app says is behind its host."""
        given = (request.provider, request.model, request.collection, request.server_address)
        provider = declared_provider(self._providers, request.server_address, request.model, request.server_port)
        known = (gate.name(provider or request.provider), *map(gate.name, given[1:]))
        if known == given:
            return request
        name, model, collection, address = known
        return replace(request, provider=name or "unknown", model=model, collection=collection, server_address=address)

    def start_span(self, request: Request, started: int, parent: Context) -> tuple[Span | None, Context]:
        """A span for `request`, or none where an instrumentation or a framework around us has already started one."""
        if parent.get(OTHER_INFERENCE if request.kind.is_inference else OTHER_EMBEDDING) is not None:
            return None, parent
        try:
            if parent and is_recorded_by(trace.get_current_span(parent), request):
                return None, parent
            return self._spans.start_span(request, started, parent)
        except Exception as error:
            # A sampler or a processor of the app's own: the call is counted all the same.
            self.guard.caught("starting a span", error)
            return INVALID_SPAN, parent


def _is_suppressed(context: Context) -> bool:
    return any(context.get(key) for key in SUPPRESSED)
