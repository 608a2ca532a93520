"""Where the tokens of a prompt came from: parts that sum exactly to the provider's total. Pure.

Order is the order on the wire (tools, system, messages), because what a cache gives cheaply is the prompt's front.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragmeter.model import Chunk, Origin, Prompt, PromptPart, Role
from ragmeter.weights import weigh

LEAST_CHUNK = 20
"""Characters below which a chunk is not looked for: such texts occur by chance."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk stands in a prompt: the part's number and the span of characters in it."""

    chunk: Chunk
    part: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the prompt with one origin, in wire order; `weight` is its approximate number of tokens."""

    origin: Origin
    weight: float


@dataclass(frozen=True, slots=True)
class Share:
    """A stretch of the prompt and the whole tokens it was given of the provider's total."""

    origin: Origin
    tokens: int


def locate(prompt: Prompt, chunks: Iterable[Chunk]) -> tuple[Place, ...]:
    """The places in `prompt` where a chunk's text stands exactly, without overlaps, longest chunk first."""
    taken: dict[int, list[tuple[int, int]]] = {}
    places: list[Place] = []
    for chunk in sorted(chunks, key=lambda chunk: -len(chunk.text)):
        text = chunk.text.strip()
        if len(text) < LEAST_CHUNK:
            continue
        for number, part in enumerate(prompt.parts):
            start = part.text.find(text) if part.role is not Role.TOOLS else -1
            if start < 0:
                continue
            end = start + len(text)
            spans = taken.setdefault(number, [])
            if all(end <= other_start or start >= other_end for other_start, other_end in spans):
                spans.append((start, end))
                places.append(Place(chunk, number, start, end))
    return tuple(places)


def segments(prompt: Prompt, places: Sequence[Place]) -> tuple[Segment, ...]:
    """The prompt cut at the places of its chunks, in wire order."""
    question = max((number for number, part in enumerate(prompt.parts) if part.role is Role.USER), default=-1)
    question_start = _turn_start(prompt.parts, question)
    result: list[Segment] = []
    for number, part in enumerate(prompt.parts):
        origin = _origin(part, in_last_turn=question_start <= number <= question)
        cursor = 0
        for place in sorted((place for place in places if place.part == number), key=lambda place: place.start):
            _add(result, origin, part.text[cursor : place.start])
            _add(result, Origin.CONTEXT, part.text[place.start : place.end])
            cursor = place.end
        _add(result, origin, part.text[cursor:])
    return tuple(result)


def apportion(parts: Sequence[Segment], total: int, *, has_media: bool = False) -> tuple[Share, ...]:
    """Share out exactly `total` tokens over the segments by weight, whole tokens by largest remainder.

    What no text accounts for goes to `other`: everything when there is no text, and with images or audio in the
    prompt whatever the text's own estimate leaves.
    """
    weight = sum(part.weight for part in parts)
    if weight <= 0 or total <= 0:
        return (Share(Origin.OTHER, total),) if total > 0 else ()
    if has_media and weight < total:
        parts = (*parts, Segment(Origin.OTHER, total - weight))
        weight = float(total)
    exact = [part.weight * total / weight for part in parts]
    tokens = [int(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: tokens[index] - exact[index])
    for index in by_remainder[: total - sum(tokens)]:
        tokens[index] += 1
    return tuple(Share(part.origin, count) for part, count in zip(parts, tokens, strict=True) if count)


def _turn_start(parts: Sequence[PromptPart], question: int) -> int:
    """The first of the user's texts that stand together with the last one: a turn may have several blocks."""
    start = question
    while start > 0 and parts[start - 1].role is Role.USER:
        start -= 1
    return start


def _origin(part: PromptPart, *, in_last_turn: bool) -> Origin:
    match part.role:
        case Role.TOOLS:
            return Origin.TOOLS
        case Role.SYSTEM:
            return Origin.SYSTEM
        case Role.TOOL:
            return Origin.TOOL_RESULTS
        case Role.USER if in_last_turn:
            return Origin.QUESTION
    return Origin.HISTORY


def _add(result: list[Segment], origin: Origin, text: str) -> None:
    if text:
        result.append(Segment(origin, weigh(text)))
