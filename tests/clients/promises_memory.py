"""Promise 8 of the contract: memory is bounded, and there is no thread per call."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import ragmeter
from clients.blanks import ClientBlanks, chunks_of, collect, finished, first_of
from wire import Wire, whole

CALLS = int(os.environ.get("RAGMETER_SOAK_CALLS", "240"))
"""Calls of the soak test; set the variable to 100000 for the long one."""

LONG = 10_000
"""From so many calls on the resident memory is looked at as well: below it the allocator's noise is larger."""

MOST_GROWTH = 20_000_000
"""Bytes by which the resident memory may grow in the second half of a long run."""


async def ours() -> Counter[str]:
    """How many objects of our own classes are alive, by class, once the event loop has closed what was forgotten."""
    for _ in range(3):
        collect()
        await asyncio.sleep(0.02)
    collect()
    return Counter(
        type(thing).__qualname__ for thing in gc.get_objects() if str(type(thing).__module__).startswith("ragmeter")
    )


def resident() -> int:
    """Resident memory of this process in bytes, 0 where the system does not tell."""
    with suppress(OSError):
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


MOST_LEFT = 5
"""Objects of one class that may be left over, whatever the number of calls: the asynchronous generators of a stream
that was left early are closed by the event loop in its own time."""


class Memory(ClientBlanks):
    """Many calls of every kind, and nothing of ours is left."""

    async def turn(self, clients: tuple[Any, Any]) -> None:
        """One call of each kind, six in all."""
        for client in clients:
            await self.ask(client)
            stream = await self.ask(client, stream=True)
            await first_of(stream)
            await finished(stream.close())
            with suppress(self.module.APIError):
                await self.ask(client)

    @pytest.mark.soak
    async def test_memory_is_bounded(self, watch):
        """After many calls, streams, early ends and errors no object of ours and no thread of ours is left over."""
        failed = whole({"error": {"message": "broken", "type": "server_error"}}, 500)
        answers = (self.whole(), self.stream(), failed)
        seen = self.watched(watch, sampler=ALWAYS_OFF)
        with Wire(lambda asked: answers[(wire.served - 1) % 3]) as wire:
            clients = self.client(wire.url), self.client(wire.url, asynchronous=True)
            for _ in range(10):
                await self.turn(clients)
            assert ragmeter.flush(10)
            before, threads = await ours(), thread_names()
            turns = max(1, CALLS // 6)
            for turn in range(turns):
                await self.turn(clients)
                if turn == turns // 2:
                    middle = resident()
            assert ragmeter.flush(60)
            assert thread_names() - threads == set()
            left = await ours() - before
            assert max(left.values(), default=0) <= MOST_LEFT, left
            assert threads & {"ragmeter"} == {"ragmeter"}
            if CALLS >= LONG:
                assert resident() - middle < MOST_GROWTH
            for client in clients:
                await finished(client.close())
        assert seen.operations() == (10 + turns) * 6

    async def test_a_long_stream_is_not_kept(self, watch):
        """Of a stream of thousands of chunks only a bounded number is kept at a time, and all of it is counted."""
        long = self.stream((*self.events[:2], *self.events[2:3] * 3_000, *self.events[2:]))
        seen = self.watched(watch)
        chunk_class: set[type] = set()
        most = 0
        with Wire(long) as wire:
            client = self.client(wire.url, asynchronous=True)
            stream = await self.ask(client, stream=True)
            position = 0
            async for chunk in stream:
                chunk_class.add(type(chunk))
                position += 1
                if position % 1_000 == 0:
                    most = max(most, sum(type(thing) in chunk_class for thing in gc.get_objects()))
            await client.close()
        assert position > 3_000
        assert 0 < most < 600
        assert self.tokens_told(seen) == self.tokens

    async def test_no_thread_per_call(self, watch):
        """However many calls run at once, there is one thread of ours."""
        before = set(threading.enumerate())
        self.watched(watch)
        with Wire(self.stream(pause=0.01)) as wire:
            client = self.client(wire.url, asynchronous=True)

            async def read() -> None:
                await chunks_of(await self.ask(client, stream=True))
                counts.append(sum(thread.name == "ragmeter" for thread in set(threading.enumerate()) - before))

            counts: list[int] = []
            await asyncio.gather(*(read() for _ in range(20)))
            await client.close()
        assert max(counts) == 1


def thread_names() -> set[str]:
    """Names of the live threads, but those of the fake server and of the event loop."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if "process_request_thread" not in name and not name.startswith("asyncio_")}
