"""Counts and units that a server tells in pieces: in a stream, in each of several choices, while it works."""

from __future__ import annotations

import pytest

from clients import chat_shapes
from clients.asking import MODEL, chat, message, respond

INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
READ, WRITTEN = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"
CLAUDE = "claude-sonnet-4-5"
STEP = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
SUMMARY = STEP | {"type": "compaction", "input_tokens": 5_000, "output_tokens": 300}
TURN = STEP | {"type": "message", "input_tokens": 100, "output_tokens": 10}


def claude(usage, **more):
    """A message of Anthropic's."""
    said = {"id": "m", "type": "message", "role": "assistant", "model": CLAUDE, "stop_reason": "end_turn"}
    return {**said, "content": [{"type": "text", "text": "Two years."}], "usage": usage, **more}


def stream_of(first, *later):
    """A messages stream: what its start counts, and each of its ends."""
    return (
        {"type": "message_start", "message": claude(first, content=[], stop_reason=None)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Two years."}},
        *({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage} for usage in later),
        {"type": "message_stop"},
    )


START = {"input_tokens": 100, "output_tokens": 1}

STREAMS = {
    "a cache told at the end alone": (
        stream_of(START, {"output_tokens": 10, "cache_read_input_tokens": 70}),
        {INPUT: 170, OUTPUT: 10, READ: 70},
        (100 * 3 + 70 * 0.3 + 10 * 15) / 1e6,
    ),
    "an hour's cache told at the end alone": (
        stream_of(
            START,
            {
                "output_tokens": 10,
                "cache_creation_input_tokens": 70,
                "cache_creation": {"ephemeral_1h_input_tokens": 70},
            },
        ),
        {INPUT: 170, OUTPUT: 10, WRITTEN: 70},
        (100 * 3 + 70 * 6 + 10 * 15) / 1e6,
    ),
    "a summary told at the start alone": (
        stream_of(START | {"iterations": [SUMMARY]}, {"output_tokens": 10}),
        {INPUT: 5_100, OUTPUT: 310},
        (5_100 * 3 + 310 * 15) / 1e6,
    ),
    "a summary told before the last end": (
        stream_of(START, {"output_tokens": 10, "iterations": [SUMMARY, TURN]}, {"output_tokens": 20}),
        {INPUT: 5_100, OUTPUT: 320},
        (5_100 * 3 + 320 * 15) / 1e6,
    ),
}


def counts(span):
    """The counts on a span."""
    return {name: span[name] for name in (INPUT, OUTPUT, READ, WRITTEN) if name in span}


@pytest.mark.parametrize(("events", "expected", "cost"), STREAMS.values(), ids=STREAMS)
def test_each_event_of_a_messages_stream_tells_what_is_new(watch, events, expected, cost):
    """What one event has told holds until another says otherwise, and the input has all that was cached."""
    span = message(watch, *events, model=CLAUDE).span()
    assert counts(span) == expected
    assert span["ragmeter.cost.amount"] == pytest.approx(cost)
    assert span["ragmeter.price.state"] == "priced"


@pytest.mark.parametrize(
    ("written", "cost", "state"),
    [
        (None, (100 * 3 + 50 * 3.75 + 200 * 6 + 10 * 15) / 1e6, "priced"),
        (250, (100 * 3 + 50 * 3.75 + 200 * 6 + 10 * 15) / 1e6, "priced"),
        # Then one of the two is wrong.
        (20, (100 * 3 + 50 * 3.75 + 200 * 6 + 10 * 15) / 1e6, "estimated"),
    ],
)
def test_cache_writes_told_by_lifetime(watch, written, cost, state):
    """What was written is at least what the two lifetimes show."""
    lifetimes = {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 200}
    usage = {"input_tokens": 100, "output_tokens": 10, "cache_creation": lifetimes}
    told = usage if written is None else usage | {"cache_creation_input_tokens": written}
    span = message(watch, claude(told), model=CLAUDE).span()
    assert span["ragmeter.cost.amount"] == pytest.approx(cost)
    assert span["ragmeter.price.state"] == state


@pytest.mark.parametrize(
    "usage",
    [
        # The counts at the top are those of the last turn alone.
        {"input_tokens": 100, "output_tokens": 10, "iterations": [TURN, TURN]},
        # A long summary and a short turn: not all has the price of a long prompt.
        {
            "input_tokens": 150_000,
            "output_tokens": 10,
            "iterations": [SUMMARY | {"input_tokens": 250_000}, TURN | {"input_tokens": 150_000}],
        },
        {"input_tokens": 100, "output_tokens": 10, "server_tool_use": {"code_execution_requests": 1}},
    ],
)
def test_steps_whose_price_is_not_told_make_an_estimate(watch, usage):
    """Where the counts do not show what was billed, the cost is not called exact."""
    assert message(watch, claude(usage), model=CLAUDE).span()["ragmeter.price.state"] == "estimated"


def counted_choice(number, usage, **more):
    """A choice with a usage of its own."""
    return {"index": number, "finish_reason": "stop", "usage": usage, **more}


FIRST, SECOND = ({"prompt_tokens": 100, "completion_tokens": each} for each in (10, 20))


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_each_of_several_choices_may_count_for_itself(watch, streams):
    """One prompt and all that was written; that it is the sum is a guess, so the price is an estimate."""
    if streams:
        texts = [{"index": number, "delta": {"content": "Two "}, "finish_reason": None} for number in (0, 1)]
        ends = (counted_choice(0, FIRST, delta={}), counted_choice(1, SECOND, delta={}))
        answers = [chat_shapes.chunk(MODEL, choices=[each]) for each in (*texts, *ends, ends[1])]
    else:
        said = {"role": "assistant", "content": "Two years."}
        choices = [counted_choice(0, FIRST, message=said), counted_choice(1, SECOND, message=said)]
        answers = [chat_shapes.completion(MODEL, choices=choices, usage=None)]
    seen = chat(watch, *answers)
    assert counts(seen.span()) == {INPUT: 100, OUTPUT: 30}
    assert seen.span()["ragmeter.price.state"] == "estimated"
    assert sum(seen.metric("ragmeter.tokens").values()) == 130


def response(**more):
    """An answer of the Responses API."""
    given = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5-mini", "status": "completed"}
    return {
        **given,
        "output": [],
        "usage": {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100},
        **more,
    }


@pytest.mark.parametrize("counted", [0, 900])
@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_what_is_still_being_made_has_no_price_yet(watch, status, counted):
    """Counts of an answer in the background are not its last: not a zero, and not a part of the sum."""
    usage = {"input_tokens": counted, "output_tokens": 0, "total_tokens": counted}
    seen = respond(watch, response(status=status, usage=usage))
    assert seen.span()["ragmeter.price.state"] == "unpriced"
    assert not seen.count("ragmeter.query.cost.usd")


SEARCHED = {"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": "search", "query": "x"}}
CREATED = {"type": "response.created", "response": response(status="in_progress", usage=None)}
DELTA = {"type": "response.output_text.delta", "delta": "Two years."}
PRICES = {"gpt-5-mini": {"input": 0.25, "output": 2.0, "web_search": 10.0}}


