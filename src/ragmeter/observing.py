"""The one wrapper: for sync and async calls, whole answers, streams and raw responses; it decides by the result.

The caller's thread starts a span, makes the call, takes references and hands over. Nothing here is between the app
and its client but attribute reads: every step of ours is guarded, the call itself never is.
"""

from __future__ import annotations

import inspect
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span

from ragmeter.guard import Guard
from ragmeter.integration import (
    Call,
    Complete,
    Reading,
    Resumption,
    Retrieval,
    Silence,
    Streamed,
    Target,
    Unread,
)
from ragmeter.model import Chunk, OperationKind, Request, Response
from ragmeter.patching import Wrapper
from ragmeter.providers import declared_provider
from ragmeter.scopes import QueryHandle, Scopes
from ragmeter.streams import StreamReading, hear, hear_close, read_on_the_way

IN_PROGRESS = otel_context.create_key("ragmeter-in-progress")
"""Context key for the kind of operation that is being called: a nested one of that kind is the same request."""

CARRIED = "ragmeter.observation"
"""Key in a raw response's extensions under which its observation travels to where the body is read."""

OTHER_INFERENCE = "opentelemetry.genai.client.inference.context"
OTHER_EMBEDDING = "opentelemetry.genai.client.embedding.context"
"""Context keys of the official GenAI instrumentations: set while they record the call we are inside of."""

FAMILIES = {kind: "inference" if kind.is_inference else kind.value for kind in OperationKind}
"""Operations of one family inside each other are one request: `parse` calls `create`."""

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


