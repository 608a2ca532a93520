"""OpenAI's Responses API: `input` items and `instructions` in, `output` items out, usage in a stream's last event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ragmeter.domain.model import Chunk, Origin, Prompt, PromptFragment, Response, Role, Usage
from ragmeter.reading.declaration import Reader
from ragmeter.reading.shapes.documents import Read, either, json_text, read_content, unread_iterators
from ragmeter.reading.shapes.fees import WEB_SEARCHES, billed, units_of_response
from ragmeter.reading.shapes.fields import entries, field, is_silent, items, named, score, strings_in, text_of
from ragmeter.reading.shapes.openai_chat import definitions, role_of, tool_definitions
from ragmeter.reading.shapes.tool_calls import item_calls, item_results, results_after_question
from ragmeter.reading.shapes.usage import counted, read_usage

FINAL_EVENTS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
"""The last one of a stream; OpenRouter calls it `response.done`."""

ITEM_DONE = "response.output_item.done"
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


def read_counts(result: Any) -> Usage | None:
    """The counts of a response object; `None` while it is queued or running, whatever it has counted so far."""
    if named(result, "status") in PENDING:
        return None
    told, units = read_usage(field(result, "usage"), result), units_of_response(result)
    if told is not None and WEB_SEARCHES in told.units:
        # What the usage counts stands above what the items show.
        units.pop(WEB_SEARCHES, None)
    return billed(told, units)


def read_prompt(body: Any) -> Prompt:
    """The prompt of a Responses request body; turns and templates that the provider keeps are unread history."""
    fragments = tool_definitions(body)
    instructions = field(body, "instructions")
    if isinstance(instructions, str):
        fragments.append(PromptFragment(Role.SYSTEM, instructions))
    kept = Origin.HISTORY if any(field(body, name) is not None for name in KEPT) else None
    unread = either(kept, unread_iterators(body, "tools", "input"))
    variables = field(field(body, "prompt"), "variables")
    given = [*(variables.values() if isinstance(variables, dict) else ()), *_input_items(field(body, "input"))]
    for item in given:
        item_fragments, item_unread = _read_item(item)
        fragments += item_fragments
        unread = either(unread, item_unread)
    return Prompt(
        tuple(fragments),
        unread,
        results=results_after_question(_input_items(field(body, "input")), item_results),
    )


def _input_items(given: Any) -> Sequence[Any]:
    return (given,) if isinstance(given, str) else tuple(items(given))


def _read_item(item: Any) -> Read:
    if isinstance(item, str):
        return [PromptFragment(Role.USER, item)], None
    kind, role = named(item, "type"), field(item, "role")
    if kind == "message" or (kind is None and role is not None):
        return read_content(role_of(item), field(item, "content"))
    if kind in INPUTS:
        return read_content(Role.USER, (item,))
    if kind in (None, "item_reference"):
        return [], Origin.HISTORY
    if kind == "configuration_update":
        return tool_definitions(item), None
    return _read_other(item, kind)


def _read_other(item: Any, kind: str) -> Read:
    """An item of a kind of its own: a call, its result, or what the model has thought."""
    writer = Role.TOOL if kind.endswith(RESULT_ENDINGS) else Role.ASSISTANT
    fragments, unread = _read_fields(item, role_of(item, writer))
    if not fragments and unread is None and kind not in EMPTY:
        unread = Origin.OTHER
    return fragments, unread


def _read_fields(item: Any, own: Role) -> Read:
    """What the model has asked for as one text, then definitions, texts and results."""
    call: list[str] = []
    fragments: list[PromptFragment] = []
    unread: Origin | None = None
    for name, value in entries(item) or ():
        if value is None or is_silent(name):
            continue
        if name in CALL_FIELDS:
            call.append(_asked_for(name, value))
        else:
            read_field = FIELDS.get(name, _read_strings)
            more, other = read_field(value, Role.TOOL if name in RESULT_FIELDS else own)
            fragments += more
            unread = either(unread, other)
    return ([PromptFragment(own, " ".join(call)), *fragments] if call else fragments), unread


def _asked_for(name: str, value: Any) -> str:
    return " ".join(strings_in(value)[0]) if name == "queries" else json_text(value)


def _read_strings(value: Any, writer: Role) -> Read:
    return _fragments_of(writer, strings_in(value))


def _read_texts(value: Any, writer: Role) -> Read:
    return _fragments_of(writer, text_of(value))


def _read_output(value: Any, writer: Role) -> Read:
    """What a tool has given, which is one text even where it holds bytes."""
    return ([PromptFragment(writer, value)], None) if isinstance(value, str) else _read_strings(value, writer)


def _read_definitions(value: Any, _: Role) -> Read:
    return definitions(value), None


def _read_encrypted(_: Any, __: Role) -> Read:
    """What the model has thought, or the turns it has summed up, in a form only the provider reads."""
    return [], Origin.HISTORY


def _fragments_of(writer: Role, found: tuple[list[str], bool]) -> Read:
    texts, is_opaque = found
    return [PromptFragment(writer, text) for text in texts], Origin.OTHER if is_opaque else None


FIELDS: Mapping[str, Callable[[Any, Role], Read]] = {
    "encrypted_content": _read_encrypted,
    "tools": _read_definitions,
    "output": _read_output,
    "results": _read_texts,
    "content": _read_texts,
}
"""How a field of an item is read that is no message; any other for the strings in it."""


def read_response(result: Any) -> Response:
    """A whole response object, also one that stopped early: the reason then stands for the status."""
    output = items(field(result, "output"))
    status = named(result, "incomplete_details", "reason") or named(result, "status")
    identifier, usage = named(result, "id"), read_counts(result)
    text, reasoning = _texts(output)
    return counted(
        Response(
            model=named(result, "model"),
            id=identifier,
            finish_reasons=(status,) if status else (),
            usage=usage,
            service_tier=named(result, "service_tier"),
            calls=item_calls(output),
            text=tuple(text),
            reasoning=tuple(reasoning),
            chunks=_chunks(output),
            retrieved=any(field(item, "type") == "file_search_call" for item in output),
            pending=status in PENDING,
            unanswered=not any((output, identifier, usage, status)),
        )
    )


def _texts(output: Iterable[Any]) -> tuple[list[str], list[str]]:
    """What was written for the reader, and what for the model itself."""
    text: list[str] = []
    reasoning: list[str] = []
    for item in output:
        if field(item, "type") == "reasoning":
            reasoning += text_of(field(item, "summary") or field(item, "content"))[0]
        else:
            text += _output_texts(item)
    return text, reasoning


def _chunks(output: Iterable[Any]) -> tuple[Chunk, ...]:
    """What the provider's file searches found, in the answer when the request says `include`."""
    searches = [item for item in output if field(item, "type") == "file_search_call"]
    results = [result for search in searches for result in items(field(search, "results"))]
    found = [result for result in results if isinstance(field(result, "text"), str)]
    return tuple(
        Chunk(field(result, "text"), named(result, "file_id"), score(result, "score"), rank)
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
        kind = named(piece, "type")
        if kind in FINAL_EVENTS:
            return _whole(field(piece, "response"), response, text, reasoning)
        if kind == ITEM_DONE:
            response = replace(response, told=(*(response.told or ()), field(piece, "item")))
        elif isinstance(delta := field(piece, "delta"), str):
            (reasoning if str(kind).startswith("response.reasoning") else text).append(delta)
        elif kind == "response.created":
            started = field(piece, "response")
            response = replace(response, model=named(started, "model"), id=named(started, "id"))
    return replace(response, text=(*response.text, *text), reasoning=(*response.reasoning, *reasoning))


def _whole(last: Any, so_far: Response, text: Sequence[str], reasoning: Sequence[str]) -> Response:
    """What the last event holds; items and texts that a server has left out of it are those it has streamed."""
    if not items(field(last, "output")) and so_far.told:
        last = {**dict(entries(last) or ()), "output": so_far.told}
    final = read_response(last)
    written, thought = (*so_far.text, *text), (*so_far.reasoning, *reasoning)
    told = replace(final, model=final.model or so_far.model, id=final.id or so_far.id)
    return counted(replace(told, text=told.text or written, reasoning=told.reasoning or thought))


RESPONSES = Reader(read_response, read_prompt, read_pieces)
