"""Streams that give more than is kept until their end: the worker reads them meanwhile, in their order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

import ragmeter
from fakes import put
from ragmeter.domain.model import OperationKind, Request, Response, Usage
from ragmeter.naming import semconv
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target
from ragmeter.wrapping.streams import MOST_KEPT, SIZE_OF_LEAVES

PIECES = 3 * MOST_KEPT // SIZE_OF_LEAVES
TOKENS = (40, 9)
THREADS: set[threading.Thread] = set()


class Client:
    """Its answers come out of a generator, the usage first."""

    def answers(self, question: str) -> Iterator[Any]:
        yield {"text": question, "usage": TOKENS}
        for number in range(PIECES):
            yield {"text": f"{number} "}


def read(_: Call) -> Reading:
    return Reading(Request(OperationKind.CHAT, "openai", model="gpt-4o-mini", streams=True), READER)


def read_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    THREADS.add(threading.current_thread())
    told = [Usage(*piece["usage"]) for piece in pieces if "usage" in piece]
    text = (*so_far.text, *[piece["text"] for piece in pieces])
    return replace(so_far, text=text, usage=told[0] if told else so_far.usage)


READER = Reader(response=lambda _: Response(), pieces=read_pieces)
INTEGRATION = Integration(
    name="fake_long",
    module="fake_long",
    distribution="fake-long",
    tested=("1.0", "1.4"),
    targets=(Target("fake_long:Client.answers", read),),
)


@pytest.fixture
def client(monkeypatch):
    module: Any = ModuleType("fake_long")
    module.Client = type("Client", (Client,), {"answers": Client.answers, "__module__": "fake_long"})
    monkeypatch.setitem(sys.modules, "fake_long", module)
    was_put = put("fake_long", INTEGRATION)
    yield module.Client
    was_put.take_back()


def test_the_app_reads_no_piece_of_its_stream_for_us(client, watch):
    """However many pieces come, only the worker reads them; each counts once, where it stood."""
    THREADS.clear()
    seen = watch(capture_content=True)
    asked = client()
    assert sum(1 for _ in asked.answers("0: ")) == PIECES + 1
    (span,) = seen.spans()
    assert "".join(map("{} ".format, range(PIECES))) in span.attributes[semconv.OUTPUT_MESSAGES]
    assert seen.total("ragmeter.operations") == 1
    assert threading.main_thread() not in THREADS
    assert len(THREADS) == 1
    assert ragmeter.status().internal_errors == 0
