"""A small RAG app as a user writes it: an embedded database, the openai client, and a server that answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import openai
from qdrant_client import QdrantClient, models

from wire import Asked, Wire, whole

PASSAGES = (
    "The warranty of the blue kettle lasts for two years from the day of purchase.",
    "Returned goods are refunded within ten working days after they have arrived.",
    "Express delivery is offered in all cities with more than fifty thousand people.",
)
QUESTION = "How long does the warranty of the kettle last?"


def answer(asked: Asked) -> Any:
    """Usage as a provider would report it: a token a word, ten for the answer."""
    if asked.path.endswith("/embeddings"):
        given = asked.body["input"]
        texts = given if isinstance(given, list) else [given]
        tokens = sum(len(text.split()) for text in texts)
        data = [{"object": "embedding", "index": at, "embedding": [1.0, 0.0]} for at in range(len(texts))]
        model = {"object": "list", "model": "text-embedding-3-small", "data": data}
        return whole(model | {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
    if asked.body["model"] == "broken":
        return whole({"error": {"message": "no", "type": "server_error"}}, status=400)
    tokens = sum(len(str(message["content"]).split()) for message in asked.body["messages"])
    return whole(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked.body["model"],
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Two years."}}
            ],
            "usage": {"prompt_tokens": tokens, "completion_tokens": 10, "total_tokens": tokens + 10},
        }
    )


@dataclass
class Shop:
    """The app: `search` gives passages, `ask` puts them before the question."""

    client: openai.OpenAI
    database: QdrantClient

    def embed(self, *texts: str) -> Any:
        return self.client.embeddings.create(
            model="text-embedding-3-small", input=texts[0] if len(texts) == 1 else list(texts), encoding_format="float"
        )

    def search(self, limit: int = 2) -> list[str]:
        if hasattr(self.database, "query_points"):
            points = self.database.query_points("shop", query=[1.0, 0.0], limit=limit).points
        else:
            points = self.database.search("shop", [1.0, 0.0], limit=limit)
        return [point.payload["text"] for point in points]

    def ask(self, passages: list[str], model: str = "gpt-4o-mini", question: str = QUESTION) -> Any:
        context = "\n\n".join(f"[{at}] {text}" for at, text in enumerate(passages, 1))
        content = f"Use only this:\n{context}\n\nQuestion: {question}" if passages else question
        return self.client.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": "You answer for a shop."}, {"role": "user", "content": content}],
        )


def open_shop(wire: Wire) -> Shop:
    """The app with its passages in the database; nothing of it is a query."""
    database = QdrantClient(":memory:")
    size = models.VectorParams(size=2, distance=models.Distance.COSINE)
    database.create_collection("shop", vectors_config=size)
    points = [
        models.PointStruct(id=at, vector=[1.0, at / 10], payload={"text": text}) for at, text in enumerate(PASSAGES)
    ]
    database.upsert("shop", points)
    return Shop(openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0), database)
