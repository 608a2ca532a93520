"""Where the tokens of a prompt came from: parts that sum exactly to the provider's total. Pure.

Order is the order on the wire (tools, system, messages), because what a cache gives cheaply is the prompt's front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice

from ragmeter.domain.model import Fate, KnownChunk, Origin, Prompt, PromptFragment, Role
from ragmeter.domain.pausing import LONG_TEXT, Pause, blocks, in_order, paused, without_pause

Span = tuple[int, int]

_FRONT = (Origin.TOOLS, Origin.SYSTEM)

MOST_APART = 1_000
"""Segments beyond which those side by side that hold no chunk and have one origin are put together: ten thousand
results of tools are as many objects, which Python's garbage collector goes through with those of the app."""

FRAMING = 8
"""Tokens at most that a provider adds around each fragment of a chat: OpenAI's formats take three or four."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk stands in a prompt: the number of the fragment and the stretches of characters in it."""

    chunk: KnownChunk
    fragment: int
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
    stretch of characters of its fragment, the `source`; `further` are the texts of others that were put to it.
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


def current_turn(fragments: Sequence[PromptFragment], pause: Pause = without_pause) -> tuple[int, int]:
    """The first and the last of the user's fragments that ask what is to be answered; (-1, -1) when nobody asks.

    A turn may have several blocks and documents among them; what a tool returned in it stands after it.
    """
    backwards = paused(range(len(fragments) - 1, -1, -1), pause)
    first = last = next((number for number in backwards if fragments[number].role is Role.USER), -1)
    for number in paused(range(last - 1, -1, -1), pause):
        if fragments[number].role not in (Role.USER, Role.DOCUMENT):
            break
        first = number
    return first, last


def earlier_turns(fragments: Sequence[PromptFragment], pause: Pause = without_pause) -> range:
    """The numbers of the fragments of earlier turns: no system texts before all turns, and no documents there."""
    before_turns = (Role.TOOLS, Role.SYSTEM, Role.DOCUMENT)
    numbers = paused(range(len(fragments)), pause)
    first = next((number for number in numbers if fragments[number].role not in before_turns), len(fragments))
    return range(first, max(first, current_turn(fragments, pause)[0]))


def question_of(prompt: Prompt, places: Sequence[Place] = (), pause: Pause = without_pause) -> str:
    """The text of the last user turn, without the chunks that stand in it; of very long stretches both ends."""
    first, last = current_turn(prompt.fragments, pause)
    by_fragment = _spans_by_fragment(places, pause)
    texts: list[str] = []
    for number in paused(range(max(0, first), last + 1), pause):
        fragment = prompt.fragments[number]
        if fragment.role is Role.USER:
            for place, start, end in _stretches(len(fragment.text), by_fragment.get(number, ()), pause):
                if place is None and end - start > LONG_TEXT:
                    half = LONG_TEXT // 2
                    texts += [fragment.text[start : start + half], fragment.text[end - half : end]]
                elif place is None:
                    texts.append(fragment.text[start:end])
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
    first, last = current_turn(prompt.fragments, pause)
    by_fragment = _spans_by_fragment(places, pause)
    for number, fragment in enumerate(prompt.fragments):
        origin = _origin(fragment, in_last_turn=first <= number <= last)
        factor = tools_factor if origin is Origin.TOOLS else 1.0
        for place, start, end in _stretches(len(fragment.text), by_fragment.get(number, ()), pause):
            weight = _weight(fragment.text, start, end, weigh) * factor
            kind = origin if place is None else Origin.CONTEXT
            yield Segment(kind, weight, place, fragment.text, (start, end))


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


def _spans_by_fragment(places: Sequence[Place], pause: Pause) -> dict[int, list[tuple[int, int, int]]]:
    """The stretches of places by the fragment they stand in, each with the number of its place."""
    by_fragment: dict[int, list[tuple[int, int, int]]] = {}
    for index, place in enumerate(paused(places, pause)):
        by_fragment.setdefault(place.fragment, []).extend([(start, end, index) for start, end in place.spans])
    return by_fragment


def _stretches(
    length: int, spans: Sequence[tuple[int, int, int]], pause: Pause
) -> Iterator[tuple[int | None, int, int]]:
    """A text of this length cut up: the number of a place, or none, and where it begins and ends.

    Where two places overlap the first one has it.
    """
    if not spans:
        if length:
            yield None, 0, length
        return
    cursor = 0
    for start, end, place in in_order(spans, pause):
        if start > cursor:
            yield None, cursor, start
        if end > max(start, cursor):
            yield place, max(start, cursor), end
        cursor = max(cursor, end)
    if cursor < length:
        yield None, cursor, length


def _origin(fragment: PromptFragment, *, in_last_turn: bool) -> Origin:
    match fragment.role:
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
    given = _with_unread(dissection, total, pause)
    groups: dict[Origin, list[float]] = {}
    for segment in paused(given, pause):
        groups.setdefault(segment.origin, []).append(segment.weight)
    weights = [sum(group) for group in groups.values()]
    if sum(weights) <= 0:
        return (Share(dissection.unread or Origin.OTHER, total),)
    totals = _largest_remainder(weights, total, pause)
    tokens = {
        origin: iter(_largest_remainder(group, count, pause))
        for (origin, group), count in zip(groups.items(), totals, strict=True)
    }
    whole = [(segment, next(tokens[segment.origin])) for segment in paused(given, pause)]
    return tuple([Share(segment.origin, count, segment.place) for segment, count in paused(whole, pause) if count])


def _with_unread(dissection: Dissection, total: int, pause: Pause) -> Sequence[Segment]:
    given = dissection.segments
    surplus = total - sum([segment.weight for segment in paused(given, pause)])
    if surplus <= 0 or not given:
        return given
    if dissection.unread is Origin.HISTORY:
        front = next(
            (at for at, segment in enumerate(paused(given, pause)) if segment.origin not in _FRONT), len(given)
        )
        return (*given[:front], Segment(Origin.HISTORY, surplus), *given[front:])
    if dissection.unread is not None:
        return (*given, Segment(dissection.unread, surplus))
    return (*given, Segment(Origin.OTHER, surplus)) if _is_framing(surplus, dissection, pause) else given


def _is_framing(surplus: float, dissection: Dissection, pause: Pause) -> bool:
    """Whether tokens beyond those of the texts are what the provider has put around them: nothing else tells."""
    given = dissection.segments
    if not dissection.is_exact or any(segment.origin is Origin.TOOLS for segment in paused(given, pause)):
        return False
    further = sum([len(segment.further) for segment in paused(given, pause)]) if len(given) > MOST_APART else 0
    return surplus <= FRAMING * (len(given) + further + 1)


def _largest_remainder(weights: Sequence[float], total: int, pause: Pause) -> list[int]:
    weight = sum(weights)
    if weight <= 0:
        return [0] * len(weights)
    if len(weights) == 1:
        return [total]
    exact = [each * total / weight for each in paused(weights, pause)]
    tokens = [int(value) for value in paused(exact, pause)]
    by_remainder = in_order(range(len(weights)), pause, lambda index: tokens[index] - exact[index])
    for index in list(islice(by_remainder, max(0, total - sum(tokens)))):
        tokens[index] += 1
    return tokens
