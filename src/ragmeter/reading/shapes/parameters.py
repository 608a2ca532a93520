"""The parameters of a request body that spans show, wherever a provider's API has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ragmeter.domain.model import Parameter
from ragmeter.reading.shapes.fields import items, named
from ragmeter.reading.shapes.openai_chat import SCHEMAS

NUMBERS = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "max_tokens", "seed")
LIMITS = ("max_completion_tokens", "max_output_tokens")
"""Later names of `max_tokens`."""

LEVELS = (("reasoning_effort",), ("reasoning", "effort"), ("output_config", "effort"))
"""Where a level of reasoning stands: in chats, in Responses and at routers, in Messages."""

STEERING = frozenset(
    (
        *("n", "stop", "stop_sequences", "previous_response_id", "conversation", "modalities"),
        *(path[0] for path in (*LEVELS, *SCHEMAS)),
    )
)
"""The fields of a request that hold what is no number: most requests have none of them."""

OUTPUT_TYPES = {"json_object": "json", "json_schema": "json", "text": "text"}
"""Kinds of form, and the type of output that each is."""


def read_parameters(body: Any) -> dict[str, Parameter]:
    """The parameters of a request body: those under `gen_ai.request.` by the rest of their name, others by their own.

    Text of any length may stand here: `gate.parameters` bounds it.
    """
    if not isinstance(body, Mapping):
        return {}
    return {name: value for name, value in _parameters(body) if value is not None and value != ()}


def _parameters(body: Mapping[str, Any]) -> Iterator[tuple[str, Parameter | None]]:
    for name in NUMBERS:
        if name in body:
            yield name, _number(body[name])
    for name in LIMITS:
        if (limit := _number(body.get(name))) is not None:
            yield "max_tokens", limit
            break
    if not STEERING.isdisjoint(body):
        yield from _steering(body)


def _steering(body: Mapping[str, Any]) -> Iterator[tuple[str, Parameter | None]]:
    choices = body.get("n")
    yield "choice.count", choices if isinstance(choices, int) and choices != 1 else None
    yield "stop_sequences", _stops(body.get("stop", body.get("stop_sequences")))
    yield "reasoning.level", next((level for path in LEVELS if (level := named(body, *path))), None)
    yield "previous_response.id", named(body, "previous_response_id")
    yield "conversation.id", _conversation(body.get("conversation"))
    yield "output.type", _output_type(body)


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _stops(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple([text for text in items(given) if isinstance(text, str)])


def _conversation(given: Any) -> str | None:
    """The id of a conversation that the provider keeps: given as such, or as an object that has it."""
    return given if isinstance(given, str) else named(given, "id")


def _output_type(body: Mapping[str, Any]) -> str | None:
    """What kind of answer was asked for; `None` where the request leaves it to the model."""
    if "audio" in items(body.get("modalities")):
        return "speech"
    kinds = (named(body, *path, "type") for path in SCHEMAS)
    return next((OUTPUT_TYPES[kind] for kind in kinds if kind in OUTPUT_TYPES), None)
