"""The wrappers: one for sync and async calls, generators, whole answers, streams and raw responses; and the small ones.

The caller's thread starts a span, makes the call, takes immutable leaves and hands over. Nothing here is between the
app and its client but attribute reads: every step of ours is guarded, the call itself never is.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from functools import partial
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from opentelemetry import context as otel_context

from ragmeter.reading.declaration import (
    Call,
    Receiving,
    Resumption,
    Retrieval,
    Sending,
    Target,
    Wrapped,
    Wrapper,
)
from ragmeter.wrapping.exchange import IN_PROGRESS, Exchange
from ragmeter.wrapping.generators import Steps, handed_on
from ragmeter.wrapping.late_start import LateStart
from ragmeter.wrapping.observation import TRAVELLING, Observation
from ragmeter.wrapping.observing import Observer


class Wrappers:
    """Makes the wrapper of each kind of target; what they see goes to one observer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._guard = observer.guard

    def wrapper(self, target: Wrapped, original: Any) -> Wrapper:
        """The wrapper for one declared target."""
        return target.wrapper(self, getattr(original, "__func__", original))

    def observing(self, target: Target, function: Any) -> Wrapper:
        """Records each call, as the kind of function it is."""
        if inspect.iscoroutinefunction(function):
            return self._observing_async(target)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return self._observing_generator(target)
        return self._observing(target)

    def _observing(self, target: Target) -> Wrapper:
        def observe(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            observation = self._observer.begin(target, Call(instance, arguments, keywords))
            if observation is None:
                return wrapped(*arguments, **keywords)
            try:
                observation.enter()
                result = wrapped(*observation.call.arguments, **observation.call.keywords)
                observation.leave()
                if isinstance(result, CoroutineType):
                    # Another tool's plain function stands around a coroutine function.
                    return _observed_later(observation, result)
                return observation.returned(result)
            except BaseException as error:
                # Also what a signal raises between any two of our steps.
                observation.raised(error)
                raise

        return observe

    def _observing_async(self, target: Target) -> Wrapper:
        # A coroutine, so that nothing starts before the app awaits it.
        async def observe(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            observation = self._observer.begin(target, Call(instance, arguments, keywords))
            if observation is None:
                return await wrapped(*arguments, **keywords)
            try:
                observation.enter()
                result = await wrapped(*observation.call.arguments, **observation.call.keywords)
                observation.leave()
                return observation.returned(result)
            except BaseException as error:
                observation.raised(error)
                raise

        return observe

    def _observing_generator(self, target: Target) -> Wrapper:
        def observe(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            # It runs nothing of the function, but knows whether the arguments are right.
            generator = wrapped(*arguments, **keywords)
            if not self._observer.active or not isinstance(generator, GeneratorType | AsyncGeneratorType):
                return generator
            return handed_on(generator, partial(self._first_step, target, Call(instance, arguments, keywords), wrapped))

        return observe

    def _first_step(self, target: Target, call: Call, wrapped: Any) -> Steps:
        observation = self._observer.begin_step(target, call)
        if observation is None:
            return Steps()
        asked = observation.call
        return observation.steps(None if asked is call else wrapped(*asked.arguments, **asked.keywords))

    def sending(self, target: Sending) -> Wrapper:
        """Takes what is sent for the call under way."""

        def send(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            result = wrapped(*arguments, **keywords)
            try:
                exchange = Exchange.of(instance)
                if exchange is not None and not exchange.was_sent:
                    is_ours = exchange.sends(target.take(Call(instance, arguments, keywords), result))
                    if is_ours:
                        self._observer.under_way.sent(exchange.mark)
            except Exception as error:
                self._guard.caught("taking a request", error)
            return result

        return send

    def receiving(self, target: Receiving) -> Wrapper:
        """Takes what is received; also around a coroutine function: it is there before that is called."""

        def receive(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            try:
                exchange = Exchange.of(instance)
                if exchange is not None:
                    exchange.received = target.take(Call(instance, arguments, keywords))
            except Exception as error:
                self._guard.caught("taking an answer", error)
            return wrapped(*arguments, **keywords)

        return receive

    def resuming(self, target: Resumption) -> Wrapper:
        """Goes on with a body that was not read."""

        def resume(wrapped: Any, instance: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            result = wrapped(*arguments, **keywords)
            try:
                observation = TRAVELLING.pop(target.carrier(instance))
                if observation is not None:
                    observation.resumed(target.outcome(instance))
            except Exception as error:
                self._guard.caught("reading a raw response", error)
            return result

        return resume

    def noting(self, target: Retrieval, function: Any) -> Wrapper:
        """Takes the passages that a framework's function returns."""
        return self._noting_async(target) if inspect.iscoroutinefunction(function) else self._noting(target)

    def _noting(self, target: Retrieval) -> Wrapper:
        def note(wrapped: Any, _: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            result = wrapped(*arguments, **keywords)
            if isinstance(result, CoroutineType):
                return self._noted_later(target, result)
            self._note(target, result)
            return result

        return note

    def _noting_async(self, target: Retrieval) -> Wrapper:
        async def note(wrapped: Any, _: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            return await self._noted_later(target, wrapped(*arguments, **keywords))

        return note

    async def _noted_later(self, target: Retrieval, coroutine: Coroutine[Any, Any, Any]) -> Any:
        result = await coroutine
        self._note(target, result)
        return result

    def _note(self, target: Retrieval, result: Any) -> None:
        try:
            held = target.hold(result) if self._observer.active else None
            if held:
                self._observer.retrieved(held, target.chunks)
        except Exception as error:
            self._guard.caught("reading a retriever", error)

    def silencing(self) -> Wrapper:
        """Answers `None` in the function's place while we record."""

        def silence(wrapped: Any, _: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            if self._observer.active and otel_context.get_value(IN_PROGRESS) is not None:
                return None
            return wrapped(*arguments, **keywords)

        return silence


async def _observed_later(observation: Observation | LateStart, coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        observation.enter()
        result = await coroutine
        observation.leave()
        return observation.returned(result)
    except BaseException as error:
        observation.raised(error)
        raise
