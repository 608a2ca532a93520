"""Promise 7 of the contract: fork, threads, tasks, exit: nothing lost, nothing blocked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ragmeter
from clients.blanks import ClientBlanks, chunks_of, collect
from wire import Answer, Wire

TESTS = Path(__file__).parent.parent
PAUSE = 60.0
THREADS, CALLS = 8, 5
WORKED = 17
"""Exit code of a child that found everything right: no accident gives it."""

BEGIN = """
import asyncio, importlib, os, sys, threading, time
import ragmeter
{before}
contract = getattr(importlib.import_module({module!r}), {name!r})()
url = {url!r}
ask = lambda: asyncio.run(contract.told(contract.ask, url, asynchronous=False))
"""

FORK = """
from telemetry_seen import Seen
seen = Seen()
ragmeter.instrument(
    tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider, providers={"127.0.0.1": contract.library}
)

def in_child():
    ask(), ask(), ask()
    # A thread of the child's own does the work, without being asked to.
    ends = time.monotonic() + 10
    while ragmeter.status().waiting and time.monotonic() < ends:
        time.sleep(0.01)
    # Only what is ours begins at zero: the histograms of the app's SDK are copied by the fork.
    worked_alone = not ragmeter.status().waiting
    return worked_alone and seen.total("ragmeter.operations") == 3 and seen.total("ragmeter.queries") == 3

def fork():
    child = os.fork()
    if child == 0:
        os._exit({worked} if in_child() else 1)
    return child

