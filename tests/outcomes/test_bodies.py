"""Bodies that the app reads itself, of whatever HTTP library: the contract, and the real libraries."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import fake_bodies
import fakes
import ragmeter
from clients.blanks import chunks_of, collect, each_of, finished
from outcome_contract import OutcomeContract, Scenario
from telemetry_seen import Seen
from wire import Wire, whole

QUESTION = "SENTINEL-QUESTION: what is it?"


def tokens_of(seen: Seen) -> float:
    """Tokens that the provider has reported."""
    return sum(value.total for value in seen.metric("gen_ai.client.token.usage").values())


async def in_pieces(client: Any) -> Any:
    body = await finished(client.pieces(QUESTION))
    return type(body), await chunks_of(body.iter_content())


async def in_parts(client: Any) -> Any:
    body, parts = await finished(client.parts(QUESTION)), []
    while part := await finished(body.read(16)):
        parts.append(part)
    return type(body), parts


async def in_one_part(client: Any) -> Any:
    body = await finished(client.parts(QUESTION))
    return await finished(body.read()), await finished(body.read())


async def at_once(client: Any) -> Any:
    body = await finished(client.whole(QUESTION))
    return await finished(body.read())


async def read_and_closed(client: Any) -> Any:
    body = await finished(client.parts(QUESTION))
    read = await finished(body.read())
    return read, await finished(body.close())


async def unread_and_closed(client: Any) -> Any:
    body = await finished(client.pieces(QUESTION))
    await finished(body.close())
    await finished(body.close())


async def unread_and_forgotten(client: Any) -> Any:
    await finished(client.parts(QUESTION))
    collect()


async def left_in_pieces(client: Any) -> Any:
    body = await finished(client.pieces(QUESTION))
    pieces = body.iter_content()
    async for piece in each_of(pieces):
        first = piece
        break
    await finished(pieces.aclose() if hasattr(pieces, "aclose") else pieces.close())
    return first, await finished(body.close())


async def left_in_parts(client: Any) -> Any:
    body = await finished(client.parts(QUESTION))
    return await finished(body.read(0)), await finished(body.read(16)), await finished(body.close())


async def broken_off(client: Any) -> Any:
    client.breaks = True
    body = await finished(client.pieces(QUESTION))
    return await chunks_of(body.iter_content())


async def broken_in_parts(client: Any) -> Any:
    client.breaks = True
    body = await finished(client.parts(QUESTION))
    return await finished(body.read(16)), await finished(body.read(16))


class TestBodies(OutcomeContract):
    """The contract with apps that read the bodies of their clients themselves."""

    fake = "fake_bodies"

    def forms(self) -> dict[str, Scenario]:
        return {each.__name__: each for each in (in_pieces, in_parts, in_one_part, at_once, read_and_closed)}

    def endings(self) -> dict[str, Scenario]:
        ends = (
            unread_and_closed,
            unread_and_forgotten,
            left_in_pieces,
            left_in_parts,
            broken_off,
            broken_in_parts,
        )
        return {each.__name__: each for each in ends}

    def answer_methods(self) -> tuple[str, ...]:
        return ("pieces", "parts", "whole")

    async def test_bodies_that_are_equal_are_kept_apart(self, watch):
        """Two bodies at once that are equal and unhashable are two operations, each with its own tokens."""
        seen = watch()
        client = self.client(asynchronous=False)
        first, second = client.parts(QUESTION), client.parts(QUESTION)
        assert first == second
        first.close()
        second.read()
        assert seen.operations() == 2
        assert tokens_of(seen) == 49

    async def test_a_body_is_let_go_of_once_it_is_read(self, watch):
        """A body that was read goes when the app lets go of it, and nothing of ours is left in it."""
        watch()
        client = self.client(asynchronous=False)
        body = client.parts(QUESTION)
        body.read()
        assert [name for name in vars(body) if name not in ("happened", "breaks", "at")] == []
        assert copy.copy(body).read() == b""
        reference = weakref.ref(body)
        del body
        assert reference() is None

    async def test_a_client_that_holds_its_last_body_goes_with_it(self, watch):
        """Nothing of the client is kept until a body is read, which may never be."""
        watch()
        client = self.client(asynchronous=False)
        client.last = client.parts(QUESTION)
        reference = weakref.ref(client)
        del client
        gc.collect()
        assert reference() is None


@pytest.fixture
def fake_is_there() -> Any:
    put = fakes.put_module("fake_bodies")
    yield
    ragmeter.uninstrument()
    put.take_back()


def counted(seen: Seen) -> tuple[float, float]:
    return seen.operations(), tokens_of(seen)


READ_BY_REQUESTS: dict[str, Callable[[Any], Any]] = {
    "content": lambda response: response.content,
    "json": lambda response: response.json(),
    "iter_lines": lambda response: list(response.iter_lines()),
    "iter_content": lambda response: list(response.iter_content(7)),
    "text": lambda response: response.text,
}


@pytest.mark.parametrize("way", READ_BY_REQUESTS)
def test_a_response_of_requests(fake_is_there, watch, way):
    """However the app reads a `requests.Response`, it gets the same, and its tokens are counted once."""
    requests = pytest.importorskip("requests")
    with Wire(whole({"text": "it", "usage": [40, 9]})) as wire, requests.Session() as session:
        bare = READ_BY_REQUESTS[way](fake_bodies.Real.of_requests(QUESTION, wire.url, session))
        seen = watch()
        response = fake_bodies.Real.of_requests(QUESTION, wire.url, session)
        assert READ_BY_REQUESTS[way](response) == bare
        response.close()
        assert counted(seen) == (1, 49)
        with fake_bodies.Real.of_requests(QUESTION, wire.url, session) as unread:
            assert unread.status_code == 200
        assert counted(seen) == (2, 49)


READ_BY_BOTOCORE: dict[str, Callable[[Any], Any]] = {
    "read": lambda body: body.read(),
    "read in parts": lambda body: list(iter(lambda: body.read(7), b"")),
    "iterated": list,
    "iter_chunks": lambda body: list(body.iter_chunks(5)),
    "iter_lines": lambda body: list(body.iter_lines(5)),
}


@pytest.mark.parametrize("way", READ_BY_BOTOCORE)
def test_a_body_of_botocore(fake_is_there, watch, way):
    """However the app reads a `StreamingBody`, it gets the same, and its tokens are counted once."""
    pytest.importorskip("botocore")
    requests = pytest.importorskip("requests")
    with Wire(whole({"text": "it", "usage": [40, 9]})) as wire, requests.Session() as session:
        bare = READ_BY_BOTOCORE[way](fake_bodies.Real.of_botocore(QUESTION, wire.url, session))
        seen = watch()
        body = fake_bodies.Real.of_botocore(QUESTION, wire.url, session)
        assert READ_BY_BOTOCORE[way](body) == bare
        assert counted(seen) == (1, 49)


@pytest.mark.parametrize("way", ["read", "json", "text"])
async def test_a_response_of_aiohttp(fake_is_there, watch, way):
    """However the app reads the whole of an `aiohttp.ClientResponse`, it gets the same, and its tokens count once."""
    aiohttp = pytest.importorskip("aiohttp")
    with Wire(whole({"text": "it", "usage": [40, 9]})) as wire:
        async with aiohttp.ClientSession() as session:
            bare = await getattr(await fake_bodies.Real.of_aiohttp(QUESTION, wire.url, session), way)()
            seen = watch()
            async with await fake_bodies.Real.of_aiohttp(QUESTION, wire.url, session) as response:
                assert await getattr(response, way)() == bare
            assert counted(seen) == (1, 49)
            async with await fake_bodies.Real.of_aiohttp(QUESTION, wire.url, session) as unread:
                assert unread.status == 200
            assert counted(seen) == (2, 49)
