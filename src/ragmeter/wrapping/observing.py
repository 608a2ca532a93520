"""The one wrapper: for sync and async calls, whole answers, streams and raw responses; it decides by the result.

The caller's thread starts a span, makes the call, takes immutable leaves and hands over. Nothing here is between the
app and its client but attribute reads: every step of ours is guarded, the call itself never is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from types import CoroutineType
from typing import Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span

from ragmeter.domain import gate
from ragmeter.domain.model import Chunk, Request
from ragmeter.guard import Guard
from ragmeter.reading.declaration import (
    AnyTarget,
    Call,
    Reading,
    Receiving,
    Resumption,
    Retrieval,
    Sending,
    Silence,
    Target,
)
from ragmeter.reading.providers import declared_provider
from ragmeter.reading.shapes.fields import size_of
from ragmeter.wrapping.observation import CARRIED, IN_PROGRESS, Exchange, Observation
from ragmeter.wrapping.patching import Wrapper
from ragmeter.wrapping.records import Record, Retrieved
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


class SpanStarter(Protocol):
    """Starts the span of an operation: the part of telemetry that must happen before the call."""

    def start_span(self, request: Request, started: int, parent: Context) -> tuple[Span, Context]:
        """The span and the context in which it is current."""


class Observer:
    """Makes the wrappers of all targets and hands finished records to `sink`."""

    def __init__(
        self,
        guard: Guard,
        spans: SpanStarter,
        scopes: Scopes,
        sink: Callable[[Record | Retrieved], None],
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

    def wrapper(self, target: AnyTarget, original: Any) -> Wrapper:
        """The wrapper for one declared target."""
        function = getattr(original, "__func__", original)
        is_async = inspect.iscoroutinefunction(function)
        match target:
            case Resumption():
                return self._resuming(target)
            case Silence():
                return self._silencing()
            case Sending():
                return self._sending(target)
            case Receiving():
                return self._receiving(target)
            case Retrieval():
                return self._noting_async(target) if is_async else self._noting(target)
        return self._observing_async(target) if is_async else self._observing(target)

    def _observing(self, target: Target) -> Wrapper:
        def observe(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            observation = self._begin(target, Call(instance, arguments, keywords))
            if observation is None:
                return wrapped(*arguments, **keywords)
            try:
                observation.enter()
                result = wrapped(*observation.call.arguments, **observation.call.keywords)
                observation.leave()
                if isinstance(result, CoroutineType):
                    # Another tool's plain function stands around a coroutine function.
                    return _observed_later(observation, result)
                observation.returned(result)
            except BaseException as error:
                # Also what a signal raises between any two of our steps.
                observation.raised(error)
                raise
            return result

        return observe

    def _observing_async(self, target: Target) -> Wrapper:
        # A coroutine, so that nothing starts before the app awaits it.
        async def observe(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            observation = self._begin(target, Call(instance, arguments, keywords))
            if observation is None:
                return await wrapped(*arguments, **keywords)
            try:
                observation.enter()
                result = await wrapped(*observation.call.arguments, **observation.call.keywords)
                observation.leave()
                observation.returned(result)
            except BaseException as error:
                observation.raised(error)
                raise
            return result

        return observe

    def _sending(self, target: Sending) -> Wrapper:
        def send(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            result = wrapped(*arguments, **keywords)
            try:
                exchange = Exchange.of(instance)
                if exchange is not None and not exchange.was_sent:
                    is_ours = exchange.sends(target.take(Call(instance, arguments, keywords), result))
                    if is_ours:
                        self.under_way.sent(exchange.mark)
            except Exception as error:
                self.guard.caught("taking a request", error)
            return result

        return send

    def _receiving(self, target: Receiving) -> Wrapper:
        # Also around a coroutine function: what is taken is there before it is called.
        def receive(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            try:
                exchange = Exchange.of(instance)
                if exchange is not None:
                    exchange.received = target.take(Call(instance, arguments, keywords))
            except Exception as error:
                self.guard.caught("taking an answer", error)
            return wrapped(*arguments, **keywords)

        return receive

    def _resuming(self, target: Resumption) -> Wrapper:
        def resume(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            result = wrapped(*arguments, **keywords)
            try:
                extensions = getattr(target.carrier(instance), "extensions", None)
                observation = extensions.pop(CARRIED, None) if isinstance(extensions, dict) else None
                if observation is not None:
                    observation.resumed(target.outcome(instance))
            except Exception as error:
                self.guard.caught("reading a raw response", error)
            return result

        return resume

    def _noting(self, target: Retrieval) -> Wrapper:
        def note(wrapped: Any, _: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            result = wrapped(*arguments, **keywords)
            if isinstance(result, CoroutineType):
                return self._noted_later(target, result)
            self._note(target, result)
            return result

        return note

    async def _noted_later(self, target: Retrieval, coroutine: Coroutine[Any, Any, Any]) -> Any:
        result = await coroutine
        self._note(target, result)
        return result

    def _noting_async(self, target: Retrieval) -> Wrapper:
        async def note(wrapped: Any, _: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            result = await wrapped(*arguments, **keywords)
            self._note(target, result)
            return result

        return note

    def _note(self, target: Retrieval, result: Any) -> None:
        try:
            held = target.hold(result) if self.active else None
            if held:
                self.retrieved(held, target.chunks)
        except Exception as error:
            self.guard.caught("reading a retriever", error)

    def retrieved(self, held: Sequence[Any], read: Callable[[Sequence[Any]], Sequence[Chunk]]) -> None:
        """Hand over passages that were retrieved for the current query."""
        context = otel_context.get_current()
        if not _is_suppressed(context):
            query, labels = self.scopes.enter(context)
            self.sink(Retrieved(query, labels, held, read, size_of(held)))

    def _silencing(self) -> Wrapper:
        def silence(wrapped: Any, _: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            if self.active and otel_context.get_value(IN_PROGRESS) is not None:
                return None
            return wrapped(*arguments, **keywords)

        return silence

    def _begin(self, target: Target, call: Call) -> Observation | None:
        if not self.active:
            return None
        try:
            parent = otel_context.get_current()
            if parent and _is_suppressed(parent):
                return None
            reading = target.read(call)
            if reading is None:
                return None
            around = parent.get(IN_PROGRESS)
            if isinstance(around, Exchange):
                if around.covers(call.instance, reading.request, target.asked(call)):
                    return None
                around.surrounds(reading.request)
            return Observation(self, target, call, reading=reading, request=self._known(reading.request), parent=parent)
        except Exception as error:
            self.guard.caught("reading a call", error)
            return None

    def _known(self, request: Request) -> Request:
        """The request with names that can be written, under the provider that the app says is behind its host."""
        given = (request.system, request.model, request.collection, request.server_address)
        provider = declared_provider(self._providers, request.server_address, request.model, request.server_port)
        known = (gate.name(provider or request.system), *map(gate.name, given[1:]))
        if known == given:
            return request
        system, model, collection, address = known
        return replace(request, system=system or "unknown", model=model, collection=collection, server_address=address)

    def asks_for_usage(self, reading: Reading) -> bool:
        """Whether this call should be made to ask for usage in its stream."""
        return self._stream_usage and reading.with_usage is not None

    def start_span(self, request: Request, started: int, parent: Context) -> tuple[Span | None, Context]:
        """A span for `request`, or none where an official instrumentation around us has already started one."""
        if parent.get(OTHER_INFERENCE if request.kind.is_inference else OTHER_EMBEDDING) is not None:
            return None, parent
        try:
            return self._spans.start_span(request, started, parent)
        except Exception as error:
            # A sampler or a processor of the app's own: the call is counted all the same.
            self.guard.caught("starting a span", error)
            return INVALID_SPAN, parent


async def _observed_later(observation: Observation, coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        observation.enter()
        result = await coroutine
        observation.leave()
        observation.returned(result)
    except BaseException as error:
        observation.raised(error)
        raise
    return result


def _is_suppressed(context: Context) -> bool:
    return any(context.get(key) for key in SUPPRESSED)
