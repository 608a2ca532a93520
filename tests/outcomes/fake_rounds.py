"""A client whose provider does more than one thing in a call: it embeds, reranks, and goes several rounds by itself."""

from __future__ import annotations

import asyncio
from typing import Any

from ragmeter.domain.model import OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage, Within
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target

__version__ = "1.2"

ANSWER = {
    "text": "SENTINEL-ANSWER",
    "usage": (40, 9),
    "rounds": [(20, 3), (30, 4)],
    "embedded": 8,
    "reranked": 5,
}
MODEL, EMBEDDER, RERANKER = "gpt-4o-mini", "text-embedding-3-small", "text-embedding-3-large"


class FakeError(Exception):
    """What the provider answers when it fails."""


class Client:
    """`fails` lets each call fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.happened: list[str] = []
        self.fails = fails

    def ask(self, question: str) -> dict[str, Any]:
        """A whole answer."""
        self.happened.append("asked")
        if self.fails:
            raise FakeError("SENTINEL-ERROR")
        return dict(ANSWER)


class AsyncClient:
    """The same for an event loop."""

    __init__ = Client.__init__

    async def ask(self, question: str) -> dict[str, Any]:
        """A whole answer."""
        await asyncio.sleep(0)
        self.happened.append("asked")
        if self.fails:
            raise FakeError("SENTINEL-ERROR")
        return dict(ANSWER)


def read(call: Call) -> Reading:
    return Reading(Request(OperationKind.CHAT, "openai", model=MODEL), READER, sent=call.argument(0, "question"))


def response(answer: Any) -> Response:
    return Response(
        model=MODEL,
        text=(answer["text"],),
        usage=Usage(*answer["usage"]),
        within=(
            *(Within(OperationKind.CHAT, MODEL, Usage(*each)) for each in answer["rounds"]),
            Within(OperationKind.EMBEDDINGS, EMBEDDER, Usage(answer["embedded"])),
            Within(OperationKind.RERANK, RERANKER, Usage(answer["reranked"])),
        ),
    )


READER = Reader(response, prompt=lambda sent: Prompt((PromptFragment(Role.USER, sent),)))

INTEGRATION = Integration(
    name="fake_rounds",
    module="fake_rounds",
    distribution="fake-rounds",
    tested=("1.0", "1.4"),
    targets=(Target("fake_rounds:Client.ask", read), Target("fake_rounds:AsyncClient.ask", read)),
)
