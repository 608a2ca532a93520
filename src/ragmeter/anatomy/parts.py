"""Where the tokens of a prompt came from: parts that sum exactly to the provider's total. Pure.

Order is the order on the wire (tools, system, messages), because what a cache gives cheaply is the prompt's front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ragmeter.domain.model import Fate, KnownChunk, Origin, Prompt, PromptPart, Role
from ragmeter.domain.pausing import LONG_TEXT, blocks

Span = tuple[int, int]

_FRONT = (Origin.TOOLS, Origin.SYSTEM)

FRAMING = 8
"""Tokens at most that a provider adds around each part of a chat: OpenAI's formats take three or four."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk stands in a prompt: the part's number and the stretches of characters in it."""

    chunk: KnownChunk
    part: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class JudgedPlace:
    """A place of a chunk and what became of it: `is_stale` when it stands in an earlier turn of the conversation."""

    chunk: KnownChunk
    fate: Fate
    is_stale: bool = False
    is_cited: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the prompt with one origin, in wire order.

    `weight` is its approximate number of tokens, `place` the number of the chunk's place where it is one; `span` is the
    stretch of characters of its part, the `source`.
    """

    origin: Origin
    weight: float
    place: int | None = None
    source: str = field(default="", repr=False)
    span: Span = (0, 0)

    @property
    def text(self) -> str:
        """The stretch itself: a copy, which those who only weigh it do without."""
        return self.source[slice(*self.span)]


@dataclass(frozen=True, slots=True)
class Dissection:
    """A prompt taken apart, before anything is known of its total: its segments, and the places of chunks in it.

    `is_exact` says that the weights are counts of the model's own tokens, so that what is beyond them is framing;
    `unsettled` are chunks retrieved for the same query that may stand where nobody looked: a bound was reached.
    """

    segments: tuple[Segment, ...] = ()
    places: tuple[JudgedPlace, ...] = ()
    unread: Origin | None = None
    is_exact: bool = False
    unsettled: tuple[KnownChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """A segment of the prompt and the whole tokens it was given of the provider's total."""

    origin: Origin
    tokens: int
    place: int | None = None


def current_turn(parts: Sequence[PromptPart]) -> tuple[int, int]:
    """The first and the last of the user's parts that ask what is to be answered; (-1, -1) when nobody asks.

    A turn may have several blocks and documents among them; what a tool returned in it stands after it.
    """
    last = max((number for number, part in enumerate(parts) if part.role is Role.USER), default=-1)
    first = last
    while first > 0 and parts[first - 1].role in (Role.USER, Role.DOCUMENT):
        first -= 1
    return first, last


def earlier_turns(parts: Sequence[PromptPart]) -> range:
    """The numbers of the parts of earlier turns; system texts among them, and documents before all turns, are none."""
    before_turns = (Role.TOOLS, Role.SYSTEM, Role.DOCUMENT)
    first = next((number for number, part in enumerate(parts) if part.role not in before_turns), len(parts))
    return range(first, max(first, current_turn(parts)[0]))


def question_of(prompt: Prompt, places: Sequence[Place] = ()) -> str:
    """The text of the last user turn, without the chunks that stand in it; of very long stretches both ends."""
    first, last = current_turn(prompt.parts)
    by_part = _spans_by_part(places)
    texts: list[str] = []
    for number in range(max(0, first), last + 1):
        part = prompt.parts[number]
        if part.role is Role.USER:
            for place, start, end in _stretches(len(part.text), by_part.get(number, ())):
                if place is None and end - start > LONG_TEXT:
                    half = LONG_TEXT // 2
                    texts += [part.text[start : start + half], part.text[end - half : end]]
                elif place is None:
                    texts.append(part.text[start:end])
    return "\n".join(texts)


def segments(
    prompt: Prompt, places: Sequence[Place], weigh: Callable[[str], float], tools_factor: float = 1.0
) -> tuple[Segment, ...]:
    """The prompt cut at the places of its chunks, in wire order; tools weigh `tools_factor` of their text."""
    first, last = current_turn(prompt.parts)
    by_part = _spans_by_part(places)
    result: list[Segment] = []
    for number, part in enumerate(prompt.parts):
        origin = _origin(part, in_last_turn=first <= number <= last)
        factor = tools_factor if origin is Origin.TOOLS else 1.0
        for place, start, end in _stretches(len(part.text), by_part.get(number, ())):
            weight = _weight(part.text, start, end, weigh) * factor
            kind = origin if place is None else Origin.CONTEXT
            result.append(Segment(kind, weight, place, part.text, (start, end)))
    return tuple(result)


def _weight(text: str, start: int, end: int, weigh: Callable[[str], float]) -> float:
    """The weight of a stretch, which is not copied in one piece where it is very long."""
    if end - start <= LONG_TEXT or end - start == len(text):
        return weigh(text[start:end])
    return sum(weigh(text[start + at : start + to]) for at, to in blocks(end - start, LONG_TEXT))


def _spans_by_part(places: Sequence[Place]) -> dict[int, list[tuple[int, int, int]]]:
    """The stretches of places by the part they stand in, each with the number of its place."""
    by_part: dict[int, list[tuple[int, int, int]]] = {}
    for index, place in enumerate(places):
        by_part.setdefault(place.part, []).extend((start, end, index) for start, end in place.spans)
    return by_part


def _stretches(length: int, spans: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int | None, int, int]]:
    """A text of this length cut up: the number of a place, or none, and where it begins and ends.

    Where two places overlap the first one has it.
    """
    cursor = 0
    for start, end, place in sorted(spans):
        if start > cursor:
            yield None, cursor, start
        if end > max(start, cursor):
            yield place, max(start, cursor), end
        cursor = max(cursor, end)
    if cursor < length:
        yield None, cursor, length


