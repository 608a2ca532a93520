"""chromadb: embedded and persistent, and the asynchronous client against Chroma's own server where it starts."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import chromadb
import pytest

from databases_contract import SECRET, DatabaseContract

TEXTS = [SECRET, "Returned goods are refunded soon.", "Express delivery is offered."]


def embedded():
    """Chroma in memory: one for the whole process, so always with the same settings as the demo's."""
    return chromadb.EphemeralClient(chromadb.config.Settings(anonymized_telemetry=False))


def fill(client):
    for known in client.list_collections():
        client.delete_collection(known if isinstance(known, str) else known.name)
    collection = client.create_collection("shop", embedding_function=embed)
    collection.add(
        ids=["1", "2", "3"],
        embeddings=[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]],
        documents=TEXTS,
        metadatas=[{"kind": "a"}, {"kind": "b"}, {"kind": "b"}],
    )
    return collection


class Embedding(chromadb.EmbeddingFunction):
    """The same vector for every text: enough to search by text."""

    def __init__(self):
        pass

    def __call__(self, input):  # noqa: A002 - the name is Chroma's
        return [[1.0, 0.0] for _ in input]

    @staticmethod
    def name():
        return "same"

    def get_config(self):
        return {}


embed = Embedding()


class TestChroma(DatabaseContract):
    integration = "chromadb"
    system = "chroma"
    namespace: ClassVar[dict[str, str]] = {"db.namespace": "default_tenant|default_database"}
    nearest_score = 0.0  # a distance: lower is nearer
    survives_fork = chromadb.__version__.startswith("0.")  # since 1.0 its engine has threads of its own

    def database(self):
        return fill(embedded())

    def search(self, database, limit=2):
        return database.query(query_embeddings=[[1.0, 0.0]], n_results=limit)

    def bound(self, database):
        return partial(database.query, query_embeddings=[[1.0, 0.0]], n_results=2)

    def search_nothing(self, database):
        return database.query(query_embeddings=[[1.0, 0.0]], n_results=2, where={"kind": "none"})

    def search_wrongly(self, database):
        return database.query(query_embeddings=[[1.0, 0.0, 0.0]], n_results=2)

    def search_batch(self, database):
        found = database.query(query_embeddings=[[1.0, 0.0], [0.0, 1.0]], n_results=2)
        return bool(found["ids"])

    def search_below_zero(self, database):
        client = embedded()
        made = client.create_collection("products", metadata={"hnsw:space": "ip"}, embedding_function=None)
        made.add(ids=["1", "2"], embeddings=[[2.0, 0.0], [0.0, 1.0]], documents=["first text", "second text"])
        return made.query(query_embeddings=[[2.0, 0.0]], n_results=2)["distances"][0][0]

    def forms(self):
        vector = [[1.0, 0.0]]
        return {
            "embedding": (lambda db: db.query(query_embeddings=vector, n_results=2), 2),
            "positional": (lambda db: db.query(vector, n_results=2), 2),
            "text": (lambda db: db.query(query_texts=["sentinel-9f2c question"], n_results=1), 1),
            "batch": (lambda db: db.query(query_embeddings=[[1.0, 0.0], [0.0, 1.0]], n_results=2), 4),
            "filtered": (lambda db: db.query(query_embeddings=vector, n_results=2, where={"kind": "b"}), 2),
            "by document": (
                lambda db: db.query(
                    query_embeddings=vector, n_results=2, where_document={"$contains": "sentinel-9f2c"}
                ),
                1,
            ),
            "distances only": (lambda db: db.query(query_embeddings=vector, n_results=2, include=["distances"]), 2),
            "documents only": (lambda db: db.query(query_embeddings=vector, n_results=2, include=["documents"]), 2),
            "nothing included": (lambda db: db.query(query_embeddings=vector, n_results=2, include=[]), 2),
        }

    def originals(self):
        from chromadb.api.models import Collection

        return [
            vars(Collection.Collection)[name] for name in ("query", "search") if name in vars(Collection.Collection)
        ]

    def spoil(self, result):
        for row in result["ids"]:
            row.clear()
        result["documents"].clear()


def test_a_persistent_database_is_covered(watch, tmp_path):
    """A database on disk is searched through the same functions."""
    seen = watch(only=["chromadb"])
    fill(chromadb.PersistentClient(str(tmp_path))).query(query_embeddings=[[1.0, 0.0]], n_results=1)
    assert seen.span()["db.system.name"] == "chroma"


def test_reading_records_is_no_search(watch):
    """`get` and `peek` rank nothing and are not counted as searches."""
    collection = TestChroma().database()
    seen = watch(only=["chromadb"])
    collection.get(ids=["1"])
    collection.peek()
    assert seen.spans() == ()


def test_a_search_inside_a_search_is_one_of_its_own(watch):
    """What an embedding function looks for in another collection is counted beside the search that asked it."""
    fill(embedded())

    class Cached(Embedding):
        def __call__(self, input):  # noqa: A002 - the name is Chroma's
            cache.query(query_embeddings=[[1.0, 0.0]], n_results=1)
            return super().__call__(input)

    cache = embedded().create_collection("cache", embedding_function=embed)
    cache.add(ids=["1"], embeddings=[[1.0, 0.0]], documents=[SECRET])
    collection = embedded().get_collection("shop", embedding_function=Cached())
    seen = watch(only=["chromadb"])
    collection.query(query_texts=["Where?"], n_results=1)
    assert [span.name for span in seen.spans()] == ["query shop", "query cache"]


async def test_the_asynchronous_client(watch, tmp_path):
    """`AsyncHttpClient` against Chroma's own server gives the same result and is recorded."""
    if not hasattr(chromadb, "AsyncHttpClient"):
        pytest.skip("this chromadb has no asynchronous client")
    async with served(tmp_path) as port:
        client = await chromadb.AsyncHttpClient(host="127.0.0.1", port=port)
        collection = await client.create_collection("shop", embedding_function=None)
        await collection.add(ids=["1"], embeddings=[[1.0, 0.0]], documents=[SECRET])
        bare = await collection.query(query_embeddings=[[1.0, 0.0]], n_results=1)
        seen = watch(only=["chromadb"])
        assert await collection.query(query_embeddings=[[1.0, 0.0]], n_results=1) == bare
        assert seen.span()["db.response.returned_rows"] == 1


class served:  # noqa: N801 - reads as a phrase
    """Chroma's server in a process of its own, on a free port."""

    def __init__(self, folder):
        self.folder = folder

    async def __aenter__(self):
        import asyncio
        import socket
        import subprocess
        import sys
        from pathlib import Path

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        program = Path(sys.executable).parent / "chroma"
        self.process = subprocess.Popen(  # noqa: ASYNC220 - started once, before anything is awaited
            [program, "run", "--path", self.folder, "--port", str(port), "--host", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            await asyncio.sleep(0.1)
        raise TimeoutError("chroma run did not start")

    async def __aexit__(self, *_):
        self.process.kill()
        self.process.wait()
