"""qdrant-client: embedded, sync and async, in every form of search the installed version has."""

from __future__ import annotations

import asyncio
import json
from copy import deepcopy
from functools import partial

import pytest
from qdrant_client import AsyncQdrantClient, QdrantClient, models

from databases_contract import SECRET, DatabaseContract
from ragmeter.reading.clients.qdrant import METHODS
from ragmeter.reading.shapes.passages import text_in

SIZE = models.VectorParams(size=2, distance=models.Distance.COSINE)
POINTS = [
    models.PointStruct(id=1, vector=[1.0, 0.0], payload={"text": SECRET, "kind": "a"}),
    models.PointStruct(id=2, vector=[0.9, 0.1], payload={"text": "Returned goods are refunded soon.", "kind": "b"}),
    models.PointStruct(id=3, vector=[0.0, 1.0], payload={"text": "Express delivery is offered.", "kind": "b"}),
]
NEW = hasattr(QdrantClient, "query_points")
OLD = hasattr(QdrantClient, "search")


class TestQdrant(DatabaseContract):
    integration = "qdrant"
    system = "qdrant"
    nearest_score = 1.0

    def database(self):
        client = QdrantClient(":memory:")
        client.create_collection("shop", vectors_config=SIZE)
        # The embedded database of old versions keeps the payloads it is given, and hands them out.
        client.upsert("shop", deepcopy(POINTS))
        return client

    def search(self, database, limit=2):
        if NEW:
            return database.query_points("shop", query=[1.0, 0.0], limit=limit)
        return database.search("shop", [1.0, 0.0], limit=limit)

    def bound(self, database):
        if NEW:
            return partial(database.query_points, "shop", query=[1.0, 0.0])
        return partial(database.search, "shop", [1.0, 0.0])

    def search_nothing(self, database):
        nobody = models.Filter(must=[models.FieldCondition(key="kind", match=models.MatchValue(value="none"))])
        if NEW:
            return database.query_points("shop", query=[1.0, 0.0], query_filter=nobody)
        return database.search("shop", [1.0, 0.0], query_filter=nobody)

    def search_wrongly(self, database):
        return database.query_points("gone", query=[1.0, 0.0]) if NEW else database.search("gone", [1.0, 0.0])

    def search_batch(self, database):
        vectors = ([1.0, 0.0], [0.0, 1.0])
        if NEW:
            requests = [models.QueryRequest(query=vector, limit=2, with_payload=True) for vector in vectors]
            return bool(database.query_batch_points("shop", requests))
        return bool(database.search_batch("shop", [models.SearchRequest(vector=each, limit=2) for each in vectors]))

    def search_below_zero(self, database):
        opposite = [-1.0, -1.0]
        if NEW:
            return database.query_points("shop", query=opposite).points[0].score
        return database.search("shop", opposite)[0].score

    def forms(self):
        only_b = models.Filter(must=[models.FieldCondition(key="kind", match=models.MatchValue(value="b"))])
        found = {}
        if NEW:
            request = models.QueryRequest(query=[1.0, 0.0], limit=2, with_payload=True)
            found |= {
                "query_points": (lambda db: db.query_points("shop", [1.0, 0.0], limit=2), 2),
                "by keyword": (lambda db: db.query_points(collection_name="shop", query=[1.0, 0.0], limit=2), 2),
                "by id": (lambda db: db.query_points("shop", query=1), 2),
                "filtered": (lambda db: db.query_points("shop", query=[1.0, 0.0], query_filter=only_b), 2),
                "no payload": (lambda db: db.query_points("shop", query=[1.0, 0.0], with_payload=False), 3),
                "batch": (lambda db: db.query_batch_points("shop", [request, request]), 4),
                "groups": (lambda db: db.query_points_groups("shop", group_by="kind", query=[1.0, 0.0]), 3),
                "async": (lambda db: asyncio.run(search_async()), 2),
            }
        if OLD:
            one = models.SearchRequest(vector=[1.0, 0.0], limit=2, with_payload=True)
            alike = models.RecommendRequest(positive=[1], limit=2)
            found |= {
                "search": (lambda db: db.search("shop", [1.0, 0.0], limit=2), 2),
                "search_batch": (lambda db: db.search_batch("shop", [one, one]), 4),
                "search_groups": (lambda db: db.search_groups("shop", [1.0, 0.0], group_by="kind"), 2),
                "recommend": (lambda db: db.recommend("shop", positive=[1]), 2),
                "recommend_batch": (lambda db: db.recommend_batch("shop", [alike]), 2),
                "recommend_groups": (lambda db: db.recommend_groups("shop", group_by="kind", positive=[1]), 1),
                "discover": (lambda db: db.discover("shop", target=1), 2),
                "async search": (lambda db: asyncio.run(search_async()), 2),
            }
        return found

    def originals(self):
        classes = (QdrantClient, AsyncQdrantClient)
        return [vars(owner)[name] for owner in classes for name in METHODS if name in vars(owner)]

    def spoil(self, result):
        hits = result.points if NEW else result
        for hit in hits:
            hit.payload.clear()
        hits.clear()


async def search_async():
    client = AsyncQdrantClient(":memory:")
    await client.create_collection("shop", vectors_config=SIZE)
    await client.upsert("shop", POINTS)
    if NEW:
        return await client.query_points("shop", query=[1.0, 0.0], limit=2)
    return await client.search("shop", [1.0, 0.0], limit=2)


def test_reading_points_is_no_search(watch):
    """`scroll` and `retrieve` rank nothing and are not counted as searches."""
    client = TestQdrant().database()
    seen = watch(only=["qdrant"])
    client.scroll("shop")
    client.retrieve("shop", [1])
    assert seen.spans() == ()


