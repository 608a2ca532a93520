"""Processes that end while daemon threads are in the middle of calls: what was sent is counted, once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from otlp_receiver import Receiver
from wire import Answer, Asked, Wire, events, whole

BEGIN = """
import atexit, os, pathlib, sys, threading, time
import ragmeter
older = []
@atexit.register
def called_after_ours():
    for call in older:
        call()
ragmeter.instrument(providers={"127.0.0.1": "openai"})
import openai
def ask(client=openai.OpenAI, **more):
    client = client(base_url=os.environ["WIRE"], api_key="k", max_retries=0)
    messages = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **more)
def until(condition):
    while not condition():
        time.sleep(0.005)
def is_served():
    return pathlib.Path(os.environ["SERVED"]).exists()
def in_background(work, *arguments):
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread
"""

UNANSWERED = {
    "a call of a daemon thread": "in_background(ask); until(is_served)",
    "one that begins when all has been exported": "older.append(lambda: (in_background(ask), until(is_served)))",
    "one in a query that is still open": """
def answer_a_user():
    with ragmeter.query():
        ask()
in_background(answer_a_user); until(is_served)
""",
    "one of a child of multiprocessing": """
import multiprocessing
def work():
    in_background(ask); until(is_served)
process = multiprocessing.get_context("fork").Process(target=work)
process.start(); process.join()
""",
    "one of an event loop that is given up": """
import asyncio
loop, tasks = asyncio.new_event_loop(), []
async def begin():
    tasks.append(asyncio.ensure_future(ask(openai.AsyncOpenAI)))
    while not is_served():
        await asyncio.sleep(0.005)
loop.run_until_complete(begin())
""",
    "one of a parent that has forked meanwhile": """
in_background(ask); until(is_served)
child = os.fork()
if child == 0: sys.exit()
os.waitpid(child, 0)
""",
}


def ended(body, wire, receiver, tmp_path):
    """Run a program to its end; the file at `served` tells it that the provider has its request."""
    environment = {"RAGMETER_LOUD": "1", "WIRE": wire.url, "SERVED": str(tmp_path / "served"), **receiver.environment}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BEGIN + body],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def server(tmp_path, given: Answer | None = None):
    """A provider that notes that it was asked; without an answer it never gives one."""

    def serve(_: Asked) -> Answer:
        (tmp_path / "served").touch()
        if given is None:
            wire.stopping.wait(60)
        return given or answer_of_chat()

    wire = Wire(serve)
    return wire


@pytest.mark.parametrize("name", UNANSWERED)
def test_a_call_whose_answer_nobody_waits_for_is_counted(name, tmp_path):
    """What the provider has been asked is an operation that failed with the process, in its query and with its span."""
    with server(tmp_path) as wire, Receiver() as receiver:
        ended(UNANSWERED[name], wire, receiver, tmp_path)
        assert wire.served == 1
        assert receiver.total("ragmeter.operations") == receiver.total("ragmeter.queries") == 1
        assert receiver.total("gen_ai.client.operation.duration", "error.type", "process_exit") == 1
        assert "chat gpt-4o-mini" in receiver.spans


def test_an_answer_that_comes_after_all_is_no_second_call(tmp_path):
    """Handlers of the exit that are older than ours let the call go on to its end: it was counted when it was sent."""
    body = "older.append(lambda: in_background(ask).join())"
    with server(tmp_path, answer_of_chat()) as wire, Receiver() as receiver:
        ended(body, wire, receiver, tmp_path)
        assert wire.served == receiver.total("ragmeter.operations") == len(receiver.spans) == 1


def test_a_flush_ends_no_call(tmp_path):
    """`flush()` hands in what is finished: the answer of a call that is under way is told when it has come."""
    body = """