@pytest.mark.parametrize("last", ["response.completed", "response.done"])
def test_items_left_out_of_the_last_event_were_streamed(watch, last):
    """A search is billed though the last event, by whatever name, comes without the items before it."""
    items = [{"type": "response.output_item.done", "output_index": 0, "item": SEARCHED}]
    span = respond(watch, CREATED, *items, DELTA, {"type": last, "response": response()}, prices=PRICES).span()
    assert span["ragmeter.cost.amount"] == pytest.approx((1_000 * 0.25 + 100 * 2) / 1e6 + 0.01)
    assert span["ragmeter.price.state"] == "priced"


RAN = {"type": "shell_call", "id": "s", "call_id": "s", "status": "completed", "action": {"commands": ["ls"]}}
CONTAINER = {"type": "container_reference", "container_id": "c"}


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"output": [RAN | {"environment": CONTAINER}]}, "estimated"),
        ({"output": [RAN], "tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "estimated"),
        ({"output": [RAN], "tools": [{"type": "shell", "environment": {"type": "local"}}]}, "priced"),
        ({"output": [RAN | {"type": "local_shell_call"}]}, "priced"),
        ({"tool_usage": {"image_gen": {"input_tokens": 9, "output_tokens": 0}}}, "estimated"),
        # A tool that came after us.
        ({"tool_usage": {"film_gen": {"num_requests": 1}}}, "estimated"),
        ({"tool_usage": {"film_gen": {"num_requests": 0}, "web_search": {"num_requests": 0}}}, "priced"),
    ],
)
def test_a_tool_that_the_provider_runs_is_not_free(watch, more, state):
    """What is used beside the tokens makes an estimate where its price is not known; the app's own shell is free."""
    assert respond(watch, response(**more), prices=PRICES).span()["ragmeter.price.state"] == state
