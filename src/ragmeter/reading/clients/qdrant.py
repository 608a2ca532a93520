"""qdrant-client: every form of search on embedded, REST and gRPC clients, sync and async.

`scroll` and `retrieve` read points by filter or id and rank nothing: they are no searches. Nor is a query for nothing,
for a sample or for an order by a field, which lists points with a score of 1 for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ragmeter.domain.model import OperationKind, Request, Response
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target
from ragmeter.reading.shapes.fields import field, items
from ragmeter.reading.shapes.passages import Passage, read_passages, score_of, take_payload

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


QUERIES = {"query_points": 1, "query_points_groups": 2}
"""Methods that search for a `query` or list without one, and its position."""

BATCH = "query_batch_points"
MERGING = ("fusion", "rrf", "formula")
"""Fields that only those queries have which merge the scores of others."""

LISTINGS = ("order_by", "sample")
"""Fields that only those queries have which rank by nothing."""


def read_search(method: str, call: Call) -> Reading | None:
    """Read a call of any search method: the collection comes first, by position or by name."""
    queries = queries_of(method, call)
    asked = [is_search(query) for query in queries]
    if asked and not any(asked):
        return None
    request = Request(
        kind=OperationKind.SEARCH,
        provider="qdrant",
        collection=call.argument(0, "collection_name"),
        method=method,
        top_k=limit_of(method, call),
    )
    reader = READER if all(asked) else replace(READER, hold=partial(hold, asked=tuple(asked)))
    is_all_merged = bool(queries) and all(is_merged(query) for query in queries)
    return Reading(request, replace(reader, response=read_merged) if is_all_merged else reader)


def limit_of(method: str, call: Call) -> int | None:
    """How many hits are asked for, where that is told by name or left to the client."""
    is_told_elsewhere = "batch" in method or len(call.arguments) > 2
    limit = call.keywords.get("limit", None if is_told_elsewhere else DEFAULT_LIMIT)
    return limit if isinstance(limit, int) else None


def queries_of(method: str, call: Call) -> Sequence[Any]:
    """The queries of a method that may list as well as search; none of those that only search."""
    if method == BATCH:
        return [field(request, "query") for request in items(call.argument(1, "requests"))]
    if method in QUERIES:
        return [call.argument(QUERIES[method], "query")]
    return ()


def is_search(query: Any) -> bool:
    """Whether a query ranks points by something."""
    return query is not None and all(field(query, name) is None for name in LISTINGS)


def is_merged(query: Any) -> bool:
    """Whether a query makes one score of several, of which more is nearer whatever the collection's distance is."""
    return any(field(query, name) is not None for name in MERGING)


def hold(result: Any, asked: tuple[bool, ...] = ()) -> tuple[tuple[Passage, ...], ...]:
    """The immutable leaves of the hits of each question that is a search: an app may change their payloads."""
    answers = list(questions(result))
    if len(answers) == len(asked):
        answers = [answer for answer, is_asked in zip(answers, asked, strict=True) if is_asked]
    return tuple(
        tuple([Passage(take_payload(hit.payload), str(hit.id), score_of(hit.score)) for hit in hits])
        for hits in answers
    )


def questions(result: Any) -> Iterator[list[Any]]:
    """The hits of each question, best first: one list, one for each of a batch; groups are of one question."""
    if (points := field(result, "points")) is not None:
        yield list(points)
    elif (groups := field(result, "groups")) is not None:
        yield [hit for group in list(groups) for hit in field(group, "hits", ())]
    elif isinstance(result, list):
        yield from _listed(result)


def _listed(result: list[Any]) -> Iterator[list[Any]]:
    """The same of a list, which has either hits or answers."""
    if not result or hasattr(result[0], "payload"):
        yield list(result)
    else:
        for answer in list(result):
            yield from questions(answer)


def read_result(held: tuple[tuple[Passage, ...], ...]) -> Response:
    """The hits of every question, best first. Only their order tells what nearer is: the client does not."""
    chunks = tuple(chunk for hits in held for chunk in read_passages(hits))
    return Response(chunks=chunks, found=tuple(len(hits) for hits in held))


def read_merged(held: tuple[tuple[Passage, ...], ...]) -> Response:
    """The same of merged scores, which are no distances."""
    return replace(read_result(held), score_is_distance=False)


READER = Reader(read_result, hold=hold)

INTEGRATION = Integration(
    name="qdrant",
    module="qdrant_client",
    distribution="qdrant-client",
    tested=("1.7", "1.20"),
    targets=tuple(
        Target(f"qdrant_client.{module}:{name}.{method}", partial(read_search, method))
        for module, name in (("qdrant_client", "QdrantClient"), ("async_qdrant_client", "AsyncQdrantClient"))
        for method in METHODS
    ),
)
