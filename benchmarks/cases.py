"""The work that is measured: real client libraries whose sending and parsing is taken out, real embedded databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from random import Random
from types import SimpleNamespace
from typing import Any

Step = Callable[[], None]

SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "la",
    "me",
    "ni",
    "po",
    "ru",
    "sa",
    "te",
    "vi",
    "kra",
    "ble",
    "stri",
    "plo",
    "nge",
)


def _passages() -> list[str]:
    random = Random(7)
    words = ["".join(random.choices(SYLLABLES, k=random.randint(1, 4))) for _ in range(4_000)]
    # As in a language, a few words make half of a text.
    weights = [1 / (rank + 5) for rank in range(len(words))]
    sentences = (
        " ".join(random.choices(words, weights, k=random.randint(6, 20))).capitalize() + "." for _ in range(900)
    )
    return [" ".join(islice(sentences, 24)) for _ in range(20)]


CHUNKS = _passages()
"""Twenty retrieved texts of about 2 kB each: 40 kB in all."""

ANSWER = " ".join(chunk.split(". ")[number] + "." for number, chunk in enumerate(CHUNKS[:8]))
"""A hundred words that take a sentence from each of eight texts."""


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of work: `make` sets it up and gives a step; one step is `calls` calls of `unit`s each."""

    name: str
    make: Callable[[], Step]
    steps: int
    calls: int = 1
    per: str = "call"
    units: int = 1


def completion(content: str = "An answer.", prompt_tokens: int = 100) -> dict[str, Any]:
    """A chat completion's body."""
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": 7, "total_tokens": prompt_tokens + 7},
    }


ANSWERS: dict[str, Given] = {}
"""What the clients' `request` is given: by model, a whole answer or the chunks of a stream."""


