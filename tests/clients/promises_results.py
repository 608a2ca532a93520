"""Promises 1 and 9 of the contract: the app gets what it gets without us, and one request is counted once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from opentelemetry import context as otel_context

from clients.blanks import ClientBlanks, both_kinds, chunks_of, entering, finished, plain
from wire import Wire, whole

RAW, UNREAD = "with_raw_response", "with_streaming_response"
BUSY = {"error": {"message": "SENTINEL-ERROR", "type": "rate_limit_error"}}
SUPPRESSING = ("suppress_instrumentation", "suppress_language_model_instrumentation")
OTHERS = "opentelemetry.genai.client.inference.context"


class Results(ClientBlanks):
    """Whole answers, raw responses, errors: the same objects, and each call recorded once."""

    @both_kinds
    async def test_an_answer_is_the_clients_own(self, watch, asynchronous):
        """A whole answer has the type and the content it has without ragmeter, and its tokens are counted once."""

        async def scenario(client: Any) -> Any:
            return plain(await self.ask(client))

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens
        assert seen.span()["gen_ai.usage.input_tokens"] == self.tokens[0]

    @both_kinds
    async def test_a_raw_response_can_be_parsed(self, watch, asynchronous):
        """A raw response keeps its type, headers and `parse()`, which gives the same object each time."""

        async def scenario(client: Any) -> Any:
            raw = await finished(self.method(client, RAW)(**self.question))
            parsed = await finished(raw.parse())
            assert await finished(raw.parse()) is parsed
            return type(raw), raw.headers["content-type"], plain(parsed)

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    async def test_a_raw_response_that_is_never_parsed_counts(self, watch, asynchronous):
        """The usage of a raw response is counted though the app never parses it."""

        async def scenario(client: Any) -> Any:
            return type(await finished(self.method(client, RAW)(**self.question)))

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    async def test_a_raw_stream_can_be_parsed(self, watch, asynchronous):
        """A raw response whose body is a stream gives the client's own stream, chunk for chunk."""

        async def scenario(client: Any) -> Any:
            raw = await finished(self.method(client, RAW)(**self.question, stream=True))
            stream = await finished(raw.parse())
            return type(raw), type(stream), await chunks_of(stream)

        seen, _ = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    @pytest.mark.parametrize("reading", ["parse", "read", "iter_lines", "iter_bytes", "iter_raw"])
    async def test_a_streaming_response_can_be_read(self, watch, asynchronous, reading):
        """A response whose body the app reads itself gives the same bytes, lines or object, and is counted once."""

        async def scenario(client: Any) -> Any:
            async with entering(self.method(client, UNREAD)(**self.question)) as response:
                if reading == "iter_raw":
                    below = response.http_response
                    return type(response), await chunks_of(below.aiter_raw() if asynchronous else below.iter_raw())
                if reading.startswith("iter_"):
                    return type(response), await chunks_of(getattr(response, reading)())
                return type(response), plain(await finished(getattr(response, reading)()))

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    @pytest.mark.parametrize("reading", ["read", "iter_lines", "iter_bytes"])
    async def test_a_stream_can_be_read_without_the_client(self, watch, asynchronous, reading):
        """A stream whose body the app reads or hands on itself gives the same bytes or lines, and its tokens count."""

        async def scenario(client: Any) -> Any:
            async with entering(self.method(client, UNREAD)(**self.question, stream=True)) as response:
                if reading == "read":
                    return await finished(response.read())
                return await chunks_of(getattr(response, reading)())

        seen, _ = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    async def test_a_streaming_response_can_be_a_stream(self, watch, asynchronous):
        """A response whose body the app reads itself can be parsed to the client's own stream."""

        async def scenario(client: Any) -> Any:
            async with entering(self.method(client, UNREAD)(**self.question, stream=True)) as response:
                stream = await finished(response.parse())
                return type(stream), await chunks_of(stream)

        seen, _ = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    async def test_a_response_that_is_not_read_counts_as_one_operation(self, watch, asynchronous):
        """A response the app closes unread is one operation, of which no tokens are claimed."""

        async def scenario(client: Any) -> Any:
            async with entering(self.method(client, UNREAD)(**self.question)) as response:
                return type(response)

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert seen.metric("gen_ai.client.token.usage") == {}

    @both_kinds
    async def test_a_stream_is_the_clients_own(self, watch, asynchronous):
        """A stream is of the client's own class, has its response, and gives every chunk, also in tiny pieces."""
        stream_class = getattr(self.module, "AsyncStream" if asynchronous else "Stream")

        async def scenario(client: Any) -> Any:
            stream = await self.ask(client, stream=True)
            assert isinstance(stream, stream_class)
            return type(stream), stream.response.status_code, await chunks_of(stream)

        seen, _ = await self.compared(watch, scenario, self.stream(piece=3), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens
        assert seen.count("gen_ai.client.operation.time_to_first_chunk") == 1

    @both_kinds
    async def test_a_stream_is_a_context_manager(self, watch, asynchronous):
        """`with stream:` gives the stream itself and closes its connection, as without ragmeter."""

        async def scenario(client: Any) -> Any:
            stream = await self.ask(client, stream=True)
            async with entering(stream) as entered:
                assert entered is stream
                chunks = await chunks_of(entered)
            return chunks, stream.response.is_closed

        seen, (_, is_closed) = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert is_closed
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    async def test_one_shot_arguments_reach_the_provider(self, watch, asynchronous):
        """Messages given as a generator are sent as they are without ragmeter: we do not use them up."""

        async def scenario(client: Any) -> Any:
            question = {**self.question, "messages": (message for message in self.question["messages"])}
            return plain(await finished(self.method(client)(**question)))

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous)
        assert seen.operations() == 1

    @both_kinds
    async def test_arguments_are_not_changed(self, watch, asynchronous):
        """What the app passes in is what it still has afterwards."""
        question = copy.deepcopy(dict(self.question))

        async def scenario(client: Any) -> Any:
            return plain(await finished(self.method(client)(**question)))

        await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous, stream_usage=True)
        assert question == self.question

    @both_kinds
    async def test_hollow_answers_do_no_harm(self, watch, asynchronous):
        """Answers without choices, content or usage pass as without ragmeter, and count as operations."""

        async def scenario(client: Any) -> Any:
            return [plain(await self.ask(client)) for _ in self.hollow]

        answers = tuple(whole(body) for body in self.hollow)
        seen, _ = await self.compared(watch, scenario, *answers, asynchronous=asynchronous)
        assert seen.operations() == len(self.hollow)

    @both_kinds
    @pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
    async def test_an_error_is_the_clients_own(self, watch, asynchronous, status):
        """The client's exception comes through with its type, message and status, and is recorded without its text."""

        async def scenario(client: Any) -> Any:
            return await self.ask(client)

        seen, told = await self.compared(watch, scenario, whole(BUSY, status), asynchronous=asynchronous)
        kind = told[0]
        assert told[2] == status
        assert seen.operations() == 1
        assert seen.span()["error.type"] == f"{kind.__module__}.{kind.__qualname__}"
        assert seen.total("ragmeter.queries", error_type=seen.span()["error.type"]) == 1
        assert seen.metric("gen_ai.client.token.usage") == {}
        assert "SENTINEL-ERROR" not in seen.everything()

    @both_kinds
    async def test_a_retry_is_the_same_operation(self, watch, asynchronous):
        """A request the client repeats after 429 is one operation, with the tokens of the answer that came."""
        busy = whole(BUSY, 429, retry_after_ms="1", retry_after="0.001")
        seen = self.watched(watch)
        with Wire(busy, self.whole()) as wire:
            client = self.client(wire.url, asynchronous=asynchronous, max_retries=2)
            await self.ask(client)
            await finished(client.close())
            assert len(wire.asked) == 2
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens
        assert "error.type" not in seen.span()

    @both_kinds
    @pytest.mark.parametrize("key", SUPPRESSING)
    async def test_suppressed_calls_are_not_recorded(self, watch, asynchronous, key):
        """Under another instrumentation's suppression key a call passes and nothing is recorded."""
        seen = self.watched(watch)
        with Wire(self.whole()) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            token = otel_context.attach(otel_context.set_value(key, True))
            try:
                answer = await self.ask(client)
            finally:
                otel_context.detach(token)
            await finished(client.close())
        assert answer is not None
        assert seen.spans() == ()
        assert seen.metric("ragmeter.operations") == {}

    @both_kinds
    async def test_inside_the_official_instrumentation_only_what_is_ours_is_recorded(self, watch, asynchronous):
        """Where the official instrumentation records the call, it has the span and the standard metrics to itself."""
        seen = self.watched(watch)
        with Wire(self.whole()) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            token = otel_context.attach(otel_context.set_value(OTHERS, object()))
            try:
                await self.ask(client)
            finally:
                otel_context.detach(token)
            await finished(client.close())
        assert seen.spans() == ()
        assert not [name for name in seen.metrics() if name.startswith("gen_ai.")]
        assert seen.total("ragmeter.operations") == 1
        assert seen.total("ragmeter.tokens") == sum(self.tokens)
