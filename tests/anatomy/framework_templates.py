"""Requests whose prompts LangChain, LlamaIndex and Haystack wrote themselves, with the true origin of their text.

Each framework runs for real, offline: a recording model takes the place of the provider's and keeps the messages it is
sent. Only what a user of the framework writes (system texts, templates, metadata) is ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from random import Random
from typing import Any

from corpus import SYSTEMS, exchanges
from prompts import Draft, Message, Sample, Template, message, retrieved, sample
from ragmeter.domain.model import Chunk, Origin

Messages = list[dict[str, Any]]
Scene = Callable[[Sequence[Chunk], str, Random], tuple[Messages, list[dict[str, Any]]]]
"""Takes the chunks, the question and a source of chance; gives the messages and tools the framework sends."""


def _jinja_json(text: str) -> str:
    """The text inside the quotes that jinja's `tojson` writes: JSON that is safe within HTML."""
    dumped = json.dumps(text)[1:-1]
    for sign in "<>&'":
        dumped = dumped.replace(sign, f"\\u{ord(sign):04x}")
    return dumped


def _represented(text: str) -> tuple[str, str]:
    """The text as it stands inside the `repr` of a longer string: its quotes as they are, or escaped."""
    return repr(text)[1:-1], repr(f"{text}'\"")[1:-4]


def _standing(content: str, chunks: Iterable[Chunk]) -> list[str]:
    """The chunks' texts that stand in a message, as they are there and in the order they are there.

    LlamaIndex's `simple_summarize` writes the list of texts as Python shows it: there they are in the form of `repr`.
    """
    places: dict[int, str] = {}
    for chunk in chunks:
        for form in (chunk.text, chunk.text.strip(), _jinja_json(chunk.text), *_represented(chunk.text)):
            start = content.find(form)
            if start >= 0:
                places[start] = form
                break
    return [places[start] for start in sorted(places)]


def _messages(sent: Messages, chunks: Sequence[Chunk]) -> tuple[Message, ...]:
    last_question = max(number for number, one in enumerate(sent) if one["role"] == "user")
    made: list[Message] = []
    for number, one in enumerate(sent):
        calls = one.get("tool_calls")
        if calls:
            given = " ".join(f"{call['function']['name']} {call['function']['arguments']}" for call in calls)
            made.append(Message({**one, "content": None}, ((Origin.HISTORY, given),)))
            continue
        role = "past" if one["role"] == "user" and number < last_question else one["role"]
        more = {"tool_call_id": one["tool_call_id"]} if "tool_call_id" in one else {}
        made.append(message(role, one["content"], _standing(one["content"], chunks), **more))
    return tuple(made)


def _sample(name: str, kind: str, scene: Scene, random: Random, *, all_sent: bool) -> Sample:
    """A sample of what the framework sends; raises when a chunk that it must have sent is not to be found."""
    found, unsent = retrieved(kind, random, (random.randrange(5, 21), random.randrange(2, 7)))
    question = exchanges(random, 1)[0][0]
    sent, tools = scene(found, question, random)
    messages = _messages(sent, found)
    standing = sum(origin is Origin.CONTEXT for one in messages for origin, _ in one.pieces)
    if standing < (len(found) if all_sent else 1):
        raise ValueError(f"{name} sent {standing} of {len(found)} chunks as they are")
    chunks = random.sample(found + unsent, len(found + unsent))
    return sample(f"{name}/{kind}", Draft(messages, tuple(tools)), chunks)


def _metadata(chunk: Chunk) -> dict[str, Any]:
    return {"source": f"{chunk.collection}/{chunk.id}.pdf", "page": chunk.rank * 3 + 1}


