"""Nothing of ours imports a module while the app runs: half-made ones in `sys.modules` have broken calls of openai."""

from __future__ import annotations

import os
import subprocess
import sys

import openai
import pytest

from clients import chat_shapes
from wire import Asked, Wire, events, whole

MODEL = "gpt-4o-mini"
# Releases 2.47 to 2.54 look for httpx2 in `sys.modules` at every request.
CALLS = 2_000 if openai.__version__.startswith("2.") else 200

SCRIPT = """
import asyncio, sys, threading, urllib.request

class Watching:
    # Asked for every module that is not there yet, by the thread that imports it.
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            searched.append(name)

searched = []
sys.meta_path.insert(0, Watching())

import ragmeter
{instrument}
import openai

question = {question!r}
broken = []

def ask(client, number):
    try:
        answer = client.chat.completions.create(**question, stream=number % 5 == 0)
        if number % 5 == 0:
            for _ in answer:
                pass
    except Exception as error:
        broken.append(repr(error))

async def ask_together(client, number):
    try:
        answer = await client.chat.completions.create(**question, stream=number % 5 == 0)
        if number % 5 == 0:
            async for _ in answer:
                pass
    except Exception as error:
        broken.append(repr(error))

async def ask_all(calls):
    client = openai.AsyncOpenAI(base_url={url!r}, api_key="k", max_retries=0)
    for start in range(0, calls, 20):
        await asyncio.gather(*(ask_together(client, start + number) for number in range(20)))
    await client.close()

client = openai.OpenAI(base_url={url!r}, api_key="k", max_retries=0)
for number in range({calls} // 2):
    ask(client, number)
asyncio.run(ask_all({calls} // 2))
assert ragmeter.flush(30)
{afterwards}
imported = sorted(name for name in set(searched) if name in sys.modules)
print(len(broken), broken[:3], imported)
"""

MEMORY = """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
ragmeter.instrument(tracer_provider=tracers, meter_provider=MeterProvider([InMemoryMetricReader()]))
"""
PAGE = "ragmeter.instrument(prometheus_port=0)"
FETCH = """
import re
page = re.search("http://[0-9.:]+/metrics", ragmeter.status().exporter)
assert b"ragmeter_operations_total" in urllib.request.urlopen(page[0], timeout=20).read()
"""


def answer(asked: Asked):
    if asked.body.get("stream"):
        return events((*chat_shapes.words(MODEL), chat_shapes.chunk(MODEL, usage=dict(chat_shapes.USAGE))))
    return whole(chat_shapes.completion(MODEL))


@pytest.mark.parametrize(
    ("calls", "exact", "instrument", "afterwards"),
    # Empty is what most users have: exact where what counts is installed.
    [(CALLS, "", MEMORY, ""), (40, "false", MEMORY, ""), (40, "", PAGE, FETCH)],
    ids=["as it comes", "with weights", "with a page"],
)
def test_no_module_is_imported_beside_the_apps_calls(calls, exact, instrument, afterwards):
    """Calls, sync, async and streams, beside ragmeter: none is broken, and no module is imported on another thread."""
    with Wire(answer) as wire:
        script = SCRIPT.format(
            instrument=instrument,
            question=chat_shapes.question(MODEL),
            url=f"{wire.url}/v1",
            calls=calls,
            afterwards=afterwards,
        )
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "RAGMETER_EXACT_TOKENS": exact, "RAGMETER_LOUD": "1"},
            check=False,
        )
    assert done.stdout == "0 [] []\n", done.stdout + done.stderr
