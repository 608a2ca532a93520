"""Where the tokens of a prompt came from: parts that sum exactly to the provider's total. Pure.

Order is the order on the wire (tools, system, messages), because what a cache gives cheaply is the prompt's front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice

from ragmeter.domain.model import Fate, KnownChunk, Origin, Prompt, PromptPart, Role
from ragmeter.domain.pausing import LONG_TEXT, Pause, blocks, in_order, paused, without_pause

Span = tuple[int, int]

_FRONT = (Origin.TOOLS, Origin.SYSTEM)

MOST_APART = 1_000
"""Segments beyond which those side by side that hold no chunk and have one origin are put together: ten thousand
results of tools are as many objects, which Python's garbage collector goes through with those of the app."""

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
    stretch of characters of its part, the `source`; `further` are the texts of others that were put to it.
    """

    origin: Origin
    weight: float
    place: int | None = None
    source: str = field(default="", repr=False)
    span: Span = (0, 0)
    further: tuple[str, ...] = field(default=(), repr=False)

    @property
    def text(self) -> str:
        """The stretch itself: a copy, which those who only weigh it do without."""
        return "\n".join((self.source[slice(*self.span)], *self.further))


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


def current_turn(parts: Sequence[PromptPart], pause: Pause = without_pause) -> tuple[int, int]:
    """The first and the last of the user's parts that ask what is to be answered; (-1, -1) when nobody asks.

    A turn may have several blocks and documents among them; what a tool returned in it stands after it.
    """
    backwards = paused(range(len(parts) - 1, -1, -1), pause)
    first = last = next((number for number in backwards if parts[number].role is Role.USER), -1)
    for number in paused(range(last - 1, -1, -1), pause):
        if parts[number].role not in (Role.USER, Role.DOCUMENT):
            break
        first = number
    return first, last


def earlier_turns(parts: Sequence[PromptPart], pause: Pause = without_pause) -> range:
    """The numbers of the parts of earlier turns; system texts among them, and documents before all turns, are none."""
    before_turns = (Role.TOOLS, Role.SYSTEM, Role.DOCUMENT)
    numbers = paused(range(len(parts)), pause)
    first = next((number for number in numbers if parts[number].role not in before_turns), len(parts))
    return range(first, max(first, current_turn(parts, pause)[0]))


def question_of(prompt: Prompt, places: Sequence[Place] = (), pause: Pause = without_pause) -> str:
    """The text of the last user turn, without the chunks that stand in it; of very long stretches both ends."""
    first, last = current_turn(prompt.parts, pause)
    by_part = _spans_by_part(places, pause)
    texts: list[str] = []
    for number in paused(range(max(0, first), last + 1), pause):
        part = prompt.parts[number]
        if part.role is Role.USER:
            for place, start, end in _stretches(len(part.text), by_part.get(number, ()), pause):
                if place is None and end - start > LONG_TEXT:
                    half = LONG_TEXT // 2
                    texts += [part.text[start : start + half], part.text[end - half : end]]
                elif place is None:
                    texts.append(part.text[start:end])
    return "\n".join(texts)


def segments(
    prompt: Prompt,
    places: Sequence[Place],
    weigh: Callable[[str], float],
    tools_factor: float = 1.0,
    pause: Pause = without_pause,
) -> tuple[Segment, ...]:
    """The prompt cut at the places of its chunks, in wire order; tools weigh `tools_factor` of their text."""
    cut = _cut(prompt, places, weigh, tools_factor, pause)
    apart = tuple(islice(cut, MOST_APART))
    return apart if len(apart) < MOST_APART else (*apart, *_together(cut))


def _cut(
    prompt: Prompt, places: Sequence[Place], weigh: Callable[[str], float], tools_factor: float, pause: Pause
) -> Iterator[Segment]:
    first, last = current_turn(prompt.parts, pause)
    by_part = _spans_by_part(places, pause)
    for number, part in enumerate(prompt.parts):
        origin = _origin(part, in_last_turn=first <= number <= last)
        factor = tools_factor if origin is Origin.TOOLS else 1.0
        for place, start, end in _stretches(len(part.text), by_part.get(number, ()), pause):
            weight = _weight(part.text, start, end, weigh) * factor
            kind = origin if place is None else Origin.CONTEXT
            yield Segment(kind, weight, place, part.text, (start, end))


def _together(cut: Iterator[Segment]) -> Iterator[Segment]:
    """The segments, those side by side that hold no chunk and have one origin as one."""
    for (_, place), group in groupby(cut, lambda segment: (segment.origin, segment.place)):
        if place is None:
            yield _as_one(group)
        else:
            yield from group


def _as_one(several: Iterator[Segment]) -> Segment:
    first = next(several)
    others = [(segment.weight, segment.text) for segment in several]
    weight = first.weight + sum([weight for weight, _ in others])
    return replace(first, weight=weight, further=tuple([text for _, text in others]))


def _weight(text: str, start: int, end: int, weigh: Callable[[str], float]) -> float:
    """The weight of a stretch, which is not copied in one piece where it is very long."""
    if end - start <= LONG_TEXT or end - start == len(text):
        return weigh(text[start:end])
    return sum(weigh(text[start + at : start + to]) for at, to in blocks(end - start, LONG_TEXT))


def _spans_by_part(places: Sequence[Place], pause: Pause) -> dict[int, list[tuple[int, int, int]]]:
    """The stretches of places by the part they stand in, each with the number of its place."""
    by_part: dict[int, list[tuple[int, int, int]]] = {}
    for index, place in enumerate(paused(places, pause)):
        by_part.setdefault(place.part, []).extend([(start, end, index) for start, end in place.spans])
    return by_part


def _stretches(
    length: int, spans: Sequence[tuple[int, int, int]], pause: Pause
) -> Iterator[tuple[int | None, int, int]]:
    """A text of this length cut up: the number of a place, or none, and where it begins and ends.

    Where two places overlap the first one has it.
    """
    cursor = 0
    for start, end, place in in_order(spans, pause):
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


def apportion(dissection: Dissection, total: int, pause: Pause = without_pause) -> tuple[Share, ...]:
    """Share out exactly `total` tokens over the segments by weight.

    Whole tokens by largest remainder, first among the origins and then within each: so a chunk more never takes a token
    from the context. What no text accounts for goes to its own origin: all of it when there is no text, with images or
    stored turns in the prompt whatever the text's own estimate leaves, with exact weights the framing.
    """
    if total <= 0:
        return ()
    parts = _with_unread(dissection, total, pause)
    groups: dict[Origin, list[float]] = {}
    for part in paused(parts, pause):
        groups.setdefault(part.origin, []).append(part.weight)
    weights = [sum(group) for group in groups.values()]
    if sum(weights) <= 0:
        return (Share(dissection.unread or Origin.OTHER, total),)
    totals = _largest_remainder(weights, total, pause)
    tokens = {
        origin: iter(_largest_remainder(group, count, pause))
        for (origin, group), count in zip(groups.items(), totals, strict=True)
    }
    given = [(part, next(tokens[part.origin])) for part in paused(parts, pause)]
    return tuple([Share(part.origin, count, part.place) for part, count in paused(given, pause) if count])


def _with_unread(dissection: Dissection, total: int, pause: Pause) -> Sequence[Segment]:
    parts = dissection.segments
    surplus = total - sum([part.weight for part in paused(parts, pause)])
    if surplus <= 0 or not parts:
        return parts
    if dissection.unread is Origin.HISTORY:
        front = next((at for at, part in enumerate(paused(parts, pause)) if part.origin not in _FRONT), len(parts))
        return (*parts[:front], Segment(Origin.HISTORY, surplus), *parts[front:])
    if dissection.unread is not None:
        return (*parts, Segment(dissection.unread, surplus))
    return (*parts, Segment(Origin.OTHER, surplus)) if _is_framing(surplus, dissection, pause) else parts


def _is_framing(surplus: float, dissection: Dissection, pause: Pause) -> bool:
    """Whether tokens beyond those of the texts are what the provider has put around them: nothing else tells."""
    parts = dissection.segments
    if not dissection.is_exact or any(part.origin is Origin.TOOLS for part in paused(parts, pause)):
        return False
    further = sum([len(part.further) for part in paused(parts, pause)]) if len(parts) > MOST_APART else 0
    return surplus <= FRAMING * (len(parts) + further + 1)


def _largest_remainder(weights: Sequence[float], total: int, pause: Pause) -> list[int]:
    weight = sum(weights)
    if weight <= 0:
        return [0] * len(weights)
    exact = [each * total / weight for each in paused(weights, pause)]
    tokens = [int(value) for value in paused(exact, pause)]
    by_remainder = in_order(range(len(weights)), pause, lambda index: tokens[index] - exact[index])
    for index in list(islice(by_remainder, max(0, total - sum(tokens)))):
        tokens[index] += 1
    return tokens
