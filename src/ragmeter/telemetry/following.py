"""Follows the providers that telemetry goes to: hears of root spans, and lets no flush of theirs be incomplete."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider, TracerProvider, get_tracer_provider

from ragmeter.wrapping.wrapped_function import wrapped_bound


class BeforeFlush(Protocol):
    """Hands over what is still to be counted when entered; `is_last` when the provider closes afterwards."""

    def __call__(self, *, is_last: bool) -> AbstractContextManager[None]:
        """The context in which the provider flushes."""


class Following:
    """Follows one tracer provider and one meter provider until `stop()`.

    `roots` hears of the spans of the tracer provider.
    """

    def __init__(self, roots: SpanProcessor, before_flush: BeforeFlush) -> None:
        self._roots = roots
        self._before_flush = before_flush
        self._tracer_provider: TracerProvider | None = None
        self._unhook: list[Callable[[], None]] = []

    def meter_provider(self, provider: MeterProvider) -> None:
        """Come before the flushes of a meter provider."""
        self._hook(provider)

    def tracer_provider(self, provider: TracerProvider) -> None:
        """Hear of root spans too; where `provider` stands for the global one, of one that the app sets later."""
        if isinstance(provider, ProxyTracerProvider | NoOpTracerProvider):
            provider = get_tracer_provider()
        if provider is self._tracer_provider:
            return
        self._tracer_provider = provider
        add_span_processor = getattr(provider, "add_span_processor", None)
        if add_span_processor is not None:
            add_span_processor(self._roots)
        self._hook(provider)

    def stop(self) -> None:
        """Leave the providers as they were, but for the span processor, which no provider can let go of."""
        for unhook in self._unhook:
            unhook()

    def _hook(self, provider: Any) -> None:
        for name in ("force_flush", "shutdown"):
            original = getattr(provider, name, None)
            if original is not None:
                setattr(provider, name, wrapped_bound(original, partial(self._flush, is_last=name == "shutdown")))
                self._unhook.append(partial(vars(provider).pop, name, None))

    def _flush(
        self, wrapped: Any, _: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], *, is_last: bool
    ) -> Any:
        with self._before_flush(is_last=is_last):
            return wrapped(*arguments, **keywords)
