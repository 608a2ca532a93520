"""chromadb: `Collection.query` and `search`, on embedded, persistent, HTTP and cloud clients, sync and async.

`get` reads records by id or filter and ranks nothing: it is no search.
"""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import Any

from ragmeter.domain.model import Chunk, OperationKind, Request, Response
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target
from ragmeter.reading.shapes.fields import items
from ragmeter.reading.shapes.passages import score_of

COLUMNS = ("ids", "documents", "distances", "scores")


def read_query(method: str, call: Call) -> Reading:
    """Read a call of `query(query_embeddings, query_texts, …, n_results=10)` or of `search(searches)`."""
    top_k = call.keywords.get("n_results", 10) if method == "query" else None
    request = Request(
        kind=OperationKind.SEARCH,
        provider="chroma",
        collection=call.instance.name,
        namespace=namespace_of(call.instance),
        method=method,
        top_k=top_k if isinstance(top_k, int) else None,
    )
    return Reading(request, READER)


def namespace_of(collection: Any) -> str | None:
    """The tenant and the database that a collection is in, where the installed version tells both."""
    tenant, database = getattr(collection, "tenant", None), getattr(collection, "database", None)
    return f"{tenant}|{database}" if isinstance(tenant, str) and isinstance(database, str) else None


def hold(result: Any) -> dict[str, tuple[tuple[Any, ...], ...]]:
    """The columns we read, copied as references: the app owns the lists and may change them."""
    return {name: tuple(tuple(row or ()) for row in items(result.get(name))) for name in COLUMNS}


def read_result(columns: dict[str, tuple[tuple[Any, ...], ...]]) -> Response:
    """The hits of every question, nearest first; `score` is Chroma's distance (less is nearer) or a search's score.

    Distances are what `query` gives in every space: of an inner product it gives 1 minus it, which may be negative.
    """
    chunks: list[Chunk] = []
    for question, ids in enumerate(columns["ids"]):
        texts, distances, scores = (_row(columns[name], question) for name in ("documents", "distances", "scores"))
        values = distances or scores or repeat(None)
        for rank, (identifier, text, value) in enumerate(zip(ids, texts or repeat(None), values, strict=False)):
            chunks.append(Chunk(text or "", identifier, score_of(value), rank))
    return Response(
        chunks=tuple(chunks),
        found=tuple(len(ids) for ids in columns["ids"]),
        score_is_distance=True if columns["distances"] else None,
    )


def _row(column: tuple[tuple[Any, ...], ...], question: int) -> tuple[Any, ...]:
    return column[question] if question < len(column) else ()


READER = Reader(read_result, hold=hold)

INTEGRATION = Integration(
    name="chromadb",
    module="chromadb",
    distribution="chromadb",
    tested=("0.5", "1.5"),
    targets=tuple(
        Target(f"chromadb.api.models.{name}:{name}.{method}", partial(read_query, method))
        for name in ("Collection", "AsyncCollection")
        for method in ("query", "search")
    ),
)
