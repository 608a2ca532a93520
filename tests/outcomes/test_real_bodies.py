"""Bodies that the app reads itself, of the real requests, botocore and aiohttp: each way to read them is heard once."""

from __future__ import annotations

import asyncio
import gc
import io
import pickle
import shutil
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import fake_bodies
import fakes
import ragmeter
from clients.blanks import chunks_of
from telemetry_seen import Seen
from wire import Answer, Wire, whole

QUESTION = "SENTINEL-QUESTION: what is it?"
ANSWER = whole({"text": "it is\nthe answer", "usage": [40, 9]})
BROKEN = Answer((b'{"text": "it', b" is"), chunked=True, cut=True)
Real = fake_bodies.Real


@pytest.fixture(autouse=True)
def fake_is_there() -> Iterator[None]:
    put = fakes.put_module("fake_bodies")
    yield
    ragmeter.uninstrument()
    put.take_back()


def counted(seen: Seen) -> tuple[float, float]:
    """Operations, and tokens that the provider has reported."""
    return seen.operations(), sum(value.total for value in seen.metric("gen_ai.client.token.usage").values())


def copied(body: Any) -> bytes:
    """Read as files are copied."""
    shutil.copyfileobj(body, copy := io.BytesIO(), 7)
    return copy.getvalue()


def into(body: Any) -> bytes:
    """Read into a buffer of the app's own."""
    found, buffer = b"", bytearray(7)
    while size := body.readinto(buffer):
        found += buffer[:size]
    return found


READ_BY_REQUESTS: dict[str, Callable[[Any], Any]] = {
    "content": lambda response: response.content,
    "json": lambda response: response.json(),
    "text": lambda response: response.text,
    "iterated": list,
    "iter_lines": lambda response: list(response.iter_lines()),
    "iter_content": lambda response: list(response.iter_content(7)),
    "in two goes": lambda response: [next(response.iter_content(7)), list(response.iter_content(7))],
    "pickled": lambda response: pickle.loads(pickle.dumps(response)).content,
    "raw.read": lambda response: response.raw.read(),
    "raw.read decoded": lambda response: response.raw.read(decode_content=True),
    "raw.read in parts": lambda response: list(iter(lambda: response.raw.read(7), b"")),
    "raw.stream": lambda response: list(response.raw.stream(7)),
    "raw iterated": lambda response: list(response.raw),
    "raw copied": lambda response: copied(response.raw),
    "raw into": lambda response: into(response.raw),
    "raw buffered": lambda response: io.BufferedReader(response.raw).read(),
}


@pytest.mark.parametrize("way", READ_BY_REQUESTS)
def test_a_response_of_requests(watch, way):
    """However the app reads a `requests.Response`, it gets the same, and its tokens are counted once."""
    requests = pytest.importorskip("requests")
    with Wire(ANSWER) as wire, requests.Session() as session:
        bare = READ_BY_REQUESTS[way](Real.of_requests(QUESTION, wire.url, session))
        seen = watch()
        response = Real.of_requests(QUESTION, wire.url, session)
        assert READ_BY_REQUESTS[way](response) == bare
        response.close()
        assert type(response) is requests.Response
        assert counted(seen) == (1, 49)
        with Real.of_requests(QUESTION, wire.url, session) as unread:
            assert unread.status_code == 200
        assert counted(seen) == (2, 49)


READ_BY_BOTOCORE: dict[str, Callable[[Any], Any]] = {
    "read": lambda body: body.read(),
    "read in parts": lambda body: list(iter(lambda: body.read(7), b"")),
    "iterated": list,
    "next": lambda body: list(iter(lambda: next(body, b""), b"")),
    "iter_chunks": lambda body: list(body.iter_chunks(5)),
    "iter_lines": lambda body: list(body.iter_lines(5)),
    "readline": lambda body: list(iter(body.readline, b"")),
    "readlines": lambda body: body.readlines(),
    "within": lambda body: entered(body).read(),
    "into": into,
    "copied": copied,
}


def entered(body: Any) -> Any:
    """What `with body as ...` gives."""
    return body.__enter__()


@pytest.mark.parametrize("way", READ_BY_BOTOCORE)
def test_a_body_of_botocore(watch, way):
    """However the app reads a `StreamingBody`, it gets the same, and its tokens are counted once."""
    pytest.importorskip("botocore")
    requests = pytest.importorskip("requests")
    with Wire(ANSWER) as wire, requests.Session() as session:
        bare = READ_BY_BOTOCORE[way](Real.of_botocore(QUESTION, wire.url, session))
        seen = watch()
        body = Real.of_botocore(QUESTION, wire.url, session)
        assert READ_BY_BOTOCORE[way](body) == bare
        assert counted(seen) == (1, 49)


async def until_empty(read: Callable[[], Awaitable[Any]]) -> list[Any]:
    """All parts, one after the other."""
    parts = []
    while (part := await read()) not in (b"", (b"", False)):
        parts.append(part)
    return parts