thread = in_background(ask)
until(is_served)
ragmeter.flush()
pathlib.Path(os.environ["SERVED"]).unlink()
thread.join()
"""

    def serve(_: Asked) -> Answer:
        served = tmp_path / "served"
        served.touch()
        while served.exists() and not wire.stopping.wait(0.005):
            continue
        return answer_of_chat()

    with Wire(serve) as wire, Receiver() as receiver:
        ended(body, wire, receiver, tmp_path)
        assert wire.served == receiver.total("ragmeter.operations") == 1
        assert receiver.total("ragmeter.tokens") == 110


def test_a_call_that_the_end_waits_for_has_its_answer(tmp_path):
    """A handler of the exit that makes a call itself gets its answer: tokens are told, nothing has failed."""
    with server(tmp_path, answer_of_chat()) as wire, Receiver() as receiver:
        ended("older.append(ask)", wire, receiver, tmp_path)
        assert wire.served == receiver.total("ragmeter.operations") == 1
        assert receiver.total("gen_ai.client.operation.duration", "error.type", "process_exit") == 0
        assert receiver.total("ragmeter.tokens") == 110


@pytest.mark.parametrize("reader", ["in_background(read)", "keep.append(ask(stream=True)); next(keep[0])"])
def test_a_stream_that_is_open_at_the_end_has_what_it_has_given(reader, tmp_path):
    """Read by a daemon thread or kept by the program, a stream is counted with the tokens that have come."""
    body = f"""
keep = []
def read():
    for piece in ask(stream=True):
        keep.append(piece)
{reader}
until(lambda: keep)
"""
    with server(tmp_path, stream_of_chat()) as wire, Receiver() as receiver:
        ended(body, wire, receiver, tmp_path)
        assert wire.served == receiver.total("ragmeter.operations") == receiver.total("ragmeter.queries") == 1
        assert receiver.total("ragmeter.tokens") > 0


def test_a_request_that_has_not_gone_out_is_no_call(tmp_path):
    """A call that is stuck in the app's own code before its request is made costs nothing, and is not counted."""
    body = """
class Stuck(openai.OpenAI):
    def _prepare_options(self, options):
        stuck.set()
        threading.Event().wait()
stuck = threading.Event()
in_background(ask, Stuck)
stuck.wait()
"""
    with server(tmp_path) as wire, Receiver() as receiver:
        ended(body, wire, receiver, tmp_path)
        assert wire.served == receiver.total("ragmeter.operations") == 0


def test_a_provider_of_the_apps_that_it_shuts_down_itself_has_the_call(tmp_path):
    """The app's handler closes its provider before ours is called: what is under way then is in its last export."""
    body = """
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], shutdown_on_exit=False)
ragmeter.uninstrument()
ragmeter.instrument(meter_provider=provider, providers={"127.0.0.1": "openai"})
atexit.register(provider.shutdown)
in_background(ask); until(is_served)
"""
    with server(tmp_path) as wire, Receiver() as receiver:
        ended(body, wire, receiver, tmp_path)
        assert wire.served == receiver.total("ragmeter.operations") == receiver.total("ragmeter.queries") == 1


def test_a_search_under_way_is_counted(tmp_path):
    """Of a database nobody sees when its request goes out: a search that has begun is an operation."""
    pytest.importorskip("chromadb")
    body = """
import chromadb
class Stuck(chromadb.EmbeddingFunction):
    def __init__(self):
        pass
    def __call__(self, input):
        pathlib.Path(os.environ["SERVED"]).touch()
        threading.Event().wait()
collection = chromadb.EphemeralClient().create_collection("docs", embedding_function=Stuck())
in_background(lambda: collection.query(query_texts=["hello"])); until(is_served)
"""
    with server(tmp_path) as wire, Receiver() as receiver:
        ended(body, wire, receiver, tmp_path)
        assert receiver.total("ragmeter.operations") == 1
        assert receiver.total("db.client.operation.duration", "error.type", "process_exit") == 1


def answer_of_chat() -> Answer:
    """A whole answer, whatever was asked."""
    message = {"role": "assistant", "content": "The answer."}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return whole({**CHAT, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})


def stream_of_chat() -> Answer:
    """A stream that pauses for ever after its first piece."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": "The answer is"}, "finish_reason": None}
    piece = {**CHAT, "object": "chat.completion.chunk", "choices": [choice]}
    return events([piece, piece], pause=60)


CHAT = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini"}
