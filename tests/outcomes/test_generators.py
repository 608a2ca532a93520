"""Calls that return generators, and functions that are generator functions: the contract, and what only they can do."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import sys
import time
import types
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

from clients.blanks import both_kinds, chunks_of, collect, each_of, finished, first_of, our_lines
from function_uses import lost, uses_of
from outcome_contract import OutcomeContract, Scenario, turns

QUESTION = "SENTINEL-QUESTION: what is it?"
METHODS = ("ask", "later", "answers")


class AppError(Exception):
    """An exception of the app's own."""


async def generator_of(client: Any, method: str, **more: Any) -> Any:
    """The generator that one of the three methods gives."""
    stream = {"stream": True} if method == "ask" else {}
    return await finished(getattr(client, method)(QUESTION, **stream, **more))


def both(generator: Any, name: str) -> Any:
    """A method of a generator of either kind: `close`, `send` or `throw`, bound."""
    return getattr(generator, f"a{name}" if inspect.isasyncgen(generator) else name)


async def outcome(step: Callable[[], Any]) -> Any:
    """What a step of a generator gives, or raises."""
    try:
        return await finished(step())
    except BaseException as error:  # noqa: BLE001
        return type(error), str(error), getattr(error, "value", None)


def in_each_way(scenario: Callable[[Any, str], Awaitable[Any]]) -> dict[str, Scenario]:
    """A scenario for each of the three methods."""
    name = scenario.__name__

    def one(method: str) -> Scenario:
        async def played(client: Any) -> Any:
            return await scenario(client, method)

        return played

    return {f"{name} {method}": one(method) for method in METHODS}


async def exhausted(client: Any, method: str) -> Any:
    generator = await generator_of(client, method)
    return await chunks_of(generator), await chunks_of(generator), await outcome(lambda: first_of(generator))


async def stepped(client: Any, method: str) -> Any:
    """By hand, to what a synchronous one returns."""
    send = both(await generator_of(client, method), "send")
    return [await outcome(partial(send, number if number > 1 else None)) for number in range(8)]


async def closed(client: Any, method: str) -> Any:
    generator = await generator_of(client, method)
    first = await first_of(generator)
    await finished(both(generator, "close")())
    client.happened.append("app goes on")
    await finished(both(generator, "close")())
    return first, await outcome(lambda: first_of(generator))


async def left_and_forgotten(client: Any, method: str) -> Any:
    async for piece in each_of(await generator_of(client, method)):
        first = piece
        break
    collect()
    await turns()
    client.happened.append("app goes on")
    return first


async def thrown_into(client: Any, method: str) -> Any:
    generator = await generator_of(client, method)
    return [
        await outcome(lambda: first_of(generator)),
        await outcome(lambda: both(generator, "throw")(ValueError("to be caught"))),
        await outcome(lambda: first_of(generator)),
        await outcome(lambda: both(generator, "throw")(AppError("SENTINEL-APP"))),
        await outcome(lambda: first_of(generator)),
    ]


async def thrown_an_end(client: Any, method: str) -> Any:
    generator = await generator_of(client, method)
    end = StopAsyncIteration() if inspect.isasyncgen(generator) else StopIteration()
    return [await outcome(lambda: first_of(generator)), await outcome(lambda: both(generator, "throw")(end))]


async def thrown_an_exit(client: Any, method: str) -> Any:
    generator = await generator_of(client, method)
    return [
        await outcome(lambda: first_of(generator)),
        await outcome(lambda: both(generator, "throw")(GeneratorExit())),
    ]


async def left_by_the_apps_exception(client: Any, method: str) -> Any:
    async for _ in each_of(await generator_of(client, method)):
        raise AppError("SENTINEL-APP")


async def failed_in_the_middle(client: Any, method: str) -> Any:
    client.fails_at = 2
    pieces = []
    try:
        async for piece in each_of(await generator_of(client, method)):
            pieces.append(piece)  # noqa: PERF401 - what came before the error counts
    except Exception as error:  # noqa: BLE001
        return pieces, type(error).__name__, str(error)


