"""Clients that return a body nobody has read: as of requests, botocore and aiohttp; and these themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from ragmeter.domain.model import OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target, Unread

__version__ = "1.2"

MODEL = "gpt-4o-mini"
ANSWER = json.dumps({"text": "SENTINEL-ANSWER is the answer", "usage": [40, 9]}).encode()
PIECE = 16


class FakeError(Exception):
    """What a body raises whose connection breaks."""


class Body:
    """What all bodies are: unhashable, equal to each other, and not to be found in any dictionary of theirs."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, happened: list[str], breaks: bool) -> None:
        self.happened, self.breaks, self.at = happened, breaks, 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Body)

    def take(self, size: int | None) -> bytes:
        if self.breaks and self.at:
            raise FakeError("SENTINEL-ERROR")
        end = len(ANSWER) if size is None else self.at + size
        part, self.at = ANSWER[self.at : end], min(end, len(ANSWER))
        return part

    def note_close(self) -> None:
        self.happened.append("closed")


class PiecesBody(Body):
    """In the manner of `requests.Response`: `content` and `iter_content`."""

    def iter_content(self, size: int = PIECE) -> Iterator[bytes]:
        try:
            while part := self.take(size):
                yield part
        finally:
            self.happened.append("pieces end")

    @property
    def content(self) -> bytes:
        return b"".join(self.iter_content())

    def close(self) -> None:
        self.note_close()


class PartsBody(Body):
    """In the manner of `StreamingBody`: `read(amt)`, part by part."""

    def read(self, amt: int | None = None) -> bytes:
        return self.take(amt)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(PIECE), b"")

    def close(self) -> None:
        self.note_close()


class AsyncPiecesBody(Body):
    """The first for an event loop."""

    async def iter_content(self, size: int = PIECE) -> AsyncIterator[bytes]:
        try:
            while part := self.take(size):
                await asyncio.sleep(0)
                yield part
        finally:
            self.happened.append("pieces end")

    async def close(self) -> None:
        self.note_close()


class AsyncPartsBody(Body):
    """The second for an event loop."""

    async def read(self, amt: int | None = None) -> bytes:
        await asyncio.sleep(0)
        return self.take(amt)

    async def close(self) -> None:
        self.note_close()


class WholeBody(Body):
    """In the manner of `aiohttp.ClientResponse`: `read()` reads and keeps all."""

    kept: bytes | None = None

    async def read(self) -> bytes:
        if self.kept is None:
            await asyncio.sleep(0)
            self.kept = self.take(None)
        return self.kept

    def release(self) -> None:
        self.note_close()


class Client:
    """`breaks` lets each body break off after its first part."""

    kinds: tuple[type, type, type] = (PiecesBody, PartsBody, PartsBody)

    def __init__(self, *, breaks: bool = False) -> None:
        self.happened: list[str] = []
        self.breaks = breaks

    def pieces(self, question: str) -> Any:
        return self.kinds[0](self.happened, self.breaks)

    def parts(self, question: str) -> Any:
        return self.kinds[1](self.happened, self.breaks)

    def whole(self, question: str) -> Any:
        return self.kinds[2](self.happened, self.breaks)


class AsyncClient:
    """The same for an event loop."""

    kinds = (AsyncPiecesBody, AsyncPartsBody, WholeBody)
    __init__ = Client.__init__

    async def pieces(self, question: str) -> Any:
        return self.kinds[0](self.happened, self.breaks)

    async def parts(self, question: str) -> Any:
        return self.kinds[1](self.happened, self.breaks)

    async def whole(self, question: str) -> Any:
        return self.kinds[2](self.happened, self.breaks)


class Real:
    """Functions that return bodies of the real libraries."""

    @staticmethod
    def of_requests(question: str, url: str, session: Any) -> Any:
        return session.post(url, json={"question": question}, stream=True)

    @staticmethod
    def of_botocore(question: str, url: str, session: Any, more: int = 0) -> Any:
        from botocore.response import StreamingBody

        raw = session.post(url, json={"question": question}, stream=True).raw
        return StreamingBody(raw, int(raw.headers["content-length"]) + more)

    @staticmethod
    async def of_aiohttp(question: str, url: str, session: Any) -> Any:
        return await session.post(url, json={"question": question})


def read(call: Call) -> Reading:
    return Reading(Request(OperationKind.CHAT, "openai", model=MODEL), READER, sent=call.argument(0, "question"))


def response(answer: Any) -> Response:
    if answer is None:
        return Response()
    return Response(model=MODEL, text=(answer["text"],), usage=Usage(*answer["usage"]))


def decoded(taken: Any) -> Any:
    try:
        return json.loads(taken) if isinstance(taken, bytes) else taken
    except ValueError:
        return None


READER = Reader(response, prompt=lambda sent: Prompt((PromptFragment(Role.USER, sent),)), decode=decoded)


def of_pieces(body: Any) -> Unread:
    return Unread(body, reads=(), pieces=("iter_content",))


def of_parts(body: Any) -> Unread:
    return Unread(body, reads=(), pieces=(), reads_some=("read",))


def of_whole(body: Any) -> Unread:
    return Unread(body, lambda carrier: carrier.kept, reads=("read",), pieces=(), closes=("release",))


def of_requests(body: Any) -> Unread:
    return Unread(
        body,
        reads=(),
        pieces=("iter_content", "stream", "read_chunked"),
        reads_some=("read",),
        portions=("read1",),
        source="raw",
    )


def of_botocore(body: Any) -> Unread:
    return Unread(body, reads=(), pieces=("stream",), reads_some=("read",), portions=("read1",), source="_raw_stream")


def of_aiohttp(body: Any) -> Unread:
    return Unread(
        body,
        reads=(),
        pieces=(),
        reads_some=("read",),
        portions=("readany", "readline", "readuntil", "readchunk"),
        closes=("close", "release"),
        source="content",
    )


def target(path: str, outcome: Callable[[Any], Unread]) -> Target:
    return Target(f"fake_bodies:{path}", read, outcome)


INTEGRATION = Integration(
    name="fake_bodies",
    module="fake_bodies",
    distribution="fake-bodies",
    tested=("1.0", "1.4"),
    targets=(
        *(target(f"{kind}.pieces", of_pieces) for kind in ("Client", "AsyncClient")),
        *(target(f"{kind}.parts", of_parts) for kind in ("Client", "AsyncClient")),
        target("Client.whole", of_parts),
        target("AsyncClient.whole", of_whole),
        target("Real.of_requests", of_requests),
        target("Real.of_botocore", of_botocore),
        target("Real.of_aiohttp", of_aiohttp),
    ),
)