def take_out_the_client() -> Step:
    """Replace the work of openai's own client below the function that every tool wraps or passes through.

    Sending and parsing take a hundred times what is measured and vary more than it. What is left of it is what goes over
    the wire, as bytes: in every configuration alike. To be called before anything is instrumented. Gives what puts all of it back.
    """
    from openai import _base_client

    def built(_: Any, options: Any, **__: Any) -> Any:
        return SimpleNamespace(_content=json.dumps(options.json_data).encode())

    def processed(_: Any, *, options: Any, response: Any) -> Any:
        return _stream_of(response.answer) if options.json_data.get("stream") else response.answer

    async def processed_async(_: Any, *, options: Any, response: Any) -> Any:
        return response.answer

    def request(self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        self._build_request(options)
        return self._process_response(options=options, response=ANSWERS[options.json_data["model"]])

    async def request_async(
        self: Any, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None
    ) -> Any:
        self._build_request(options)
        await asyncio.sleep(0)
        return await self._process_response(options=options, response=ANSWERS[options.json_data["model"]])

    taken_out = [
        (owner, name, vars(owner)[name], function)
        for owner, name, function in (
            (_base_client.BaseClient, "_build_request", built),
            (_base_client.SyncAPIClient, "_process_response", processed),
            (_base_client.AsyncAPIClient, "_process_response", processed_async),
            (_base_client.SyncAPIClient, "request", request),
            (_base_client.AsyncAPIClient, "request", request_async),
        )
    ]
    for owner, name, _, function in taken_out:
        setattr(owner, name, function)

    def put_back() -> None:
        for owner, name, own, _ in taken_out:
            setattr(owner, name, own)

    return put_back


@dataclass(frozen=True, slots=True)
class Given:
    """What the client has been answered: the object it makes of it, or those of a stream, and the bytes or events."""

    answer: Any
    _content: bytes | None = None


def given(answer: Any) -> Given:
    """A whole answer, or a list of chunks, as it comes over the wire."""
    return Given(answer, None if isinstance(answer, list) else answer.model_dump_json(exclude_unset=True).encode())


class _Connection:
    """What a stream is read from."""

    def close(self) -> None:
        """Nothing to close."""


@cache
def _stream_class() -> Any:
    import openai

    class Stream(openai.Stream[Any]):
        """A stream whose events are there already."""

        def _iter_events(self) -> Any:
            return iter(EVENTS)

    return Stream


def _stream_of(chunks: list[Any]) -> Any:
    if len(EVENTS) != len(chunks):
        EVENTS[:] = [SimpleNamespace(data=chunk.model_dump_json(exclude_unset=True)) for chunk in chunks]
    made: Any = object.__new__(_stream_class())
    made.response = _Connection()

    def read() -> Any:
        yield from (chunk for _, chunk in zip(made._iter_events(), chunks, strict=True))  # noqa: SLF001

    made._iterator = read()  # noqa: SLF001
    return made


EVENTS: list[Any] = []
"""The events of the one stream that is measured."""


@cache
def _client() -> Any:
    import openai

    return openai.OpenAI(api_key="k")


def _chat(model: str, answer: Any) -> Any:
    ANSWERS[model] = given(answer)
    return _client().chat.completions.create


def _answer(prompt_tokens: int = 100, content: str = "An answer.") -> Any:
    from openai.types.chat import ChatCompletion

    return ChatCompletion.model_validate(completion(content, prompt_tokens))


MESSAGES: Any = [{"role": "system", "content": "You are kind."}, {"role": "user", "content": "What is the answer?"}]


def small_chat() -> Step:
    """One small chat completion."""
    create = _chat("gpt-4o-mini", _answer())

    def step() -> None:
        create(model="gpt-4o-mini", messages=MESSAGES)

    return step


def async_tasks() -> Step:
    """Fifty chat completions at once in one event loop."""
    import openai

    ANSWERS["gpt-4o"] = given(_answer())
    create = openai.AsyncOpenAI(api_key="k").chat.completions.create
    loop = asyncio.new_event_loop()

    async def all_at_once() -> None:
        await asyncio.gather(*(create(model="gpt-4o", messages=MESSAGES) for _ in range(50)))

    return lambda: loop.run_until_complete(all_at_once())


def stream() -> Step:
    """A stream of 200 chunks, read to its end."""
    from openai.types.chat import ChatCompletionChunk

    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1"}
    said = [{"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}] * 198
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": completion()["usage"]}
    chunks = [ChatCompletionChunk.model_validate(head | part) for part in (*said, end, usage)]
    create = _chat("gpt-4.1", chunks)

    def step() -> None:
        for _ in create(model="gpt-4.1", messages=MESSAGES, stream=True):
            pass

    return step


def _rag(prompt: Callable[[int], str]) -> Step:
    database = _qdrant()
    create = _chat("gpt-4.1-mini", _answer(10_000, ANSWER))
    turn = iter(range(1_000_000_000))

    def step() -> None:
        database.query_points("shop", query=[1.0, 0.0], limit=20)
        create(model="gpt-4.1-mini", messages=[{"role": "user", "content": prompt(next(turn))}])

    return step


def rag_verbatim() -> Step:
    """A search for 20 chunks and a 40 kB prompt that holds them as they are; the prompt is a new text each time."""
    return _rag(lambda turn: "\n\n".join(CHUNKS) + f"\n\nQuestion {turn}: what is fact 3?")


def rag_reformatted() -> Step:
    """The same with every chunk quoted and re-wrapped, so that none stands in the prompt as it was retrieved."""
    quoted = "\n\n".join("> " + text.replace(". ", ".\n> ") for text in CHUNKS)
    return _rag(lambda turn: f"{quoted}\n\nQuestion {turn}: what is fact 3?")


def _qdrant() -> Any:
    from qdrant_client import QdrantClient, models

    database = QdrantClient(":memory:")
    database.create_collection("shop", models.VectorParams(size=2, distance=models.Distance.COSINE))
    points = [
        models.PointStruct(id=at, vector=[1.0, at / 99], payload={"text": text}) for at, text in enumerate(CHUNKS)
    ]
    database.upsert("shop", points)
    return database


def qdrant_query() -> Step:
    """One search in an embedded Qdrant of twenty points."""
    database = _qdrant()

    def step() -> None:
        database.query_points("shop", query=[1.0, 0.0], limit=5)

    return step


def chroma_query() -> Step:
    """One search in an embedded Chroma of twenty records."""
    import chromadb

    collection: Any = chromadb.EphemeralClient().get_or_create_collection("shop", embedding_function=None)
    vectors = [[1.0, at / 99] for at in range(len(CHUNKS))]
    collection.upsert(ids=[str(at) for at in range(len(CHUNKS))], embeddings=vectors, documents=CHUNKS)

    def step() -> None:
        collection.query(query_embeddings=[[1.0, 0.0]], n_results=5)

    return step


CASES = {
    case.name: case
    for case in (
        Case("small chat", small_chat, steps=100),
        Case("50 async tasks at once", async_tasks, steps=6, calls=50),
        Case("stream of 200 chunks", stream, steps=20, per="chunk", units=200),
        Case("40 kB RAG prompt, 20 chunks verbatim", rag_verbatim, steps=20),
        Case("40 kB RAG prompt, 20 chunks reformatted", rag_reformatted, steps=20),
        Case("qdrant query", qdrant_query, steps=60),
        Case("chroma query", chroma_query, steps=60),
    )
}
