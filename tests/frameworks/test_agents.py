"""Agents and chat engines that make several calls for a question: each question is one query, without scope or span.

Each holds one conversation of six questions with a model on a loopback server. What is not installed is skipped: all
of them are in the environment of scripts/test-middle.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import openai
import pytest

from frameworks_contract import ANSWER, TEXTS, search_chroma
from wire import Asked, Wire, whole

QUESTIONS = (
    "What happened to the wheel of the mill?",
    "And when was that?",
    "Who runs the railway to the quarry?",
    "What does its engine burn?",
    "When are the hives moved to the heather?",
    "And why by night?",
)
MODEL = "gpt-4o-mini"
USAGE = {"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60}

_numbers = count(1)


def answer(asked: Asked) -> Any:
    """A model that looks something up once for each question if it may, rewrites a question, or answers."""
    if asked.path.endswith("/responses"):
        return whole(_response(asked.body))
    return whole(_completion(asked.body))


def _completion(body: Any) -> Any:
    messages = body["messages"]
    last = max(at for at, message in enumerate(messages) if message["role"] == "user")
    number = next(_numbers)
    message: dict[str, Any] = {"role": "assistant", "content": ANSWER}
    if body.get("tools") and not any(each["role"] == "tool" for each in messages[last:]):
        call = {"name": body["tools"][0]["function"]["name"], "arguments": '{"query": "valley"}'}
        call = {"id": f"call_{number}", "type": "function", "function": call}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    elif "tandalone question" in str(messages[last]["content"]):
        message = {"role": "assistant", "content": f"What is known of the valley, asked as number {number}?"}
    reason = "tool_calls" if "tool_calls" in message else "stop"
    choices = [{"index": 0, "finish_reason": reason, "message": message}]
    made = {"object": "chat.completion", "created": 1, "model": MODEL, "choices": choices}
    return {"id": f"chatcmpl-{number}", "usage": USAGE} | made


def _response(body: Any) -> Any:
    given = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    number = next(_numbers)
    looked_up = given[-1].get("type") == "function_call_output"
    text = {"type": "output_text", "text": ANSWER, "annotations": []}
    item = {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed", "content": [text]}
    if body.get("tools") and not looked_up:
        item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed"}
        item |= {"name": body["tools"][0]["name"], "arguments": '{"query": "valley"}'}
    counts = {"input_tokens": 40, "output_tokens": 20, "total_tokens": 60}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    made = {"object": "response", "created_at": 1, "status": "completed", "model": MODEL, "output": [item]}
    rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": counts | details}
    return {"id": f"resp_{number}"} | made | rest


def queries(seen: Any) -> dict[str, float]:
    """How many queries were counted under each strategy."""
    return {dict(key)["ragmeter.strategy"]: value for key, value in seen.metric("ragmeter.queries").items()}


@pytest.fixture
def wire():
    with Wire(answer) as server:
        yield server


@pytest.fixture
def look_up():
    """A tool over a real database, as the function that an app writes."""
    search = search_chroma()

    def look_up(query: str) -> str:
        """Look something up in the chronicle of the valley."""
        return "\n\n".join(hit.text for hit in search(query))

    return look_up


@pytest.fixture
def seen(watch, look_up):
    return watch(providers={"127.0.0.1": "openai"})


@pytest.fixture
def client(wire):
    return openai.AsyncOpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)


@pytest.mark.parametrize("kind", ["OpenAIChatCompletionsModel", "OpenAIResponsesModel"])
@pytest.mark.parametrize("keeps", ["the app", "the provider"])
def test_openai_agents(seen, client, look_up, kind, keeps):
    """With either interface, whether the app sends the history or the provider keeps it."""
    agents = pytest.importorskip("agents", reason="openai-agents is not installed")
    if keeps == "the provider" and kind != "OpenAIResponsesModel":
        pytest.skip("only Responses keep the history")
    agents.set_tracing_disabled(True)
    model = getattr(agents, kind)(model=MODEL, openai_client=client)
    agent = agents.Agent(name="valley", model=model, tools=[agents.function_tool(look_up)])

    async def talk():
        given: Any = []
        previous = None
        for question in QUESTIONS:
            if keeps == "the app":
                done = await agents.Runner.run(agent, [*given, {"role": "user", "content": question}])
                given = done.to_input_list()
            else:
                done = await agents.Runner.run(agent, question, previous_response_id=previous)
                previous = done.last_response_id
            assert done.final_output == ANSWER

    asyncio.run(talk())
    assert queries(seen) == {"rag": 6}
    assert seen.total("ragmeter.operations", gen_ai_operation_name="chat") == 12


def test_pydantic_ai(seen, client, look_up):
    """An agent with a tool, and one whose answer is a structure."""
    pydantic_ai = pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed")
    models = pytest.importorskip("pydantic_ai.models.openai")
    providers = pytest.importorskip("pydantic_ai.providers.openai")
    model = models.OpenAIChatModel(MODEL, provider=providers.OpenAIProvider(openai_client=client))
    agent = pydantic_ai.Agent(model, tools=[look_up])

    async def talk():
        history: Any = None
        for question in QUESTIONS:
            done = await agent.run(question, message_history=history)
            assert done.output == ANSWER
            history = done.all_messages()

    asyncio.run(talk())
    assert queries(seen) == {"rag": 6}
    assert seen.total("ragmeter.operations", gen_ai_operation_name="chat") == 12


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "steps"])
def test_langchain_agent(seen, wire, look_up, streams):
    """An agent of LangChain, which is a graph of LangGraph, asked for its answer or for its steps."""
    agents = pytest.importorskip("langchain.agents", reason="langchain is not installed")
    chat = pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")
    model = chat.ChatOpenAI(model=MODEL, base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
    agent = agents.create_agent(model, tools=[look_up])
    messages: list[Any] = []
    for question in QUESTIONS:
        given = {"messages": [*messages, {"role": "user", "content": question}]}
        if streams:
            *_, last = agent.stream(given, stream_mode="values")
            messages = last["messages"]
        else:
            messages = agent.invoke(given)["messages"]
        assert messages[-1].content == ANSWER
    assert queries(seen) == {"rag": 6}
    assert seen.total("ragmeter.operations", gen_ai_operation_name="chat") == 12


@pytest.mark.parametrize("mode", ["condense_plus_context", "condense_question", "context"])
def test_llama_index_chat_engine(seen, wire, mode):
    """A chat engine that first makes one question of the conversation: that call is a step, and no query."""
    core = pytest.importorskip("llama_index.core", reason="llama-index-core is not installed")
    models = pytest.importorskip("llama_index.llms.openai", reason="llama-index-llms-openai is not installed")
    nodes = [core.schema.TextNode(text=text) for text in TEXTS]
    index = core.VectorStoreIndex(nodes, embed_model=core.MockEmbedding(embed_dim=8))
    model = models.OpenAI(model=MODEL, api_base=f"{wire.url}/v1", api_key="k", max_retries=0)
    engine = index.as_chat_engine(chat_mode=mode, llm=model, similarity_top_k=3)
    for question in QUESTIONS:
        assert str(engine.chat(question)) == ANSWER
    assert queries(seen) == {"rag": 6}
    assert seen.total("ragmeter.operations", gen_ai_operation_name="chat") == (6 if mode == "context" else 11)


def test_llama_index_agent(seen, wire, look_up):
    """An agent of LlamaIndex with a tool."""
    agent_module = pytest.importorskip("llama_index.core.agent.workflow", reason="llama-index-core is not installed")
    models = pytest.importorskip("llama_index.llms.openai", reason="llama-index-llms-openai is not installed")
    workflow = pytest.importorskip("llama_index.core.workflow")
    model = models.OpenAI(model=MODEL, api_base=f"{wire.url}/v1", api_key="k", max_retries=0)
    agent = agent_module.FunctionAgent(tools=[look_up], llm=model, streaming=False)

    async def talk():
        context = workflow.Context(agent)
        for question in QUESTIONS:
            assert str(await agent.run(question, ctx=context)) == ANSWER

    asyncio.run(talk())
    assert queries(seen) == {"rag": 6}
    assert seen.total("ragmeter.operations", gen_ai_operation_name="chat") == 12