@pytest.mark.parametrize(
    "payload",
    [
        {"text": SECRET},
        {"page_content": SECRET, "metadata": {"source": "a file"}},
        {"content": SECRET, "meta": {}},
        {"_node_content": json.dumps({"text": SECRET, "id_": "x"}), "doc_id": "1"},
        {"our_own_key": SECRET, "n": 1},
        {"metadata": {"title": "kettle", "document": SECRET}},
    ],
    ids=["plain", "langchain", "haystack", "llamaindex", "own key", "nested"],
)
def test_the_text_is_found_in_any_payload(payload):
    """Frameworks and apps store the text under names of their own; it is found all the same."""
    assert text_in(payload) == SECRET


@pytest.mark.parametrize("payload", [None, {}, {"n": 1}, {"_node_content": "not json"}, 7])
def test_a_payload_without_text_has_none(payload):
    """Without a text there is none, and nothing fails."""
    assert text_in(payload) in ("", "not json")


DISTANCES = {"COSINE": "higher_is_nearer", "DOT": "higher_is_nearer", "EUCLID": "lower_is_nearer"}


@pytest.mark.parametrize(("distance", "order"), DISTANCES.items())
def test_the_order_of_the_points_tells_what_a_score_is(watch, distance, order):
    """Whether more or less is nearer is seen from the points, and remembered for answers that have only one."""
    client = QdrantClient(":memory:")
    client.create_collection("shop", models.VectorParams(size=2, distance=models.Distance[distance]))
    client.upsert("shop", POINTS)
    seen = watch(only=["qdrant"])
    search = client.query_points if NEW else client.search
    search("shop", [1.0, 0.0], limit=1)
    search("shop", [1.0, 0.0], limit=3)
    search("shop", [1.0, 0.0], limit=1)
    told = {dict(key)["ragmeter.score.order"]: points.count for key, points in seen.metric(SCORE).items()}
    assert told == {"unknown": 1, order: 2}


SCORE = "ragmeter.search.score"


@pytest.mark.skipif(not NEW, reason="this version has no queries without a question")
def test_a_listing_is_no_search(watch):
    """A query for nothing, for a sample or by a field gives points that nothing was asked of: no search, no score."""
    client = TestQdrant().database()
    seen = watch(only=["qdrant"])
    client.query_points("shop")
    client.query_points_groups("shop", group_by="kind")
    client.query_batch_points("shop", [models.QueryRequest(limit=2), models.QueryRequest(limit=1)])
    for listing in listings():
        client.query_points("shop", query=listing)
    assert seen.spans() == ()
    assert seen.metric(SCORE) == {}


def listings():
    if hasattr(models, "SampleQuery"):
        yield models.SampleQuery(sample=models.Sample.RANDOM)
    yield models.OrderByQuery(order_by="kind")


@pytest.mark.skipif(not NEW, reason="this version has no queries without a question")
def test_of_a_batch_only_the_questions_count(watch):
    """Of a batch with a listing and a question that finds nothing, the two questions are told, and the listing not."""
    nobody = models.Filter(must=[models.FieldCondition(key="kind", match=models.MatchValue(value="none"))])
    requests = [
        models.QueryRequest(query=[1.0, 0.0], limit=2, with_payload=True),
        models.QueryRequest(limit=2, with_payload=True),
        models.QueryRequest(query=[1.0, 0.0], filter=nobody),
    ]
    client = TestQdrant().database()
    seen = watch(only=["qdrant"])
    client.query_batch_points("shop", requests)
    assert seen.span()["db.response.returned_rows"] == 2
    assert seen.count("ragmeter.search.results") == 2
    assert seen.total("ragmeter.search.empty") == 1
    assert seen.count(SCORE) == 1


async def test_searches_gathered_and_cancelled_lose_nothing(watch):
    """Searches gathered in one query belong to it, and a cancelled task breaks nothing."""
    client = AsyncQdrantClient(":memory:")
    await client.create_collection("shop", vectors_config=SIZE)
    await client.upsert("shop", POINTS)
    seen = watch(only=["qdrant"])
    search = client.query_points if NEW else client.search
    await asyncio.gather(*(search("shop", [1.0, 0.0]) for _ in range(5)))
    task = asyncio.create_task(search("shop", [1.0, 0.0]))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(seen.spans()) == 5


@pytest.mark.skipif(not hasattr(models, "FusionQuery"), reason="this version merges no scores")
def test_merged_scores_say_nothing_of_distances(watch):
    """Of merged scores more is nearer; what the collection's own scores mean is not taken from them."""
    seen = watch()
    database = QdrantClient(":memory:")
    database.create_collection("far", vectors_config=models.VectorParams(size=2, distance=models.Distance.EUCLID))
    database.upsert("far", deepcopy(POINTS))
    merged = models.FusionQuery(fusion=models.Fusion.RRF)
    prefetch = [models.Prefetch(query=[1.0, 0.0], limit=2), models.Prefetch(query=[0.0, 1.0], limit=2)]
    database.query_points("far", query=[1.0, 0.0])
    database.query_points("far", prefetch=prefetch, query=merged)
    database.query_points("far", prefetch=prefetch[:1], query=merged, limit=1)
    database.query_points("far", query=[0.0, 1.0], limit=1)
    told = {dict(key)["ragmeter.score.order"]: points.count for key, points in seen.metric(SCORE).items()}
    assert told == {"lower_is_nearer": 2, "higher_is_nearer": 2}
