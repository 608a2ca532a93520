"""A RAG app with ragmeter in it: the lines that name ragmeter are its own, the rest is what the app would be without.

Run it with `OPENAI_API_KEY` set, or with `OPENAI_BASE_URL` naming any compatible server, and look at the address it
prints before you press Enter. Needs `openai` and `qdrant-client`.
"""

import ragmeter

ragmeter.instrument(labels=["team"])

from openai import OpenAI  # noqa: E402 - ragmeter works in either order; first is shown because it is simplest
from qdrant_client import QdrantClient, models  # noqa: E402

PASSAGES = [
    "The warranty of the blue kettle lasts for two years from the day of purchase.",
    "Returned goods are refunded within ten working days after they have arrived.",
    "Express delivery is offered in all cities with more than fifty thousand people.",
]


def embed(client: OpenAI, texts: list[str]) -> list[list[float]]:
    """The vectors of some texts."""
    answer = client.embeddings.create(model="text-embedding-3-small", input=texts)
    return [item.embedding for item in answer.data]


def index(client: OpenAI) -> QdrantClient:
    """A database in memory with all passages."""
    vectors = embed(client, PASSAGES)
    database = QdrantClient(":memory:")
    size = models.VectorParams(size=len(vectors[0]), distance=models.Distance.COSINE)
    database.create_collection("passages", vectors_config=size)
    database.upsert(
        "passages",
        [
            models.PointStruct(id=number, vector=vector, payload={"text": text})
            for number, (vector, text) in enumerate(zip(vectors, PASSAGES, strict=True))
        ],
    )
    return database


def answer(client: OpenAI, database: QdrantClient, question: str) -> str:
    """Answer one question from the passages that are nearest to it."""
    with ragmeter.query(team="support"):
        (vector,) = embed(client, [question])
        points = database.query_points("passages", query=vector, limit=2).points
        context = "\n".join(point.payload["text"] for point in points if point.payload)
        reply = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[
                {"role": "system", "content": f"Answer from these passages only:\n{context}"},
                {"role": "user", "content": question},
            ],
        )
        return reply.choices[0].message.content or ""


if __name__ == "__main__":
    openai_client = OpenAI()
    print(answer(openai_client, index(openai_client), "How long is the warranty of the kettle?"))
    input(f"Metrics: {ragmeter.status().exporter}, as long as this program runs. Enter ends it. ")
