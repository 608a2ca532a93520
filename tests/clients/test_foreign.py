"""Beside tools that wrap the same clients, in both orders. Runs where they are installed: with scripts/test-middle."""

from __future__ import annotations

import openai
import pytest

import ragmeter
from clients.blanks import both_kinds, finished
from clients.test_openai import OpenAIBlanks
from wire import Wire

openinference = pytest.importorskip("openinference.instrumentation.openai")


@pytest.fixture
def instrumentor(monkeypatch):
    """OpenInference's tool, which leaves the bare function on the client's classes when it goes."""
    found = openinference.OpenAIInstrumentor()
    yield found
    ragmeter.uninstrument()
    found.uninstrument()
    for client_class in (openai.OpenAI, openai.AsyncOpenAI):
        if "request" in vars(client_class):
            del client_class.request


class TestOpenInference(OpenAIBlanks):
    """It binds the client's function in its own wrapper to `OpenAI`, above which ours stands."""

    @both_kinds
    @pytest.mark.parametrize("first", ["theirs", "ours"])
    async def test_every_call_is_counted_once(self, watch, instrumentor, asynchronous, first):
        """Whole answers, raw ones and streams are counted once, whoever came first; the status names the tool."""
        if first == "theirs":
            instrumentor.instrument()
        seen = self.watched(watch)
        if first == "ours":
            instrumentor.instrument()

        async def scenario(client):
            await self.ask(client)
            await finished(self.method(client, "with_raw_response")(**self.question))
            stream = await self.ask(client, stream=True)
            # Its stream looks as if it were both kinds.
            return len([chunk async for chunk in stream] if asynchronous else list(stream))

        with Wire(self.whole(), self.whole(), self.stream()) as wire:
            assert await self.told(scenario, wire.url, asynchronous=asynchronous) == len(self.events)
        assert seen.operations() == 3
        assert self.tokens_told(seen) == (3 * self.tokens[0], 3 * self.tokens[1])
        (status,) = [each for each in ragmeter.status().integrations if each.name == "openai"]
        assert {target.state for target in status.targets} == {"patched"}
        (sync, asynchronous_one, *_) = [target.between for target in status.targets]
        assert sync == ("openai.OpenAI.request by openinference.instrumentation.openai._request",)
        assert asynchronous_one == ("openai.AsyncOpenAI.request by openinference.instrumentation.openai._request",)

    async def test_a_tool_that_takes_itself_back_is_told(self, watch, instrumentor):
        """It puts the bare function on the class when it goes: the status says that calls lead past us now."""
        instrumentor.instrument()
        self.watched(watch)
        instrumentor.uninstrument()
        (status,) = [each for each in ragmeter.status().integrations if each.name == "openai"]
        assert [target.state for target in status.targets[:2]] == ["shadowed", "shadowed"]
