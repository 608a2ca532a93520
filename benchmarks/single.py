"""Figures that are no comparison of rounds: starting up, the price of a call, memory over many calls."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

START = """
import sys, time
before = time.perf_counter()
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
tracer_provider, meter_provider = TracerProvider(), MeterProvider()
loaded, known = time.perf_counter(), len(sys.modules)
import ragmeter
ragmeter.instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)
done = time.perf_counter()
clients = {"openai", "anthropic", "groq", "together", "chromadb", "qdrant_client", "genai_prices"} & set(sys.modules)
print(loaded - before, done - loaded, len(sys.modules) - known, len(clients))
"""

PRICE = """
import timeit
from ragmeter.domain.model import Operation, OperationKind, Prompt, Request, Response, Usage
from ragmeter.money.pricebook import PriceBook
from ragmeter.money.pricing import price
usage = Usage(input_tokens=10_000, output_tokens=300, cache_read_tokens=7_000)
operation = Operation(Request(OperationKind.CHAT, "openai", "gpt-4o-mini"), Response(model="gpt-4o-mini", usage=usage),
    Prompt(), started=1_790_000_000_000_000_000, duration=1.0)
card = PriceBook({}).card(operation)
print(min(timeit.repeat(lambda: price(usage, card), number=10_000, repeat=7)) / 10_000 * 1e6)
"""

MEMORY = """
import gc, resource, sys
from pathlib import Path

def resident():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20

from benchmarks.cases import ANSWER, CHUNKS, _answer, _chat, take_out_the_client
from benchmarks.configurations import _providers
take_out_the_client()
create = _chat("gpt-4o-mini", _answer(10_000, ANSWER))
tracer_provider, meter_provider = _providers()
before = resident()
import ragmeter
ragmeter.instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)
started = resident()

def call(number):
    chunks = [f"Version {number % 1_000} of it. {text}" for text in CHUNKS]
    ragmeter.context(chunks)
    create(model="gpt-4o-mini", messages=[{"role": "user", "content": "\\n\\n".join((*chunks, "What is it?"))}])
    if number % 50 == 0:
        ragmeter.flush()

for number in range(200):
    call(number)
ragmeter.flush()
warm = resident()
for number in range(int(sys.argv[1])):
    call(number)
ragmeter.flush()
print(started - before, warm - started, resident() - warm)
"""

LATENESS = """
import asyncio, time
from benchmarks.cases import ANSWERS, _answer, given, take_out_the_client
from benchmarks.configurations import _providers
take_out_the_client()
import openai
ANSWERS["gpt-4o-mini"] = given(_answer(1_500_000))
PROMPTS = [f"{number} " + "word " * 1_400_000 for number in range(10)]

async def late():
    client, late, over = openai.AsyncOpenAI(api_key="k"), [], []

    async def ticks():
        while not over:
            before = time.perf_counter()
            await asyncio.sleep(0.002)
            late.append(time.perf_counter() - before - 0.002)

    task = asyncio.create_task(ticks())
    for prompt in PROMPTS:
        await client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
    await asyncio.sleep(3)
    over.append(True)
    await task
    return max(late) * 1e3

alone = [asyncio.run(late()) for _ in range(5)]
tracer_provider, meter_provider = _providers()
import ragmeter
ragmeter.instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)
ours = [asyncio.run(late()) for _ in range(6)][1:]
print(sorted(alone)[2], sorted(ours)[2])
"""


@dataclass(frozen=True, slots=True)
class Singles:
    """Start in seconds, modules imported, clients imported, a price in microseconds, memory in MiB over `calls`.

    `late_alone` and `late` are the most by which a timer of an event loop is late, in milliseconds, without and with
    ragmeter: the median of five runs with ten prompts of 7 MB each.
    """

    sdk_seconds: float
    start_seconds: float
    modules: int
    clients: int
    price_microseconds: float
    memory_start: float
    memory_first_calls: float
    memory_growth: float
    calls: int
    late_alone: float
    late: float


def measure(calls: int) -> Singles:
    """Measure all of them, each in fresh processes."""
    starts = [_run(START) for _ in range(7)]
    memory = _run(MEMORY, str(calls))
    late_alone, late = _run(LATENESS)
    return Singles(
        sdk_seconds=statistics.median(start[0] for start in starts),
        start_seconds=statistics.median(start[1] for start in starts),
        modules=int(starts[0][2]),
        clients=int(starts[0][3]),
        price_microseconds=_run(PRICE)[0],
        memory_start=memory[0],
        memory_first_calls=memory[1],
        memory_growth=memory[2],
        calls=calls,
        late_alone=late_alone,
        late=late,
    )


def _run(program: str, *arguments: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    numbers: list[Any] = json.loads("[" + ",".join(done.stdout.split()) + "]")
    return [float(number) for number in numbers]