def _origin(part: PromptPart, *, in_last_turn: bool) -> Origin:
    match part.role:
        case Role.TOOLS:
            return Origin.TOOLS
        case Role.SYSTEM:
            return Origin.SYSTEM
        case Role.DOCUMENT:
            return Origin.CONTEXT
        case Role.TOOL:
            return Origin.TOOL_RESULTS
        case Role.USER if in_last_turn:
            return Origin.QUESTION
    return Origin.HISTORY


def apportion(dissection: Dissection, total: int) -> tuple[Share, ...]:
    """Share out exactly `total` tokens over the segments by weight.

    Whole tokens by largest remainder, first among the origins and then within each: so a chunk more never takes a token
    from the context. What no text accounts for goes to its own origin: all of it when there is no text, with images or
    stored turns in the prompt whatever the text's own estimate leaves, with exact weights the framing.
    """
    if total <= 0:
        return ()
    parts = _with_unread(dissection, total)
    if sum(part.weight for part in parts) <= 0:
        return (Share(dissection.unread or Origin.OTHER, total),)
    origins = list(dict.fromkeys(part.origin for part in parts))
    groups = [[part.weight for part in parts if part.origin is origin] for origin in origins]
    totals = _largest_remainder([sum(group) for group in groups], total)
    tokens = {
        origin: iter(_largest_remainder(group, count))
        for origin, group, count in zip(origins, groups, totals, strict=True)
    }
    shares = [Share(part.origin, next(tokens[part.origin]), part.place) for part in parts]
    return tuple(share for share in shares if share.tokens)


def _with_unread(dissection: Dissection, total: int) -> Sequence[Segment]:
    parts = dissection.segments
    surplus = total - sum(part.weight for part in parts)
    if surplus <= 0 or not parts:
        return parts
    if dissection.unread is Origin.HISTORY:
        front = next((at for at, part in enumerate(parts) if part.origin not in _FRONT), len(parts))
        return (*parts[:front], Segment(Origin.HISTORY, surplus), *parts[front:])
    if dissection.unread is not None:
        return (*parts, Segment(dissection.unread, surplus))
    has_tools = any(part.origin is Origin.TOOLS for part in parts)
    if dissection.is_exact and not has_tools and surplus <= FRAMING * (len(parts) + 1):
        return (*parts, Segment(Origin.OTHER, surplus))
    return parts


def _largest_remainder(weights: Sequence[float], total: int) -> list[int]:
    weight = sum(weights)
    if weight <= 0:
        return [0] * len(weights)
    exact = [each * total / weight for each in weights]
    tokens = [int(value) for value in exact]
    by_remainder = sorted(range(len(weights)), key=lambda index: tokens[index] - exact[index])
    for index in by_remainder[: total - sum(tokens)]:
        tokens[index] += 1
    return tokens
