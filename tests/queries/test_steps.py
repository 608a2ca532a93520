"""A question that takes several calls is one query, without any scope or span; two questions are never one."""

from __future__ import annotations

import random

import openai
import pytest

import ragmeter
from agent_calls import ANSWER, MODEL, SYSTEM, TOOLS, Agent, asks_for, completion, looking_up, result
from ragmeter.ledger import ledger
from wire import Wire, events, whole

QUESTION = "How long does the warranty of the kettle last?"


def queries(seen):
    """How many queries were counted under each strategy."""
    return {dict(key)["ragmeter.strategy"]: count for key, count in seen.metric("ragmeter.queries").items()}


@pytest.fixture
def server():
    with Wire(looking_up()) as wire:
        yield wire


@pytest.fixture
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0)


@pytest.fixture
def seen(watch):
    return watch(providers={"127.0.0.1": "openai"}, labels=["team"])


@pytest.mark.parametrize("identifier", [None, "functions.look_up:0"], ids=["new ids", "the same id in each answer"])
@pytest.mark.parametrize("steps", [1, 5])
def test_an_agents_question_is_one_query(seen, server, client, steps, identifier):
    """However often the model asks for its tool: the calls until its answer are one query, of one cost."""
    server.gives(looking_up(steps, identifier))
    Agent(client).ask(QUESTION)
    assert queries(seen) == {"base": 1}
    assert seen.operations() == steps + 1
    assert seen.count("ragmeter.query.cost.usd") == 1


def test_each_question_of_a_conversation_is_a_query(seen, client):
    """The history of a later question joins nothing: six questions to one agent are six queries."""
    agent = Agent(client)
    for number in range(6):
        agent.ask(f"{QUESTION} ({number})")
    assert queries(seen) == {"base": 6}
    assert seen.operations() == 12


def test_the_same_question_again_in_a_conversation_is_a_query(seen, server, client):
    """Not even where the provider numbers its tool calls anew, and the question is the same."""
    server.gives(looking_up(2, "functions.look_up:0"))
    agent = Agent(client)
    for _ in range(3):
        agent.ask(QUESTION)
    assert queries(seen) == {"base": 3}


def test_a_question_after_a_tool_call_without_answer_is_a_query_of_its_own(seen, client):
    """Where a tool's result is the end, as with structured output, the next question is no continuation."""
    agent = Agent(client, QUESTION)
    assert not agent.step()
    agent.ask("And the teapot?")
    assert queries(seen) == {"base": 2}


@pytest.mark.parametrize("identifier", [None, "functions.look_up:0"], ids=["new ids", "the same id in each answer"])
@pytest.mark.parametrize("questions", [1, 200], ids=["one question", "each its own"])
def test_interleaved_conversations_are_never_joined(seen, server, client, identifier, questions):
    """Two hundred users at once, of one process and one system prompt: each has a query of its own, of three calls."""
    server.gives(looking_up(2, identifier))
    chosen = random.Random(7)
    agents = [Agent(client, f"{QUESTION} ({number % questions})") for number in range(200)]
    going_on = list(agents)
    while going_on:
        agent = chosen.choice(going_on)
        if agent.step():
            going_on.remove(agent)
    assert queries(seen) == {"base": 200}
    assert seen.operations() == 600
    assert seen.count("ragmeter.query.cost.usd") == 200


def test_users_with_labels_of_their_own_are_never_joined(seen, server, client):
    """Calls that are alike in every text and id belong together only under the same labels."""
    server.gives(looking_up(1, "functions.look_up:0"))
    agents = {team: Agent(client, QUESTION) for team in ("north", "south")}
    for team in ("north", "south", "south", "north"):
        ragmeter.label(team=team)
        agents[team].step()
    ragmeter.label(team=None)
    counted = {dict(key)["team"]: value for key, value in seen.metric("ragmeter.queries").items()}
    operations = {dict(key)["team"]: value for key, value in seen.metric("ragmeter.operations").items()}
    assert counted == {"north": 1, "south": 1}
    assert operations == {"north": 2, "south": 2}


def test_calls_without_ids_are_joined_by_their_messages(seen, server, client):
    """Where a server gives no ids, the earlier call's messages at the front of the later one tell."""
    given = [{"role": "user", "content": QUESTION}]
    server.gives(whole(completion(asks_for(None))), whole(completion({"content": ANSWER})))
    client.chat.completions.create(model=MODEL, messages=[SYSTEM, *given], tools=TOOLS)
    given += [asks_for("made-up"), result(None)]
    client.chat.completions.create(model=MODEL, messages=[SYSTEM, *given], tools=TOOLS)
    assert queries(seen) == {"base": 1}
    assert seen.operations() == 2


