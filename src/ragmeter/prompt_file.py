"""A prompt in a JSON file, read as if the call had just been made: for looking at one prompt by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragmeter.integration import Reader
from ragmeter.model import Chunk, Operation, OperationKind, Request, Response
from ragmeter.shapes.anthropic_messages import MESSAGES
from ragmeter.shapes.openai_chat import CHAT, TEXT_COMPLETION
from ragmeter.shapes.openai_responses import RESPONSES
from ragmeter.shapes.passages import read_passages

EXPECTED = (
    'expected the body of a request to a provider ({"model": ..., "messages": [...]}), or '
    '{"request": body, "response": body, "chunks": [text, ...]} with the last two if you have them'
)


class PromptFileError(ValueError):
    """A file that holds no prompt; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """The call a file tells of, and what was retrieved for it; `has_response` when the answer stands there too."""

    operation: Operation
    chunks: tuple[Chunk, ...]
    has_response: bool


def read_prompt_file(path: Path, provider: str | None = None) -> PromptFile:
    """Read the file at `path`; `provider` is told by the form of the request where it is not given.

    Raises `PromptFileError` for a file that cannot be read or is no prompt.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PromptFileError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise PromptFileError(f"{path}: is no JSON: {error}; {EXPECTED}") from error
    if not isinstance(content, Mapping):
        raise PromptFileError(f"{path}: {EXPECTED}")
    body = content.get("request", content)
    if not isinstance(body, Mapping):
        raise PromptFileError(f"{path}: {EXPECTED}")
    kind, shape, reader = _shape(body, provider, path)
    answer, chunks = content.get("response"), content.get("chunks", [])
    if not isinstance(chunks, list):
        raise PromptFileError(f'{path}: "chunks" must be a list of texts or of objects with a "text"')
    model = body.get("model")
    operation = Operation(
        request=Request(kind, provider or shape, model=model if isinstance(model, str) else None),
        response=reader.response(answer) if isinstance(answer, Mapping) else _text_response(answer),
        prompt=reader.prompt(body),
        started=0,
        duration=0.0,
    )
    return PromptFile(operation, read_passages(chunks), answer is not None)


def _text_response(answer: Any) -> Response:
    """An answer of which only the text is known."""
    return Response(text=(answer,)) if isinstance(answer, str) else Response()


def _shape(body: Mapping[str, Any], provider: str | None, path: Path) -> tuple[OperationKind, str, Reader]:
    if isinstance(body.get("messages"), list):
        model = str(body.get("model", ""))
        if provider == "anthropic" or (provider is None and ("claude" in model or "system" in body)):
            return OperationKind.CHAT, "anthropic", MESSAGES
        return OperationKind.CHAT, "openai", CHAT
    if "input" in body:
        return OperationKind.CHAT, "openai", RESPONSES
    if "prompt" in body:
        return OperationKind.TEXT_COMPLETION, "openai", TEXT_COMPLETION
    raise PromptFileError(f"{path}: holds no prompt: {EXPECTED}")
