"""Readers take any answer: whatever stands in it, nothing raises, every figure is one, and the parts sum."""

from __future__ import annotations

import copy
import json
import math
import random
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmeter.anatomy.parts import Dissection
from ragmeter.anatomy.weights import Weigher
from ragmeter.domain.gate import LONGEST_NAME, MOST
from ragmeter.domain.model import Operation, OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage
from ragmeter.ledger.metering import meter_inference, meter_other
from ragmeter.money.pricebook import card_of
from ragmeter.reading.shapes import json_bodies
from ragmeter.reading.shapes.anthropic_messages import MESSAGES
from ragmeter.reading.shapes.openai_chat import CHAT, TEXT_COMPLETION
from ragmeter.reading.shapes.openai_embeddings import EMBEDDINGS
from ragmeter.reading.shapes.openai_responses import RESPONSES
from recorded import recordings

READERS = {
    "chat": CHAT,
    "completions": TEXT_COMPLETION,
    "responses": RESPONSES,
    "messages": MESSAGES,
    "embeddings": EMBEDDINGS,
}
PRICES = {"input": 1.0, "output": 2.0, "cache_read": 0.1, "cache_write": 1.25, "cache_write_1h": 2.0, "reasoning": 3.0}
ODD = (
    *(None, True, -1, 0, 10**20, 2**53, 1e300, math.inf, -math.inf, math.nan, 0.5),
    *("", "x", "100", "\ud800", "n" * 1_000, b"bytes"),
    *([], [1], ["x"], [[]], {}, {"type": []}, {"type": "text", "text": 1}, [{"type": {}}], [None]),
)
"""Values that stand where they do not belong."""

SEED = 20_260_101
MUTATIONS = 400
"""Of each kind of answer in each run: enough to meet every field of it."""


@cache
def bodies(endpoint: str) -> tuple[Any, ...]:
    """Whole answers of a kind, and the pieces of streams, as the recordings have them."""
    found = []
    for recording in recordings():
        if recording.endpoint == endpoint and not recording.fails:
            text = b"".join(recording.answer().body).decode()
            found.append(pieces_of(text) if recording.streaming else json.loads(text))
    return tuple(found)


def pieces_of(text: str) -> list[Any]:
    """The events of a stream."""
    lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line.startswith("{")]


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Everywhere in a structure where something else could stand: the holder and the key in it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(value, key) for key, _ in pairs]
    return found + [place for holder, key in found for place in places_in(holder[key])]


def mutated(body: Any, dice: random.Random) -> Any:
    """The same answer with something odd in up to three places."""
    changed = copy.deepcopy(body)
    for _ in range(dice.randint(1, 3)):
        places = places_in(changed)
        if places:
            holder, key = dice.choice(places)
            holder[key] = copy.deepcopy(dice.choice(ODD))
    return changed


def read(endpoint: str, body: Any) -> Response:
    """A whole answer or the pieces of a stream, in two folds."""
    reader = READERS[endpoint]
    if not isinstance(body, list) or reader.pieces is None:
        return reader.response(body)
    middle = len(body) // 2
    return reader.pieces(reader.pieces(Response(), body[:middle]), body[middle:])


def check(response: Response, kind: OperationKind = OperationKind.CHAT) -> None:
    """Every figure and name is within the gate, and what is measured of it sums."""
    for name in (response.model, response.id, response.service_tier, response.speed, *response.finish_reasons):
        assert name is None or (isinstance(name, str) and len(name.encode()) <= LONGEST_NAME * 4)
    assert all(isinstance(text, str) for text in (*response.text, *response.reasoning))
    if response.usage is not None:
        check_usage(response.usage)
    operation = Operation(
        request=Request(kind, "openai", model="m"),
        response=response,
        prompt=Prompt((PromptFragment(Role.USER, "What is it?"),)),
        started=0,
        duration=1.0,
    )
    card, weigher = card_of(PRICES, "test"), Weigher(exact=False)
    if kind is OperationKind.EMBEDDINGS:
        metered = meter_other(operation, card, weigher)
    else:
        metered = meter_inference(operation, Dissection(), card, weigher, fine_tuned=False)
    if metered.usage is not None:
        check_usage(metered.usage)
        whole = (metered.usage.input_tokens or 0) + (metered.usage.output_tokens or 0)
        assert sum(part.tokens for part in metered.parts) == whole
    if metered.cost.amount is not None:
        assert 0 <= metered.cost.amount < math.inf
        assert sum(part.cost or 0.0 for part in metered.parts) == pytest.approx(
            metered.cost.amount, rel=1e-12, abs=1e-9
        )


def check_usage(usage: Usage) -> None:
    """Counts are whole and within the gate."""
    for each in fields(Usage):
        value = getattr(usage, each.name)
        if each.name == "units":
            assert all(isinstance(number, int | float) and 0 <= number < MOST for number in value.values())
        elif each.name == "reported_cost":
            assert value is None or 0 <= value < MOST
        elif each.name != "inexact":
            assert value is None or (type(value) is int and 0 <= value < MOST), each.name


@pytest.mark.parametrize("endpoint", READERS)
def test_real_answers_with_something_odd_in_them(endpoint):
    """Recorded answers in which up to three values are of another kind are read, measured and sum."""
    dice = random.Random(SEED)
    kind = OperationKind.EMBEDDINGS if endpoint == "embeddings" else OperationKind.CHAT
    assert bodies(endpoint)
    for _ in range(MUTATIONS):
        check(read(endpoint, mutated(dice.choice(bodies(endpoint)), dice)), kind)


