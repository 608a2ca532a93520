"""Bodies that the app reads itself, of whatever HTTP library: the contract, with a fake client."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import wrapt

import fake_bodies
from clients.blanks import both_kinds, chunks_of, collect, each_of, finished
from outcome_contract import THREADS, OutcomeContract, Scenario
from telemetry_seen import Seen

QUESTION = "SENTINEL-QUESTION: what is it?"


UNREAD_AT_FORK = """
seen = Seen()
ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
with ragmeter.query():
    body = contract.client(asynchronous=False).parts("what is it?")
    child = os.fork()
    if child == 0:
        assert body.read().startswith(b"{")
        calls = len(ask())
if child == 0:
    os._exit(17 if (contract.counted(seen), seen.total("ragmeter.queries")) == (calls, 1) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
body.read()
assert contract.operations(seen) == 1
print("right")
"""


def tokens_of(seen: Seen) -> float:
    """Tokens that the provider has reported."""
    return sum(value.total for value in seen.metric("gen_ai.client.token.usage").values())


def counted(seen: Seen) -> tuple[float, float]:
    return seen.operations(), tokens_of(seen)


class Handing:
    """What hands on all that it is asked for to a body inside."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


async def in_pieces(client: Any) -> Any:
    body = await finished(client.pieces(QUESTION))
    return body.__class__, await chunks_of(body.iter_content())


async def in_parts(client: Any) -> Any:
    body, parts = await finished(client.parts(QUESTION)), []
    while part := await finished(body.read(16)):
        parts.append(part)
    return body.__class__, parts


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

    @pytest.mark.parametrize("method", ["pieces", "parts"])
    async def test_a_body_that_nobody_reads_goes_at_once(self, watch, method):
        """A body that the app lets go of unread goes with its last reference: no collection of garbage is needed."""
        seen = watch()
        client = self.client(asynchronous=False)
        gc.disable()
        try:
            reference = weakref.ref(getattr(client, method)(QUESTION))
            assert reference() is None
        finally:
            gc.enable()
        assert seen.operations() == 1

    @pytest.mark.parametrize("method", ["pieces", "parts"])
    async def test_an_unread_body_is_what_it_was(self, watch, method):
        """Class, text, copies and pickles of an unread body are those without us; a copy reads by itself."""
        kind = dict(zip(("pieces", "parts"), fake_bodies.Client.kinds, strict=False))[method]
        client = self.client(asynchronous=False)
        bare = getattr(client, method)(QUESTION)
        seen = watch()
        body = getattr(client, method)(QUESTION)
        assert isinstance(body, kind)
        assert body.__class__ is kind
        assert vars(body) == vars(bare)
        assert repr(body).partition(" at ")[0] == repr(bare).partition(" at ")[0]
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert type(pickle.loads(pickle.dumps(body, protocol))) is kind
        for copied in (copy.copy(body), copy.deepcopy(body)):
            assert type(copied) is kind
            assert copied.take(None) == fake_bodies.ANSWER
        assert body.take(16) == fake_bodies.ANSWER[:16]
        body.close()
        assert type(body) is kind
        assert seen.operations() == 1

    async def test_a_method_that_the_app_keeps_reads_its_body(self, watch):
        """A method taken from a body that nothing else holds reads it, also when nothing is heard any more."""
        seen = watch()
        read = self.client(asynchronous=False).parts(QUESTION).read
        collect()
        assert read() == fake_bodies.ANSWER
        assert read() == b""
        assert counted(seen) == (1, 49)

    @pytest.mark.parametrize("is_read", [True, False])
    async def test_a_body_that_two_calls_return_is_two_operations(self, watch, is_read):
        """A body that comes from a cache a second time is counted for each call, and its answer for the first."""
        seen = watch()
        client = self.client(asynchronous=False)
        body = fake_bodies.PartsBody([], breaks=False)
        client.kinds = (partial(lambda cached, *_: cached, body),) * 3
        assert client.parts(QUESTION) is client.parts(QUESTION) is body
        if is_read:
            assert body.read() == fake_bodies.ANSWER
        del client, body
        assert counted(seen) == (2, 49 if is_read else 0)

    async def test_a_body_may_be_closed_by_many_threads(self, watch):
        """Threads that close one body at the same time all return, and it is one operation."""
        seen = watch()
        client = self.client(asynchronous=False)
        for _ in range(20):
            body = client.parts(QUESTION)
            start = threading.Barrier(THREADS)

            def close() -> None:
                start.wait()  # noqa: B023
                body.close()  # noqa: B023

            with ThreadPoolExecutor(THREADS) as pool:
                for each in [pool.submit(close) for _ in range(THREADS)]:
                    each.result()
        assert seen.operations() == 20

    @both_kinds
    @pytest.mark.parametrize("scenario", [broken_off, broken_in_parts])
    async def test_a_read_that_fails_is_an_error_of_the_call(self, watch, asynchronous, scenario):
        """A body that breaks off leaves its error on the operation, once."""
        seen = watch()
        await self.told(scenario, asynchronous=asynchronous)
        assert seen.span()["error.type"] == "fake_bodies.FakeError"
        assert counted(seen) == (1, 0)

    async def test_a_read_that_is_cancelled_may_be_made_again(self, watch):
        """A cancelled read ends nothing: what the app reads afterwards counts; where it reads no more, that is said."""
        seen = watch()
        client = self.client(asynchronous=True)
        for goes_on in (False, True):
            body = await client.parts(QUESTION)
            reading = asyncio.ensure_future(body.read())
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            if goes_on:
                assert await body.read() == fake_bodies.ANSWER
            await body.close()
        errors = [span.attributes.get("error.type") for span in seen.spans()]
        assert errors == ["asyncio.exceptions.CancelledError", None]
        assert counted(seen) == (2, 49)

    @pytest.mark.parametrize("wrap", [wrapt.ObjectProxy, Handing])
    async def test_a_body_in_anothers_wrapper_is_heard(self, watch, wrap):
        """A body in another tool's proxy, or in what hands on all it is asked for, is read as without us, and heard."""
        seen = watch()
        client = self.client(asynchronous=False)
        client.kinds = (lambda *given: wrap(fake_bodies.PartsBody(*given)),) * 3
        body = client.parts(QUESTION)
        bare = wrap(fake_bodies.PartsBody([], breaks=False))
        assert body.__class__ is bare.__class__
        assert body.read() == fake_bodies.ANSWER
        assert type(body) is type(bare)
        assert counted(seen) == (1, 49)

    async def test_what_is_put_into_a_class_meanwhile_is_called(self, watch, monkeypatch):
        """A tool that wraps the reading of all bodies after us hears those that come then, as without us."""
        watch()
        client = self.client(asynchronous=False)
        client.parts(QUESTION).read()
        body, read = client.parts(QUESTION), fake_bodies.PartsBody.read
        monkeypatch.setattr(fake_bodies.PartsBody, "read", lambda self, *given: read(self, *given).upper())
        assert body.read() == fake_bodies.ANSWER.upper()

    async def test_a_body_whose_class_wants_to_know_of_its_heirs_is_left_alone(self, watch):
        """Of a body that cannot be heard without harm the call is counted, and it is read as without us."""
        heirs: list[type] = []

        class Registering(fake_bodies.PartsBody):
            def __init_subclass__(cls) -> None:
                heirs.append(cls)

        seen = watch()
        client = self.client(asynchronous=False)
        client.kinds = (Registering,) * 3
        body = client.parts(QUESTION)
        assert type(body) is Registering
        assert body.read() == fake_bodies.ANSWER
        del body
        assert heirs == []
        assert counted(seen) == (1, 0)

    def test_what_is_unread_at_a_fork_is_the_parents(self):
        """A body that was unread at a fork is counted by the parent, not by the child that reads its copy as well."""
        done = self.run(UNREAD_AT_FORK)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "right\n"

    async def test_a_client_that_holds_its_last_body_goes_with_it(self, watch):
        """Nothing of the client is kept until a body is read, which may never be."""
        watch()
        client = self.client(asynchronous=False)
        client.last = client.parts(QUESTION)
        reference = weakref.ref(client)
        del client
        gc.collect()
        assert reference() is None
