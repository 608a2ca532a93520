"""What every framework's retriever owes the app and the dashboards: one set of promises for all of them.

A new framework subclasses `FrameworkContract` and fills in the blanks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import chromadb
import openai
import pytest
from qdrant_client import QdrantClient, models

import ragmeter
from clients.promises_ownership import empty
from function_uses import lost, uses_of
from wire import Asked, Wire, whole

MILL = (
    "The old mill at Harrow Bridge ground barley until 1931, when a flood in March carried its wheel two miles down "
    "the river and left it standing upright in the churchyard."
)
BEES = (
    "Beekeepers of the valley move their hives to the heather in August by night, with the entrances closed by damp "
    "moss, so that no bee is lost on the way."
)
RAILWAY = (
    "The narrow railway to the quarry is run by volunteers on Sundays; its only engine was built in Leeds and burns "
    "wood instead of coal since the restoration."
)
TEXTS = (MILL, BEES, RAILWAY)
QUESTION = "What happened to the wheel of the mill?"
ANSWER = "A flood in March 1931 carried its wheel two miles down the river and left it upright in the churchyard."


@dataclass(frozen=True)
class Hit:
    """A passage as a test's own search gives it, before the framework makes one of its documents of it."""

    id: str
    text: str
    score: float


HITS = tuple(Hit(f"passage-{at}", text, 0.9 - at / 10) for at, text in enumerate(TEXTS))

Search = Callable[[str], Sequence[Hit]]


def answer(asked: Asked) -> Any:
    """The same answer to every prompt; four characters are a token."""
    tokens = sum(len(str(message["content"])) for message in asked.body["messages"]) // 4
    return whole(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": asked.body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
            "usage": {"prompt_tokens": tokens, "completion_tokens": 20, "total_tokens": tokens + 20},
        }
    )


def ask(*passages: str, prompt: str | None = None) -> None:
    """Send a prompt through the openai client: the one given, or the question below these passages."""
    written = prompt or "\n\n".join(("Answer from this context.", *passages, f"Question: {QUESTION}"))
    with Wire(answer) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": written}])


def search_chroma() -> Search:
    """A search in a real Chroma that holds the passages."""
    client = chromadb.EphemeralClient(chromadb.config.Settings(anonymized_telemetry=False))
    for known in client.list_collections():
        client.delete_collection(known if isinstance(known, str) else known.name)
    collection = client.create_collection("valley")
    vectors = [[1.0, at / 10] for at in range(len(HITS))]
    collection.add(ids=[hit.id for hit in HITS], embeddings=vectors, documents=list(TEXTS))

    def search(_: str) -> list[Hit]:
        found = collection.query(query_embeddings=[[1.0, 0.0]], n_results=3)
        rows = zip(found["ids"][0], found["documents"][0], found["distances"][0], strict=True)
        return [Hit(identifier, text, 1 - distance) for identifier, text, distance in rows]

    return search


def search_qdrant() -> Search:
    """A search in a real Qdrant that holds the passages."""
    client = QdrantClient(":memory:")
    client.create_collection("valley", vectors_config=models.VectorParams(size=2, distance=models.Distance.COSINE))
    points = [
        models.PointStruct(id=at, vector=[1.0, at / 10], payload={"text": hit.text}) for at, hit in enumerate(HITS)
    ]
    client.upsert("valley", points)

    def search(_: str) -> list[Hit]:
        points = client.query_points("valley", query=[1.0, 0.0], limit=3).points
        return [Hit(str(point.id), point.payload["text"], point.score) for point in points]

    return search


DATABASES = {"chromadb": search_chroma, "qdrant": search_qdrant}


def fates(seen: Any) -> dict[str, float]:
    """How many chunks had each fate, over all strategies and collections."""
    found: dict[str, float] = {}
    for key, value in seen.metric("ragmeter.chunks").items():
        fate = dict(key)["ragmeter.chunk.fate"]
        found[fate] = found.get(fate, 0) + value
    return found


def collections(seen: Any) -> set[str]:
    """The collections that chunks were counted for."""
    return {dict(key)["db.collection.name"] for key in seen.metric("ragmeter.chunks")}


def chat_span(seen: Any) -> dict[str, Any]:
    """The attributes of the only chat call."""
    (span,) = (dict(span.attributes) for span in seen.spans() if span.name.startswith("chat"))
    return span


class RefusedError(Exception):
    """What a test's search raises."""


