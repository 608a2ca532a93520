"""A client that does whatever it is told: operations of any kind, with the answers that are given to it."""

from __future__ import annotations

from typing import Any

from ragmeter.domain.model import Chunk, OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage, Within
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target

__version__ = "1.0"

RESULT = "result"
"""The role of a tool's result in `prompt`, whose text is the id of its call."""


class RefusedError(Exception):
    """A call that fails."""


class Client:
    """`do` makes one call."""

    def do(self, **told: Any) -> dict[str, Any]:
        """Make the call as it is told."""
        if told.get("fails"):
            raise RefusedError
        return told


def read(call: Call) -> Reading:
    told = call.keywords
    request = Request(OperationKind(told["kind"]), told.get("provider", "openai"), told.get("model"))
    return Reading(request, READER, sent=tuple(told.get("prompt", ())))


def prompt(sent: Any) -> Prompt:
    parts = [PromptFragment(Role.TOOL if role == RESULT else Role(role), text) for role, text in sent]
    return Prompt(tuple(parts), results=tuple(text for role, text in sent if role == RESULT))


def usage(told: Any) -> Usage | None:
    return None if told is None else Usage(**told)


def response(told: Any) -> Response:
    return Response(
        model=told.get("model"),
        text=tuple(told.get("text", ())),
        usage=usage(told.get("usage")),
        chunks=tuple(Chunk(text, rank=rank) for rank, text in enumerate(told.get("chunks", ()))),
        calls=tuple(told.get("calls", ())),
        within=tuple(Within(OperationKind(kind), model, usage(used)) for kind, model, used in told.get("within", ())),
    )


READER = Reader(response, prompt=prompt)

INTEGRATION = Integration(
    name="fake_anything",
    module=__name__,
    distribution="fake-anything",
    tested=("1.0", "1.0"),
    targets=(Target(f"{__name__}:Client.do", read),),
)