def _langchain() -> Mapping[str, Scene]:
    from langchain_core.documents import Document
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, convert_to_openai_messages
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate, format_document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda, RunnablePassthrough
    from langchain_core.tools import create_retriever_tool
    from langchain_core.utils.function_calling import convert_to_openai_tool

    class Recorder(BaseChatModel):
        """Keeps what it is sent; asks once for the first tool it is given."""

        calls: list[tuple[Messages, list[dict[str, Any]]]] = []  # noqa: RUF012 - pydantic copies it

        @property
        def _llm_type(self) -> str:
            return "recorder"

        def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
            return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools])

        def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **options: Any) -> ChatResult:
            tools = options.get("tools") or []
            self.calls.append((convert_to_openai_messages(messages), tools))
            answer = AIMessage("Noted.")
            if tools and messages[-1].type == "human":
                call = {"name": tools[0]["function"]["name"], "args": {"query": messages[-1].content}, "id": "call_1"}
                answer = AIMessage("", tool_calls=[call])
            return ChatResult(generations=[ChatGeneration(message=answer)])

    class Shelf(BaseRetriever):
        """Finds what it was made with."""

        documents: list[Document]

        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return self.documents

    def shelf(chunks: Sequence[Chunk]) -> Shelf:
        return Shelf(documents=[Document(chunk.text, metadata=_metadata(chunk)) for chunk in chunks])

    def format_docs(documents: Sequence[Document]) -> str:
        return "\n\n".join(document.page_content for document in documents)

    def format_with_source(documents: Sequence[Document]) -> str:
        template = PromptTemplate.from_template("Source: {source} (page {page})\n{page_content}")
        return "\n\n".join(format_document(document, template) for document in documents)

    def always(value: Any) -> RunnableLambda[Any, Any]:
        return RunnableLambda(lambda _: value)

    def run(prompt: Any, chunks: Sequence[Chunk], question: str, form: Any, **more: Any) -> Any:
        model = Recorder(calls=[])
        values = {"context": shelf(chunks) | form, "question": RunnablePassthrough()}
        values |= {name: always(value) for name, value in more.items()}
        (values | prompt | model).invoke(question)
        return model.calls[-1]

    def one_message(chunks: Sequence[Chunk], question: str, _: Random) -> Any:
        text = (
            "Answer the question with the passages below, in three sentences at most; say so when they do not help.\n"
            "Question: {question}\nContext: {context}\nAnswer:"
        )
        return run(ChatPromptTemplate.from_template(text), chunks, question, format_docs)

    def stuffed(chunks: Sequence[Chunk], question: str, random: Random) -> Any:
        system = random.choice(SYSTEMS) + "\n\n{context}"
        prompt = ChatPromptTemplate.from_messages([("system", system), ("human", "{question}")])
        return run(prompt, chunks, question, format_with_source)

    def conversation(chunks: Sequence[Chunk], question: str, random: Random) -> Any:
        turns = [turn for pair in exchanges(random, 3) for turn in zip(("human", "ai"), pair, strict=True)]
        prompt = ChatPromptTemplate.from_messages(
            [("system", random.choice(SYSTEMS)), MessagesPlaceholder("chat"), ("human", "{context}\n\n{question}")]
        )
        return run(prompt, chunks, question, format_docs, chat=turns)

    def agent(chunks: Sequence[Chunk], question: str, random: Random) -> Any:
        from langchain.agents import create_agent

        model = Recorder(calls=[])
        tool = create_retriever_tool(shelf(chunks), "search_shelf", "Finds passages of the handbook.")
        user = {"role": "user", "content": question}
        create_agent(model, tools=[tool], system_prompt=random.choice(SYSTEMS)).invoke({"messages": [user]})
        return model.calls[-1]

    scenes: dict[str, Scene] = {"one_message": one_message, "stuffed": stuffed, "conversation": conversation}
    if find_spec("langchain"):
        scenes["agent"] = agent
    return scenes


