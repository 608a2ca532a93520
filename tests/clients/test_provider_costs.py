"""What a provider itself says an answer has cost, in each form there is, and the units it bills beside tokens."""

from __future__ import annotations

import openai
import pytest

from clients import chat_shapes
from clients.asking import MODEL, chat, embed, message, respond
from wire import Wire, whole

USAGE = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}
LISTED = 1_000 * 0.15e-6 + 100 * 0.6e-6
"""What the table has for it."""

COSTS = {
    # openrouter.ai/docs/use-cases/usage-accounting
    "a number": ({"cost": 0.0123}, 0.0123),
    "nothing to pay": ({"cost": 0}, 0.0),
    "the router's own charge": (
        {"cost": 0.0123, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.0123}},
        0.0123,
    ),
    "a fee beside the app's own key": (
        {"cost": 0.0005, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.01}},
        0.0105,
    ),
    "no fee beside the app's own key": (
        {"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": "0.01"}},
        0.01,
    ),
    "a fee of a time before it said whose key": (
        {"cost": 0.95, "cost_details": {"upstream_inference_cost": 19}},
        19.95,
    ),
    # docs.perplexity.ai/api-reference/chat-completions-post
    "an object": ({"cost": {"input_tokens_cost": 0.001, "request_cost": 0.006, "total_cost": 0.008}}, 0.008),
    "an object with its currency": ({"cost": {"currency": "USD", "total_cost": 0.008}}, 0.008),
    "a text": ({"cost": "0.0012"}, 0.0012),
    # docs.x.ai/developers/cost-tracking: ten thousand million for a dollar
    "ticks as text": ({"cost_in_usd_ticks": "37756000"}, 0.0037756),
    "ticks": ({"cost_in_usd_ticks": 37_756_000}, 0.0037756),
    # docs.deepinfra.com
    "an estimate of the provider's": ({"estimated_cost": 0.0000268}, 0.0000268),
}


@pytest.mark.parametrize(("more", "cost"), COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_cost_is_read_in_every_form(watch, more, cost, streams):
    """What the provider says stands above the table, on the span and in the metric, whatever form it has."""
    usage = USAGE | more
    stream = (*chat_shapes.words(MODEL), chat_shapes.chunk(MODEL, usage=usage))
    seen = chat(watch, *(stream if streams else (chat_shapes.completion(MODEL, usage=usage),)))
    span = seen.span()
    assert span["ragmeter.cost.amount"] == pytest.approx(cost)
    assert span["ragmeter.cost.source"] == "provider"
    assert span["ragmeter.price.state"] == "priced"
    assert sum(seen.metric("ragmeter.cost.usd").values()) == pytest.approx(cost)


@pytest.mark.parametrize(
    "more",
    [
        {"cost": -1},
        {"cost": float("nan")},
        {"cost": "free"},
        {"cost": [1]},
        {"cost": True},
        {"cost": {"currency": "EUR", "total_cost": 3.0}},
        {"cost": {"total_cost": None}},
        {"cost_in_usd_ticks": "many"},
        {"cost": 3.0, "currency": "EUR"},
        {"cost": 3.0, "cost_currency": "CNY"},
    ],
)
def test_what_is_no_cost_in_dollars_is_left_to_the_table(watch, more):
    """Negative numbers, words and other currencies are no cost: the table's price holds."""
    span = chat(watch, chat_shapes.completion(MODEL, usage=USAGE | more)).span()
    assert span["ragmeter.cost.amount"] == pytest.approx(LISTED)
    assert span["ragmeter.cost.source"] == "local"


def test_a_cost_told_before_the_end_is_not_all_of_it(watch):
    """A stream that is left after its cost so far was told has cost more: it is an estimate."""
    early = chat_shapes.chunk(MODEL, usage={"prompt_tokens": 40, "completion_tokens": 1, "cost": 0.1})
    span = chat(watch, early, *chat_shapes.words(MODEL)).span()
    assert span["ragmeter.price.state"] == "estimated"


def test_a_fee_alone_is_not_the_cost(watch):
    """With the app's own key and no word of what the upstream took, the table's price is an estimate."""
    usage = USAGE | {"cost": 0.0005, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}
    span = chat(watch, chat_shapes.completion(MODEL, usage=usage)).span()
    assert span["ragmeter.cost.amount"] == pytest.approx(LISTED)
    assert span["ragmeter.price.state"] == "estimated"


def test_a_gateways_cost_beside_the_usage(watch):
    """A gateway that keeps its cost in the metadata of the message is believed."""
    said = {"role": "assistant", "content": "SENTINEL-ANSWER", "provider_metadata": {"gateway": {"cost": "0.0045"}}}
    choices = [{"index": 0, "message": said, "finish_reason": "stop"}]
    span = chat(watch, chat_shapes.completion(MODEL, choices=choices, usage=USAGE)).span()
    assert span["ragmeter.cost.amount"] == pytest.approx(0.0045)


def test_a_cost_without_counts_is_a_cost(watch):
    """Tokens are estimated where only the cost is reported; the cost is the provider's."""
    span = chat(watch, chat_shapes.completion(MODEL, usage={"cost": 0.01})).span()
    assert (span["ragmeter.cost.amount"], span["ragmeter.price.state"]) == (0.01, "priced")
    assert span["ragmeter.tokens.estimated"] is True


VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5]}
VECTORS = {"object": "list", "model": "m", "data": [VECTOR], "usage": {"prompt_tokens": 7, "cost": 0.5}}
COUNTS = {"input_tokens": 7, "output_tokens": 1}


