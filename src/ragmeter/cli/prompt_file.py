"""Reads a prompt from a JSON file as if the call had just been made, to look at one prompt by itself."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragmeter.anatomy.wire_order import on_the_wire
from ragmeter.domain.model import Chunk, Operation, OperationKind, Request, Response
from ragmeter.reading.declaration import Reader
from ragmeter.reading.shapes.anthropic_messages import MESSAGES
from ragmeter.reading.shapes.openai_chat import CHAT, TEXT_COMPLETION
from ragmeter.reading.shapes.openai_responses import RESPONSES
from ragmeter.reading.shapes.passages import read_passages, take_passages

EXPECTED = (
    'expected the body of a request to a provider ({"model": ..., "messages": [...]}), or '
    '{"request": body, "response": body, "chunks": [text, ...]}, where response and chunks may be left out'
)
RESPONSE = 'write the body of the provider\'s answer, or its text as one string, or leave "response" out'
CHUNKS = 'write a text, or an object such as {"id": ..., "text": ..., "score": ...}'

STANDARD_INPUT = Path("-")

FOREIGN_ROLES = ("system", "developer", "tool", "function")
"""Roles of OpenAI's chat that Anthropic's messages do not have."""


class PromptFileError(ValueError):
    """A file without a prompt; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """The call a file tells of, and what was retrieved for it; `has_response` when the answer stands there too."""

    operation: Operation
    chunks: tuple[Chunk, ...]
    has_response: bool


def read_prompt_file(path: Path, provider: str | None = None) -> PromptFile:
    """Read the file at `path`, `-` for standard input; without `provider` the form of the request tells it.

    Raises `PromptFileError` for a file that cannot be read or holds no prompt.
    """
    try:
        return _read(_content(path), provider)
    except PromptFileError as error:
        name = "standard input" if path == STANDARD_INPUT else str(path)
        raise PromptFileError(f"{name}: {error}") from error.__cause__


def _content(path: Path) -> Any:
    try:
        data = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise PromptFileError(f"cannot be read: {error.strerror}") from error
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PromptFileError(f"it is not in UTF-8, the encoding of JSON (byte {error.start})") from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise PromptFileError(
                f"it holds more than one JSON value (the second in line {error.lineno}): "
                "put the one request to look at into a file of its own"
            ) from error
        raise PromptFileError(f"it is not valid JSON: {error}; {EXPECTED}") from error
    except RecursionError as error:
        raise PromptFileError(f"it is nested too deeply; {EXPECTED}") from error


def _read(content: Any, provider: str | None) -> PromptFile:
    body = content.get("request", content) if isinstance(content, Mapping) else None
    if not isinstance(body, Mapping):
        raise PromptFileError(EXPECTED)
    answer, chunks = content.get("response"), _chunks(content.get("chunks"))
    kind, system, reader = _form(body, answer, provider)
    prompt = reader.prompt(body)
    if not prompt.fragments and prompt.unread is None:
        raise PromptFileError(f"it holds no prompt, as there is no text in the request: {EXPECTED}")
    model, response = body.get("model"), _response(answer, reader)
    model = model if isinstance(model, str) else None
    operation = Operation(
        request=Request(kind, system, model=model),
        response=response,
        prompt=on_the_wire(prompt, system, response.model or model),
        started=time.time_ns(),
        duration=0.0,
    )
    return PromptFile(operation, chunks, answer is not None)


def _chunks(given: Any) -> tuple[Chunk, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise PromptFileError(f'"chunks" must be a list: for each chunk {CHUNKS}')
    chunks = read_passages(take_passages(given))
    for chunk in chunks:
        if not chunk.text.strip():
            raise PromptFileError(f'number {chunk.rank + 1} of "chunks" has no text: {CHUNKS}')
    return chunks


def _response(answer: Any, reader: Reader) -> Response:
    """The answer of which perhaps only the text is known."""
    if answer is None:
        return Response()
    if isinstance(answer, str):
        return Response(text=(answer,))
    response = reader.response(answer) if isinstance(answer, Mapping) else Response()
    if response.usage is None and not (response.text or response.reasoning or response.finish_reasons):
        raise PromptFileError(f'"response" holds neither an answer nor usage in the form of this request: {RESPONSE}')
    return response


def _form(body: Mapping[str, Any], answer: Any, provider: str | None) -> tuple[OperationKind, str, Reader]:
    if isinstance(body.get("messages"), list):
        return _form_of_messages(body, answer, provider)
    if "input" in body or "instructions" in body:
        return OperationKind.CHAT, provider or "openai", RESPONSES
    if "prompt" in body:
        return OperationKind.TEXT_COMPLETION, provider or "openai", TEXT_COMPLETION
    raise PromptFileError(f"it holds no prompt: {EXPECTED}")


def _form_of_messages(body: Mapping[str, Any], answer: Any, provider: str | None) -> tuple[OperationKind, str, Reader]:
    maker = provider or _maker(str(body.get("model") or ""))
    if _is_messages(body, answer, maker):
        return OperationKind.CHAT, provider or "anthropic", MESSAGES
    return OperationKind.CHAT, maker, CHAT


def _maker(model: str) -> str:
    """Whose price a model has when nobody says: routers write the maker before a slash, only Anthropic makes Claude."""
    if "/" in model:
        return "openrouter"
    return "anthropic" if model.startswith("claude") else "openai"


def _is_messages(body: Mapping[str, Any], answer: Any, provider: str) -> bool:
    """Whether this is a body of Anthropic's own API; Claude also answers requests in the form of OpenAI's."""
    messages: Sequence[Any] = body["messages"]
    roles = {message.get("role") for message in messages if isinstance(message, Mapping)}
    answered = answer if isinstance(answer, Mapping) else {}
    if not roles.isdisjoint(FOREIGN_ROLES) or "choices" in answered:
        return False
    return "system" in body or answered.get("type") == "message" or provider == "anthropic"
