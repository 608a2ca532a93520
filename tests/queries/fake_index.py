"""A database that bills read and write units, and a reranker that bills searches: what they answer is given to them."""

from __future__ import annotations

from functools import partial
from typing import Any

from ragmeter.domain.model import Chunk, OperationKind, Request, Response, Usage
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target

__version__ = "1.0"

PASSAGE = "The warranty lasts for two years from the day of purchase."


class Index:
    """An index `docs`; `billed` is what each call says it has used."""

    def __init__(self, **billed: Any) -> None:
        self.billed = billed

    def query(self, vector: list[float], *, top_k: int = 1) -> dict[str, Any]:
        """Search."""
        return {"matches": [(PASSAGE, 0.9)][:top_k], "usage": self.billed}

    def upsert(self, documents: list[str]) -> dict[str, Any]:
        """Bring documents into the index."""
        return {"upserted": len(documents), "usage": self.billed}


class Reranker:
    """A reranker of one provider."""

    def __init__(self, **billed: Any) -> None:
        self.billed = billed

    def rerank(self, question: str, documents: list[str], *, model: str | None = None) -> dict[str, Any]:
        """Bring documents into another order."""
        if not documents:
            raise ValueError("nothing to rerank")
        return {"order": list(range(len(documents))), "usage": self.billed}


def _usage(result: Any) -> Usage | None:
    return Usage(units=dict(result["usage"])) if result["usage"] else None


def _found(result: Any) -> Response:
    chunks = tuple(Chunk(text, score=score, rank=rank) for rank, (text, score) in enumerate(result["matches"]))
    return Response(chunks=chunks, score_is_distance=False, usage=_usage(result))


FOUND, TOLD = Reader(_found), Reader(lambda result: Response(usage=_usage(result)))


def _of_index(kind: OperationKind, method: str, reader: Reader, call: Call) -> Reading:
    top_k = call.keywords.get("top_k", 1) if kind is OperationKind.SEARCH else None
    return Reading(Request(kind, "fakedb", collection="docs", method=method, top_k=top_k), reader)


def _of_reranker(call: Call) -> Reading:
    return Reading(Request(OperationKind.RERANK, "fakerank", model=call.keywords.get("model")), TOLD)


INTEGRATION = Integration(
    name="fake_index",
    module=__name__,
    distribution="fake_index",
    tested=("1.0", "1.0"),
    targets=(
        Target(f"{__name__}:Index.query", partial(_of_index, OperationKind.SEARCH, "query", FOUND)),
        Target(f"{__name__}:Index.upsert", partial(_of_index, OperationKind.INGESTION, "upsert", TOLD)),
        Target(f"{__name__}:Reranker.rerank", _of_reranker),
    ),
)
