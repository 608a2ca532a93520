"""anthropic: the contract, cache lifetimes, and no second span from the client itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import anthropic
import anthropic._base_client
import pytest

from clients.blanks import ClientBlanks, both_kinds, chunks_of, each_of, entering, finished, plain
from contract import ClientContract
from wire import Wire, events, whole

MODEL = "claude-haiku-4-5"


def message(**more: Any) -> dict[str, Any]:
    """A whole message; `more` replaces or adds fields."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "SENTINEL-ANSWER is the answer"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 40, "output_tokens": 9},
        **more,
    }


def streamed(started: dict[str, Any], ended: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The events of a stream whose first and last usage are given."""
    return (
        {"type": "message_start", "message": message(content=[], stop_reason=None, usage=started)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in ("SENTINEL", "-ANSWER", " is the answer")
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": ended},
        {"type": "message_stop"},
    )


class AnthropicBlanks(ClientBlanks):
    """How anthropic is asked."""

    library = "anthropic"
    client_class = "Anthropic"
    operation = "messages.create"
    question: Mapping[str, Any] = {
        "model": MODEL,
        "max_tokens": 100,
        "system": "SENTINEL-SYSTEM: be brief.",
        "messages": [{"role": "user", "content": "SENTINEL-QUESTION: what is it?"}],
    }
    body = message()
    events = streamed({"input_tokens": 40, "output_tokens": 1}, {"output_tokens": 9})
    hollow = (message(content=None, usage=None), message(content=[], usage={}), {"type": "message"}, {})
    stream_error: Mapping[str, Any] = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "SENTINEL-ERROR"},
    }
    named_events = True
    asks_for_usage = False
    tokens = (40, 9)


class TestAnthropic(AnthropicBlanks, ClientContract):
    """The contract with apps that use the anthropic client."""


PRICES = {MODEL: {"input": 1.0, "output": 5.0, "cache_read": 0.1, "cache_write": 1.25, "cache_write_1h": 2.0}}
"""US dollars per million tokens."""

CACHED = {
    "input_tokens": 40,
    "cache_read_input_tokens": 1_000,
    "cache_creation_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
    "output_tokens": 9,
}
CACHED_COST = (40 * 1.0 + 1_000 * 0.1 + 200 * 1.25 + 100 * 2.0 + 9 * 5.0) / 1e6


class TestUsage(AnthropicBlanks):
    """Cached tokens stand beside the input, and the counts of a stream come in two places."""

    @both_kinds
    @pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
    async def test_each_cache_lifetime_has_its_price(self, watch, asynchronous, streams):
        """Reads and writes of both lifetimes are part of the input, and each is charged at its own price."""

        async def scenario(client: Any) -> Any:
            answer = await self.ask(client, **({"stream": True} if streams else {}))
            return await chunks_of(answer) if streams else plain(answer)

        started = {**CACHED, "output_tokens": 1}
        stream = events(streamed(started, {"output_tokens": 9}), named=True, done=False)
        answer = stream if streams else whole(message(usage=CACHED))
        seen, _ = await self.compared(watch, scenario, answer, asynchronous=asynchronous, prices=PRICES)
        span = seen.span()
        assert span["gen_ai.usage.input_tokens"] == 1_340
        assert span["gen_ai.usage.output_tokens"] == 9
        assert span["gen_ai.usage.cache_read.input_tokens"] == 1_000
        assert span["gen_ai.usage.cache_write.input_tokens"] == 300
        assert span["ragmeter.cost.amount"] == pytest.approx(CACHED_COST)
        assert sum(seen.metric("ragmeter.cost.usd").values()) == pytest.approx(CACHED_COST)
        for rate, tokens in (("cache_read", 1_000), ("cache_write", 300), ("full", 49)):
            assert seen.total("ragmeter.tokens", ragmeter_token_rate=rate) == tokens

    @both_kinds
    async def test_later_counts_replace_earlier_ones(self, watch, asynchronous):
        """The last event of a stream has the counts that are billed: they are not added to the first one's."""

        async def scenario(client: Any) -> Any:
            return await chunks_of(await self.ask(client, stream=True))

        started, ended = {"input_tokens": 40, "output_tokens": 1}, {"input_tokens": 900, "output_tokens": 9}
        answer = events(streamed(started, ended), named=True, done=False)
        seen, _ = await self.compared(watch, scenario, answer, asynchronous=asynchronous)
        assert self.tokens_told(seen) == (900, 9)

    @both_kinds
    async def test_a_stream_left_early_keeps_its_input(self, watch, asynchronous):
        """What the first event says about the input is kept when the stream is left; only the output is estimated."""

        async def scenario(client: Any) -> Any:
            async with entering(await self.ask(client, stream=True)) as stream:
                async for event in each_of(stream):
                    if event.type == "content_block_delta":
                        break
            return event.type

        answer = events(streamed({**CACHED, "output_tokens": 1}, {"output_tokens": 9}), named=True, done=False)
        seen, _ = await self.compared(watch, scenario, answer, asynchronous=asynchronous)
        assert seen.span()["ragmeter.tokens.estimated"] is True
        output = seen.total("ragmeter.tokens", ragmeter_part="output")
        assert seen.total("ragmeter.tokens") - output == 1_340
        assert 1 <= output < 9


class TestOnTop(AnthropicBlanks):
    """What the library builds on a request, and what it records itself."""

    @both_kinds
    @pytest.mark.parametrize("way", ["events", "text", "final"])
    async def test_the_stream_helper_is_one_operation(self, watch, asynchronous, way):
        """`messages.stream()` gives the same events, text and message, and is one operation."""

        async def scenario(client: Any) -> Any:
            async with entering(client.messages.stream(**self.question)) as helper:
                if way == "text":
                    return [text async for text in each_of(helper.text_stream)]
                if way == "final":
                    return plain(await finished(helper.get_final_message()))
                return [plain(event) async for event in each_of(helper)]

        seen, told = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert told
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    async def test_the_stream_helper_left_early_is_one_operation(self, watch, asynchronous):
        """`messages.stream()` left after its first event is one operation, closed."""

        async def scenario(client: Any) -> Any:
            async with entering(client.messages.stream(**self.question)) as helper:
                return (await anext(each_of(helper))).type

        seen, _ = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert seen.span()["ragmeter.tokens.estimated"] is True

    @pytest.mark.skipif(not hasattr(anthropic, "Middleware"), reason="this version has no middleware")
    async def test_a_call_of_a_middleware_is_one_of_its_own(self, watch):
        """A guardrail in a middleware that asks with the very client it stands in is counted beside the call."""
        asked: list[Any] = []

        def guarded(request: Any, call_next: Any) -> Any:
            if not asked:
                asked.append(request)
                client.messages.create(**self.question)
            return call_next(request)

        seen = self.watched(watch)
        with Wire(self.whole()) as wire:
            client = self.client(wire.url, middleware=[guarded])
            await self.ask(client)
            client.close()
        assert seen.operations() == 2
        assert self.tokens_told(seen) == (2 * self.tokens[0], 2 * self.tokens[1])
        assert seen.spans_started == len(seen.spans()) == 2

    @pytest.mark.skipif(
        not hasattr(anthropic._base_client, "start_api_call_span"),
        reason=f"anthropic {anthropic.__version__} starts no span of its own",
    )
    @both_kinds
    def test_the_clients_own_span_is_not_a_second_one(self, asynchronous):
        """Where a global tracer provider exists the client records itself; with ragmeter on there is one span, ours."""
        with Wire(self.whole()) as wire:
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", OWN_SPAN, wire.url, "Async" if asynchronous else ""],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [
            "before:com.anthropic.sdk.python",
            "during:ragmeter",
            "after:com.anthropic.sdk.python",
        ]


OWN_SPAN = """
import asyncio, inspect, sys
import anthropic
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import ragmeter

url, kind = sys.argv[1:]
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

def call(when):
    async def ask():
        client = getattr(anthropic, kind + "Anthropic")(base_url=url, api_key="key")
        question = [{"role": "user", "content": "q"}]
        made = client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=question)
        if inspect.isawaitable(made):
            await made
    asyncio.run(ask())
    ragmeter.flush()
    print(*(f"{when}:{span.instrumentation_scope.name}" for span in exporter.get_finished_spans()))
    exporter.clear()

call("before")
ragmeter.instrument(meter_provider=MeterProvider())
call("during")
ragmeter.uninstrument()
call("after")
"""
