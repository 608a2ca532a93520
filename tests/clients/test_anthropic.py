"""anthropic: the contract, cache lifetimes, and no second span from the client itself."""

from __future__ import annotations

from typing import Any

from contract import ClientContract

MODEL = "claude-haiku-4-5"


def message(**more: Any) -> dict[str, Any]:
    """A whole message; `more` replaces or adds fields."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "SENTINEL-ANSWER is the answer"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 40, "output_tokens": 9},
        **more,
    }


def streamed(started: dict[str, Any], ended: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The events of a stream whose first and last usage are given."""
    return (
        {"type": "message_start", "message": message(content=[], stop_reason=None, usage=started)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in ("SENTINEL", "-ANSWER", " is the answer")
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": ended},
        {"type": "message_stop"},
    )


class TestAnthropic(ClientContract):
    """The contract with apps that use the anthropic client."""

    library = "anthropic"
    client_class = "Anthropic"
    operation = "messages.create"
    question = {
        "model": MODEL,
        "max_tokens": 100,
        "system": "SENTINEL-SYSTEM: be brief.",
        "messages": [{"role": "user", "content": "SENTINEL-QUESTION: what is it?"}],
    }
    body = message()
    events = streamed({"input_tokens": 40, "output_tokens": 1}, {"output_tokens": 9})
    hollow = (message(content=None, usage=None), message(content=[], usage={}), {"type": "message"}, {})
    stream_error = {"type": "error", "error": {"type": "overloaded_error", "message": "SENTINEL-ERROR"}}
    named_events = True
    asks_for_usage = False
    tokens = (40, 9)
