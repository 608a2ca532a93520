"""haystack-ai: pipelines with its store in memory, custom components and rankers, indexing, tools of agents."""

from __future__ import annotations

import haystack.core.pipeline.pipeline as pipelines
from haystack import Document, Pipeline, component
from haystack.components.builders import PromptBuilder
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.rankers import MetaFieldRanker
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.tools import Tool

import ragmeter
from frameworks_contract import HITS, QUESTION, TEXTS, FrameworkContract, ask, chat_span, fates
from ragmeter.reading.shapes.passages import read_passages, take_passages

TEMPLATE = "Use this:\n{% for each in documents %}{{ each.content }}\n{% endfor %}\nQuestion: {{ question }}"
NO_ARGUMENTS = {"type": "object", "properties": {}}


def document(hit, **meta):
    return Document(id=hit.id, content=hit.text, score=hit.score, meta=meta)


@component
class Searching:
    """A retriever as an app writes one: over any search."""

    def __init__(self, search):
        self._search = search

    @component.output_types(documents=list[Document])
    def run(self, query: str):
        return {"documents": [document(hit) for hit in self._search(query)]}


def alone(instance):
    pipeline = Pipeline()
    pipeline.add_component("retriever", instance)
    return pipeline


class TestHaystack(FrameworkContract):
    integration = "haystack"

    def document(self, hit):
        return document(hit)

    def retrieve(self, search):
        return alone(Searching(search)).run({"query": QUESTION})["retriever"]["documents"]

    async def aretrieve(self, search):
        result = await alone(Searching(search)).run_async({"query": QUESTION})
        return result["retriever"]["documents"]

    def handed_through(self, given):
        outputs = {"documents": given}
        return Tool("search", "Searches.", NO_ARGUMENTS, lambda: outputs).invoke(), outputs

    def text_of(self, document):
        return document.content

    def error_of(self, error):
        return error.__cause__

    def instance(self):
        return Tool("search", "Searches.", NO_ARGUMENTS, dict), ("invoke", "invoke_async")

    def functions(self):
        yield vars(Pipeline)["_run_component"]
        yield vars(pipelines)["_execute_component_async"]
        yield from (vars(Tool)[name] for name in ("invoke", "invoke_async"))


def test_a_pipeline_over_the_store_in_memory(watch):
    """BM25 over Haystack's own store, and its prompt builder: the passages are found in the prompt it has built."""
    store = InMemoryDocumentStore()
    store.write_documents([Document(id=hit.id, content=hit.text) for hit in HITS])
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(store, top_k=3))
    pipeline.add_component("prompt", PromptBuilder(TEMPLATE, required_variables=["documents", "question"]))
    pipeline.connect("retriever.documents", "prompt.documents")
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    with ragmeter.query():
        built = pipeline.run({"retriever": {"query": QUESTION}, "prompt": {"question": QUESTION}})
        ask(prompt=built["prompt"]["prompt"])
    span = chat_span(seen)
    assert span["ragmeter.chunk.ids"][0] == "passage-0"
    assert span["ragmeter.chunk.ranks"] == (1, 2, 3)
    assert fates(seen) == {"used": 1, "unused": 2}
    assert seen.total("ragmeter.queries", ragmeter_strategy="rag") == 1


def test_a_ranker_after_the_retriever_counts_no_passage_twice(watch):
    """What a ranker gives is what the retriever gave: each passage is one chunk, with the ranker's rank if any."""
    pipeline = alone(Giving([document(hit, year=at) for at, hit in enumerate(HITS)]))
    pipeline.add_component("ranker", MetaFieldRanker("year", weight=1.0, top_k=2))
    pipeline.connect("retriever.documents", "ranker.documents")
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    with ragmeter.query():
        found = pipeline.run({})["ranker"]["documents"]
        ask(*(each.content for each in found), TEXTS[0])
    assert fates(seen) == {"used": 1, "unused": 2}
    assert chat_span(seen)["ragmeter.chunk.ranks"] == (1, 2, 1)


def test_documents_on_their_way_into_a_store_are_no_retrieval(watch):
    """A splitter gives documents without a score: indexing is not taken for retrieval."""
    pipeline = Pipeline()
    pipeline.add_component("splitter", DocumentSplitter(split_by="passage", split_length=1))
    seen = watch()
    split = pipeline.run({"splitter": {"documents": [Document(content="\n\n".join(TEXTS))]}})["splitter"]["documents"]
    assert len(split) == 3
    assert fates(seen) == {}


def test_a_tool_of_an_agent_is_a_retriever(watch):
    """Scored documents that a tool returns are known: an agent runs it outside any pipeline."""
    retriever = Searching(lambda _: HITS)
    tool = Tool("search", "Searches.", NO_ARGUMENTS, lambda: retriever.run(QUESTION))
    seen = watch(providers={"127.0.0.1": "openai"})
    with ragmeter.query():
        found = tool.invoke()["documents"]
        ask(found[0].content)
    assert fates(seen) == {"used": 1, "unsent": 2}


def test_documents_are_read_with_text_id_and_score():
    """A document's content, id and score are the chunk's."""
    (chunk,) = read_passages(take_passages([document(HITS[0])]))
    assert (chunk.text, chunk.id, chunk.score, chunk.rank) == (TEXTS[0], "passage-0", 0.9, 0)


@component
class Giving:
    def __init__(self, given):
        self._given = given

    @component.output_types(documents=list[Document])
    def run(self):
        return {"documents": self._given}
