"""OpenAI's chat and legacy completions, as the openai, groq and together clients and all compatible servers speak them.

What a server answers is gathered in `chat_answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragmeter.domain.model import Origin, Prompt, PromptFragment, Response, Role
from ragmeter.reading.declaration import Reader
from ragmeter.reading.shapes.chat_answers import REASONING, Gathered
from ragmeter.reading.shapes.documents import (
    Read,
    either,
    json_text,
    read_content,
    read_documents,
    read_input,
    unread_iterators,
)
from ragmeter.reading.shapes.fields import field, items, named, strings_in
from ragmeter.reading.shapes.tool_calls import chat_results, results_after_question

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
SCHEMAS = (("response_format",), ("text", "format"), ("output_config", "format"), ("output_format",))
"""Where a request says what form the answer must have: in chats, Responses, Messages and their first beta."""


def tool_definitions(body: Any) -> list[PromptFragment]:
    """What the model is told it may call, and the schema its answer must have, as one JSON text each.

    They stand at the front of the prompt.
    """
    given = [*items(field(body, "tools")), *items(field(body, "functions"))]
    for path in SCHEMAS:
        form = body
        for name in path:
            form = field(form, name)
        if field(form, "type") == "json_schema":
            given.append(field(form, "json_schema", form))
    return definitions(given)


def definitions(tools: Any) -> list[PromptFragment]:
    """Definitions given to the model, wherever they stand."""
    return [PromptFragment(Role.TOOLS, json_text(tool)) for tool in items(tools)]


def role_of(message: Any, default: Role = Role.USER) -> Role:
    """Who wrote a message."""
    return ROLES.get(named(message, "role") or "", default)


def read_messages(messages: Any) -> Read:
    """The texts of chat messages with the role each has, tool calls and reasoning among the assistant's."""
    fragments: list[PromptFragment] = []
    unread: Origin | None = None
    for message in items(messages):
        role = role_of(message)
        name, content = field(message, "name"), field(message, "content")
        if isinstance(name, str):
            fragments.append(PromptFragment(role, name))
        if isinstance(content, str):
            fragments.append(PromptFragment(role, content))
        elif content is not None:
            content_fragments, content_unread = read_content(role, content)
            fragments += content_fragments
            unread = either(unread, content_unread)
        if role is Role.ASSISTANT:
            fragments += [PromptFragment(role, text) for text in _own_texts(message)]
            if field(message, "audio") is not None:
                # It names an earlier answer, whose sound the provider has kept.
                unread = either(unread, Origin.HISTORY)
    return fragments, unread


def _own_texts(message: Any) -> list[str]:
    reasoning = next((value for name in REASONING if (value := field(message, name)) is not None), None)
    calls = [field(call, "custom", field(call, "function", call)) for call in items(field(message, "tool_calls"))]
    if (call := field(message, "function_call")) is not None:
        calls.append(call)
    texts = [*strings_in(reasoning)[0], *strings_in(field(message, "refusal"))[0]]
    return texts + [call_text(call) for call in calls]


def call_text(call: Any) -> str:
    """A call of a tool as a model writes it: the name and what is given to it."""
    given = next((value for name in ("arguments", "input") if (value := field(call, name)) is not None), "")
    return f"{field(call, 'name', '')} {json_text(given)}"


def read_chat_prompt(body: Any) -> Prompt:
    """The prompt of a chat completion request body; documents beside the messages follow the first system texts."""
    messages, unread = read_messages(field(body, "messages"))
    documents, documents_unread = read_documents(field(body, "documents"))
    if documents:
        front = next((at for at, fragment in enumerate(messages) if fragment.role is not Role.SYSTEM), len(messages))
        messages[front:front] = documents
    left = unread_iterators(body, "tools", "functions", "documents", "messages")
    return Prompt(
        (*tool_definitions(body), *messages),
        either(either(unread, documents_unread), left),
        results=results_after_question(field(body, "messages"), chat_results),
    )


def read_completion_prompt(body: Any) -> Prompt:
    """The prompt of a legacy completion request body: one text, or several for several answers, and what follows."""
    return read_input(field(body, "prompt"), field(body, "suffix"))


def read_completion(result: Any) -> Response:
    """A whole chat or legacy completion."""
    gathered = Gathered(Response())
    gathered.take(result, "message")
    return gathered.response()


def read_completion_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    """The next chunks of a completion stream: of each count the last that is not zero holds, wherever it stands."""
    gathered = Gathered(so_far)
    for piece in pieces:
        gathered.take(piece, "delta")
    return gathered.response()


def is_usage_piece(piece: Any) -> bool:
    """Whether a chunk exists only to carry usage: no choices, but counts."""
    return not field(piece, "choices") and field(piece, "usage") is not None


CHAT = Reader(read_completion, read_chat_prompt, read_completion_pieces, is_extra=is_usage_piece)
TEXT_COMPLETION = Reader(read_completion, read_completion_prompt, read_completion_pieces, is_extra=is_usage_piece)
