"""What a request asks for stands on its span under the names of the conventions, and within bounds."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from clients import chat_shapes
from telemetry_seen import Seen
from wire import Wire, whole

QUESTION = [{"role": "user", "content": "Where is my parcel?"}]
MODEL = "gpt-4o-mini"

CHATS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "numbers": (
        {"temperature": 0.5, "seed": 7, "max_completion_tokens": 64},
        {"gen_ai.request.temperature": 0.5, "gen_ai.request.seed": 7, "gen_ai.request.max_tokens": 64},
    ),
    "several answers": ({"n": 2}, {"gen_ai.request.choice.count": 2}),
    "one answer": ({"n": 1}, {}),
    "a stop": ({"stop": "END"}, {"gen_ai.request.stop_sequences": ("END",)}),
    "stops": ({"stop": ["a", "b"]}, {"gen_ai.request.stop_sequences": ("a", "b")}),
    "reasoning": ({"reasoning_effort": "low"}, {"gen_ai.request.reasoning.level": "low"}),
    "JSON": ({"response_format": {"type": "json_object"}}, {"gen_ai.output.type": "json"}),
    "speech": (
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        {"gen_ai.output.type": "speech"},
    ),
    "too much": (
        {"stop": ["x" * 1_000] * 50, "seed": 10**30, "reasoning_effort": "é" * 300},
        {"gen_ai.request.stop_sequences": ("x" * 200,) * 16, "gen_ai.request.reasoning.level": "é" * 200},
    ),
    "nonsense": (
        {"stop": [1, None], "seed": "7", "n": "2", "reasoning_effort": 3, "response_format": "json", "modalities": 1},
        {},
    ),
}


def asked_for(seen: Seen) -> dict[str, Any]:
    """The attributes of the only span that tell what was asked for, but for the model."""
    prefixes = ("gen_ai.request.", "gen_ai.output.type", "gen_ai.conversation.")
    known = ("gen_ai.request.model",)
    return {name: value for name, value in seen.span().items() if name.startswith(prefixes) and name not in known}


@pytest.mark.parametrize(("given", "expected"), CHATS.values(), ids=CHATS)
def test_the_parameters_of_a_chat_stand_on_its_span(watch, given, expected):
    """Each parameter has its standard name; what is too long is cut, what is none is left out."""
    seen = watch()
    with Wire(whole(chat_shapes.completion(MODEL))) as wire:
        client = openai.OpenAI(base_url=wire.url, api_key="key", max_retries=0)
        client.post("/chat/completions", cast_to=object, body={"model": MODEL, "messages": QUESTION, **given})
    assert asked_for(seen) == expected


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_that_the_provider_keeps_is_named(watch, conversation):
    """A Responses call names its conversation, the answer it goes on from, its effort and the form of its answer."""
    seen = watch()
    body = {
        "model": MODEL,
        "input": "Where is my parcel?",
        "conversation": conversation,
        "previous_response_id": "resp_0",
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": {}}},
    }
    with Wire(whole({"id": "resp_1", "object": "response", "model": MODEL, "output": [], "usage": None})) as wire:
        client = openai.OpenAI(base_url=wire.url, api_key="key", max_retries=0)
        client.post("/responses", cast_to=object, body=body)
    assert asked_for(seen) == {
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.request.reasoning.level": "high",
        "gen_ai.output.type": "json",
    }


def test_the_parameters_of_a_message_have_the_same_names(watch):
    """Anthropic's words for the same things lead to the same attributes."""
    seen = watch()
    body = {"stop_sequences": ["END"], "top_k": 5, "output_config": {"effort": "medium"}}
    with Wire(whole({"type": "message"})) as wire:
        client = anthropic.Anthropic(base_url=wire.url, api_key="key", max_retries=0)
        client.messages.create(model="claude", messages=QUESTION, max_tokens=9, extra_body=body)
    assert asked_for(seen) == {
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.top_k": 5,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.reasoning.level": "medium",
    }
