"""A hosted database that embeds questions and reranks what it finds by itself, and its integration.

`Index.bills` is what it says it has used: read units of its own, tokens of the embedding, units of the rerank.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

from databases_contract import SECRET
from ragmeter.domain.model import Chunk, OperationKind, Request, Response, Usage, Within
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target

__version__ = "1.2"

SYSTEM, EMBEDDER, RERANKER, MODEL = "fakehost", "embedder-1", "reranker-1", "gpt-4o-mini"
TEXTS = (SECRET, "Returned goods are refunded soon.", "Express delivery is offered.")
QUESTION = "What is the secret?"
BILLS = {"read_units": 6, "embed_tokens": 12, "rerank": {"units": 1}}


class GoneError(Exception):
    """There is no such collection."""


class Index:
    """An index `shop` with three records. `bills` is `None` of a host that tells nothing of what it uses."""

    def __init__(self, bills: dict[str, Any] | None = BILLS, collection: str = "shop") -> None:
        self.bills = bills
        self.collection = collection

    def search(self, *questions: str, top_k: int = 2) -> dict[str, Any]:
        """Embed the questions, search for each, and rerank what was found."""
        if self.collection != "shop":
            raise GoneError("no such collection")
        return {"results": [matches(question, top_k) for question in questions], "usage": self.bills}

    def upsert(self, *documents: str) -> dict[str, Any]:
        """Embed documents and keep them."""
        return {"upserted": len(documents), "usage": self.bills}

    def answer(self, question: str) -> dict[str, Any]:
        """Let a model answer from what a search has found."""
        return {"text": "A kettle.", "usage": self.bills}


class AsyncIndex:
    """The same for an event loop."""

    def __init__(self, bills: dict[str, Any] | None = BILLS) -> None:
        self._index = Index(bills)

    async def search(self, *questions: str, top_k: int = 2) -> dict[str, Any]:
        """Embed the questions, search for each, and rerank what was found."""
        await asyncio.sleep(0)
        return {
            "results": [matches(question, top_k) for question in questions],
            "usage": self._index.bills,
        }

    async def upsert(self, *documents: str) -> dict[str, Any]:
        """Embed documents and keep them."""
        await asyncio.sleep(0)
        return {"upserted": len(documents), "usage": self._index.bills}


def matches(question: str, top_k: int) -> list[dict[str, Any]]:
    """The nearest records: none for what is about nothing, far ones for the opposite."""
    nearest = {"nothing": [], "opposite": [-0.5, -0.7]}.get(question, [1.0, 0.9, 0.1])
    return [{"text": text, "score": score} for text, score in zip(TEXTS, nearest, strict=False)][:top_k]


def found(questions: tuple[str, ...], taken: Any) -> Response:
    results = taken["results"]
    chunks = [Chunk(each["text"], score=each["score"], rank=rank) for one in results for rank, each in enumerate(one)]
    return Response(
        chunks=tuple(chunks),
        found=tuple(len(each) for each in results) if len(results) > 1 else (),
        score_is_distance=False,
        usage=own(taken["usage"]),
        within=within(questions, taken["usage"]),
    )


def kept(documents: tuple[str, ...], taken: Any) -> Response:
    return Response(usage=own(taken["usage"]), within=within(documents, taken["usage"]))


def answered(taken: Any) -> Response:
    searched = Within(OperationKind.SEARCH, usage=own(taken["usage"]), provider=SYSTEM)
    return Response(MODEL, usage=Usage(100, 10), text=(taken["text"],), within=(searched,))


def own(bills: Any) -> Usage | None:
    return None if bills is None else Usage(units={"read_units": bills["read_units"]})


def within(texts: tuple[str, ...], bills: Any) -> Iterator[Within]:
    """What the host did beside its search, one by one."""
    if bills is None:
        yield Within(OperationKind.EMBEDDINGS, EMBEDDER, texts=texts)
        return
    for tokens in bills.get("embeddings", [bills["embed_tokens"]]):
        yield Within(OperationKind.EMBEDDINGS, EMBEDDER, Usage(input_tokens=tokens))
    if "rerank" in bills:
        yield Within(OperationKind.RERANK, RERANKER, Usage(units={"rerank_units": bills["rerank"]["units"]}))


def of_search(call: Call) -> Reading:
    top_k = call.keywords.get("top_k", 2)
    request = Request(OperationKind.SEARCH, SYSTEM, collection="shop", method="search", top_k=top_k)
    return Reading(request, Reader(partial(found, call.arguments)))


def of_upsert(call: Call) -> Reading:
    request = Request(OperationKind.INGESTION, SYSTEM, collection="shop", method="upsert")
    return Reading(request, Reader(partial(kept, call.arguments)))


def of_answer(call: Call) -> Reading:
    return Reading(Request(OperationKind.CHAT, "openai", MODEL), Reader(answered))


INTEGRATION = Integration(
    name=__name__,
    module=__name__,
    distribution="fake-hosted",
    tested=("1.0", "1.4"),
    targets=(
        Target(f"{__name__}:Index.search", of_search),
        Target(f"{__name__}:Index.upsert", of_upsert),
        Target(f"{__name__}:Index.answer", of_answer),
        Target(f"{__name__}:AsyncIndex.search", of_search),
        Target(f"{__name__}:AsyncIndex.upsert", of_upsert),
    ),
)
