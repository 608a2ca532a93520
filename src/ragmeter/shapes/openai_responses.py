"""OpenAI's Responses API: `input` items and `instructions` in, `output` items out, usage in a stream's last event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ragmeter.integration import Reader
from ragmeter.model import Chunk, Origin, Prompt, PromptPart, Response, Role, Usage
from ragmeter.shapes.documents import Read, either, json_text, read_content, unread_iterators
from ragmeter.shapes.fields import amount, count, entries, field, is_silent, items, strings_in, text_of
from ragmeter.shapes.openai_chat import ROLES, definitions, tool_definitions

FINAL_EVENTS = ("response.completed", "response.incomplete", "response.failed")
PENDING = ("queued", "in_progress")
KEPT = ("previous_response_id", "conversation", "prompt")
"""What of a request names texts that the provider keeps."""

CALL_FIELDS = frozenset(
    ("namespace", "server_label", "name", "arguments", "input", "queries", "action", "actions", "operation", "code")
)
"""What the model wrote when it asked for something, in whatever kind of call."""

RESULT_FIELDS = frozenset(("output", "outputs", "results", "result", "error"))
RESULT_ENDINGS = ("_output", "_response")
"""What came of it, in the same item or in one of its own."""

INPUTS = ("input_text", "input_image", "input_file", "input_audio")
"""Blocks that stand for themselves where a template takes them."""

EMPTY = ("compaction_trigger", "mcp_approval_response")
"""Items that bring no text, or not always."""


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
    """The prompt of a Responses request body; turns and templates that the provider keeps are unread history."""
    parts = tool_definitions(body)
    instructions = field(body, "instructions")
    if isinstance(instructions, str):
        parts.append(PromptPart(Role.SYSTEM, instructions))
    kept = Origin.HISTORY if any(field(body, name) is not None for name in KEPT) else None
    unread = either(kept, unread_iterators(body, "tools", "input"))
    variables = field(field(body, "prompt"), "variables")
    given = [*(variables.values() if isinstance(variables, dict) else ()), *_input_items(field(body, "input"))]
    for item in given:
        item_parts, item_unread = _read_item(item)
        parts += item_parts
        unread = either(unread, item_unread)
    return Prompt(tuple(parts), unread)


def _input_items(given: Any) -> Sequence[Any]:
    return (given,) if isinstance(given, str) else tuple(items(given))


def _read_item(item: Any) -> Read:
    if isinstance(item, str):
        return [PromptPart(Role.USER, item)], None
    kind, role = field(item, "type"), field(item, "role")
    if kind == "message" or (kind is None and role is not None):
        return read_content(ROLES.get(role, Role.USER), field(item, "content"))
    if kind in INPUTS:
        return read_content(Role.USER, (item,))
    if kind in (None, "item_reference"):
        return [], Origin.HISTORY
    if kind == "configuration_update":
        return tool_definitions(item), None
    writer = Role.TOOL if kind.endswith(RESULT_ENDINGS) else Role.ASSISTANT
    parts, unread = _read_fields(item, ROLES.get(role, writer))
    if not parts and unread is None and kind not in EMPTY:
        unread = Origin.OTHER
    return parts, unread


def _read_fields(item: Any, own: Role) -> Read:
    """An item that is no message: what the model has asked for as one text, then definitions, texts and results."""
    call: list[str] = []
    parts: list[PromptPart] = []
    unread: Origin | None = None
    for name, value in entries(item) or ():
        if value is None or is_silent(name):
            continue
        if name == "encrypted_content":
            # What the model has thought, or the turns it has summed up, in a form only the provider reads.
            unread = either(unread, Origin.HISTORY)
        elif name == "tools":
            parts += definitions(value)
        elif name == "output" and isinstance(value, str):
            parts.append(PromptPart(Role.TOOL, value))
        elif name in CALL_FIELDS:
            call.append(" ".join(strings_in(value)[0]) if name == "queries" else json_text(value))
        else:
            role = Role.TOOL if name in RESULT_FIELDS else own
            texts, is_opaque = text_of(value) if name in ("results", "content") else strings_in(value)
            parts += [PromptPart(role, text) for text in texts]
            unread = either(unread, Origin.OTHER if is_opaque else None)
    return ([PromptPart(own, " ".join(call)), *parts] if call else parts), unread


def read_response(result: Any) -> Response:
    """A whole response object, also one that stopped early: the reason then stands for the status."""
    output = items(field(result, "output"))
    status = field(field(result, "incomplete_details"), "reason") or field(result, "status")
    texts = [text for item in output if field(item, "type") != "reasoning" for text in _output_texts(item)]
    thoughts = [
        field(item, "summary") or field(item, "content") for item in output if field(item, "type") == "reasoning"
    ]
    return Response(
        model=field(result, "model"),
        id=field(result, "id"),
        finish_reasons=(str(status),) if status else (),
        usage=read_usage(result),
        service_tier=field(result, "service_tier"),
        text=tuple(texts),
        reasoning=tuple(text for thought in thoughts for text in text_of(thought)[0]),
        chunks=_chunks(output),
        retrieved=any(field(item, "type") == "file_search_call" for item in output),
        pending=status in PENDING,
    )


def _chunks(output: Iterable[Any]) -> tuple[Chunk, ...]:
    """What the provider's file searches found, in the answer when the request says `include`."""
    searches = [item for item in output if field(item, "type") == "file_search_call"]
    results = [result for search in searches for result in items(field(search, "results"))]
    found = [result for result in results if isinstance(field(result, "text"), str)]
    return tuple(
        Chunk(field(result, "text"), field(result, "file_id"), amount(result, "score"), rank)
        for rank, result in enumerate(found)
    )


def _output_texts(item: Any) -> list[str]:
    texts, _ = text_of(field(item, "content"))
    return texts + [text for name in ("name", "arguments") if isinstance(text := field(item, name), str)]


def read_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    """The next events of a stream: the final one holds the whole response, deltas only matter if it never comes."""
    response = so_far
    text: list[str] = []
    reasoning: list[str] = []
    for piece in pieces:
        kind = field(piece, "type")
        if kind in FINAL_EVENTS:
            return read_response(field(piece, "response"))
        if isinstance(delta := field(piece, "delta"), str):
            (reasoning if str(kind).startswith("response.reasoning") else text).append(delta)
        elif kind == "response.created":
            started = field(piece, "response")
            response = replace(response, model=field(started, "model"), id=field(started, "id"))
    return replace(response, text=(*response.text, *text), reasoning=(*response.reasoning, *reasoning))


RESPONSES = Reader(read_response, read_prompt, read_pieces)