@dataclass(slots=True)
class Record:
    """A finished call on its way to the worker: references only, nothing read yet.

    `answer` gives the response when the worker asks; `standard` is false where another instrumentation already feeds
    the standard metrics.
    """

    request: Request
    reading: Reading
    span: Span | None
    context: Context
    query: QueryHandle
    labels: Mapping[str, str]
    started: int
    duration: float
    answer: Callable[[], Response]
    time_to_first_chunk: float | None
    error: BaseException | None
    standard: bool


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages that no client of a database has returned, on their way to the worker: references only."""

    query: QueryHandle
    labels: Mapping[str, str]
    held: Sequence[Any]
    read: Callable[[Sequence[Any]], Sequence[Chunk]]


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
        self._spans = spans
        self.scopes = scopes
        self.sink = sink
        self._providers = providers
        self._stream_usage = stream_usage

    def wrapper(self, target: Target | Resumption | Retrieval | Silence, original: Any) -> Wrapper:
        """The wrapper for one declared target."""
        if isinstance(target, Resumption):
            return self._resuming(target)
        if isinstance(target, Silence):
            return self._silencing()
        if isinstance(target, Retrieval):
            function = getattr(original, "__func__", original)
            return self._noting_async(target) if inspect.iscoroutinefunction(function) else self._noting(target)
        return self._observing_async(target) if inspect.iscoroutinefunction(original) else self._observing(target)

    def _observing(self, target: Target) -> Wrapper:
        def observe(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            observation = self._begin(target, Call(instance, arguments, keywords))
            if observation is None:
                return wrapped(*arguments, **keywords)
            with observation:
                result = wrapped(*observation.call.arguments, **observation.call.keywords)
            observation.returned(result)
            return result

        return observe

    def _observing_async(self, target: Target) -> Wrapper:
        # A coroutine, so that nothing starts before the app awaits it.
        async def observe(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            observation = self._begin(target, Call(instance, arguments, keywords))
            if observation is None:
                return await wrapped(*arguments, **keywords)
            with observation:
                result = await wrapped(*observation.call.arguments, **observation.call.keywords)
            observation.returned(result)
            return result

        return observe

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
            self._note(target, result)
            return result

        return note

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
            self.sink(Retrieved(query, labels, held, read))

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
            if reading is None or parent.get(IN_PROGRESS) == FAMILIES[reading.request.kind]:
                return None
            request = reading.request
            provider = declared_provider(self._providers, request.server_address, request.model)
            if provider is not None:
                request = replace(request, system=provider)
            return Observation(self, target, call, reading=reading, request=request, parent=parent)
        except Exception as error:
            self.guard.caught("reading a call", error)
            return None

    def asks_for_usage(self, reading: Reading) -> bool:
        """Whether this call should be made to ask for usage in its stream."""
        return self._stream_usage and reading.with_usage is not None

    def start_span(self, request: Request, started: int, parent: Context) -> tuple[Span | None, Context]:
        """A span for `request`, or none where an official instrumentation around us has already started one."""
        if parent.get(OTHER_INFERENCE if request.kind.is_inference else OTHER_EMBEDDING) is not None:
            return None, parent
        return self._spans.start_span(request, started, parent)


class Observation:
    """One call from its start to its end, however that comes; a context manager around the client's own call."""

    def __init__(
        self, observer: Observer, target: Target, call: Call, *, reading: Reading, request: Request, parent: Context
    ) -> None:
        self._observer = observer
        self._target = target
        self._reading = reading
        self._request = request
        self._asked_usage = observer.asks_for_usage(reading)
        self.call = reading.with_usage(call) if self._asked_usage and reading.with_usage is not None else call
        self._query, self._labels = observer.scopes.enter(parent)
        self._started = time.time_ns()
        self._clock = time.perf_counter()
        self._span, context = observer.start_span(request, self._started, parent)
        self._standard = self._span is not None
        self._context = otel_context.set_value(IN_PROGRESS, FAMILIES[request.kind], context)
        self._token: Any = None
        # A list with one element: `pop` is atomic, so whoever comes first finishes the call.
        self._unfinished = [True]
        self._unread = False

    def __enter__(self) -> None:
        self._token = otel_context.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A coroutine may be closed from another context, where our token means nothing.
        if otel_context.get_current() is self._context:
            otel_context.detach(self._token)
        if error is not None:
            self._raised(error)

    def _raised(self, error: BaseException) -> None:
        answer: Callable[[], Response] = Response
        try:
            found = self._target.answer_in(error)
            if found is not None:
                answer = partial(self._reading.reader.response, found)
        except Exception as failure:
            self._observer.guard.caught("reading an error", failure)
        self.finish(answer, error)

    def returned(self, result: Any) -> None:
        """The client's call has returned `result`, which goes on to the app unchanged."""
        try:
            outcome = self._target.outcome(result)
            if isinstance(outcome, Streamed):
                self._follow(outcome)
            elif isinstance(outcome, Unread):
                self._carry(outcome)
            else:
                self._complete(outcome)
        except Exception as error:
            self.finish(Response, None)
            self._observer.guard.caught("reading an answer", error)

    def resumed(self, outcome: Any) -> None:
        """The raw response on which this observation travelled is now read as a stream."""
        self._unread = False
        self._follow(outcome)

    def _complete(self, outcome: Complete) -> None:
        held = self._reading.reader.hold(outcome.value)
        read = self._reading.reader.response
        self.finish(lambda: read(held), None)

    def _follow(self, outcome: Streamed) -> None:
        reader = self._reading.reader
        stream: StreamReading

        def finish(error: BaseException | None) -> None:
            self.finish(stream.fold, error, stream.first)

        stream = StreamReading(reader, self._observer.guard, finish, hides_extra=self._asked_usage)
        read_on_the_way(outcome, stream)

    def _carry(self, outcome: Unread) -> None:
        self._unread = True
        carrier, read = outcome.carrier, self._reading.reader.response
        being_read: list[bool] = []

        def was_read() -> None:
            if self._unread:
                value = outcome.body()
                self.finish(Response if value is None else lambda: read(value), None)

        def was_closed() -> None:
            # Reading closes the connection before it has stored what it read.
            if self._unread and not being_read:
                self.finish(Response, None)

        carrier.extensions[CARRIED] = self
        hear(carrier, ("read", "aread"), before=lambda: being_read.append(True), after=was_read)
        hear_close(carrier, was_closed)
        weakref.finalize(carrier, self._forgotten).atexit = False

    def _forgotten(self) -> None:
        if self._unread:
            self.finish(Response, None)

    def finish(self, answer: Callable[[], Response], error: BaseException | None, first: float | None = None) -> None:
        """Hand the call over to the worker, the first time this is called."""
        try:
            self._unfinished.pop()
        except IndexError:
            return
        try:
            record = Record(
                request=self._request,
                reading=self._reading,
                span=self._span,
                context=self._context,
                query=self._query,
                labels=self._labels,
                started=self._started,
                duration=time.perf_counter() - self._clock,
                answer=answer,
                time_to_first_chunk=None if first is None else first - self._clock,
                error=error,
                standard=self._standard,
            )
            self._observer.sink(record)
        except Exception as failure:
            self._observer.guard.caught("handing over a call", failure)


def _is_suppressed(context: Context) -> bool:
    return any(context.get(key) for key in SUPPRESSED)
