"""A client of four functions whose answers come out of generators, and its integration: nothing goes over a wire.

`ask` makes its request at once, `later` with the first step of the generator it returns; `answers` is a generator
function itself. All write down what happens in them and when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any

from ragmeter.domain.model import OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target

__version__ = "1.2"

TOKENS = (40, 9)
WORDS = ("SENTINEL", "-ANSWER", " is", " the", " answer")


class FakeError(Exception):
    """What the provider answers when it fails; says a prompt."""


def copied(function: Any, name: str) -> Any:
    """The same function once more, under a name of its own: only this one is wrapped."""
    code = function.__code__.replace(co_name=name, co_qualname=function.__qualname__.replace(function.__name__, name))
    made = FunctionType(code, function.__globals__, name, function.__defaults__, function.__closure__)
    made.__kwdefaults__, made.__annotations__ = function.__kwdefaults__, function.__annotations__
    return made


class Client:
    """`fails_at` is the piece instead of which it fails, `pause` the time before each."""

    def __init__(self, *, fails_at: int | None = None, pause: float = 0.0) -> None:
        self.happened: list[str] = []
        self.fails_at = fails_at
        self.pause = pause

    def ask(self, question: str, *, model: str = "gpt-4o-mini", stream: bool = False, usage: bool = True) -> Any:
        """A whole answer or a generator; the request is made at once."""
        self.request()
        return self.told(question, usage=usage, asks=False) if stream else {"text": "".join(WORDS), "usage": TOKENS}

    def later(self, question: str, *, model: str = "gpt-4o-mini", usage: bool = True) -> Iterator[Any]:
        """A generator with whose first step the request is made."""
        return self.told(question, usage=usage)

    def request(self) -> None:
        """What stands for the request on the wire."""
        self.happened.append("asked")
        if self.fails_at == -1:
            raise FakeError("SENTINEL-ERROR")

    def piece(self, number: int, word: str) -> Any:
        """One piece of an answer."""
        if self.fails_at == number:
            raise FakeError("SENTINEL-ERROR")
        return {"text": word}

    def told(
        self, question: str, *, model: str = "gpt-4o-mini", usage: bool = True, asks: bool = True
    ) -> Iterator[Any]:
        """The pieces; what is sent into it is written down, and a `ValueError` thrown in is answered."""
        if asks:
            self.request()
        try:
            for number, word in enumerate(WORDS):
                time.sleep(self.pause)
                try:
                    sent = yield self.piece(number, word)
                except ValueError:
                    sent = yield {"text": "", "caught": True}
                self.happened.append(f"sent {sent}")
                del sent
            if usage:
                yield {"text": "", "usage": TOKENS}
        finally:
            self.happened.append("closed")
        return "all said"

    answers = copied(told, "answers")


class AsyncClient:
    """The same for an event loop."""

    __init__, request, piece = Client.__init__, Client.request, Client.piece

    async def ask(self, question: str, *, model: str = "gpt-4o-mini", stream: bool = False, usage: bool = True) -> Any:
        """A whole answer or an asynchronous generator; the request is made at once."""
        await asyncio.sleep(0)
        self.request()
        return self.told(question, usage=usage, asks=False) if stream else {"text": "".join(WORDS), "usage": TOKENS}

    def later(self, question: str, *, model: str = "gpt-4o-mini", usage: bool = True) -> AsyncIterator[Any]:
        """An asynchronous generator with whose first step the request is made."""
        return self.told(question, usage=usage)

    async def told(self, question: str, *, model: str = "gpt-4o-mini", usage: bool = True, asks: bool = True) -> Any:
        """The pieces, as above; closing takes a step of the event loop, as closing a connection does."""
        if asks:
            self.request()
        try:
            for number, word in enumerate(WORDS):
                await asyncio.sleep(self.pause)
                try:
                    sent = yield self.piece(number, word)
                except ValueError:
                    sent = yield {"text": "", "caught": True}
                self.happened.append(f"sent {sent}")
                del sent
            if usage:
                yield {"text": "", "usage": TOKENS}
        finally:
            await asyncio.sleep(0)
            self.happened.append("closed")

    answers = copied(told, "answers")


def read(call: Call) -> Reading:
    question, keywords = call.argument(0, "question"), call.keywords
    request = Request(
        OperationKind.CHAT, "openai", model=keywords.get("model", "gpt-4o-mini"), streams=keywords.get("stream", True)
    )
    return Reading(request, READER, None if keywords.get("usage", True) else with_usage, sent=question)


def read_later(call: Call) -> Reading:
    return replace(read(call), is_lazy=True)


def with_usage(call: Call) -> Call:
    return Call(call.instance, call.arguments, {**call.keywords, "usage": True})


def read_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    for piece in pieces:
        usage = Usage(*piece["usage"]) if "usage" in piece else so_far.usage
        so_far = replace(so_far, text=(*so_far.text, piece["text"]), usage=usage)
    return so_far


def is_extra(piece: Any) -> bool:
    return "usage" in piece


READER = Reader(
    response=lambda answer: Response(text=(answer["text"],), usage=Usage(*answer["usage"])),
    prompt=lambda sent: Prompt((PromptFragment(Role.USER, sent),)),
    pieces=read_pieces,
    is_extra=is_extra,
)

INTEGRATION = Integration(
    name="fake_generators",
    module="fake_generators",
    distribution="fake-generators",
    tested=("1.0", "1.4"),
    targets=tuple(
        Target(f"fake_generators:{kind}.{method}", read_later if method == "later" else read)
        for kind in ("Client", "AsyncClient")
        for method in ("ask", "later", "answers")
    ),
)
