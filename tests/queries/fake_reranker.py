"""A reranker as a client library gives one, and its integration: the answer names documents by number, or by text."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from ragmeter.domain.model import Chunk, OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage
from ragmeter.reading import clients
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target
from ragmeter.reading.leaves import leaves_of

NAME = "fake_reranker"
MODEL = "rerank-1"


class Client:
    """Puts documents in the order of `best`, their numbers."""

    def __init__(self, *best: int, by_text: bool = False) -> None:
        self.best = best
        self.by_text = by_text

    def rerank(self, *, query: str, documents: list[str]) -> dict[str, Any]:
        results = [
            ({"document": documents[at]} if self.by_text else {"index": at}) | {"relevance": 0.62 - 0.1 * rank}
            for rank, at in enumerate(self.best)
        ]
        return {"results": results, "usage": {"total_tokens": len(documents)}}


def read(call: Call) -> Reading:
    request = Request(OperationKind.RERANK, "fake", MODEL)
    return Reading(request, Reader(response, prompt), sent=leaves_of(dict(call.keywords)))


def prompt(sent: Any) -> Prompt:
    documents = [PromptFragment(Role.DOCUMENT, text) for text in sent["documents"]]
    return Prompt((PromptFragment(Role.USER, sent["query"]), *documents))


def response(taken: Any) -> Response:
    chunks = [
        Chunk(each.get("document", ""), score=each["relevance"], rank=rank, document=each.get("index"))
        for rank, each in enumerate(taken["results"])
    ]
    return Response(usage=Usage(input_tokens=taken["usage"]["total_tokens"]), chunks=tuple(chunks))


INTEGRATION = Integration(NAME, NAME, "openai", ("1.0", "4.0"), (Target(f"{NAME}:Client.rerank", read),))


def put(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `ragmeter.instrument()` find it."""
    module: Any = ModuleType(f"{clients.__name__}.{NAME}")
    module.INTEGRATION = INTEGRATION
    known = clients.names()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(clients, "names", lambda: (*known, NAME))
