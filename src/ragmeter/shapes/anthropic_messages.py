"""Anthropic's Messages API.

`input_tokens` of its usage leaves out what was read from or written to the cache; here both are added, so that input
means the same for every provider. Cache writes have two lifetimes with two prices: five minutes and one hour
(https://docs.claude.com/en/docs/build-with-claude/prompt-caching).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ragmeter.integration import Reader
from ragmeter.model import Origin, Prompt, PromptPart, Response, Role, Usage
from ragmeter.shapes.documents import REREADABLE, Read, either, read_content, unread_iterators
from ragmeter.shapes.fields import blocks_of, count, field, items
from ragmeter.shapes.openai_chat import ROLES, call_text, definitions, tool_definitions

WRITTEN = {"thinking": "thinking", "redacted_thinking": "thinking", "compaction": "content"}
"""Blocks of what the model wrote of earlier turns, and the field with its text."""

DEFINITIONS = ("tool_addition", "mcp_tool_listing")
EMPTY = ("tool_removal", "fallback")
"""Blocks that define tools while the conversation goes on, and those that bring no text."""


def read_usage(usage: Any, earlier: Usage | None = None) -> Usage | None:
    """The counts of a `usage` object, in which later events of a stream overwrite `earlier` ones."""
    fresh, read = count(usage, "input_tokens"), count(usage, "cache_read_input_tokens")
    written, output = count(usage, "cache_creation_input_tokens"), count(usage, "output_tokens")
    if fresh is None and output is None:
        return earlier
    now = Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=count(usage, "cache_creation", "ephemeral_1h_input_tokens"),
        reasoning_tokens=count(usage, "output_tokens_details", "thinking_tokens"),
        web_searches=count(usage, "server_tool_use", "web_search_requests"),
    )
    return now if earlier is None else _overwrite(earlier, now)


def _overwrite(earlier: Usage, now: Usage) -> Usage:
    known = {name: value for name in Usage.__slots__ if (value := getattr(now, name)) is not None}
    if "input_tokens" in known and now.cache_read_tokens is None and now.cache_write_tokens is None:
        known["input_tokens"] += (earlier.cache_read_tokens or 0) + (earlier.cache_write_tokens or 0)
    return replace(earlier, **known)


def read_prompt(body: Any) -> Prompt:
    """The prompt of a Messages request body: tools, then system blocks, then the turns."""
    parts = tool_definitions(body)
    unread = unread_iterators(body, "tools", "system", "messages")
    system = field(body, "system")
    if isinstance(system, REREADABLE):
        # anthropic 2.14 has a marker of its own here when the app gave nothing.
        system_parts, system_unread = read_content(Role.SYSTEM, system)
        parts += system_parts
        unread = either(unread, system_unread)
    for message in items(field(body, "messages")):
        role = ROLES.get(field(message, "role"), Role.USER)
        content = field(message, "content")
        if isinstance(content, str):
            parts.append(PromptPart(role, content))
            continue
        for block in blocks_of(content):
            block_parts, block_unread = _read_block(role, block)
            parts += block_parts
            unread = either(unread, block_unread)
    return Prompt(tuple(parts), unread)


def _read_block(role: Role, block: Any) -> Read:
    kind = str(field(block, "type"))
    if kind.endswith("tool_use"):
        return [PromptPart(Role.ASSISTANT, call_text(block))], None
    if kind.endswith("tool_result"):
        return read_content(Role.TOOL, field(block, "content"))
    if kind in WRITTEN:
        # Without a text it is only there for the provider, which alone can read the rest.
        text = field(block, WRITTEN[kind])
        return ([PromptPart(role, text)], None) if isinstance(text, str) and text else ([], Origin.HISTORY)
    if kind in DEFINITIONS:
        given = [field(field(block, "tool"), "definition"), *items(field(block, "tools"))]
        return definitions([each for each in given if each is not None]), None
    if kind in EMPTY:
        return [], None
    return read_content(role, (block,))


def read_response(result: Any) -> Response:
    """A whole message."""
    texts: list[str] = []
    reasoning: list[str] = []
    for block in items(field(result, "content")):
        for name, kind in (("text", texts), ("thinking", reasoning)):
            if isinstance(text := field(block, name), str):
                kind.append(text)
        if isinstance(arguments := field(block, "input"), dict):
            texts.append(json.dumps(arguments, default=str, ensure_ascii=False))
    reason = field(result, "stop_reason")
    usage = field(result, "usage")
    return Response(
        model=field(result, "model"),
        id=field(result, "id"),
        finish_reasons=(str(reason),) if reason else (),
        usage=read_usage(usage),
        service_tier=field(usage, "service_tier"),
        speed=field(usage, "speed"),
        text=tuple(texts),
        reasoning=tuple(reasoning),
    )


def read_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    """The next events of a stream: input comes with the first one, output is cumulative in the later ones."""
    response, text, reasoning = so_far, list(so_far.text), list(so_far.reasoning)
    for piece in pieces:
        kind = field(piece, "type")
        if kind == "message_start":
            response = replace(read_response(field(piece, "message")), usage_is_early=True)
        elif kind == "message_delta":
            reason = field(field(piece, "delta"), "stop_reason")
            response = replace(
                response,
                usage=read_usage(field(piece, "usage"), response.usage),
                usage_is_early=False,
                finish_reasons=(str(reason),) if reason else response.finish_reasons,
            )
        elif kind == "content_block_delta":
            delta = field(piece, "delta")
            text += [value for name in ("text", "partial_json") if isinstance(value := field(delta, name), str)]
            if isinstance(thought := field(delta, "thinking"), str):
                reasoning.append(thought)
    return replace(response, text=tuple(text), reasoning=tuple(reasoning))


MESSAGES = Reader(read_response, read_prompt, read_pieces)
