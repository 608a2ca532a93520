"""langchain-core: custom retrievers, its own vector store in memory, chains, and retrievers inside retrievers."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

import ragmeter
from frameworks_contract import HITS, QUESTION, TEXTS, FrameworkContract, ask, chat_span, fates
from ragmeter.reading.shapes.passages import read_passages, take_passages


def document(hit):
    return Document(id=hit.id, page_content=hit.text, metadata={"score": hit.score})


class Searching(BaseRetriever):
    """A retriever as an app writes one: over any search."""

    search: Any

    def _get_relevant_documents(self, query, *, run_manager):
        return [document(hit) for hit in self.search(query)]


class Giving(BaseRetriever):
    given: Any

    def _get_relevant_documents(self, query, *, run_manager):
        return self.given


class Merging(BaseRetriever):
    """One retriever that asks others, as ensembles do."""

    retrievers: list[Any]

    def _get_relevant_documents(self, query, *, run_manager):
        return [found for retriever in self.retrievers for found in retriever.invoke(query)]


class TestLangChain(FrameworkContract):
    integration = "langchain"

    def document(self, hit):
        return document(hit)

    def retrieve(self, search):
        return Searching(search=search).invoke(QUESTION)

    async def aretrieve(self, search):
        return await Searching(search=search).ainvoke(QUESTION)

    def handed_through(self, given):
        return Giving.model_construct(given=given).invoke(QUESTION), given

    def text_of(self, document):
        return document.page_content

    def instance(self):
        return Giving(given=[]), ("invoke", "ainvoke")

    def functions(self):
        return (vars(BaseRetriever)[name] for name in ("invoke", "ainvoke"))


def test_a_chain_over_the_vector_store_in_memory(watch):
    """A chain's prompt holds what its retriever gave, formatted by its template: it is found there, with its ids."""
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    store.add_texts(list(TEXTS), ids=[hit.id for hit in HITS])
    template = ChatPromptTemplate.from_template("Use this:\n{context}\n\nQuestion: {question}")
    chain = {
        "context": store.as_retriever(search_kwargs={"k": 3}),
        "question": RunnablePassthrough(),
    } | template
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    with ragmeter.query():
        prompt = chain.invoke(QUESTION).to_string()
        ask(prompt=prompt)
    assert sum(fates(seen).values()) == 3
    assert fates(seen)["used"] == 1
    assert set(chat_span(seen)["ragmeter.chunk.ids"]) == {hit.id for hit in HITS}
    assert seen.total("ragmeter.queries", ragmeter_strategy="rag") == 1


def test_a_model_that_is_no_client_of_ours_costs_nothing(watch):
    """A chain that answers with LangChain's own fake model: its passages are unsent, no operation is made up."""
    chain = (
        Searching(search=lambda _: HITS) | (lambda found: found[0].page_content) | FakeListChatModel(responses=["y"])
    )
    seen = watch()
    with ragmeter.query():
        assert chain.invoke(QUESTION).content == "y"
    assert seen.spans() == ()
    ragmeter.uninstrument()
    assert fates(seen) == {"unsent": 3}


def test_retrievers_inside_a_retriever_count_each_passage_once(watch):
    """What an ensemble gives is what its members gave: no passage is counted twice."""
    members = [Searching(search=lambda _: HITS[:2]), Searching(search=lambda _: HITS[1:])]
    seen = watch(providers={"127.0.0.1": "openai"})
    with ragmeter.query():
        Merging(retrievers=members).invoke(QUESTION)
        ask(TEXTS[0], TEXTS[1])
    assert fates(seen) == {"used": 1, "unused": 1, "unsent": 1}


def test_a_batch_is_as_many_retrievals(watch):
    """`batch` asks in threads of its own, which inherit the scope."""
    seen = watch(providers={"127.0.0.1": "openai"})
    with ragmeter.query():
        first, second = Searching(search=lambda query: [HITS[int(query)]]).batch(["0", "1"])
        ask(first[0].page_content, second[0].page_content)
    assert fates(seen) == {"used": 1, "unused": 1}
    assert seen.total("ragmeter.queries") == 1


def test_documents_are_read_with_text_and_id():
    """A document's text is its page content, its id its id; it has no score of its own."""
    (chunk,) = read_passages(take_passages([document(HITS[0])]))
    assert (chunk.text, chunk.id, chunk.score, chunk.rank) == (TEXTS[0], "passage-0", None, 0)
