"""To which query a call belongs, decided on the caller's thread when the call starts.

In this order: the enclosing `ragmeter.query()`, the local root span, the trace, or else the call is a query of its
own. Retrieval that none of these joins to its answer is found again by content, on the worker.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Any, Self

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from ragmeter.domain.query import Ending, QueryHandle
from ragmeter.guard import Guard
from ragmeter.reading.errors import error_type_of
from ragmeter.wrapping.others_spans import is_ours

CURRENT_QUERY = otel_context.create_key("ragmeter-query")

MOST_LIVE = 10_000
"""Spans and traces remembered at once; beyond it the oldest are forgotten, and their calls stand alone."""


class Scopes:
    """Finds the query of a call, and says when one ends: `ended` is called with its handle."""

    def __init__(self, guard: Guard, ended: Callable[[QueryHandle], None]) -> None:
        self.roots = RootSpans(guard, ended)
        self.ended = ended
        self._traces: dict[int, QueryHandle] = {}
        self._labels: ContextVar[Mapping[str, str]] = ContextVar("ragmeter-labels", default=MappingProxyType({}))

    def enter(self, context: Context) -> tuple[QueryHandle, Mapping[str, str]]:
        """The query a call made in `context` belongs to, and the labels set for it."""
        # Most calls are made in no context at all.
        handle = (self.current(context) or self._of_trace(context)) if context else QueryHandle(Ending.OPERATION)
        handle.begun.append(None)
        return handle, self._labels.get()

    def current(self, context: Context) -> QueryHandle | None:
        """The query whose scope or local root span encloses `context`."""
        handle = context.get(CURRENT_QUERY)
        if isinstance(handle, QueryHandle):
            return handle
        return self.roots.handles.get(trace.get_current_span(context).get_span_context().span_id)

    def label(self, labels: Mapping[str, str]) -> None:
        """Set labels on the current query, or where there is none on whatever follows in this context."""
        handle = self.current(otel_context.get_current())
        if handle is not None:
            handle.labels.update(labels)
        else:
            self._labels.set({**self._labels.get(), **labels})

    def forget(self, handle: QueryHandle) -> None:
        """A query known by its trace is over: later calls in that trace start a new one."""
        if handle.trace_id is not None and self._traces.get(handle.trace_id) is handle:
            self._traces.pop(handle.trace_id, None)

    def _of_trace(self, context: Context) -> QueryHandle:
        span_context = trace.get_current_span(context).get_span_context()
        if not span_context.is_valid:
            return QueryHandle(Ending.OPERATION)
        trace_id = span_context.trace_id
        known = self._traces.get(trace_id)
        if known is not None:
            return known
        # No lock: each step is atomic, and whoever comes second gets the first one's query.
        handle = self._traces.setdefault(trace_id, QueryHandle(Ending.TIME, trace_id=trace_id))
        if len(self._traces) > MOST_LIVE:
            # Another thread may come between the two steps; then the next call makes room.
            with suppress(RuntimeError):
                self._traces.pop(next(iter(self._traces), trace_id), None)
        return handle


class RootSpans(SpanProcessor):
    """Knows for every live span of this process the query of its local root, and hears the root end."""

    def __init__(self, guard: Guard, ended: Callable[[QueryHandle], None]) -> None:
        self.handles: OrderedDict[int, QueryHandle] = OrderedDict()
        self.active = True
        self._guard = guard
        self._ended = ended

    def stop(self) -> None:
        """Follow no more spans. A processor cannot be taken from its provider: it keeps nothing of ours there."""
        self.active = False
        self._ended = _nothing
        self.handles.clear()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Give a root span a query, a child the one of its parent."""
        if not self.active:
            return
        try:
            span_id = span.get_span_context().span_id
            if span.parent is None or span.parent.is_remote:
                # A root span of our own is the operation itself, not what encloses it.
                if not is_ours(span):
                    self.handles[span_id] = QueryHandle(Ending.ROOT_SPAN, started=span.start_time)
            elif (handle := self.handles.get(span.parent.span_id)) is not None:
                self.handles[span_id] = handle
            if len(self.handles) > MOST_LIVE:
                self.handles.popitem(last=False)
        except Exception as error:
            self._guard.caught("following spans", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Forget the span; when it was a root, its query is over."""
        try:
            span_context = span.get_span_context()
            handle = self.handles.pop(span_context.span_id, None) if span_context is not None else None
            if handle is not None and (span.parent is None or span.parent.is_remote) and handle.begun:
                handle.ended = span.end_time
                self._ended(handle)
        except Exception as error:
            self._guard.caught("following spans", error)


class QueryScope:
    """`with ragmeter.query(...)`: everything called inside is one query. Also `async with`.

    Inside another scope it joins that query instead of starting one.
    """

    def __init__(
        self,
        scopes: Scopes | None,
        start_span: Callable[[str | None, int], trace.Span | None] | None,
        strategy: str | None,
        name: str | None,
        labels: Mapping[str, str],
    ) -> None:
        self._scopes = scopes
        self._start_span = start_span
        self._name = name
        self._handle = QueryHandle(Ending.SCOPE, strategy=strategy, labels=dict(labels))
        self._context: Context | None = None
        self._token: Any = None

    def __enter__(self) -> Self:
        if self._scopes is None:
            return self
        outer = otel_context.get_value(CURRENT_QUERY)
        if isinstance(outer, QueryHandle):
            outer.labels.update(self._handle.labels)
            outer.strategy = outer.strategy or self._handle.strategy
            return self
        handle = self._handle
        handle.started = time.time_ns()
        handle.span = self._start_span(self._name, handle.started) if self._start_span is not None else None
        context = otel_context.set_value(CURRENT_QUERY, handle)
        self._context = context if handle.span is None else trace.set_span_in_context(handle.span, context)
        self._token = otel_context.attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._scopes is None or self._context is None:
            return
        # A generator may be closed from another context, where our token means nothing.
        if otel_context.get_current() is self._context:
            otel_context.detach(self._token)
        self._handle.ended = time.time_ns()
        if error is not None:
            self._handle.error_type = error_type_of(error)
        self._scopes.ended(self._handle)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def _nothing(_: QueryHandle) -> None:
    pass
