"""Promises 5 and 6 of the contract: on twice is once, off is as before, and an unknown version is said, not refused."""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import inspect
import pickle
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
import wrapt

import ragmeter
from clients.blanks import ClientBlanks, both_kinds, chunks_of, entering, finished, first_of, our_lines, plain
from function_uses import uses_of
from ragmeter.reading.declaration import Integration
from ragmeter.runtime import Runtime
from wire import Wire


def originals(integration: Integration) -> dict[str, Any]:
    """What stands at the targets of an integration now, for those that the installed version has."""
    found = {}
    for target in integration.targets:
        module, _, path = target.path.partition(":")
        *parents, attribute = path.split(".")
        parent = importlib.import_module(module)
        for name in parents:
            parent = getattr(parent, name)
        if attribute in vars(parent):
            found[target.path] = vars(parent)[attribute]
    return found


def by_wrapt(bare: Any) -> Any:
    """What a tool puts on a client's class: the bare function in a wrapper of wrapt, as OpenInference does."""
    return wrapt.FunctionWrapper(bare, lambda wrapped, _, arguments, keywords: wrapped(*arguments, **keywords))


def by_closure(bare: Any) -> Any:
    """The same as a function around the bare one, as tools without wrapt do."""
    if inspect.iscoroutinefunction(bare):

        @functools.wraps(bare)
        async def traced_async(self: Any, *arguments: Any, **keywords: Any) -> Any:
            return await bare(self, *arguments, **keywords)

        return traced_async

    @functools.wraps(bare)
    def traced(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return bare(self, *arguments, **keywords)

    return traced


def by_plain_function(bare: Any) -> Any:
    """The same without a look at what kind of function the bare one is: a coroutine is handed through."""

    def traced(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return bare(self, *arguments, **keywords)

    return traced


def by_class(bare: Any) -> Any:
    """A method that asks the function above in a way that nobody can see in it."""
    above = {"function": [bare]}

    def asked(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return above["function"][0](self, *arguments, **keywords)

    return asked


def left_bare(bare: Any) -> Any:
    """What a tool leaves on a class when it takes itself back."""
    return bare


class Switching(ClientBlanks):
    """`instrument()` and `uninstrument()`, in every order."""

    @property
    def integration(self) -> Integration:
        """What is declared for this client."""
        return importlib.import_module(f"ragmeter.reading.clients.{self.library}").INTEGRATION  # type: ignore[no-any-return]

    def above(self, client_class: Any) -> Any:
        """The class in which the client's function is defined."""
        return next(owner for owner in client_class.__mro__ if "request" in vars(owner))

    def test_off_is_as_before(self, watch):
        """`instrument()` wraps, `uninstrument()` puts the very same functions back, as often as one likes."""
        importlib.import_module(self.library)
        before = originals(self.integration)
        assert len(before) >= 4
        for _ in range(2):
            self.watched(watch)
            during = originals(self.integration)
            assert not [path for path in before if during[path] is before[path]]
            ragmeter.uninstrument()
            after = originals(self.integration)
            assert not [path for path in before if after[path] is not before[path]]
        ragmeter.uninstrument()

    @both_kinds
    async def test_on_twice_is_once(self, watch, asynchronous):
        """A second `instrument()` changes nothing: each call is still counted once."""
        seen = self.watched(watch)
        second = self.watched(watch)
        with Wire(self.whole()) as wire:
            await self.told(self.ask, wire.url, asynchronous=asynchronous)
        assert seen.operations() == 1
        assert second.spans() == ()
        assert second.metrics() == {}

    @both_kinds
    async def test_clients_and_methods_from_before_are_covered(self, watch, asynchronous):
        """A client made, and a method taken from it, before `instrument()` are recorded afterwards."""
        with Wire(self.whole()) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            method = self.method(client)
            raw = self.method(client, "with_raw_response")
            seen = self.watched(watch)
            await finished(method(**self.question))
            await finished(raw(**self.question))
            await finished(client.close())
        assert seen.operations() == 2

    @both_kinds
    async def test_methods_kept_from_between_go_quiet(self, watch, asynchronous):
        """After `uninstrument()` a wrapped function that something still holds passes calls on and records nothing."""
        with Wire(self.whole()) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            bare = plain(await self.ask(client))
            seen = self.watched(watch)
            # The instance now holds the wrapped function, as a cache would.
            client.request = client.request
            method = self.method(client)
            assert plain(await self.ask(client)) == bare
            assert seen.operations() == 1
            ragmeter.uninstrument()
            assert plain(await self.ask(client)) == bare
            assert plain(await finished(method(**self.question))) == bare
            await finished(client.close())
        assert seen.operations() == 1
        assert len(seen.spans()) == seen.spans_started == 1

    @both_kinds
    async def test_a_stream_survives_being_switched_off(self, watch, asynchronous, caplog):
        """A stream begun before `uninstrument()` goes on to its last chunk afterwards."""
        with Wire(self.stream()) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            bare = await chunks_of(await self.ask(client, stream=True))
            self.watched(watch)
            stream = await self.ask(client, stream=True)
            chunks = [plain(await first_of(stream))]
            ragmeter.uninstrument()
            chunks += await chunks_of(stream)
            await finished(client.close())
        assert chunks == bare
        assert our_lines(caplog.records) == []

    async def test_on_again_counts_again(self, watch):
        """Off and on again with other providers: each has what was measured in its time."""
        with Wire(self.whole()) as wire:
            first = self.watched(watch)
            await self.told(self.ask, wire.url, asynchronous=False)
            ragmeter.uninstrument()
            await self.told(self.ask, wire.url, asynchronous=False)
            second = self.watched(watch)
            await self.told(self.ask, wire.url, asynchronous=False)
        assert second.operations() == 1
        assert first.operations() == 1
        assert (len(first.spans()), len(second.spans())) == (1, 1)

    async def test_on_again_with_the_same_providers_goes_on(self, watch):
        """Off and on again with the same providers: the totals go on, nothing is counted twice or forgotten."""
        with Wire(self.whole()) as wire:
            seen = self.watched(watch)
            await self.told(self.ask, wire.url, asynchronous=False)
            ragmeter.uninstrument()
            ragmeter.instrument(
                tracer_provider=seen.tracer_provider,
                meter_provider=seen.meter_provider,
                providers={"127.0.0.1": self.library},
            )
            await self.told(self.ask, wire.url, asynchronous=False)
        assert seen.operations() == 2
        assert seen.total("ragmeter.queries") == 2
        assert seen.total("ragmeter.tokens") == 2 * sum(self.tokens)

    async def test_no_thread_is_left(self, watch):
        """After `uninstrument()` there are as many threads as before `instrument()`."""
        with Wire(self.whole()) as wire:
            await self.told(self.ask, wire.url, asynchronous=False)
            before = sum(thread.name == "ragmeter" for thread in threading.enumerate())
            self.watched(watch)
            await self.told(self.ask, wire.url, asynchronous=False)
            ragmeter.uninstrument()
            ends = time.monotonic() + 5
            while sum(thread.name == "ragmeter" for thread in threading.enumerate()) > before:
                assert time.monotonic() < ends, "ragmeter's thread is still there"
                await asyncio.sleep(0.01)

    async def test_nothing_is_left_of_what_was_switched_off(self, watch):
        """Off and on again, with streams that end in between: no thread of ours and nothing that ran is left."""
        with Wire(self.stream()) as wire:
            seen = self.watched(watch)
            before = sum(thread.name == "ragmeter" for thread in threading.enumerate())
            client = self.client(wire.url)
            for _ in range(3):
                stream = await self.ask(client, stream=True)
                ragmeter.uninstrument()
                await chunks_of(stream)
                del stream
                ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
            client.close()
            ragmeter.uninstrument()
            ends = time.monotonic() + 5
            while sum(thread.name == "ragmeter" for thread in threading.enumerate()) > before:
                assert time.monotonic() < ends, "a thread of ragmeter's is still there"
                await asyncio.sleep(0.01)
            gc.collect()
            assert [found for found in gc.get_objects() if isinstance(found, Runtime)] == []

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # deep copies the client refuses
    @both_kinds
    async def test_a_wrapped_method_is_used_as_the_bare_one(self, watch, asynchronous):
        """What else is done with a wrapped method than calling it comes out as it did: inspected, kept, copied."""
        client = self.client("http://127.0.0.1:9", asynchronous=asynchronous)
        before = uses_of(lambda: client.request), uses_of(lambda: type(client).request)
        self.watched(watch)
        assert (uses_of(lambda: client.request), uses_of(lambda: type(client).request)) == before
        await finished(client.close())

    @both_kinds
    async def test_a_response_that_is_over_is_as_it_was(self, watch, asynchronous):
        """Once it is read or closed, nothing of ours is left in a response: it is pickled and copied as without us."""

        async def scenario(client: Any) -> Any:
            responses = [(await self.ask(client, stream=True)).response for _ in range(2)]
            await finished(responses[0].aclose() if asynchronous else responses[0].close())
            await finished(responses[1].aread() if asynchronous else responses[1].read())
            for leave in (False, True):
                async with entering(self.method(client, "with_streaming_response")(**self.question)) as raw:
                    responses.append(raw.http_response)
                    if not leave:
                        await finished(raw.read())
            stream = await self.ask(client, stream=True)
            await chunks_of(stream)
            return [
                (sorted(vars(response)), type(pickle.loads(pickle.dumps(response))))
                for response in (*responses, stream.response)
            ]

        _, told = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert len(told) == 5

    @both_kinds
    @pytest.mark.parametrize("place", ["on the class", "on the function itself"])
    @pytest.mark.parametrize("make", [by_wrapt, by_closure, by_plain_function, by_class, left_bare])
    async def test_a_tool_that_came_first_does_not_lead_past_us(self, watch, monkeypatch, asynchronous, make, place):
        """A tool that has wrapped the client's function before us, there or on the class apps use: all is counted."""
        client_class = getattr(self.module, f"{'Async' if asynchronous else ''}{self.client_class}")
        owner = client_class if place == "on the class" else self.above(client_class)
        theirs = make(client_class.request)
        monkeypatch.setattr(owner, "request", theirs, raising=False)
        seen = self.watched(watch)

        async def scenario(client: Any) -> Any:
            await self.ask(client)
            await finished(self.method(client, "with_raw_response")(**self.question))
            return await chunks_of(await self.ask(client, stream=True))

        with Wire(self.whole(), self.whole(), self.stream()) as wire:
            assert len(await self.told(scenario, wire.url, asynchronous=asynchronous)) == len(self.events)
        assert seen.operations() == 3
        assert self.tokens_told(seen) == (3 * self.tokens[0], 3 * self.tokens[1])
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.library]
        assert "shadowed" not in {target.state for target in status.targets}
        ragmeter.uninstrument()
        assert vars(owner)["request"] is theirs

    @both_kinds
    async def test_what_calls_meet_before_us_is_said(self, watch, monkeypatch, asynchronous):
        """The status names the function of another tool that calls meet before ours."""
        client_class = getattr(self.module, f"{'Async' if asynchronous else ''}{self.client_class}")
        monkeypatch.setattr(client_class, "request", by_closure(client_class.request), raising=False)
        self.watched(watch)
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.library]
        between = [front for target in status.targets for front in target.between]
        assert between == [f"{client_class.__module__}.{client_class.__qualname__}.request by {__name__}"]

    @both_kinds
    async def test_what_leads_past_us_is_said(self, watch, monkeypatch, asynchronous):
        """A tool that takes hold after us of the function it knew before us leads past us: the status names it."""
        client_class = getattr(self.module, f"{'Async' if asynchronous else ''}{self.client_class}")
        bare = client_class.request
        self.watched(watch)
        monkeypatch.setattr(client_class, "request", by_closure(bare), raising=False)
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.library]
        (target,) = [target for target in status.targets if target.between]
        assert target.state == "shadowed"
        assert target.between == (f"{client_class.__module__}.{client_class.__qualname__}.request by {__name__}",)

    async def test_skipped_is_untouched(self, watch):
        """A skipped integration is neither wrapped nor recorded, and the status says so."""
        importlib.import_module(self.library)
        before = originals(self.integration)
        seen = self.watched(watch, skip=[self.library])
        assert originals(self.integration) == before
        with Wire(self.whole()) as wire:
            await self.told(self.ask, wire.url, asynchronous=False)
        assert seen.spans() == ()
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.library]
        assert {target.state for target in status.targets} == {"skipped"}

    def test_the_installed_version_is_a_tested_one(self, watch, caplog):
        """With the installed version nothing is said, and the status shows it in range and wrapped."""
        importlib.import_module(self.library)
        self.watched(watch)
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.library]
        assert status.in_range, f"{status.distribution} {status.installed} is not in {status.tested}: widen the range"
        assert "patched" in {target.state for target in status.targets}
        assert our_lines(caplog.records) == []

    async def test_an_untested_version_is_said_once_and_used(self, watch, monkeypatch, caplog):
        """A version outside the tested range is wrapped all the same, with one warning; status and metrics say so."""
        module = importlib.import_module(f"ragmeter.reading.clients.{self.library}")
        importlib.import_module(self.library)
        monkeypatch.setattr(module, "INTEGRATION", replace(self.integration, tested=("0.0.1", "0.0.2")))
        seen = self.watched(watch)
        with Wire(self.whole()) as wire:
            await self.told(self.ask, wire.url, asynchronous=False)
            await self.told(self.ask, wire.url, asynchronous=False)
        assert seen.operations() == 2
        (line,) = our_lines(caplog.records)
        assert self.integration.distribution in line
        assert "0.0.2" in line
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.library]
        assert status.in_range is False
        ranges = {dict(key)["ragmeter.client"]: dict(key) for key in seen.metric("ragmeter.clients")}
        assert ranges[self.library]["ragmeter.client.range"] == "untested"
