"""llama-index-core: custom retrievers, its vector index in memory, its prompts, and retrievers behind nodes."""

from __future__ import annotations

import contextlib

import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.postprocessor import LongContextReorder
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import IndexNode, MetadataMode, NodeWithScore, TextNode

import ragmeter
from frameworks_contract import ANSWER, HITS, QUESTION, TEXTS, FrameworkContract, answer, ask, chat_span, fates
from ragmeter.reading.shapes.passages import read_passages, take_passages
from wire import Wire


def document(hit):
    return NodeWithScore(node=TextNode(id_=hit.id, text=hit.text), score=hit.score)


class Searching(BaseRetriever):
    """A retriever as an app writes one: over any search."""

    def __init__(self, search):
        super().__init__()
        self._search = search

    def _retrieve(self, query_bundle):
        return [document(hit) for hit in self._search(query_bundle.query_str)]


class Giving(BaseRetriever):
    def __init__(self, given):
        super().__init__()
        self._given = given

    def _retrieve(self, query_bundle):
        return self._given


class TestLlamaIndex(FrameworkContract):
    integration = "llama_index"

    def document(self, hit):
        return document(hit)

    def retrieve(self, search):
        return Searching(search).retrieve(QUESTION)

    async def aretrieve(self, search):
        return await Searching(search).aretrieve(QUESTION)

    def handed_through(self, given):
        return Giving(given).retrieve(QUESTION)[0], given[0]

    def text_of(self, document):
        return document.node.get_content()

    def instance(self):
        return Giving([]), ("retrieve", "aretrieve")

    def functions(self):
        names = ((BaseRetriever, "retrieve"), (BaseNodePostprocessor, "postprocess_nodes"))
        return (vars(owner)[prefix + name] for owner, name in names for prefix in ("", "a"))


def test_a_vector_index_with_metadata_in_its_prompt(watch):
    """Nodes of an index in memory are found in the prompt although their metadata stands before each text."""
    nodes = [TextNode(id_=hit.id, text=hit.text, metadata={"file": f"{hit.id}.md"}) for hit in HITS]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=8))
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    with ragmeter.query():
        found = index.as_retriever(similarity_top_k=3).retrieve(QUESTION)
        ask(*(each.node.get_content(MetadataMode.LLM) for each in found))
    assert fates(seen) == {"used": 1, "unused": 2}
    assert set(chat_span(seen)["ragmeter.chunk.ids"]) == {hit.id for hit in HITS}
    assert seen.total("ragmeter.queries", ragmeter_strategy="rag") == 1


def test_a_query_engine_retrieves_through_its_retriever(watch):
    """The passages a query engine retrieves are known, also when its model is no client of ours."""
    engine = RetrieverQueryEngine(Searching(lambda _: HITS), get_response_synthesizer(llm=MockLLM()))
    seen = watch()
    engine.query(QUESTION)
    assert fates(seen) == {"unsent": 3}
    assert seen.spans() == ()


def test_a_retriever_behind_a_node_counts_each_passage_once(watch):
    """A node that stands for another retriever is followed; what both give is one passage each."""
    inner = Searching(lambda _: HITS)
    outer = Giving([NodeWithScore(node=IndexNode(index_id="inner", text="more", obj=inner), score=0.5)])
    seen = watch(providers={"127.0.0.1": "openai"})
    with ragmeter.query():
        found = outer.retrieve(QUESTION)
        ask(*(each.node.get_content() for each in found[:2]))
    assert fates(seen) == {"used": 1, "unused": 1, "unsent": 1}


def test_nodes_are_read_with_text_id_and_score():
    """A node's text, its id and the score around it are the chunk's."""
    (chunk,) = read_passages(take_passages([document(HITS[0])]))
    assert (chunk.text, chunk.id, chunk.score, chunk.rank) == (TEXTS[0], "passage-0", 0.9, 0)


def test_its_own_chat_model_is_counted_once(watch):
    """Where LlamaIndex's model for OpenAI is installed, with the client it brings along: one call is one operation."""
    models = pytest.importorskip("llama_index.llms.openai")
    seen = watch(providers={"127.0.0.1": "openai"})
    with Wire(answer) as wire:
        model = models.OpenAI(model="gpt-4o-mini", api_base=f"{wire.url}/v1", api_key="k", max_retries=0)
        assert model.chat([ChatMessage(role="user", content=QUESTION)]).message.content == ANSWER
    assert seen.operations() == 1
    assert seen.total("ragmeter.tokens", ragmeter_part="output") == 20


class Reversing(BaseNodePostprocessor):
    """A reranker as an app writes one: it puts the last first, and scores anew."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return [NodeWithScore(node=each.node, score=1 - at / 10) for at, each in enumerate(reversed(nodes))]


@pytest.mark.parametrize("scope", [ragmeter.query, contextlib.nullcontext], ids=["in a scope", "without"])
def test_a_postprocessor_is_the_last_ranking(watch, scope):
    """The rank of a passage is the postprocessor's, not its retriever's, in a query engine as well."""
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    with scope():
        found = Reversing().postprocess_nodes(Searching(lambda _: HITS).retrieve(QUESTION), query_str=QUESTION)
        ask(*(each.node.get_content() for each in found))
    assert chat_span(seen)["ragmeter.chunk.ids"] == ("passage-2", "passage-1", "passage-0")
    assert chat_span(seen)["ragmeter.chunk.ranks"] == (1, 2, 3)
    assert fates(seen) == {"used": 1, "unused": 2}


async def test_an_awaited_postprocessor_that_puts_the_best_at_both_ends_keeps_the_ranks(watch):
    """A passage that was only moved within the prompt has the rank of its score."""
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    found = await LongContextReorder().apostprocess_nodes(Searching(lambda _: HITS).retrieve(QUESTION))
    ask(*(each.node.get_content() for each in found))
    ranks = dict(zip(chat_span(seen)["ragmeter.chunk.ids"], chat_span(seen)["ragmeter.chunk.ranks"], strict=True))
    assert ranks == {"passage-0": 1, "passage-1": 2, "passage-2": 3}
