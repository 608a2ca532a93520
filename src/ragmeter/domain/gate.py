"""What comes from outside passes here before it enters a total, a span or a label: numbers, amounts and names. Pure.

A provider's answer is not to be trusted: one count of 10**20 ends an app's metric export, a negative one makes a
counter fall, a list where a name belongs breaks every table it is looked up in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from itertools import islice
from math import isfinite
from typing import Any

from ragmeter.domain.model import Chunk, OperationKind, Parameter, Prompt, Response, Usage, Within
from ragmeter.domain.pausing import Pause, paused, without_pause

MOST = 2**53
"""The first whole number that a float, as which metrics travel, can no longer tell from its neighbour."""

NO_COUNTS = ("units", "inexact")
"""Fields of a usage that are no number."""

COUNTED = tuple(each.name for each in fields(Usage) if each.name not in NO_COUNTS)

MOST_UNITS = 64
"""Kinds of billed units of one operation: no provider has as many."""

MOST_NAMES = 16
"""Names of a list that are kept, such as the texts at which an answer stops."""

MOST_CALLS = 64
"""Tool calls of one answer, and results of tools in one request, whose ids are kept."""

MOST_WITHIN = 64
"""Operations within one call that are counted beside it."""

LONGEST_NAME = 200
"""Characters of a name that are kept: model ids and collections are shorter, ARNs of Bedrock reach 150."""


def whole(value: Any) -> int | None:
    """`value` as a count: a finite number from 0 to below 2**53, its fraction cut off; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A comparison with NaN is false.
    return int(value) if 0 <= value < MOST else None


def amount(value: Any) -> float | None:
    """`value` as an amount that may have a fraction: finite, from 0 to below 2**53; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < MOST else None


def name(value: Any) -> str | None:
    """`value` as a name: text that every exporter can encode, cut to 200 characters; `None` for what is no text."""
    if not isinstance(value, str):
        return None
    return text(value if len(value) <= LONGEST_NAME else value[:LONGEST_NAME])


def text(value: str) -> str:
    """`value` as every exporter can encode it: a lone half of a surrogate pair becomes `?`."""
    # Most texts are ASCII: one look at each.
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def prompt(read: Prompt) -> Prompt:
    """What a reader made of a request; `TypeError` for what is none, so that the rest of the operation goes on."""
    if not isinstance(read, Prompt):
        raise TypeError(f"a reader gave {type(read).__name__} for a prompt")
    return read


def parameters(read: Mapping[str, Any]) -> dict[str, Parameter]:
    """Parameters of a request as spans can hold them: finite numbers, names, and the first of many names."""
    admitted = {key: _parameter(value) for key, value in read.items()}
    return {key: value for key, value in admitted.items() if value is not None}


def _parameter(value: Any) -> Parameter | None:
    if isinstance(value, tuple):
        return _names(value[:MOST_NAMES])
    if isinstance(value, int | float):
        return value if abs(value) < MOST else None
    return name(value)


def response(read: Response, pause: Pause = without_pause) -> Response:
    """What a reader made of an answer, with nothing in it that a total, a label or a table could not take."""
    admitted: dict[str, Any] = {
        "model": name(read.model),
        "id": name(read.id),
        "finish_reasons": _names(read.finish_reasons),
        "calls": _names(read.calls)[:MOST_CALLS],
        "usage": None if read.usage is None else usage(read.usage),
        "service_tier": name(read.service_tier) or None,
        "speed": name(read.speed) or None,
        "text": _texts(read.text),
        "reasoning": _texts(read.reasoning),
        "chunks": _chunks(read.chunks, pause),
    }
    # Most answers are in order: then there is nothing to copy.
    changed = {each: value for each, value in admitted.items() if value is not getattr(read, each)}
    return replace(read, **changed) if changed else read


def within(read: Iterable[Within]) -> Iterator[Within]:
    """What a provider made within a call, read when it is asked for: the first of very many."""
    for each in islice(read, MOST_WITHIN):
        yield replace(
            each,
            kind=OperationKind(each.kind),
            model=name(each.model),
            provider=name(each.provider) or None,
            usage=None if each.usage is None else usage(each.usage),
            texts=_texts(each.texts),
        )


def usage(read: Usage) -> Usage:
    """Counts, units and a cost that can be added up: one that cannot is not known."""
    changed: dict[str, Any] = {} if read.units == {} else {"units": _units(read.units)}
    for each in COUNTED:
        given = getattr(read, each)
        if given is not None:
            admitted = amount(given) if each == "reported_cost" else whole(given)
            if admitted is None or admitted != given:
                changed[each] = admitted
    return replace(read, **changed) if changed else read


def _units(read: Any) -> dict[str, float]:
    """The billed units by name, the first of very many."""
    given = islice(read.items(), MOST_UNITS) if isinstance(read, Mapping) else ()
    known = {name(unit): amount(number) for unit, number in given}
    return {unit: number for unit, number in known.items() if unit and number is not None}


def _names(values: tuple[Any, ...]) -> tuple[str, ...]:
    return _kept(values, [known for each in values if (known := name(each)) is not None]) if values else ()


def _texts(values: tuple[Any, ...]) -> tuple[str, ...]:
    return _kept(values, [each for each in values if isinstance(each, str)]) if values else ()


def _chunks(chunks: tuple[Chunk, ...], pause: Pause) -> tuple[Chunk, ...]:
    return _kept(chunks, [_chunk(each) for each in paused(chunks, pause)]) if chunks else ()


def _kept(given: tuple[Any, ...], admitted: list[Any]) -> tuple[Any, ...]:
    """What was given where it is what was admitted."""
    known = tuple(admitted)
    return given if known == given else known


def _chunk(chunk: Chunk) -> Chunk:
    given = (chunk.text, chunk.id, chunk.score, chunk.collection)
    text = chunk.text if isinstance(chunk.text, str) else ""
    score = chunk.score if isinstance(chunk.score, int | float) and isfinite(chunk.score) else None
    known = (text, name(chunk.id), score, name(chunk.collection))
    if known == given:
        return chunk
    return replace(chunk, text=text, id=known[1], score=score, collection=known[3])
