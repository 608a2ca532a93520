"""Answers in the shape of OpenAI's chat completions, which openai, groq and together share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOKENS = (40, 9)
USAGE: Mapping[str, Any] = {"prompt_tokens": 40, "completion_tokens": 9, "total_tokens": 49}
WORDS = ("SENTINEL", "-AN", "SWER", " is", " the", " answer")


def question(model: str) -> dict[str, Any]:
    """Arguments of a chat completion."""
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": "SENTINEL-SYSTEM: be brief."},
            {"role": "user", "content": "SENTINEL-QUESTION: what is it?"},
        ],
    }


def completion(model: str, **more: Any) -> dict[str, Any]:
    """A whole chat completion; `more` replaces or adds fields."""
    message = {"role": "assistant", "content": "SENTINEL-ANSWER is the answer"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": dict(USAGE),
        **more,
    }


def chunk(model: str, **more: Any) -> dict[str, Any]:
    """One chunk of a stream, without choices."""
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [], **more}


def word(model: str, text: str, *, finish_reason: str | None = None) -> dict[str, Any]:
    """One chunk of a stream that carries a word."""
    delta = {"role": "assistant", "content": text}
    return chunk(model, choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}])


def words(model: str) -> tuple[dict[str, Any], ...]:
    """The chunks of a stream that reports no usage."""
    return (*(word(model, text) for text in WORDS), word(model, "", finish_reason="stop"))


def hollow(model: str) -> tuple[dict[str, Any], ...]:
    """Answers that lack choices, content or usage."""
    empty_choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": None}
    return (
        completion(model, choices=None, usage=None),
        completion(model, choices=[], usage={}),
        completion(model, choices=[empty_choice], usage={"prompt_tokens": None, "completion_tokens": None}),
        {"object": "error", "message": "no completion at all"},
        {},
    )
