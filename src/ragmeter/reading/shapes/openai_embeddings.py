"""OpenAI's embeddings: texts or token lists in, vectors and a prompt token count out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ragmeter.domain.model import Prompt, Response, Usage
from ragmeter.reading.declaration import Reader
from ragmeter.reading.leaves import leaves_of
from ragmeter.reading.shapes.costs import COSTS
from ragmeter.reading.shapes.documents import read_input
from ragmeter.reading.shapes.fields import field, items, named
from ragmeter.reading.shapes.usage import read_usage

KEPT = ("model", "usage", *COSTS, "provider_metadata")
"""What is read of an answer, beside whether there are vectors in it."""


def read_prompt(body: Any) -> Prompt:
    """The texts to embed; of inputs given as token numbers only how many there are."""
    return read_input(field(body, "input"))


def read_response(result: Any) -> Response:
    """Model and usage; the vectors themselves are not kept. What was embedded took a token, whatever a server says."""
    told = read_usage(field(result, "usage"), result)
    is_answer = told is not None or bool(items(field(result, "data")))
    return Response(named(result, "model"), usage=_input_of(told), unanswered=not is_answer)


def _input_of(told: Usage | None) -> Usage | None:
    """The counts of what was given: nothing is made here, so the total is the input where that has no name or is 0."""
    if told is None:
        return None
    tokens = told.input_tokens or told.total_tokens or None
    # What else is in the total has a price that nobody tells: pictures.
    is_more = tokens is not None and (told.total_tokens or 0) > tokens
    inexact = told.inexact or is_more
    known = replace(told, input_tokens=tokens, output_tokens=None, reasoning_tokens=None, inexact=inexact)
    return None if tokens is None and known.reported_cost is None else known


def hold(result: Any) -> object:
    """What is read of an answer: not the vectors, which are thousands of numbers. Bytes are left to be parsed."""
    if isinstance(result, bytes):
        return result
    kept = {name: leaves_of(field(result, name)) for name in KEPT}
    return {**kept, "data": (True,) if items(field(result, "data")) else ()}


EMBEDDINGS = Reader(read_response, read_prompt, hold=hold)
