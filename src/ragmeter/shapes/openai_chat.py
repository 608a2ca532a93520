"""OpenAI's chat and legacy completions, as the openai, groq and together clients and all compatible servers speak them.

Usage counts include cached and cache-write tokens in the prompt and reasoning in the completion
(https://platform.openai.com/docs/api-reference/chat/object); unknown detail fields may be plain dictionaries.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ragmeter.integration import Reader
from ragmeter.model import Origin, Prompt, PromptPart, Response, Role, Usage
from ragmeter.shapes.fields import amount, count, field, items, text_of

TEXTS = ("content", "refusal", "reasoning_content")
ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}


def read_usage(usage: Any) -> Usage | None:
    """The counts of a `usage` object; `None` when there is none, or when it holds no token count at all."""
    prompt, completion = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    if prompt is None and completion is None:
        return None
    given, made = field(usage, "prompt_tokens_details"), field(usage, "completion_tokens_details")
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        # together puts the cached tokens beside the totals.
        cache_read_tokens=count(usage, "cached_tokens") if given is None else count(given, "cached_tokens"),
        cache_write_tokens=count(given, "cache_write_tokens"),
        reasoning_tokens=count(made, "reasoning_tokens"),
        audio_input_tokens=count(given, "audio_tokens"),
        audio_output_tokens=count(made, "audio_tokens"),
        image_input_tokens=count(given, "image_tokens"),
        total_tokens=count(usage, "total_tokens"),
        reported_cost=amount(usage, "cost"),
    )


def tool_definitions(body: Any) -> list[PromptPart]:
    """The tools offered to the model, as one JSON text each: they stand at the front of the prompt."""
    tools = [*items(field(body, "tools")), *items(field(body, "functions"))]
    return [PromptPart(Role.TOOLS, json.dumps(tool, default=str, ensure_ascii=False)) for tool in tools]


def read_messages(messages: Any) -> tuple[list[PromptPart], bool]:
    """The texts of chat messages with the role each has, tool calls among the assistant's."""
    parts: list[PromptPart] = []
    media = False
    for message in items(messages):
        role = ROLES.get(str(field(message, "role")), Role.USER)
        texts, has_media = text_of(field(message, "content"))
        media = media or has_media
        for call in items(field(message, "tool_calls")):
            function = field(call, "function")
            texts.append(f"{field(function, 'name', '')} {field(function, 'arguments', '')}")
        parts += [PromptPart(role, text) for text in texts]
    return parts, media


def read_chat_prompt(body: Any) -> Prompt:
    """The prompt of a chat completion request body."""
    messages, media = read_messages(field(body, "messages"))
    messages.sort(key=lambda part: part.role is not Role.SYSTEM)
    return Prompt((*tool_definitions(body), *messages), Origin.OTHER if media else None)


def read_completion_prompt(body: Any) -> Prompt:
    """The prompt of a legacy completion request body: one text, or several for several answers."""
    prompt = field(body, "prompt")
    texts = [prompt] if isinstance(prompt, str) else [text for text in items(prompt) if isinstance(text, str)]
    return Prompt(tuple(PromptPart(Role.USER, text) for text in texts))


def read_completion(result: Any) -> Response:
    """A whole chat or legacy completion."""
    choices = items(field(result, "choices"))
    return Response(
        model=field(result, "model"),
        id=field(result, "id"),
        finish_reasons=tuple(
            str(field(choice, "finish_reason")) for choice in choices if field(choice, "finish_reason")
        ),
        usage=read_usage(field(result, "usage")),
        service_tier=field(result, "service_tier"),
        text=tuple(text for choice in choices for text in _choice_texts(choice, "message")),
    )


def read_completion_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    """The next chunks of a completion stream: usage is the last that is not null, wherever it stands."""
    model, identifier, tier, usage = so_far.model, so_far.id, so_far.service_tier, so_far.usage
    reasons, text = list(so_far.finish_reasons), list(so_far.text)
    for piece in pieces:
        model = model or field(piece, "model")
        identifier = identifier or field(piece, "id")
        tier = field(piece, "service_tier") or tier
        # groq reports usage under a name of its own unless it was asked for.
        reported = field(piece, "usage") or field(field(piece, "x_groq"), "usage")
        if reported is not None:
            usage = read_usage(reported) or usage
        for choice in items(field(piece, "choices")):
            text += _choice_texts(choice, "delta")
            if reason := field(choice, "finish_reason"):
                reasons.append(str(reason))
    return Response(model, identifier, tuple(reasons), usage, service_tier=tier, text=tuple(text))


def is_usage_piece(piece: Any) -> bool:
    """Whether a chunk exists only to carry usage: no choices, but counts."""
    return not field(piece, "choices") and field(piece, "usage") is not None


def _choice_texts(choice: Any, holder: str) -> list[str]:
    message = field(choice, holder)
    if message is None:
        text = field(choice, "text")
        return [text] if isinstance(text, str) else []
    texts = [text for name in TEXTS if isinstance(text := field(message, name), str)]
    for call in items(field(message, "tool_calls")):
        function = field(call, "function")
        texts += [text for name in ("name", "arguments") if isinstance(text := field(function, name), str)]
    return texts


CHAT = Reader(read_completion, read_chat_prompt, read_completion_pieces, is_extra=is_usage_piece)
TEXT_COMPLETION = Reader(read_completion, read_completion_prompt, read_completion_pieces, is_extra=is_usage_piece)
