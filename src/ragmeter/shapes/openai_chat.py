"""OpenAI's chat and legacy completions, as the openai, groq and together clients and all compatible servers speak them.

Usage counts include cached and cache-write tokens in the prompt and reasoning in the completion
(https://platform.openai.com/docs/api-reference/chat/object); unknown detail fields may be plain dictionaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragmeter.integration import Reader
from ragmeter.model import Origin, Prompt, PromptPart, Response, Role, Usage
from ragmeter.shapes.documents import Read, either, json_text, read_content, read_documents, unread_iterators
from ragmeter.shapes.fields import amount, count, field, items, strings_in

TEXTS = ("content", "refusal")
ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
REASONING = ("reasoning_content", "reasoning", "reasoning_details")
"""The names servers have for one text: only the first that is there counts."""

SCHEMAS = (("response_format",), ("text", "format"), ("output_config", "format"), ("output_format",))
"""Where a request says what form the answer must have: in chats, Responses, Messages and their first beta."""


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


def definitions(tools: Any) -> list[PromptPart]:
    """Definitions given to the model, wherever they stand."""
    return [PromptPart(Role.TOOLS, json_text(tool)) for tool in items(tools)]


def read_messages(messages: Any) -> Read:
    """The texts of chat messages with the role each has, tool calls and reasoning among the assistant's."""
    parts: list[PromptPart] = []
    unread: Origin | None = None
    for message in items(messages):
        role = ROLES.get(field(message, "role"), Role.USER)
        name, content = field(message, "name"), field(message, "content")
        if isinstance(name, str):
            parts.append(PromptPart(role, name))
        if isinstance(content, str):
            parts.append(PromptPart(role, content))
        elif content is not None:
            content_parts, content_unread = read_content(role, content)
            parts += content_parts
            unread = either(unread, content_unread)
        if role is Role.ASSISTANT:
            parts += [PromptPart(role, text) for text in _own_texts(message)]
            if field(message, "audio") is not None:
                # It names an earlier answer, whose sound the provider has kept.
                unread = either(unread, Origin.HISTORY)
    return parts, unread


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
        front = next((at for at, part in enumerate(messages) if part.role is not Role.SYSTEM), len(messages))
        messages[front:front] = documents
    left = unread_iterators(body, "tools", "functions", "documents", "messages")
    return Prompt((*tool_definitions(body), *messages), either(either(unread, documents_unread), left))


def read_completion_prompt(body: Any) -> Prompt:
    """The prompt of a legacy completion request body: one text, or several for several answers, and what follows."""
    prompt = field(body, "prompt")
    given = [*(items(prompt) or (prompt,)), field(body, "suffix")]
    texts = [text for text in given if isinstance(text, str)]
    is_encoded = any(not isinstance(text, str) for text in items(prompt))
    return Prompt(tuple(PromptPart(Role.USER, text) for text in texts), Origin.OTHER if is_encoded else None)


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
        reasoning=tuple(text for choice in choices for text in _choice_reasoning(choice, "message")),
    )


def read_completion_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    """The next chunks of a completion stream: usage is the last that is not null, wherever it stands."""
    model, identifier, tier, usage = so_far.model, so_far.id, so_far.service_tier, so_far.usage
    reasons, text, reasoning = list(so_far.finish_reasons), list(so_far.text), list(so_far.reasoning)
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
            reasoning += _choice_reasoning(choice, "delta")
            if reason := field(choice, "finish_reason"):
                reasons.append(str(reason))
    return Response(
        model, identifier, tuple(reasons), usage, service_tier=tier, text=tuple(text), reasoning=tuple(reasoning)
    )


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
        function = field(call, "function", field(call, "custom"))
        texts += [text for name in ("name", "arguments", "input") if isinstance(text := field(function, name), str)]
    return texts


def _choice_reasoning(choice: Any, holder: str) -> list[str]:
    message = field(choice, holder)
    found = [text for name in REASONING if message is not None and isinstance(text := field(message, name), str)]
    return found[:1]


CHAT = Reader(read_completion, read_chat_prompt, read_completion_pieces, is_extra=is_usage_piece)
TEXT_COMPLETION = Reader(read_completion, read_completion_prompt, read_completion_pieces, is_extra=is_usage_piece)
