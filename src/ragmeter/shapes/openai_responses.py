"""OpenAI's Responses API: `input` items and `instructions` in, `output` items out, usage in a stream's last event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ragmeter.integration import Reader
from ragmeter.model import Origin, Prompt, PromptPart, Response, Role, Usage
from ragmeter.shapes.fields import amount, count, field, items, text_of
from ragmeter.shapes.openai_chat import ROLES, tool_definitions

FINAL_EVENTS = ("response.completed", "response.incomplete", "response.failed")
PENDING = ("queued", "in_progress")
ITEM_ROLES = {
    "function_call": Role.ASSISTANT,
    "custom_tool_call": Role.ASSISTANT,
    "reasoning": Role.ASSISTANT,
    "function_call_output": Role.TOOL,
    "custom_tool_call_output": Role.TOOL,
}


def read_usage(result: Any) -> Usage | None:
    """The counts of a response object; `None` while it is queued or running in the background."""
    usage = field(result, "usage")
    input_tokens, output_tokens = count(usage, "input_tokens"), count(usage, "output_tokens")
    if input_tokens is None and output_tokens is None:
        return None
    calls = [field(item, "type") for item in items(field(result, "output"))]
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=count(usage, "input_tokens_details", "cached_tokens"),
        cache_write_tokens=count(usage, "input_tokens_details", "cache_write_tokens"),
        reasoning_tokens=count(usage, "output_tokens_details", "reasoning_tokens"),
        web_searches=count(result, "tool_usage", "web_search", "num_requests")
        or calls.count("web_search_call")
        or None,
        file_searches=calls.count("file_search_call") or None,
        total_tokens=count(usage, "total_tokens"),
        reported_cost=amount(usage, "cost"),
    )


def read_prompt(body: Any) -> Prompt:
    """The prompt of a Responses request body. What `previous_response_id` brings along is not in it."""
    parts = tool_definitions(body)
    instructions = field(body, "instructions")
    if isinstance(instructions, str):
        parts.append(PromptPart(Role.SYSTEM, instructions))
    given = field(body, "input")
    if isinstance(given, str):
        return Prompt((*parts, PromptPart(Role.USER, given)))
    media = False
    for item in items(given):
        item_parts, item_media = _read_item(item)
        parts += item_parts
        media = media or item_media
    return Prompt(tuple(parts), Origin.OTHER if media else None)


def _read_item(item: Any) -> tuple[list[PromptPart], bool]:
    kind = str(field(item, "type", "message"))
    if kind == "message":
        texts, media = text_of(field(item, "content"))
        return [PromptPart(ROLES.get(str(field(item, "role")), Role.USER), text) for text in texts], media
    if kind in ("function_call", "custom_tool_call"):
        text = f"{field(item, 'name', '')} {field(item, 'arguments', field(item, 'input', ''))}"
        return [PromptPart(Role.ASSISTANT, text)], False
    output = field(item, "output", field(item, "summary", field(item, "content")))
    texts, media = text_of(output)
    if not texts and output is not None and not media:
        texts = [json.dumps(output, default=str, ensure_ascii=False)]
    return [PromptPart(ITEM_ROLES.get(kind, Role.ASSISTANT), text) for text in texts], media


def read_response(result: Any) -> Response:
    """A whole response object, also one that stopped early: the reason then stands for the status."""
    output = items(field(result, "output"))
    status = field(field(result, "incomplete_details"), "reason") or field(result, "status")
    texts = [text for item in output for text in _output_texts(item)]
    return Response(
        model=field(result, "model"),
        id=field(result, "id"),
        finish_reasons=(str(status),) if status else (),
        usage=read_usage(result),
        service_tier=field(result, "service_tier"),
        text=tuple(texts),
        retrieved=any(field(item, "type") == "file_search_call" for item in output),
        pending=status in PENDING,
    )


def _output_texts(item: Any) -> list[str]:
    texts, _ = text_of(field(item, "content"))
    return texts + [text for name in ("name", "arguments") if isinstance(text := field(item, name), str)]


def read_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    """The next events of a stream: the final one holds the whole response, deltas only matter if it never comes."""
    response = so_far
    text: list[str] = []
    for piece in pieces:
        kind = field(piece, "type")
        if kind in FINAL_EVENTS:
            return read_response(field(piece, "response"))
        if isinstance(delta := field(piece, "delta"), str):
            text.append(delta)
        elif kind == "response.created":
            started = field(piece, "response")
            response = Response(model=field(started, "model"), id=field(started, "id"), text=response.text)
    return Response(response.model, response.id, usage=response.usage, text=(*response.text, *text))


RESPONSES = Reader(read_response, read_prompt, read_pieces)