def test_an_embedding_reports_its_cost(watch):
    """A router's embeddings have their cost in the same place."""
    assert embed(watch, VECTORS).span()["ragmeter.cost.amount"] == 0.5


def test_the_responses_api_reports_its_cost(watch):
    """So has an answer of the Responses API."""
    seen = respond(watch, answered(usage=COUNTS | {"cost_in_usd_ticks": 5_000_000_000}))
    assert seen.span()["ragmeter.cost.amount"] == 0.5


def test_a_message_reports_its_cost(watch):
    """So has a message in Anthropic's form."""
    said = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn"}
    assert message(watch, {**said, "usage": COUNTS | {"cost": 0.5}}).span()["ragmeter.cost.amount"] == 0.5


def answered(*items, **more):
    """An answer of the Responses API with these items before its text."""
    text = {"type": "output_text", "text": "SENTINEL-ANSWER", "annotations": []}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    usage = {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100}
    given = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5-mini", "status": "completed"}
    return {**given, "output": [*items, said], "usage": usage, **more}


def call(kind, **more):
    """A call of a tool of the provider's, in the output."""
    return {"type": kind, "id": "call_1", "status": "completed", **more}


def fees(watch, *items, **more):
    """What an answer costs beyond its tokens, and the state of its price, with prices for two kinds of search."""
    prices = {"gpt-5-mini": {"input": 0.0, "output": 0.0, "web_search": 10.0, "file_search": 2.5}}
    span = respond(watch, answered(*items, **more), prices=prices).span()
    return span["ragmeter.cost.amount"], span["ragmeter.price.state"]


SEARCH = call("web_search_call", action={"type": "search", "query": "x"})


@pytest.mark.parametrize(
    ("items", "more", "expected"),
    [
        ([SEARCH, SEARCH], {}, (0.02, "priced")),
        # Before there were actions, every call was a search.
        ([call("web_search_call")], {}, (0.01, "priced")),
        ([call("web_search_call", action={"type": "open_page", "url": "u"})], {}, (0.0, "priced")),
        ([call("web_search_call", action={"type": "find_in_page", "url": "u", "pattern": "p"})], {}, (0.0, "priced")),
        ([{**SEARCH, "status": "failed"}, {**SEARCH, "status": "in_progress"}], {}, (0.0, "priced")),
        ([SEARCH], {"tool_usage": {"web_search": {"num_requests": 0}}}, (0.0, "priced")),
        ([], {"tool_usage": {"web_search": {"num_requests": 3}}}, (0.03, "priced")),
        ([call("file_search_call", queries=["x"])], {}, (0.0025, "priced")),
        ([{**call("file_search_call"), "status": "failed"}], {}, (0.0, "priced")),
        # What the table has no price for makes it an estimate.
        ([SEARCH], {"tools": [{"type": "web_search_preview_2025_03_11"}]}, (0.0, "estimated")),
        ([call("code_interpreter_call", container_id="c1", code="1")], {}, (0.0, "estimated")),
        ([call("image_generation_call", result="aGVsbG8=")], {}, (0.0, "estimated")),
        ([], {"tool_usage": {"image_gen": {"input_tokens": 9, "output_tokens": 99}}}, (0.0, "estimated")),
        ([], {"tool_usage": {"image_gen": {"input_tokens": 0, "output_tokens": 0}}}, (0.0, "priced")),
        ([call("mcp_call", name="look", arguments="{}"), call("computer_call")], {}, (0.0, "priced")),
    ],
)
def test_only_what_is_billed_is_a_fee(watch, items, more, expected):
    """A search is one that completed; a look at a page is none; the provider's own count stands above the items."""
    assert fees(watch, *items, **more) == (pytest.approx(expected[0]), expected[1])


