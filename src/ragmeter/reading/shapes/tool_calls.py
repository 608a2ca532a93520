"""The ids that join the calls of one question: of the tool calls an answer asks for, and of the results sent back.

Only the results after the last question count: those before it belong to what was answered earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ragmeter.domain import gate
from ragmeter.reading.shapes.fields import field, items, named

Ids = Sequence[str] | None
"""Those of one message or item; `None` for a question, where looking back ends."""

APPROVAL = "mcp_approval_request"
"""An item that asks the app for leave, instead of for a result."""


def call_ids(calls: Any) -> list[str]:
    """The ids of tool calls, those without one left out."""
    return [identifier for call in items(calls) if (identifier := named(call, "id"))]


def results_after_question(sent: Any, ids_of: Callable[[Any], Ids]) -> tuple[str, ...]:
    """What `ids_of` gives of the messages or items from the end of a request back to its last question."""
    found: list[str] = []
    for each in reversed(items(sent)):
        ids = ids_of(each)
        if ids is None or len(found) >= gate.MOST_CALLS:
            break
        found += ids
    return tuple(found[: gate.MOST_CALLS])


def chat_results(message: Any) -> Ids:
    """The id of the call whose result a chat message is."""
    role = field(message, "role")
    if role == "user":
        return None
    identifier = named(message, "tool_call_id") if role == "tool" else None
    return (identifier,) if identifier else ()


def message_results(message: Any) -> Ids:
    """The ids of the calls whose results stand in a turn of Anthropic's Messages, unless it asks something as well."""
    if field(message, "role") != "user":
        return ()
    blocks = items(field(message, "content"))
    if not blocks or any(field(block, "type") != "tool_result" for block in blocks):
        return None
    return [identifier for block in blocks if (identifier := named(block, "tool_use_id"))]


def item_results(item: Any) -> Ids:
    """The id of the call whose result an item of Responses is, or of the request for leave that it answers."""
    if isinstance(item, str) or field(item, "role") == "user" or str(field(item, "type")).startswith("input_"):
        return None
    identifier = named(item, "approval_request_id")
    if str(field(item, "type")).endswith("_output"):
        identifier = named(item, "call_id")
    return (identifier,) if identifier else ()


def item_calls(output: Iterable[Any]) -> tuple[str, ...]:
    """The ids of the calls in an answer of Responses that the app is to make: those the provider made have results."""
    asked: dict[str, None] = {}
    for item in output:
        kind = str(field(item, "type"))
        identifier = named(item, "id" if kind == APPROVAL else "call_id")
        if identifier and kind.endswith("_output"):
            asked.pop(identifier, None)
        elif identifier:
            asked[identifier] = None
    return tuple(asked)