def test_a_stream_that_asks_for_a_tool_is_gone_on_with(seen, server, client):
    """The pieces of a stream tell the ids as well."""
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    begun = {"index": 0, "id": "call_7", "type": "function", "function": {"name": "look_up", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    deltas = [({"role": "assistant", "tool_calls": [begun]}, None), ({"tool_calls": [more]}, None), ({}, "tool_calls")]
    pieces = [chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": why}]} for delta, why in deltas]
    server.gives(events(pieces), whole(completion({"content": ANSWER})))
    asked = [SYSTEM, {"role": "user", "content": QUESTION}]
    list(client.chat.completions.create(model=MODEL, messages=asked, tools=TOOLS, stream=True))
    asked += [asks_for("call_7"), result("call_7")]
    client.chat.completions.create(model=MODEL, messages=asked, tools=TOOLS)
    assert queries(seen) == {"base": 1}


def test_retrieval_by_a_tool_makes_the_whole_question_rag(seen, server, client, shop):
    """The search a tool makes, and the embedding of what the model asked it for, belong to the question."""
    arguments = "warranty of the blue kettle"
    server.gives(whole(completion(asks_for("call_1", query=arguments))), whole(completion({"content": ANSWER})))
    asked = [SYSTEM, {"role": "user", "content": QUESTION}]
    client.chat.completions.create(model=MODEL, messages=asked, tools=TOOLS)
    shop.embed(arguments)
    found = "\n\n".join(shop.search())
    asked += [asks_for("call_1", query=arguments), result("call_1", found)]
    client.chat.completions.create(model=MODEL, messages=asked, tools=TOOLS)
    assert queries(seen) == {"rag": 1}
    assert seen.total("ragmeter.operations", ragmeter_strategy="rag") == 4


def test_a_call_that_is_made_again_after_an_error_belongs_to_the_question(seen, server, client):
    """A continuation that fails is no answer: the next try goes on with the same query."""
    server.gives(
        whole(completion(asks_for("call_1"))),
        whole({"error": {"message": "busy"}}, status=500),
        whole(completion({"content": ANSWER})),
    )
    agent = Agent(client, QUESTION)
    agent.step()
    with pytest.raises(openai.InternalServerError):
        agent.step()
    assert agent.step()
    assert queries(seen) == {"base": 1}
    assert seen.operations() == 3


def test_two_calls_that_go_on_with_one_answer_are_of_one_query(seen, server, client):
    """Two models that are sent the same results, one after the other, work for the same question."""
    server.gives(
        whole(completion(asks_for("call_1"))),
        whole(completion(asks_for("call_2"))),
        whole(completion(asks_for("call_3"))),
        whole(completion({"content": ANSWER})),
    )
    agent = Agent(client, QUESTION)
    agent.step()
    before = list(agent.messages)
    agent.step()
    other = Agent(client)
    other.messages = before
    other.step()
    assert agent.step()
    assert queries(seen) == {"base": 1}


def test_an_answer_is_posted_at_once(seen, server, client):
    """Only a question whose model waits for tools is waited for: an answer counts without any flush."""
    agent = Agent(client, QUESTION)
    agent.step()
    assert posted(seen) == 0
    agent.step()
    assert posted(seen) == 1


def posted(seen):
    """How many queries have been counted once the worker has taken in what there is, without a flush."""
    assert ragmeter._running[0].worker.drain(10)
    data = seen._reader.get_metrics_data()
    found = [each for resource in data.resource_metrics for scope in resource.scope_metrics for each in scope.metrics]
    points = [point for metric in found if metric.name == "ragmeter.queries" for point in metric.data.data_points]
    return sum(point.value for point in points)


def test_a_question_that_never_goes_on_is_posted_after_its_time(watch, server, client, monkeypatch):
    """What waits for its tools is counted with what it has; what comes later is charged, and is no second query."""
    monkeypatch.setattr(ledger, "WAIT_SECONDS", 0.2)
    seen = watch(providers={"127.0.0.1": "openai"})
    agent = Agent(client, QUESTION)
    agent.step()
    ragmeter.flush()
    agent.step()
    assert queries(seen) == {"base": 1}
    assert seen.total("ragmeter.operations") == 2


def test_queries_without_a_request_span_are_told(seen, client):
    """The state says how many queries neither a scope nor a span encloses, as the metric does."""
    Agent(client).ask(QUESTION)
    with ragmeter.query():
        Agent(client).ask(QUESTION)
    assert seen.total("ragmeter.queries.unscoped") == 1
    assert (ragmeter.status().queries, ragmeter.status().unscoped) == (2, 1)


def test_a_question_in_a_scope_is_the_scopes(seen, client):
    """With a scope around it an agent's question is its query, whatever would join it."""
    with ragmeter.query("mine"):
        Agent(client).ask(QUESTION)
        Agent(client).ask(QUESTION)
    assert queries(seen) == {"mine": 1}


def test_a_question_to_anthropics_model_is_one_query(seen, server):
    """Messages give the ids of their tool calls as well, whole and in a stream; a turn's results may be several."""
    anthropic = pytest.importorskip("anthropic")
    claude = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "stop_sequence": None,
    }
    counts = {"input_tokens": 30, "output_tokens": 5}
    calls = [{"type": "tool_use", "id": f"toolu_{at}", "name": "look_up", "input": {}} for at in (1, 2)]
    asking = claude | {"content": calls, "stop_reason": "tool_use", "usage": counts}
    answering = claude | {"content": [{"type": "text", "text": ANSWER}], "stop_reason": "end_turn", "usage": counts}
    begun = {"type": "message_start", "message": claude | {"content": [], "stop_reason": None, "usage": counts}}
    told = [{"type": "content_block_start", "index": at, "content_block": call} for at, call in enumerate(calls)]
    ended = {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": counts}
    stream = events([begun, *told, ended, {"type": "message_stop"}], named=True, done=False)
    server.gives(whole(asking), whole(answering), stream, whole(answering))
    client = anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0)
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "Two years."} for call in calls]
    messages = []
    for streams in (False, True):
        messages.append({"role": "user", "content": QUESTION})
        said = client.messages.create(model="claude-sonnet-4-5", max_tokens=64, messages=messages, stream=streams)
        _ = list(said) if streams else said
        messages += [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
        client.messages.create(model="claude-sonnet-4-5", max_tokens=64, messages=messages)
        messages.append({"role": "assistant", "content": ANSWER})
    assert queries(seen) == {"base": 2}
    assert seen.operations() == 4