@pytest.mark.parametrize(
    ("model", "more", "state"),
    [
        (MODEL, {}, "priced"),
        # OpenAI's search models search once for every answer.
        ("gpt-4o-search-preview-2025-03-11", {}, "estimated"),
        # xAI's live search, Perplexity's fee by how much was searched, Mistral's seconds of sound.
        (MODEL, {"num_sources_used": 4}, "estimated"),
        (MODEL, {"num_sources_used": 0}, "priced"),
        (MODEL, {"search_context_size": "high"}, "estimated"),
        (MODEL, {"prompt_audio_seconds": 30}, "estimated"),
        (MODEL, {"server_side_tool_usage_details": {"x_search_calls": 2, "web_search_calls": 0}}, "estimated"),
        # Pictures made have a price of their own.
        (MODEL, {"completion_tokens_details": {"image_tokens": 90}}, "estimated"),
        (MODEL, {"completion_tokens_details": {"image_tokens": 0}}, "priced"),
        (MODEL, {"server_tool_use": {"web_search_requests": 2}}, "estimated"),
    ],
)
def test_a_unit_of_a_chat_without_a_price_makes_an_estimate(watch, model, more, state):
    """What was used beside tokens is seen in a chat's usage too, and its cost is not claimed to be known."""
    prices = {model: {"input": 1.0, "output": 2.0}}
    seen = chat(watch, chat_shapes.completion(model, usage=USAGE | more), prices=prices)
    assert seen.span()["ragmeter.price.state"] == state


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_tools_that_a_system_of_groqs_has_used(watch, streams):
    """Searches and code run within an answer are counted once, when they have given something."""
    tools = [{"index": 0, "type": "search", "arguments": "{}", "output": "found"}, {"index": 1, "type": "search"}]
    holder = "delta" if streams else "message"
    choice = {"index": 0, "finish_reason": "stop", holder: {"content": "SENTINEL", "executed_tools": tools}}
    body = chat_shapes.completion(MODEL, choices=[choice], usage=USAGE)
    answers = (chat_shapes.word(MODEL, "A"), body) if streams else (body,)
    prices = {MODEL: {"input": 0.0, "output": 0.0, "web_search": 5.0}}
    assert chat(watch, *answers, prices=prices).span()["ragmeter.cost.amount"] == pytest.approx(0.005)


def test_a_late_count_of_searches_is_not_taken_back(watch):
    """A messages stream that ends with zero searches after two has made two."""
    said = {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": []}
    usages = [
        {"server_tool_use": {"web_search_requests": number}, "input_tokens": 9, "output_tokens": 1} for number in (2, 0)
    ]
    stream = (
        {"type": "message_start", "message": {**said, "usage": usages[0]}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usages[1]},
        {"type": "message_stop"},
    )
    prices = {"claude-haiku-4-5": {"input": 0.0, "output": 0.0, "web_search": 10.0}}
    assert message(watch, *stream, prices=prices).span()["ragmeter.cost.amount"] == pytest.approx(0.02)


def test_a_providers_own_count_of_its_tools_stands_above_the_items(watch):
    """xAI counts the calls of its tools in the usage: the same calls among the items are not counted again."""
    usage = {"input_tokens": 7, "output_tokens": 1, "num_sources_used": 9}
    usage["server_side_tool_usage_details"] = {"web_search_calls": 1, "code_interpreter_calls": 0}
    items = (SEARCH, SEARCH, call("code_interpreter_call", container_id="c1", code="1"))
    assert fees(watch, *items, usage=usage) == (pytest.approx(0.01), "priced")


def test_code_that_anthropic_has_run_is_not_priced(watch):
    """Its time is billed, and no answer tells it."""
    used = {"type": "server_tool_use", "id": "t", "name": "bash_code_execution", "input": {"command": "ls"}}
    said = {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "end_turn"}
    body = {**said, "content": [used], "usage": {"input_tokens": 7, "output_tokens": 1}}
    assert message(watch, whole(body)).span()["ragmeter.price.state"] == "estimated"


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        (400, "invalid_value", "priced"),
        (429, "rate_limit_exceeded", "priced"),
        (500, None, "priced"),
        # Azure charges for a prompt that its filter has read.
        (400, "content_filter", "unpriced"),
        # Who waited no longer does not know what was made.
        (408, None, "unpriced"),
        (504, None, "unpriced"),
    ],
)
def test_only_what_was_refused_at_once_costs_nothing(watch, status, code, state):
    """An error status means that nothing was made, unless it says that someone gave up, or has read the prompt."""
    seen = watch(providers={"127.0.0.1": "azure"})
    with Wire(whole({"error": {"message": "no", "code": code}}, status=status)) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="key", max_retries=0)
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(**chat_shapes.question(MODEL))
        client.close()
    assert seen.span()["ragmeter.price.state"] == state
    assert seen.count("ragmeter.query.cost.usd") == (state == "priced")


@pytest.mark.parametrize(("is_asked", "state"), [(False, "priced"), (True, "unpriced")])
def test_a_connection_that_broke_while_waiting_is_no_refusal(watch, is_asked, state):
    """Nobody there costs nothing; a server that hung up after it was asked may have answered."""
    seen = watch(providers={"127.0.0.1": "openai"})

    def hang_up(_):
        raise ConnectionAbortedError

    with Wire(hang_up) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="key", max_retries=0)
        if not is_asked:
            client = openai.OpenAI(base_url="http://127.0.0.1:9", api_key="key", max_retries=0)
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(**chat_shapes.question(MODEL))
        client.close()
    assert seen.span()["ragmeter.price.state"] == state
