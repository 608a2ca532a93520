"""The vector databases of the demo, both embedded: they run inside this process and keep nothing on disk."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Protocol

from ragmeter.demo.passages import Passage

COLLECTION = "ragmeter-documents"

Vector = Sequence[float]


class MissingPackageError(RuntimeError):
    """A package the demo needs is not installed; the message says how to install it."""


class Store(Protocol):
    """What the program needs of a vector database."""

    def add(self, passages: Sequence[Passage], vectors: Sequence[Vector]) -> None:
        """Store all passages with their vectors, once."""

    def nearest(self, vector: Vector, limit: int) -> list[str]:
        """The texts of the `limit` nearest passages, nearest first."""


class QdrantStore:
    """Qdrant's client with its embedded database."""

    def __init__(self) -> None:
        try:
            from qdrant_client import QdrantClient, models
        except ImportError as error:
            raise MissingPackageError("The demo needs Qdrant's client: pip install 'ragmeter[demo]'") from error
        self._models = models
        self._client = QdrantClient(":memory:")

    def add(self, passages: Sequence[Passage], vectors: Sequence[Vector]) -> None:
        """Store passages with their vectors."""
        parameters = self._models.VectorParams(size=len(vectors[0]), distance=self._models.Distance.COSINE)
        self._client.create_collection(COLLECTION, vectors_config=parameters)
        points = [
            self._models.PointStruct(
                id=number, vector=list(vector), payload={"text": passage.text, "source": passage.id}
            )
            for number, (passage, vector) in enumerate(zip(passages, vectors, strict=True))
        ]
        self._client.upsert(COLLECTION, points)

    def nearest(self, vector: Vector, limit: int) -> list[str]:
        """The texts of the `limit` nearest passages, nearest first."""
        found = self._client.query_points(COLLECTION, query=list(vector), limit=limit)
        return [str((point.payload or {})["text"]) for point in found.points]


class ChromaStore:
    """Chroma's embedded database, with the vectors that the program gives it."""

    def __init__(self) -> None:
        try:
            import chromadb
            from chromadb.config import Settings
        except ImportError as error:
            raise MissingPackageError("--database chroma needs its client: pip install chromadb") from error
        # Embedded databases of one process share their collections by name.
        name = f"{COLLECTION}-{uuid.uuid4().hex[:8]}"
        metadata = {"hnsw:space": "cosine"}
        self._collection: Any = chromadb.EphemeralClient(Settings(anonymized_telemetry=False)).create_collection(
            name, embedding_function=None, metadata=metadata
        )

    def add(self, passages: Sequence[Passage], vectors: Sequence[Vector]) -> None:
        """Store passages with their vectors."""
        self._collection.add(
            ids=[passage.id for passage in passages],
            documents=[passage.text for passage in passages],
            embeddings=[list(vector) for vector in vectors],
        )

    def nearest(self, vector: Vector, limit: int) -> list[str]:
        """The texts of the `limit` nearest passages, nearest first."""
        found = self._collection.query(query_embeddings=[list(vector)], n_results=limit)
        return [str(text) for text in found["documents"][0]]


STORES: dict[str, type[QdrantStore | ChromaStore]] = {"qdrant": QdrantStore, "chroma": ChromaStore}
"""The databases by the name that `--database` takes."""