READ_BY_AIOHTTP: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "read": lambda response: response.read(),
    "json": lambda response: response.json(),
    "text": lambda response: response.text(),
    "content.read": lambda response: response.content.read(),
    "content.read in parts": lambda response: until_empty(lambda: response.content.read(7)),
    "content.readany": lambda response: until_empty(response.content.readany),
    "content.readline": lambda response: until_empty(response.content.readline),
    "content.readchunk": lambda response: until_empty(response.content.readchunk),
    "content.readexactly": lambda response: response.content.readexactly(len(ANSWER.body[0])),
    "content iterated": lambda response: chunks_of(response.content),
    "content.iter_chunked": lambda response: chunks_of(response.content.iter_chunked(7)),
    "content.iter_any": lambda response: chunks_of(response.content.iter_any()),
    "content.iter_chunks": lambda response: chunks_of(response.content.iter_chunks()),
}


@pytest.mark.parametrize("way", READ_BY_AIOHTTP)
async def test_a_response_of_aiohttp(watch, way):
    """However the app reads an `aiohttp.ClientResponse`, it gets the same, and its tokens are counted once."""
    aiohttp = pytest.importorskip("aiohttp")
    with Wire(ANSWER) as wire:
        async with aiohttp.ClientSession() as session:
            bare = await READ_BY_AIOHTTP[way](await Real.of_aiohttp(QUESTION, wire.url, session))
            seen = watch()
            async with await Real.of_aiohttp(QUESTION, wire.url, session) as response:
                assert await READ_BY_AIOHTTP[way](response) == bare
            assert type(response) is aiohttp.ClientResponse
            assert type(response.content) is aiohttp.StreamReader
            assert counted(seen) == (1, 49)
            async with await Real.of_aiohttp(QUESTION, wire.url, session) as unread:
                assert unread.status == 200
            assert counted(seen) == (2, 49)


@pytest.mark.parametrize("way", ["content", "iter_content", "raw.stream"])
def test_what_a_response_of_requests_breaks_off_with(watch, way):
    """The error that the app sees as it reads is the operation's."""
    requests, urllib3 = pytest.importorskip("requests"), pytest.importorskip("urllib3")
    broken = (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)
    with Wire(BROKEN) as wire, requests.Session() as session:
        seen = watch()
        with pytest.raises(broken) as raised:
            READ_BY_REQUESTS[way](Real.of_requests(QUESTION, wire.url, session))
        assert seen.span()["error.type"] == f"{raised.type.__module__}.{raised.type.__qualname__}"
        assert counted(seen) == (1, 0)


def test_what_a_body_of_botocore_breaks_off_with(watch):
    """The error that the app sees as it reads is the operation's: botocore's own, not that of what it reads from."""
    exceptions = pytest.importorskip("botocore.exceptions")
    requests = pytest.importorskip("requests")
    with Wire(ANSWER) as wire, requests.Session() as session:
        seen = watch()
        body = Real.of_botocore(QUESTION, wire.url, session, more=1)
        with pytest.raises(exceptions.IncompleteReadError):
            body.read()
        assert seen.span()["error.type"] == "botocore.exceptions.IncompleteReadError"


@pytest.mark.parametrize("way", ["read", "content.iter_any"])
async def test_what_a_response_of_aiohttp_breaks_off_with(watch, way):
    """The error that the app sees as it reads is the operation's."""
    aiohttp = pytest.importorskip("aiohttp")
    with Wire(BROKEN) as wire:
        async with aiohttp.ClientSession() as session:
            seen = watch()
            response = await Real.of_aiohttp(QUESTION, wire.url, session)
            with pytest.raises(aiohttp.ClientPayloadError):
                await READ_BY_AIOHTTP[way](response)
            assert seen.span()["error.type"] == "aiohttp.client_exceptions.ClientPayloadError"
            response.close()
            assert counted(seen) == (1, 0)


async def test_a_read_of_aiohttp_that_waits_no_longer_may_be_made_again(watch):
    """An app that gives up waiting for a part and comes back for it gets all, and its tokens are counted."""
    aiohttp = pytest.importorskip("aiohttp")
    with Wire(Answer((ANSWER.body[0][:9], ANSWER.body[0][9:]), chunked=True, pause=0.2)) as wire:
        async with aiohttp.ClientSession() as session:
            seen = watch()
            async with await Real.of_aiohttp(QUESTION, wire.url, session) as response:
                begun = await response.content.readany()
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(response.content.readany(), 0.01)
                assert begun + await response.content.read() == ANSWER.body[0]
            assert counted(seen) == (1, 49)
            assert "error.type" not in seen.span()


@pytest.mark.parametrize("name", ["of_requests", "of_botocore"])
def test_an_unread_body_of_a_real_library_goes_at_once(watch, name):
    """What the app lets go of unread goes with its last reference, and its connection with it."""
    requests = pytest.importorskip("requests")
    if name == "of_botocore":
        pytest.importorskip("botocore")
    with Wire(ANSWER) as wire, requests.Session() as session:
        seen = watch()
        gc.disable()
        try:
            reference = weakref.ref(getattr(Real, name)(QUESTION, wire.url, session))
            assert reference() is None
        finally:
            gc.enable()
        assert counted(seen) == (1, 0)