async def failed_at_once(client: Any, method: str) -> Any:
    client.fails_at = -1
    try:
        return await chunks_of(await generator_of(client, method))
    except Exception as error:  # noqa: BLE001
        return type(error).__name__, str(error)


async def closed_in_another_task(client: Any, method: str) -> Any:
    async def begin() -> Any:
        generator = await generator_of(client, method)
        await first_of(generator)
        return generator

    async def end(generator: Any) -> None:
        await finished(both(generator, "close")())

    generator = await asyncio.create_task(begin())
    await asyncio.create_task(end(generator), context=contextvars.copy_context())


async def cancelled(client: Any, method: str) -> Any:
    """A task that waits for a piece; the synchronous one is only left, for nothing waits there."""
    generator = await generator_of(client, method)
    await first_of(generator)
    if inspect.isasyncgen(generator):
        client.pause = 60
        task = asyncio.ensure_future(generator.__anext__())
        await asyncio.sleep(0.01)
        task.cancel()
        return await outcome(lambda: task), await outcome(lambda: first_of(generator))
    return None


async def whole(client: Any) -> Any:
    return await finished(client.ask(QUESTION))


async def read(client: Any, method: str) -> Any:
    generator = await generator_of(client, method)
    return type(generator), await chunks_of(generator)


class TestGenerators(OutcomeContract):
    """The contract with apps whose clients give generators."""

    fake = "fake_generators"

    def forms(self) -> dict[str, Scenario]:
        return {"whole": whole, **in_each_way(read)}

    def endings(self) -> dict[str, Scenario]:
        ends = (
            exhausted,
            stepped,
            closed,
            left_and_forgotten,
            thrown_into,
            thrown_an_end,
            thrown_an_exit,
            left_by_the_apps_exception,
            failed_in_the_middle,
            failed_at_once,
            closed_in_another_task,
            cancelled,
        )
        return {name: scenario for end in ends for name, scenario in in_each_way(end).items()}

    def answer_methods(self) -> tuple[str, ...]:
        return METHODS

    @both_kinds
    @pytest.mark.parametrize("method", METHODS)
    async def test_nobody_can_tell_it_from_the_clients_own(self, watch, asynchronous, method):
        """It is a generator of the same kind and name, in every state in which one may be."""

        async def looked_at(client: Any) -> Any:
            generator = await generator_of(client, method)
            state = (
                inspect.getasyncgenstate if asynchronous and sys.version_info >= (3, 12) else inspect.getgeneratorstate
            )
            prefix = "ag" if asynchronous else "gi"
            looks = []

            def look() -> None:
                looks.append(
                    (
                        type(generator),
                        inspect.isgenerator(generator),
                        inspect.isasyncgen(generator),
                        generator.__name__,
                        generator.__qualname__,
                        getattr(generator, f"{prefix}_frame") is None,
                        getattr(generator, f"{prefix}_running"),
                        inspect.iscode(getattr(generator, f"{prefix}_code")),
                        iter(generator) is generator if not asynchronous else aiter(generator) is generator,
                        state(generator) if not asynchronous or sys.version_info >= (3, 12) else None,
                        isinstance(weakref.ref(generator)(), types.GeneratorType | types.AsyncGeneratorType),
                        sorted(set(dir(generator))),
                    )
                )

            look()
            await first_of(generator)
            look()
            await chunks_of(generator)
            look()
            return looks

        await self.compared(watch, looked_at, asynchronous=asynchronous)

    def test_the_wrapped_functions_are_of_their_kind(self, watch):
        """A generator function, an asynchronous one and a coroutine function stay what they are, for all who ask."""
        import fake_generators

        def kinds() -> list[Any]:
            functions = [
                getattr(kind, name)
                for kind in (fake_generators.Client, fake_generators.AsyncClient)
                for name in METHODS
            ]
            return [
                (inspect.isgeneratorfunction(each), inspect.isasyncgenfunction(each), inspect.iscoroutinefunction(each))
                for function in functions
                for each in (function, types.MethodType(function, object()))
            ]

        bare, uses = kinds(), uses_of(lambda: fake_generators.AsyncClient.answers)
        watch()
        assert kinds() == bare
        assert (False, True, False) in bare
        assert (True, False, False) in bare
        assert lost(uses, uses_of(lambda: fake_generators.AsyncClient.answers)) == {}

    @both_kinds
    @pytest.mark.parametrize("method", ["later", "answers"])
    async def test_wrong_arguments_are_refused_at_the_same_moment(self, watch, asynchronous, method):
        """A call with wrong arguments raises where it raises without us: with the call, not with the first step."""

        async def wrong(client: Any) -> Any:
            try:
                made = getattr(client, method)(QUESTION, nonsense=1)
            except TypeError as error:
                return "with the call", str(error)
            return await outcome(lambda: made)

        bare = await self.told(wrong, asynchronous=asynchronous)
        watch()
        assert await self.told(wrong, asynchronous=asynchronous) == bare

    @both_kinds
    @pytest.mark.parametrize("method", ["later", "answers"])
    async def test_a_request_that_is_never_made_is_no_operation(self, watch, asynchronous, method):
        """A generator that nobody asks has asked nobody; the operation begins with its first step."""
        seen = watch()
        client = self.client(asynchronous=asynchronous)
        unread = await generator_of(client, method)
        await finished(both(unread, "close")())
        del unread
        await generator_of(client, method)
        collect()
        assert client.happened == []
        assert seen.spans() == ()
        assert seen.spans_started == 0
        generator = await generator_of(client, method)
        asked = time.time_ns()
        await asyncio.sleep(0.002)
        await chunks_of(generator)
        (span,) = seen.spans()
        assert span.start_time > asked
        assert seen.operations() == 1

    @both_kinds
    async def test_a_request_that_was_made_counts_though_nobody_reads(self, watch, asynchronous):
        """Where the request is made with the call, a generator that is dropped or closed unread is an operation."""
        seen = watch()
        client = self.client(asynchronous=asynchronous)
        await generator_of(client, "ask")
        collect()
        assert seen.operations() == 1
        unread = await generator_of(client, "ask")
        await finished(both(unread, "close")())
        assert seen.operations() == 2

    @both_kinds
    @pytest.mark.parametrize("method", ["later", "answers"])
    async def test_each_step_is_made_in_the_span_and_in_the_apps_context(self, watch, asynchronous, method):
        """What the client does in a step is below the call's span and sees what the app has in its context then."""
        seen = watch()
        client = self.client(asynchronous=asynchronous)
        inside: list[Any] = []
        piece = client.piece

        def noted(number: int, word: str) -> Any:
            inside.append((trace.get_current_span().get_span_context().span_id, otel_context.get_value("app")))
            return piece(number, word)

        client.piece = noted
        generator = await generator_of(client, method)
        outside = []
        for number in range(3):
            with_app = otel_context.attach(otel_context.set_value("app", number))
            await first_of(generator)
            outside.append(trace.get_current_span().get_span_context().span_id)
            assert otel_context.get_value("app") == number
            otel_context.detach(with_app)
        await finished(both(generator, "close")())
        (span,) = seen.spans()
        assert inside == [(span.context.span_id, number) for number in range(3)]
        assert outside == [0, 0, 0]

    @both_kinds
    @pytest.mark.parametrize("method", METHODS)
    async def test_usage_is_asked_for_and_hidden(self, watch, asynchronous, method):
        """With `stream_usage=True` usage is asked for, and the app does not see the piece it comes in."""

        async def scenario(client: Any) -> Any:
            return await chunks_of(await generator_of(client, method, usage=False))

        seen, _ = await self.compared(watch, scenario, asynchronous=asynchronous, stream_usage=True)
        assert seen.total("ragmeter.tokens") == sum(self.tokens)
        assert "ragmeter.tokens.estimated" not in seen.span()

    @both_kinds
    @pytest.mark.parametrize("method", METHODS)
    async def test_nothing_that_passed_is_kept(self, watch, asynchronous, method):
        """A piece, what was sent and what was thrown go when the app lets go of them, though the generator goes on."""

        class Piece(dict[str, Any]):
            pass

        class ThrownError(ValueError):
            pass

        class Sent:
            def __str__(self) -> str:
                return "it"

        watch()
        client = self.client(asynchronous=asynchronous)
        client.piece = lambda number, word: Piece(text=word)
        gc.disable()
        try:
            generator = await generator_of(client, method)
            references = [weakref.ref(await first_of(generator))]
            sent = Sent()
            await finished(both(generator, "send")(sent))
            references.append(weakref.ref(sent))
            del sent
            thrown = ThrownError("to be caught")
            await finished(both(generator, "throw")(thrown))
            references.append(weakref.ref(thrown))
            thrown = None
            await first_of(generator)
            assert [reference() for reference in references] == [None, None, None]
            await finished(both(generator, "close")())
        finally:
            gc.enable()

    async def test_a_loop_that_ends_closes_each_generator_once(self, watch, caplog):
        """What is left at the end of an event loop is closed by it as without us, and nobody complains."""

        def played() -> list[Any]:
            client = self.client(asynchronous=True)
            complaints: list[Any] = []

            async def left() -> None:
                asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told["message"]))
                for method in METHODS:
                    generator = await generator_of(client, method)
                    await first_of(generator)
                    kept.append(generator)

            kept: list[Any] = []
            asyncio.run(left())
            return [client.happened, complaints, [each.ag_frame is None for each in kept]]

        bare = await asyncio.to_thread(played)
        seen = watch()
        assert await asyncio.to_thread(played) == bare
        assert bare[0].count("closed") == 3
        assert bare[1] == []
        assert seen.operations() == 3
        assert our_lines(caplog.records) == []

    async def test_a_generator_in_a_circle_is_closed_as_without_us(self, watch):
        """A generator that only the collector finds is closed once, by the loop, with nobody complaining."""

        async def played(client: Any) -> Any:
            complaints: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told["message"]))
            for method in METHODS:
                holder: dict[str, Any] = {}
                holder["itself"], holder["generator"] = holder, await generator_of(client, method)
                await first_of(holder["generator"])
                del holder
            for _ in range(3):
                collect()
                await turns()
            return complaints

        seen, (complaints, happened) = await self.compared(watch, played, asynchronous=True)
        assert complaints == []
        assert happened.count("closed") == 3
        assert seen.operations() == 3

    def test_without_a_loop_it_ends_as_without_us(self, watch, monkeypatch):
        """A generator driven by hand and forgotten says the same, and closes what it closes, as without us."""
        told: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(str(unraisable.exc_value)))

        def played() -> Any:
            told.clear()
            client = self.client(asynchronous=True)
            generator = client.answers(QUESTION)
            step = generator.__anext__()
            first = None
            while first is None:
                try:
                    step.send(None)
                except StopIteration as stop:
                    first = stop.value
            del step, generator
            collect()
            return first, list(told), client.happened

        bare = played()
        seen = watch()
        before = otel_context.get_current()
        assert played() == bare
        assert otel_context.get_current() is before
        assert seen.operations() == 1

    async def test_two_that_ask_one_generator_are_refused_as_without_us(self, watch):
        """A second task that asks while the first one waits is refused in the same words."""

        async def scenario(client: Any) -> Any:
            client.pause = 0.01
            generator = await generator_of(client, "answers")
            first = asyncio.ensure_future(generator.__anext__())
            await asyncio.sleep(0)
            refused = await outcome(generator.__anext__)
            return refused, await first, await chunks_of(generator)

        seen, (told, _) = await self.compared(watch, scenario, asynchronous=True)
        assert told[0][0] is RuntimeError
        assert seen.operations() == 1