def worked(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == {worked}

ask(), ask()
assert seen.operations() == 2
assert worked(fork()), "forked while idle"

def be_busy():
    with ragmeter._running[0].worker.lock:
        busy.set()
        forked.wait(20)

# Something is queued, and the worker's lock is held by a thread that the child will not have.
busy, forked = threading.Event(), threading.Event()
thread = threading.Thread(target=be_busy)
thread.start()
busy.wait(20)
ask()
child = fork()
forked.set()
thread.join()
assert worked(child), "forked while busy"
ask()
assert seen.operations() == len(seen.spans()) == 4
print("parent is right")
"""

EXIT = """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
tracer_provider = TracerProvider()
tracer_provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
reader = PeriodicExportingMetricReader(ConsoleMetricExporter(), export_interval_millis=3_600_000)
ragmeter.instrument(
    tracer_provider=tracer_provider, meter_provider=MeterProvider([reader]), providers={"127.0.0.1": contract.library}
)
ask()
"""


EARLY = """
import wrapt
from telemetry_seen import Seen
for _ in range(2):
    ragmeter.uninstrument()
    seen = Seen()
    ragmeter.instrument(
        tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider, providers={{"127.0.0.1": {library!r}}}
    )
assert {library!r} not in sys.modules, "ragmeter has imported the client"
"""

LATE = """
client_class = importlib.import_module(contract.library + "._base_client").SyncAPIClient
assert isinstance(vars(client_class)["request"], wrapt.FunctionWrapper)
ask()
assert seen.operations() == 1
ragmeter.uninstrument()
assert not isinstance(vars(client_class)["request"], wrapt.FunctionWrapper), "wrapped by both"
print("right")
"""


UNDER_WAY = """
from wire import Answer, Wire
wire = Wire(Answer((b"", b"{}"), chunked=True, pause=60)).__enter__()
url = wire.url
threading.Thread(target=ask, daemon=True).start()
while not wire.asked:
    time.sleep(0.01)
"""


class Processes(ClientBlanks):
    """Everything that runs at once, and everything that ends."""

    def run(self, script: str, url: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script in a fresh interpreter, with `contract` being this class and `ask()` making a call.

        `before` runs before the client is imported.
        """
        begin = BEGIN.format(module=type(self).__module__, name=type(self).__name__, url=url, before=before)
        paths = [str(TESTS), str(TESTS / "clients"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "RAGMETER_LOUD": "1"}
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", begin + textwrap.dedent(script)],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )

    def test_a_forked_child_counts_its_own(self):
        """A forked child counts its calls and not its parent's, also when it was forked in the middle of our work."""
        with Wire(self.whole()) as wire:
            done = self.run(FORK.replace("{worked}", str(WORKED)), wire.url)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "parent is right\n"

    def test_a_client_imported_later_is_covered(self):
        """Nothing is imported before the app does it; then it is wrapped once, by the ragmeter that is on."""
        with Wire(self.whole()) as wire:
            done = self.run(LATE, wire.url, EARLY.format(library=self.library))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "right\n"

    def test_the_interpreters_exit_loses_nothing(self):
        """A program that ends right after its call, without a flush, has exported its span and its metrics."""
        with Wire(self.whole()) as wire:
            done = self.run(EXIT, wire.url)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count('"ragmeter.strategy": "base"') >= 1
        for name in ("ragmeter.queries", "ragmeter.tokens", "ragmeter.operations", "gen_ai.client.token.usage"):
            assert f'"name": "{name}"' in done.stdout
        assert f'"gen_ai.usage.input_tokens": {self.tokens[0]}' in done.stdout
        assert done.stderr == ""

    def test_the_interpreters_exit_waits_for_no_call_and_counts_it(self):
        """A program that ends while a daemon thread waits for an answer has exported that call, as failed with it."""
        done = self.run(EXIT.removesuffix("ask()\n") + UNDER_WAY, "")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count('"error.type": "process_exit"') >= 1
        for name in ("ragmeter.queries", "ragmeter.operations", "gen_ai.client.operation.duration"):
            assert f'"name": "{name}"' in done.stdout
        assert done.stderr == ""

    def test_threads_lose_nothing(self, watch):
        """Calls from many threads at once, each in a query of its own, are all counted, each under its own label."""
        seen = self.watched(watch, labels=["caller"])

        def work(number: int) -> None:
            client = self.client(wire.url)
            for _ in range(CALLS):
                with ragmeter.query(caller=f"thread-{number}"):
                    self.method(client)(**self.question)
            client.close()

        with Wire(self.whole()) as wire, ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        assert seen.operations() == THREADS * CALLS
        queries = {dict(key)["caller"]: value for key, value in seen.metric("ragmeter.queries").items()}
        assert queries == {f"thread-{number}": CALLS for number in range(THREADS)}
        assert self.tokens_told(seen) == (THREADS * CALLS * self.tokens[0], THREADS * CALLS * self.tokens[1])

    async def test_gathered_calls_are_one_query_if_said_so(self, watch):
        """Calls gathered inside one query belong to it, streams too; gathered queries are as many."""
        seen = self.watched(watch)
        with Wire(self.whole()) as wire:
            client = self.client(wire.url, asynchronous=True)

            async def answer() -> None:
                async with ragmeter.query():
                    await asyncio.gather(self.ask(client), self.ask(client), self.ask(client))

            await asyncio.gather(*(answer() for _ in range(4)))
            await client.close()
        assert seen.operations() == 12
        assert seen.total("ragmeter.queries") == 4
        names = [span.name for span in seen.spans()]
        assert names.count("query") == 4
        parents = {span.context.span_id: span.name for span in seen.spans()}
        calls = [span for span in seen.spans() if span.name != "query"]
        assert all(span.parent is not None and parents[span.parent.span_id] == "query" for span in calls)

    async def test_gathered_streams_lose_nothing(self, watch):
        """Many streams read at once are counted each, with all their tokens."""
        seen = self.watched(watch)
        with Wire(self.stream(pause=0.002)) as wire:
            client = self.client(wire.url, asynchronous=True)

            async def read() -> list[Any]:
                return await chunks_of(await self.ask(client, stream=True))

            first, *others = await asyncio.gather(*(read() for _ in range(12)))
            await client.close()
        assert all(other == first for other in others)
        assert seen.operations() == 12
        assert self.tokens_told(seen) == (12 * self.tokens[0], 12 * self.tokens[1])

    async def test_cancelled_calls_are_recorded_and_block_nothing(self, watch):
        """Tasks cancelled while they wait for an answer end before it comes; each is one operation with that error."""
        seen = self.watched(watch)
        with Wire(Answer((b"", b"{}"), chunked=True, pause=PAUSE)) as wire:
            client = self.client(wire.url, asynchronous=True)
            tasks = [asyncio.create_task(self.ask(client)) for _ in range(5)]
            while len(wire.asked) < 5:  # noqa: ASYNC110 - the server has no event loop
                await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert wire.sent <= 5
            await client.close()
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert seen.operations() == 5
        assert all((span.attributes or {})["error.type"].endswith("CancelledError") for span in seen.spans())

    async def test_nothing_starts_before_it_is_awaited(self, watch):
        """A call of an asynchronous client that is never awaited asks nobody and is no operation."""
        seen = self.watched(watch)
        with Wire(self.whole()) as wire:
            client = self.client(wire.url, asynchronous=True)
            call = self.method(client)(**self.question)
            call.close()
            await client.close()
            assert not wire.asked
        assert seen.spans() == ()

    def test_a_call_waits_for_no_work_of_ours(self, watch):
        """While our own work is stuck, calls of the app go through as quickly as ever."""
        seen = self.watched(watch)
        lock = ragmeter._running[0].worker.lock
        done = threading.Event()

        def work() -> None:
            client = self.client(wire.url)
            for _ in range(CALLS):
                self.method(client)(**self.question)
            client.close()
            done.set()

        with Wire(self.whole()) as wire, lock:
            threading.Thread(target=work).start()
            assert done.wait(10)
        assert seen.operations() == CALLS
        collect()
