"""Promises 3 and 8 of the contract: what the app owns stays its own, to change at once and to let go of at once."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from typing import Any

import pytest
from opentelemetry import context as otel_context

import ragmeter
from clients.blanks import ClientBlanks, both_kinds, chunks_of, each_of, entering, finished
from telemetry_seen import Seen
from wire import Wire, whole

BUSY = {"error": {"message": "busy", "type": "server_error"}}
FORMS = ("whole", "stream", "raw", "unread")
"""How the app takes its answer."""


def empty(owned: Any, seen: set[int] | None = None) -> None:
    """Take out all that an app could take out of what it owns, however deep: as one that re-uses its objects does."""
    seen = set() if seen is None else seen
    if id(owned) in seen:
        return
    seen.add(id(owned))
    held = owned if isinstance(owned, dict) else getattr(owned, "__dict__", None)
    if isinstance(owned, list):
        for each in owned:
            empty(each, seen)
        owned.clear()
    elif isinstance(held, dict):
        for name, value in list(held.items()):
            empty(value, seen)
            held[name] = "x" if isinstance(value, str) else None


def counted(seen: Seen) -> dict[str, Any]:
    """All that was counted of tokens and money, and the strategy."""
    names = ("ragmeter.tokens", "ragmeter.cost.usd", "ragmeter.queries", "ragmeter.prompt.tokens")
    return {name: seen.metric(name) for name in names}


class Ownership(ClientBlanks):
    """The app changes what it gave and got, and its failures hold what is its own."""

    async def taken(self, client: Any, form: str, given: dict[str, Any], *, empties: bool) -> None:
        """Ask with `given`, and empty each thing as soon as the client has handed it over."""
        if form == "stream":
            async for piece in each_of(await finished(self.method(client)(**given, stream=True))):
                if empties:
                    empty(piece)
            if empties:
                empty(given)
            return
        if form == "unread":
            async with entering(self.method(client, "with_streaming_response")(**given)) as response:
                answer = await finished(response.parse())
        else:
            answer = await finished(self.method(client, "with_raw_response" if form == "raw" else "")(**given))
            answer = await finished(answer.parse()) if form == "raw" else answer
        if empties:
            empty(answer)
            empty(given)

    @both_kinds
    @pytest.mark.parametrize("form", FORMS)
    async def test_what_the_app_changes_at_once_was_read_before(self, watch, asynchronous, form):
        """Prompt and answer are those of the call, though the app empties its messages and its answer right after."""
        told = []
        for empties in (False, True):
            with Wire(self.stream() if form == "stream" else self.whole()) as wire:
                seen = self.watched(watch)
                client = self.client(wire.url, asynchronous=asynchronous)
                await self.taken(client, form, copy.deepcopy(dict(self.question)), empties=empties)
                await finished(client.close())
                told.append(counted(seen))
                ragmeter.uninstrument()
        assert told[1] == told[0]
        assert told[0]["ragmeter.tokens"]

    @both_kinds
    async def test_an_error_is_let_go_of_with_its_frames(self, watch, asynchronous):
        """What a failing function of the app holds goes when it returns, on the app's own thread."""
        gone_on: list[str] = []

        class Held:
            def __del__(self) -> None:
                gone_on.append(threading.current_thread().name)

        async def failing(client: Any) -> None:
            _held = Held()
            with pytest.raises(self.module.APIError):
                await self.ask(client)

        async def released(url: str) -> list[str]:
            client = self.client(url, asynchronous=asynchronous)
            await failing(client)  # what a first call makes is made once
            gc.collect()
            gone_on.clear()
            await failing(client)
            names = list(gone_on)
            await finished(client.close())
            return names

        gc.disable()
        try:
            with Wire(whole(BUSY, 500)) as wire:
                bare = await released(wire.url)
                self.watched(watch)
                assert await released(wire.url) == bare
        finally:
            gc.enable()

    @both_kinds
    async def test_what_is_in_the_context_is_not_kept(self, watch, asynchronous):
        """What the app has put into its context is let go of with the context, not with our record of the call."""
        gone: list[bool] = []

        class Held:
            def __del__(self) -> None:
                gone.append(True)

        with Wire(self.whole()) as wire:
            self.watched(watch)
            client = self.client(wire.url, asynchronous=asynchronous)
            await self.ask(client)
            token = otel_context.attach(otel_context.set_value("app", Held()))
            await self.ask(client)
            otel_context.detach(token)
            del token
            await finished(client.close())
            gc.collect()
            assert gone

    @pytest.mark.parametrize("form", ["stream", "unread", "error"])
    async def test_what_the_app_keeps_of_a_call_holds_nothing_of_its_context(self, watch, form):
        """A stream, a response or an error that the app keeps does not hold the context of its call.

        Of synchronous clients: the event loop's own callbacks hold that of an asynchronous one.
        """
        gone: list[bool] = []

        class Held:
            def __del__(self) -> None:
                gone.append(True)

        async def kept(client: Any) -> Any:
            token = otel_context.attach(otel_context.set_value("app", Held()))
            try:
                method = self.method(client, "with_streaming_response" if form == "unread" else "")
                if form == "stream":
                    stream = await finished(method(**self.question, stream=True))
                    return stream, await chunks_of(stream)
                if form == "unread":
                    async with entering(method(**self.question)) as response:
                        return response, await finished(response.read())
                with pytest.raises(self.module.APIError) as raised:
                    await finished(method(**self.question))
                return raised.value
            finally:
                otel_context.detach(token)
                del token

        answers = {"stream": self.stream(), "unread": self.whole(), "error": whole(BUSY, 500)}
        with Wire(answers[form]) as wire:
            self.watched(watch)
            client = self.client(wire.url)
            result = await kept(client)
            client.close()
            gc.collect()
            assert result is not None
            assert gone

    async def test_a_class_made_for_one_call_goes_with_it(self, watch):
        """A model that the app makes for a single answer is let go of: there may be one for each request."""
        with Wire(self.whole()) as wire:
            self.watched(watch)
            client = self.client(wire.url)

            def asked() -> weakref.ref[type]:
                made = type("Made", (self.module.BaseModel,), {})
                client.post(self.path(), cast_to=made, body=dict(self.question))
                return weakref.ref(made)

            references = [asked() for _ in range(3)]
            client.close()
            ragmeter.flush(10)
            gc.collect()
            assert [reference() for reference in references[:-1]] == [None, None]

    def path(self) -> str:
        """Where the client asks, behind its base URL."""
        return {"anthropic": "/v1/messages", "groq": "/openai/v1/chat/completions"}.get(
            self.library, "/chat/completions"
        )

    @both_kinds
    async def test_a_call_made_inside_a_call_is_a_call_of_its_own(self, watch, asynchronous):
        """A guardrail or a cache in the client's transport that asks another model is counted beside the call."""
        with Wire(self.whole()) as wire:
            seen = self.watched(watch)
            inner = self.client(wire.url, asynchronous=asynchronous)
            outer = self.client(wire.url, asynchronous=asynchronous)
            send = outer._client.send

            def guarded(*arguments: Any, **keywords: Any) -> Any:
                self.method(inner)(**self.question)
                return send(*arguments, **keywords)

            async def guarded_async(*arguments: Any, **keywords: Any) -> Any:
                await self.method(inner)(**self.question)
                return await send(*arguments, **keywords)

            outer._client.send = guarded_async if asynchronous else guarded
            await self.ask(outer)
            await finished(inner.close())
            await finished(outer.close())
            assert seen.operations() == 2
            assert self.tokens_told(seen) == tuple(2 * each for each in self.tokens)

    @both_kinds
    async def test_a_client_that_hands_on_to_another_is_one_operation(self, watch, asynchronous):
        """A client of the app's own that lets another one make its requests counts each of them once."""
        with Wire(self.whole()) as wire:
            seen = self.watched(watch)
            inner = self.client(wire.url, asynchronous=asynchronous)
            kind = type(inner)

            class Router(kind):  # type: ignore[valid-type, misc]
                def request(self, *arguments: Any, **keywords: Any) -> Any:
                    return inner.request(*arguments, **keywords)

            class Routed(Router):
                def request(self, *arguments: Any, **keywords: Any) -> Any:
                    return kind.request(inner, *arguments, **keywords)

            for made in (Router, Routed):
                client = made(base_url=self.base_url(wire.url), api_key="key", max_retries=0)
                await self.ask(client)
                await finished(client.close())
            await finished(inner.close())
            assert seen.operations() == 2
