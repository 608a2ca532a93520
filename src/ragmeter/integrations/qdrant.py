"""qdrant-client: every form of search on embedded, REST and gRPC clients, sync and async.

`scroll` and `retrieve` read points by filter or id and rank nothing: they are no searches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ragmeter.integration import Call, Integration, Reader, Reading, Target
from ragmeter.model import OperationKind, Request, Response
from ragmeter.shapes.fields import field
from ragmeter.shapes.passages import Passage, read_passages, score_of, take_payload

METHODS = (
    "query_points",
    "query_batch_points",
    "query_points_groups",
    "search",
    "search_batch",
    "search_groups",
    "recommend",
    "recommend_batch",
    "recommend_groups",
    "discover",
    "discover_batch",
)
DEFAULT_LIMIT = 10


def read_search(method: str, call: Call) -> Reading:
    """Read a call of any search method: the collection comes first, by position or by name."""
    limit = call.keywords.get("limit", None if "batch" in method or len(call.arguments) > 2 else DEFAULT_LIMIT)
    request = Request(
        kind=OperationKind.SEARCH,
        system="qdrant",
        collection=call.argument(0, "collection_name"),
        method=method,
        top_k=limit if isinstance(limit, int) else None,
    )
    return Reading(request, READER)


def rankings(result: Any) -> Iterator[tuple[Any, ...]]:
    """The ranked lists in a result: one, one for each question of a batch, or one for each group."""
    if (points := field(result, "points")) is not None:
        yield tuple(points)
    elif (groups := field(result, "groups")) is not None:
        for group in groups:
            yield tuple(field(group, "hits", ()))
    elif isinstance(result, list) and result and hasattr(result[0], "payload"):
        yield tuple(result)
    elif isinstance(result, list):
        for answer in result:
            yield from rankings(answer)


def hold(result: Any) -> tuple[tuple[Passage, ...], ...]:
    """The immutable leaves of the hits of every question: an app may change their payloads."""
    return tuple(
        tuple([Passage(take_payload(hit.payload), str(hit.id), score_of(hit.score)) for hit in hits])
        for hits in rankings(result)
    )


def read_result(held: tuple[tuple[Passage, ...], ...]) -> Response:
    """The hits of every question, best first."""
    return Response(chunks=tuple(chunk for hits in held for chunk in read_passages(hits)))


READER = Reader(read_result, hold=hold)

INTEGRATION = Integration(
    name="qdrant",
    distribution="qdrant-client",
    tested=("1.7", "1.20"),
    targets=tuple(
        Target(f"qdrant_client.{module}:{name}.{method}", partial(read_search, method))
        for module, name in (("qdrant_client", "QdrantClient"), ("async_qdrant_client", "AsyncQdrantClient"))
        for method in METHODS
    ),
)
