"""OpenAI's embeddings: texts or token lists in, vectors and a prompt token count out."""

from __future__ import annotations

from typing import Any

from ragmeter.integration import Reader
from ragmeter.leaves import leaves_of
from ragmeter.model import Prompt, PromptPart, Response, Role, Usage
from ragmeter.shapes.fields import amount, count, field, items


def read_prompt(body: Any) -> Prompt:
    """The texts to embed; inputs given as token numbers are left out."""
    given = field(body, "input")
    texts = [given] if isinstance(given, str) else [text for text in items(given) if isinstance(text, str)]
    return Prompt(tuple(PromptPart(Role.USER, text) for text in texts))


def read_response(result: Any) -> Response:
    """Model and usage; the vectors themselves are not kept."""
    usage = field(result, "usage")
    tokens = count(usage, "prompt_tokens")
    if tokens is None:
        return Response(model=field(result, "model"))
    read = Usage(input_tokens=tokens, total_tokens=count(usage, "total_tokens"), reported_cost=amount(usage, "cost"))
    return Response(model=field(result, "model"), usage=read)


def hold(result: Any) -> object:
    """What is read of an answer: not the vectors, which are thousands of numbers. Bytes are left to be parsed."""
    if isinstance(result, bytes):
        return result
    return {name: leaves_of(field(result, name)) for name in ("model", "usage")}


EMBEDDINGS = Reader(read_response, read_prompt, hold=hold)