names = st.sampled_from(
    (
        *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens"),
        *("prompt_tokens_details", "completion_tokens_details", "cache_read_input_tokens", "reasoning_tokens"),
        *("cache_creation_input_tokens", "prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "audio_tokens"),
        *("cost", "cost_details", "is_byok", "total_cost", "estimated_cost", "cost_in_usd_ticks", "iterations"),
        *("num_search_queries", "citation_tokens", "search_context_size", "server_tool_use", "type"),
    )
)
numbers = st.one_of(st.integers(-5, 2_000), st.integers(), st.floats(), st.sampled_from((2**52, 2**53 - 1, 2**53)))
leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5), st.just("advisor_message"), st.just("low"))
usages = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner)), max_leaves=8
)
texts = st.sampled_from(("", "An answer."))


@settings(max_examples=120, deadline=None)
@given(st.one_of(st.dictionaries(names, usages), usages), texts)
def test_any_usage_is_read(usage, text):
    """A `usage` of any structure, with known names in it, gives counts within the gate that sum."""
    said = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": said, "delta": said, "finish_reason": "stop", "usage": usage}
    check(CHAT.response({"id": "c", "model": "m", "choices": [choice], "usage": usage}))
    check(read("chat", [{"choices": [choice]}, {"choices": [], "usage": usage}, {"choices": [choice], "usage": None}]))
    check(RESPONSES.response({"id": "r", "output": [], "status": "completed", "usage": usage, "tool_usage": usage}))
    check(MESSAGES.response({"id": "m", "content": [{"type": "text", "text": text}], "usage": usage}))
    start = {"type": "message_start", "message": {"id": "m", "usage": usage}}
    check(read("messages", [start, {"type": "message_delta", "delta": {}, "usage": usage}]))
    check(EMBEDDINGS.response({"data": [1], "usage": usage}), OperationKind.EMBEDDINGS)


@settings(max_examples=120, deadline=None)
@given(usages, usages)
def test_a_later_usage_never_takes_a_count_away(first, last):
    """Of two usages in a stream, whatever the first has counted is still counted after the second."""
    before = read("chat", [{"choices": [], "usage": first}])
    after = read("chat", [{"choices": [], "usage": first}, {"choices": [], "usage": last}])
    for each in fields(Usage):
        if before.usage is not None and getattr(before.usage, each.name):
            assert after.usage is not None
            assert getattr(after.usage, each.name), each.name


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("answer", [*ODD, "<html>", object(), {"choices": {}}, {"output": 1}, {"content": {"a": 1}}])
def test_whatever_comes_is_read(reader, answer):
    """What is no answer at all gives an empty response, as a whole and as a piece."""
    check(reader.response(answer))
    if reader.pieces is not None:
        check(reader.pieces(Response(), [answer, answer]))


REQUESTS = (
    {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "tools": [{"a": 1}]},
    {"model": "m", "input": [{"type": "message", "role": "user", "content": "x"}], "instructions": "y"},
    {"model": "m", "input": [{"type": "function_call", "name": "f", "arguments": "{}"}], "prompt": {"variables": {}}},
    {"model": "m", "system": [{"type": "text", "text": "x"}], "messages": [{"role": "user", "content": "x"}]},
    {
        "model": "m",
        "messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {}}], "tool_calls": []}],
    },
    {"model": "m", "documents": [{"text": "x"}], "response_format": {"type": "json_schema"}, "prompt": ["x"]},
)


def test_requests_with_something_odd_in_them():
    """A request in which a value is of another kind has a prompt, whatever can be read of it."""
    dice = random.Random(SEED)
    for _ in range(MUTATIONS * 3):
        body = mutated(dice.choice(REQUESTS), dice)
        for reader in READERS.values():
            prompt = reader.prompt(body)
            assert all(isinstance(part.text, str) for part in prompt.fragments)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.lists(st.integers(), min_size=9),
    max_leaves=40,
)


@given(JSON_VALUES, st.sampled_from([None, 1]), st.booleans())
def test_a_long_body_says_in_slices_what_it_says_at_once(value, indent, as_bytes):
    """Objects, lists and rows of numbers, whatever stands between them, are what Python's own parser makes of them."""
    text = json.dumps(value, indent=indent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bodies, "AT_ONCE", 0)
        patch.setattr(json_bodies, "PIECE", 8)
        assert json_bodies.parsed(text.encode() if as_bytes else text) == value


JSON_TEXTS = JSON_VALUES.map(json.dumps) | st.just("[1, 22, 333, 4444, 5]")
STRAY = st.sampled_from(("", ",", "]", "}", '"', ":", "1 ", "["))


@given(JSON_TEXTS, st.integers(min_value=0), STRAY)
def test_a_long_body_that_is_no_json_is_refused_as_a_short_one(text, at, other):
    """With a character more, or cut short, a body is read as Python's parser reads it, or not at all."""
    at %= len(text) + 1
    text = text[:at] + other + (text[at:] if other else "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bodies, "AT_ONCE", 0)
        patch.setattr(json_bodies, "PIECE", 8)
        try:
            expected = json.loads(text)
        except json.JSONDecodeError:
            with pytest.raises(json.JSONDecodeError):
                json_bodies.parsed(text)
        else:
            assert json_bodies.parsed(text) == expected