def _llama_index() -> Mapping[str, Scene]:
    from llama_index.core.chat_engine import ContextChatEngine
    from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, CustomLLM, LLMMetadata
    from llama_index.core.memory import ChatMemoryBuffer
    from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    class Recorder(CustomLLM):
        """A chat model with a large window that keeps what it is sent."""

        calls: list[Messages] = []  # noqa: RUF012 - pydantic copies it

        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(context_window=400_000, num_output=256, is_chat_model=True)

        def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
            self.calls.append([{"role": one.role.value, "content": one.content or ""} for one in messages])
            return ChatResponse(message=ChatMessage(role="assistant", content="A first answer, kept short."))

        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            raise NotImplementedError

        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            raise NotImplementedError

    class Shelf(BaseRetriever):
        """Finds what it was made with."""

        def __init__(self, nodes: list[NodeWithScore]) -> None:
            self._nodes = nodes
            super().__init__()

        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            return self._nodes

    def nodes(chunks: Sequence[Chunk]) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text=one.text, metadata=_metadata(one)), score=one.score) for one in chunks]

    def synthesized(mode: ResponseMode) -> Scene:
        def scene(chunks: Sequence[Chunk], question: str, _: Random) -> Any:
            model = Recorder(calls=[])
            get_response_synthesizer(llm=model, response_mode=mode).synthesize(question, nodes=nodes(chunks))
            return model.calls[-1], []

        return scene

    def chat_engine(chunks: Sequence[Chunk], question: str, random: Random) -> Any:
        model = Recorder(calls=[])
        said = [
            ChatMessage(role=role, content=text)
            for pair in exchanges(random, 2)
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        memory = ChatMemoryBuffer.from_defaults(chat_history=said, token_limit=100_000)
        engine = ContextChatEngine.from_defaults(
            retriever=Shelf(nodes(chunks)), llm=model, memory=memory, system_prompt=random.choice(SYSTEMS)
        )
        engine.chat(question)
        return model.calls[-1], []

    modes = (ResponseMode.COMPACT, ResponseMode.REFINE, ResponseMode.SIMPLE_SUMMARIZE, ResponseMode.TREE_SUMMARIZE)
    return {**{mode.value: synthesized(mode) for mode in modes}, "context_chat": chat_engine}


_HAYSTACK_PLAIN = """Answer from these documents.
{% for document in documents %}
{{ document.content }}
{% endfor %}
Question: {{ question }}
Answer:"""

_HAYSTACK_NUMBERED = """{% for document in documents -%}
Document [{{ loop.index }}] {{ document.meta["source"] }}, page {{ document.meta["page"] }}, score {{ document.score }}:
{{ document.content | trim }}

{% endfor -%}
{{ question }}"""

_HAYSTACK_JSON = """Results: [{% for document in documents %}{"id": "{{ document.id }}", "content": \
{{ document.content | tojson }}}{% if not loop.last %}, {% endif %}{% endfor %}]

{{ question }}"""


def _haystack() -> Mapping[str, Scene]:
    from haystack import Document
    from haystack.components.builders import ChatPromptBuilder, PromptBuilder
    from haystack.dataclasses import ChatMessage

    def documents(chunks: Sequence[Chunk]) -> list[Document]:
        return [Document(content=chunk.text, meta=_metadata(chunk), score=chunk.score) for chunk in chunks]

    def plain(chunks: Sequence[Chunk], question: str, _: Random) -> Any:
        builder = PromptBuilder(template=_HAYSTACK_PLAIN, required_variables="*")
        prompt = builder.run(documents=documents(chunks), question=question)["prompt"]
        return [ChatMessage.from_user(prompt).to_openai_dict_format()], []

    def chat(template: str) -> Scene:
        def scene(chunks: Sequence[Chunk], question: str, random: Random) -> Any:
            messages = [ChatMessage.from_system(random.choice(SYSTEMS)), ChatMessage.from_user(template)]
            builder = ChatPromptBuilder(template=messages, required_variables="*")
            prompt = builder.run(documents=documents(chunks), question=question)["prompt"]
            return [one.to_openai_dict_format() for one in prompt], []

        return scene

    return {"plain": plain, "chat_numbered": chat(_HAYSTACK_NUMBERED), "chat_json": chat(_HAYSTACK_JSON)}


_FRAMEWORKS: Mapping[str, tuple[str, Callable[[], Mapping[str, Scene]]]] = {
    "langchain": ("langchain_core", _langchain),
    "llama_index": ("llama_index.core", _llama_index),
    "haystack": ("haystack", _haystack),
}


def _installed(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None and find_spec(module) is not None


def framework_templates(kind: str = "mixed") -> Mapping[str, Template]:
    """Each framework's ways to write a prompt, by name, filled with chunks of one kind; empty where none is installed.

    LlamaIndex's `refine` sends one chunk a call: the sample is its last call, with the answer so far in it.
    """
    made: dict[str, Template] = {}
    for framework, (module, scenes) in _FRAMEWORKS.items():
        for name, scene in (scenes() if _installed(module) else {}).items():
            made[f"{framework}/{name}"] = _template(f"{framework}/{name}", kind, scene)
    return made


def _template(name: str, kind: str, scene: Scene) -> Template:
    return lambda random: _sample(name, kind, scene, random, all_sent=not name.endswith("/refine"))