def refuse(_: str) -> Sequence[Hit]:
    """A search that fails."""
    raise RefusedError("the index is being rebuilt")


class FrameworkContract:
    """The blanks: a framework's own kind of retriever over any search, and how its documents are made and read."""

    integration: ClassVar[str]

    def document(self, hit: Hit) -> Any:
        """One of the framework's documents."""
        raise NotImplementedError

    def retrieve(self, search: Search) -> list[Any]:
        """What a retriever over `search` gives the app."""
        raise NotImplementedError

    async def aretrieve(self, search: Search) -> list[Any]:
        """The same, asked asynchronously."""
        raise NotImplementedError

    def handed_through(self, given: list[Any]) -> tuple[Any, Any]:
        """Of a retriever that gives `given`: an object it gives the app, and what this was inside the framework."""
        raise NotImplementedError

    def text_of(self, document: Any) -> str:
        """The text of one of the framework's documents."""
        raise NotImplementedError

    def error_of(self, error: BaseException) -> BaseException:
        """The search's own error in what the framework raises."""
        return error

    def functions(self) -> Iterator[Any]:
        """The functions that are wrapped, as they stand in their places now."""
        raise NotImplementedError

    def instance(self) -> tuple[Any, tuple[str, ...]]:
        """An object that can be pickled, and those of its methods that are wrapped."""
        raise NotImplementedError

    def test_what_a_retriever_gives_is_found_in_the_prompt(self, watch):
        """Without any database of ours the answer counts as RAG; used, unused and unsent passages are told apart."""
        seen = watch(providers={"127.0.0.1": "openai"})
        with ragmeter.query():
            found = self.retrieve(lambda _: HITS)
            ask(*(self.text_of(document) for document in found[:2]))
        assert fates(seen) == {"used": 1, "unused": 1, "unsent": 1}
        assert seen.total("ragmeter.queries", ragmeter_strategy="rag") == seen.total("ragmeter.queries") == 1
        assert seen.total("ragmeter.tokens", ragmeter_part="context") > 50
        assert seen.operations() == 1

    async def test_an_awaited_retriever_is_found_as_well(self, watch):
        """The asynchronous form tells the same, without any scope around it."""
        seen = watch(providers={"127.0.0.1": "openai"})
        found = await self.aretrieve(lambda _: HITS)
        ask(*(self.text_of(document) for document in found[:2]))
        assert fates(seen) == {"used": 1, "unused": 1, "unsent": 1}
        assert seen.total("ragmeter.queries", ragmeter_strategy="rag") == seen.total("ragmeter.queries") == 1

    def test_ids_and_ranks_are_the_retrievers(self, watch):
        """On the span each passage has its id of the framework, and the rank the retriever gave it."""
        seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
        found = self.retrieve(lambda _: HITS)
        ask(*(self.text_of(document) for document in reversed(found)))
        span = chat_span(seen)
        assert span["ragmeter.chunk.ids"] == ("passage-2", "passage-1", "passage-0")
        assert span["ragmeter.chunk.ranks"] == (3, 2, 1)
        assert span["ragmeter.chunk.fates"] == ("unused", "unused", "used")

    @pytest.mark.parametrize("database", DATABASES)
    def test_a_retriever_over_a_database_counts_once_in_a_scope(self, watch, database):
        """One search, of the database's client; each passage once, under the database's collection."""
        search = DATABASES[database]()
        seen = watch(providers={"127.0.0.1": "openai"})
        with ragmeter.query():
            found = self.retrieve(search)
            ask(*(self.text_of(document) for document in found[:2]))
        assert fates(seen) == {"used": 1, "unused": 1, "unsent": 1}
        assert collections(seen) == {"valley"}
        assert seen.total("ragmeter.operations", ragmeter_strategy="rag") == seen.total("ragmeter.operations") == 2

    @pytest.mark.parametrize("database", DATABASES)
    def test_a_retriever_over_a_database_counts_once_without_a_scope(self, watch, database):
        """The same when only the content joins search, retriever and answer."""
        search = DATABASES[database]()
        seen = watch(providers={"127.0.0.1": "openai"})
        found = self.retrieve(search)
        ask(*(self.text_of(document) for document in found[:2]))
        assert fates(seen) == {"used": 1, "unused": 1, "unsent": 1}
        assert collections(seen) == {"valley"}
        assert seen.total("ragmeter.operations", ragmeter_strategy="rag") == seen.total("ragmeter.operations") == 2

    def test_retrieval_that_no_answer_follows_is_unsent_once(self, watch):
        """A retriever over a database whose passages are never sent: each is one unsent chunk, not two."""
        search = search_chroma()
        seen = watch()
        self.retrieve(search)
        assert fates(seen) == {"unsent": 3}

    def test_a_failed_retrieval_reaches_the_app_unchanged(self, watch):
        """What the search raises is raised as without us, and nothing is recorded."""
        with pytest.raises(Exception) as bare:  # noqa: PT011 - each framework has its own
            self.retrieve(refuse)
        seen = watch()
        with pytest.raises(type(bare.value)) as watched:
            self.retrieve(refuse)
        assert str(watched.value) == str(bare.value)
        assert isinstance(self.error_of(watched.value), RefusedError)
        assert seen.spans() == ()
        assert fates(seen) == {}

    async def test_a_failed_retrieval_that_is_awaited_reaches_the_app_unchanged(self, watch):
        """The same for the asynchronous form."""
        seen = watch()
        with pytest.raises(Exception) as watched:  # noqa: PT011 - each framework has its own
            await self.aretrieve(refuse)
        assert isinstance(self.error_of(watched.value), RefusedError)
        assert fates(seen) == {}

    def test_the_app_gets_the_same_objects(self, watch):
        """What the framework returns goes to the app as it is, not as a copy."""
        watch()
        got, given = self.handed_through([self.document(hit) for hit in HITS])
        assert got is given

    def test_a_list_the_app_changes_is_known_as_it_was(self, watch):
        """The app may empty its documents and their list at once: the passages are known all the same."""
        seen = watch(providers={"127.0.0.1": "openai"})
        found = self.retrieve(lambda _: HITS)
        texts = [self.text_of(document) for document in found]
        empty(found)
        ask(*texts[:1])
        assert fates(seen) == {"used": 1, "unsent": 2}

    def test_uninstrument_restores_the_functions(self, watch):
        """While it is watched every function is wrapped; afterwards the original stands there again."""
        before = list(self.functions())
        watch()
        assert not any(now is original for now, original in zip(self.functions(), before, strict=True))
        ragmeter.uninstrument()
        assert all(now is original for now, original in zip(self.functions(), before, strict=True))

    def test_a_wrapped_function_is_used_as_the_bare_one(self, watch):
        """What else is done with a wrapped function than calling it comes out as it did: pickled, copied, inspected."""
        instance, names = self.instance()

        def uses() -> list[dict[str, Any]]:
            held = [uses_of(partial(getattr, owner, name)) for name in names for owner in (instance, type(instance))]
            return held + [uses_of(partial(getattr, function, "__func__", function)) for function in self.functions()]

        bare = uses()
        watch()
        # A framework's own decorators may do less than a bare function: what worked, works.
        assert [lost(before, now) for before, now in zip(bare, uses(), strict=True)] == [{}] * len(bare)

    def test_every_target_is_there(self, watch):
        """The installed version has all functions that are to be wrapped, and lies in the tested range."""
        watch()
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.integration]
        assert [target.state for target in status.targets] == ["patched"] * len(list(self.functions()))
        assert status.in_range

    def test_a_retriever_that_cannot_be_read_does_not_break_the_app(self, watch, monkeypatch, caplog):
        """When our reading fails the app has its documents, and the failure is counted and logged without text."""
        monkeypatch.setattr("ragmeter.reading.shapes.passages.field", fail)
        caplog.set_level(logging.DEBUG, logger="ragmeter")
        seen = watch(loud=False)
        found = self.retrieve(lambda _: HITS)
        assert [self.text_of(document) for document in found] == list(TEXTS)
        assert fates(seen) == {}
        assert ragmeter.status().internal_errors == 1
        assert "Harrow" not in caplog.text

    def test_context_takes_the_frameworks_documents(self, watch):
        """`ragmeter.context()` reads text, id and rank of documents that no retriever gave."""
        seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
        ragmeter.context([self.document(hit) for hit in HITS], collection="by-hand")
        ask(TEXTS[1], TEXTS[0])
        span = chat_span(seen)
        assert span["ragmeter.chunk.ids"] == ("passage-1", "passage-0")
        assert span["ragmeter.chunk.ranks"] == (2, 1)
        assert collections(seen) == {"by-hand"}


def fail(*_: object) -> None:
    """In place of our own reading: fails, with the app's text in its message."""
    raise ValueError(TEXTS[0])
