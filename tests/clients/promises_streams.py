"""Promise 3 of the contract: a stream is recorded exactly once, however it ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from typing import Any

import pytest

from clients.blanks import (
    ClientBlanks,
    both_kinds,
    chunks_of,
    collect,
    each_of,
    entering,
    finished,
    first_of,
    our_lines,
    plain,
)
from telemetry_seen import Seen
from wire import Wire, cut_off

PAUSE = 60.0
"""Between two events of a stream that is not to be waited for."""


class AppError(Exception):
    """An exception of the app's own, in the body of its loop."""


class Streams(ClientBlanks):
    """Streams that end early, fail, or are forgotten."""

    def once(self, seen: Seen, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
        """The attributes of the only span, after checking that all places counted once and nobody complained."""
        assert seen.operations() == 1
        assert seen.total("ragmeter.queries") == 1
        assert our_lines(caplog.records) == []
        return dict(seen.span())

    @both_kinds
    async def test_exhausted_and_asked_again(self, watch, asynchronous, caplog):
        """A stream read to its end and asked again ends again, and was recorded once."""

        async def scenario(client: Any) -> Any:
            stream = await self.ask(client, stream=True)
            chunks = await chunks_of(stream)
            return chunks, await chunks_of(stream)

        seen, told = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert told[1] == []
        assert "ragmeter.tokens.estimated" not in self.once(seen, caplog)

    @both_kinds
    async def test_closed_early(self, watch, asynchronous, caplog):
        """A stream closed after its first chunk is recorded once, with what was received as an estimate."""

        async def scenario(client: Any) -> Any:
            stream = await self.ask(client, stream=True)
            chunk = plain(await first_of(stream))
            await finished(stream.close())
            await finished(stream.close())
            return chunk, stream.response.is_closed

        seen, (_, is_closed) = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert is_closed
        span = self.once(seen, caplog)
        assert span["ragmeter.tokens.estimated"] is True
        assert "error.type" not in span

    @both_kinds
    async def test_closed_unread(self, watch, asynchronous, caplog):
        """A stream closed before its first chunk is recorded once."""

        async def scenario(client: Any) -> Any:
            stream = await self.ask(client, stream=True)
            await finished(stream.close())
            return stream.response.is_closed

        seen, _ = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert "gen_ai.response.time_to_first_chunk" not in self.once(seen, caplog)

    @both_kinds
    async def test_left_by_break_and_closed(self, watch, asynchronous, caplog):
        """`break` inside `with` closes the stream: it is recorded once."""

        async def scenario(client: Any) -> Any:
            async with entering(await self.ask(client, stream=True)) as stream:
                async for chunk in each_of(stream):
                    first = plain(chunk)
                    break
            return first

        seen, _ = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        self.once(seen, caplog)

    @both_kinds
    async def test_left_by_break_and_forgotten(self, watch, asynchronous, caplog):
        """`break` without closing: it is recorded once, when the stream is collected."""
        seen = self.watched(watch)
        with Wire(self.stream(pause=0.01)) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            stream = await self.ask(client, stream=True)
            async for _ in each_of(stream):
                break
            del stream, _
            collect()
            await asyncio.sleep(0.05)
            collect()
            self.once(seen, caplog)
            await finished(client.close())

    @both_kinds
    async def test_forgotten_unread(self, watch, asynchronous, caplog):
        """A stream that nobody ever reads is recorded once, when it is collected."""
        seen = self.watched(watch)
        with Wire(self.stream(pause=0.01)) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            stream = await self.ask(client, stream=True)
            del stream
            collect()
            self.once(seen, caplog)
            await finished(client.close())

    @both_kinds
    async def test_raw_and_forgotten(self, watch, asynchronous, caplog):
        """A raw response of a stream that nobody ever parses or closes is recorded once, when it is collected."""
        seen = self.watched(watch)
        with Wire(self.stream(pause=0.01)) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            raw = await finished(self.method(client, "with_raw_response")(**self.question, stream=True))
            assert raw.status_code == 200
            del raw
            collect()
            self.once(seen, caplog)
            await finished(client.close())

    @both_kinds
    async def test_left_by_the_apps_exception(self, watch, asynchronous, caplog):
        """An exception in the body of the app's loop comes through, and the stream is recorded once."""

        async def scenario(client: Any) -> Any:
            async with entering(await self.ask(client, stream=True)) as stream:
                async for _ in each_of(stream):
                    raise AppError("SENTINEL-APP")

        seen, told = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert told[0] is AppError
        self.once(seen, caplog)
        assert "SENTINEL-APP" not in seen.everything()

    @both_kinds
    async def test_failed_by_the_provider(self, watch, asynchronous, caplog):
        """An error event in a stream raises what it raises without ragmeter, and is recorded once with that error."""

        async def scenario(client: Any) -> Any:
            chunks = []
            try:
                async for chunk in each_of(await self.ask(client, stream=True)):
                    chunks.append(plain(chunk))  # noqa: PERF401 - what came before the error counts
            except self.module.APIError as error:
                return chunks, type(error), str(error)
            # Some releases of the clients hand the error on as a chunk.
            return chunks, None, ""

        broken = self.stream((*self.events[:3], self.stream_error))
        seen, (chunks, kind, _) = await self.compared(watch, scenario, broken, asynchronous=asynchronous)
        assert len(chunks) >= 3
        assert self.once(seen, caplog).get("error.type") == (kind and f"{kind.__module__}.{kind.__qualname__}")
        assert "SENTINEL-ERROR" not in seen.everything()

    @both_kinds
    async def test_cut_off_on_the_way(self, watch, asynchronous, caplog):
        """A connection that breaks in the middle raises what it raises without ragmeter, and is recorded once."""

        async def scenario(client: Any) -> Any:
            return await chunks_of(await self.ask(client, stream=True))

        seen, told = await self.compared(watch, scenario, cut_off(self.stream(), 2), asynchronous=asynchronous)
        span = self.once(seen, caplog)
        assert span["error.type"] == f"{told[0].__module__}.{told[0].__qualname__}"
        assert span["ragmeter.tokens.estimated"] is True

    async def test_cancelled_while_it_waits(self, watch, caplog):
        """A task cancelled while it waits for a chunk ends before that comes, and its stream is recorded once."""
        seen = self.watched(watch)
        with Wire(self.stream(pause=PAUSE)) as wire:
            client = self.client(wire.url, asynchronous=True)

            async def read() -> None:
                async for _ in await self.ask(client, stream=True):
                    reached.set()

            reached = asyncio.Event()
            task = asyncio.create_task(read())
            await asyncio.wait_for(reached.wait(), 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert wire.sent == 1
            del task
            await client.close()
            collect()
            span = self.once(seen, caplog)
        assert span["error.type"].endswith("CancelledError")

    async def test_closed_in_another_task(self, watch, caplog):
        """A stream begun in one task and closed in another is recorded once, without a word about contexts."""
        seen = self.watched(watch)
        with Wire(self.stream(pause=0.01)) as wire:
            client = self.client(wire.url, asynchronous=True)

            async def begin() -> Any:
                stream = await self.ask(client, stream=True)
                await first_of(stream)
                return stream

            async def end(stream: Any) -> None:
                await stream.close()

            stream = await asyncio.create_task(begin())
            await asyncio.create_task(end(stream))
            await client.close()
        self.once(seen, caplog)

    async def test_closed_in_another_thread(self, watch, caplog):
        """A stream begun in one thread and closed in another is recorded once."""
        seen = self.watched(watch)
        with Wire(self.stream(pause=0.01)) as wire:
            client = self.client(wire.url)
            stream = await self.ask(client, stream=True)
            next(stream)
            closing = threading.Thread(target=stream.close)
            closing.start()
            closing.join(10)
            client.close()
        self.once(seen, caplog)

    async def test_a_call_thrown_away_half_way(self, watch, caplog):
        """A call whose coroutine is closed from another context, as at the end of a loop, is recorded once, quietly."""
        seen = self.watched(watch)
        with Wire(self.stream(pause=0.01)) as wire:
            client = self.client(wire.url, asynchronous=True)
            call = self.ask(client, stream=True)
            contextvars.copy_context().run(call.send, None)
            call.close()
            await client.close()
        assert self.once(seen, caplog)["error.type"] == "GeneratorExit"

    @both_kinds
    async def test_two_streams_at_once(self, watch, asynchronous):
        """Two streams read in turns keep their chunks apart and are two operations."""

        async def scenario(client: Any) -> Any:
            first, second = await self.ask(client, stream=True), await self.ask(client, stream=True)
            chunks = [plain(await first_of(first)), plain(await first_of(second)), plain(await first_of(first))]
            return chunks, await chunks_of(second), await chunks_of(first)

        seen, _ = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert seen.operations() == 2
        assert self.tokens_told(seen) == (2 * self.tokens[0], 2 * self.tokens[1])

    async def test_a_stream_that_threads_share(self, watch):
        """Threads that ask one stream at once are refused now and then by it, not by us: all of it is counted once."""
        seen = self.watched(watch)
        chunks: list[Any] = []
        refused: list[ValueError] = []

        def take() -> None:
            while True:
                try:
                    chunks.append(next(stream))
                except StopIteration:
                    return
                except ValueError as error:
                    refused.append(error)
                    time.sleep(0.001)

        with Wire(self.stream(pause=0.01)) as wire:
            client = self.client(wire.url)
            stream = await self.ask(client, stream=True)
            threads = [threading.Thread(target=take) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            client.close()
        assert refused
        assert seen.operations() == 1
        assert "error.type" not in seen.span()
        assert self.tokens_told(seen) == self.tokens
