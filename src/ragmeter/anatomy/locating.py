"""Where retrieved chunks stand in a text: as they are, or as a template has quoted, escaped, re-wrapped or cut them.

Pure. What is left of a text when chunks that stand in it as they are were found is compared by runs of four normalised
words with the others; the best covered chunk explains its words away before the next one is judged, so that boilerplate
which several share counts for one of them.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from ragmeter.anatomy.parts import Span
from ragmeter.anatomy.words import GRAM, Hashes, compact, grams, normal, slices_of, word_span, words
from ragmeter.domain.model import KnownChunk
from ragmeter.domain.pausing import BLOCK, SORTED, Pause, blocks, in_order, paused

LEAST_CHUNK = 20
"""Characters below which a chunk is not looked for: such texts occur by chance."""

LEAST_COVERAGE = 0.25
"""Share of a chunk's runs of words that must be there: .98 of 26 edits are found so, and hardly one absent chunk."""

FEW_GRAMS = 8
"""A chunk with fewer runs of words must be there by more than half: a run or two occur by chance."""

GAP_OF_ALL = 24
GAP_OF_SAMPLE = 60
"""Words between two hits that still belong to one stretch, when all runs are known or only a sample."""

REACH = 1.5
"""Lengths of a chunk from its middle within which it must lie: what else of it occurs is boilerplate of other texts."""

STRETCHED = 1.25
"""Lengths of a chunk that are taken for it with all gaps: what lacks there was changed, or other chunks have it too."""

MOST_AGAIN = 8
MOST_POSITIONS = 4_096
"""Positions kept of a run of words that occurs again and again, which tells nothing of where a chunk stands, and of all
such runs of one chunk."""

ABOUT = 0.9
"""Share of its coverage that a chunk may lose to others before the rest are asked again who is covered best."""

LAYER = 87_000
"""Runs of words whose places are in one table: with some more it would grow to twice its size."""

MOST_GRAMS = 170_000
"""Runs of words of one text that are compared: those of a megabyte of prose, 30 MB while it lasts."""

OPENING = 3
"""Hits that begin a chunk: when one of them comes again, so does the chunk."""


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk in a text, and the stretches of characters it stands in: several where it was cut up or interspersed."""

    chunk: KnownChunk
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Needle:
    """A chunk as it is looked for when its text does not stand there as it is: by hashes of four words.

    `words` is its length, `gap` are the words that may lie between two hits, `margin` those that a sample leaves at
    either end.
    """

    chunk: KnownChunk
    grams: Hashes
    words: int
    gap: int = GAP_OF_ALL
    margin: int = 0

    @property
    def least(self) -> float:
        """How many different hits it takes."""
        few = len(self.grams) < FEW_GRAMS
        return len(self.grams) * 0.5 + 0.01 if few else len(self.grams) * LEAST_COVERAGE


def free_spans(length: int, found: Collection[Found], pause: Pause) -> list[Span]:
    """What is left of a text of `length` characters outside of what was found, in order."""
    left: list[Span] = []
    cursor = 0
    for start, end in in_order([span for each in paused(found, pause) for span in each.spans], pause):
        if start > cursor:
            left.append((cursor, start))
        cursor = max(cursor, end)
    if length > cursor:
        left.append((cursor, length))
    return left


class _Slice(NamedTuple):
    """A slice of the text: the position of its first hash, its place in characters, its normal text, its words."""

    position: int
    offset: int
    text: str
    words: int


class Haystack:
    """The runs of words in stretches of a text, hashed in one pass, to look for needles in.

    `is_whole` says that they all went in: there is room for `MOST_GRAMS`.
    """

    def __init__(self, text: str, stretches: Iterable[Span], partition: str, pause: Pause) -> None:
        self._slices: list[_Slice] = []
        self._firsts: list[int] = []
        self._text = text
        self._pause = pause
        self.is_whole = True
        hashed: list[int] = []
        for start, end in chain.from_iterable(slices_of(text, *stretch) for stretch in stretches):
            self.is_whole = len(hashed) < MOST_GRAMS
            if not self.is_whole:
                break
            normal_text = normal(text[start:end])
            found = words(normal_text)
            if found:
                self._slices.append(_Slice(len(hashed), start, normal_text, len(found)))
                self._firsts.append(len(hashed))
                hashed += grams(found, partition)
            pause()
        self._positions = _Positions(hashed, pause)

    def common(self, known: Mapping[int, object]) -> Iterator[int]:
        """The runs of words here that are `known`."""
        return self._positions.common(known)

    def find(self, needles: Sequence[Needle]) -> list[Found]:
        """The needles that are here, best covered first; the hits of each are taken away from those after it."""
        positions = self._positions
        hits: dict[int, Hashes] = {}
        for number, needle in enumerate(needles):
            found = positions.within(needle.grams)
            if len(found) >= needle.least:
                hits[number] = compact(found, len(needles))
            self._pause()
        places: list[Found] = []
        for number, own in _explain_away(needles, hits, self._pause):
            needle = needles[number]
            places += [
                Found(needle.chunk, tuple(self._spans(stretches, needle.margin)))
                for stretches in positions.occurrences(needle, own)
            ]
        return places

    def release(self) -> None:
        """Let go of it all, bit by bit: at once that takes long as well."""
        self._positions.release()

    def _spans(self, stretches: Iterable[Span], margin: int) -> Iterator[Span]:
        for first, last in stretches:
            start, _ = self._characters(first, -margin)
            _, end = self._characters(last, GRAM - 1 + margin)
            # What closes the last word belongs to it: a full stop, a bracket.
            limit = min(len(self._text), end + 3)
            while end < limit and not self._text[end].isspace() and not self._text[end].isalnum():
                end += 1
            yield start, end
            self._pause()

    def _characters(self, position: int, further: int) -> Span:
        """Where the word `further` words after the one at a position stands in the text, in the same slice at most."""
        each = self._slices[bisect_right(self._firsts, position) - 1]
        start, end = word_span(each.text, min(max(0, position - each.position + further), each.words - 1))
        return each.offset + start, each.offset + end


def _explain_away(
    needles: Sequence[Needle], hits: dict[int, Hashes], pause: Pause
) -> Iterator[tuple[int, AbstractSet[int]]]:
    """Numbers of the needles that are there, each with the hits that are its own, the best covered first.

    One that has lost little since it was looked at last need not queue again: so each is looked at some times at most.
    """
    queue = [(-len(found) / len(needles[number].grams), number) for number, found in paused(hits.items(), pause)]
    heapq.heapify(queue)
    explained: set[int] = set()
    while queue:
        pause()
        coverage, number = heapq.heappop(queue)
        hashes = hits.pop(number)
        left = set(hashes) if isinstance(hashes, array) else hashes
        left = left if explained.isdisjoint(left) else left - explained
        if len(left) < needles[number].least:
            continue
        now = -len(left) / len(needles[number].grams)
        if now > coverage * ABOUT and queue and queue[0][0] < now:
            hits[number] = left
            heapq.heappush(queue, (now, number))
            continue
        explained |= left
        yield number, left
    _empty(explained, pause)


class _Positions:
    """Where each run of words stands in a text: the first place of all, and further ones of those that come again.

    The first places are in layers, one for each stretch of the text, which say of each run of words in it where it
    stands first: a single table of all is made anew in one step whenever it grows, which takes milliseconds.
    """

    def __init__(self, hashed: list[int], pause: Pause) -> None:
        self._grams = hashed
        self._pause = pause
        self._layers: list[dict[int, int]] = []
        self._distinct = 0
        for start, end in blocks(len(hashed), LAYER):
            self._add_layer(start, end)
        self._following: array[int] | None = None

    def _add_layer(self, first: int, last: int) -> None:
        layer: dict[int, int] = {}
        # Backwards, so that the first of equal ones stays.
        for start, end in reversed(list(blocks(last - first))):
            positions = range(first + end - 1, first + start - 1, -1)
            layer.update(zip(reversed(self._grams[first + start : first + end]), positions, strict=True))
            self._pause()
        self._distinct += len(layer)
        for earlier in self._layers:
            for start, end in blocks(last - first):
                known = earlier.keys() & self._grams[first + start : first + end]
                again = [gram for gram in known if layer[gram] >= first]
                layer.update(zip(again, map(earlier.__getitem__, again), strict=True))
                self._distinct -= len(again)
                self._pause()
        self._layers.append(layer)

    def _in_blocks(self, size: int = BLOCK) -> Iterator[tuple[dict[int, int], int, list[int]]]:
        """All runs of words in order, block by block: their layer, the position of the first, themselves."""
        for number, layer in enumerate(self._layers):
            first = number * LAYER
            for start, end in blocks(min(LAYER, len(self._grams) - first), size):
                yield layer, first + start, self._grams[first + start : first + end]
                self._pause()

    def release(self) -> None:
        """Let go of it all."""
        for layer in self._layers:
            _empty(layer, self._pause)
        while self._grams:
            del self._grams[-BLOCK:]
            self._pause()

    def within(self, wanted: Hashes) -> AbstractSet[int]:
        """Those of some runs of words that are here."""
        if len(self._layers) == 1:
            return self._layers[0].keys() & wanted
        found: set[int] = set()
        left = set(wanted)
        for layer in self._layers:
            here = layer.keys() & left
            found |= here
            left -= here
        return found

    def common(self, known: Mapping[int, object]) -> Iterator[int]:
        """The runs of words that are `known`."""
        if min(len(known), self._distinct) <= BLOCK:
            yield from self.within(known.keys())
            return
        for layer, first, here in self._in_blocks():
            for gram in set(filter(known.__contains__, here)):
                if layer[gram] >= first:
                    yield gram

    def occurrences(self, needle: Needle, own: AbstractSet[int]) -> Iterator[list[Span]]:
        """For each place of a needle, by the hits that are its own, the first and the last hits of its stretches."""
        repeated = self._repeated(own) if len(self._grams) - self._distinct >= needle.least else []
        if len(repeated) < len(own):
            # Too few come again for the chunk to stand there twice.
            firsts = self._positions(own)
            start, end = min(firsts), max(firsts)
            if end - start <= STRETCHED * needle.words:
                yield [(start, end)]
                return
            places: Iterable[list[int]] = (sorted({*firsts, *(position for position, _ in repeated)}),)
        else:
            again = {gram for _, gram in repeated}
            places = _places(needle, in_order([*self._firsts(own - again), *repeated], self._pause))
        self._pause()
        for place in places:
            stretches = _stretches(place, needle)
            self._pause()
            if stretches:
                yield stretches

    def _positions(self, own: AbstractSet[int]) -> list[int]:
        """The first places of runs of words that are here."""
        if len(self._layers) == 1:
            return list(map(self._layers[0].__getitem__, own))
        return [at for at, _ in self._firsts(own)]

    def _firsts(self, own: AbstractSet[int]) -> list[tuple[int, int]]:
        """The first places of runs of words that are here, each with its hash."""
        if len(self._layers) == 1:
            return list(zip(self._positions(own), own, strict=True))
        firsts: list[tuple[int, int]] = []
        left = set(own)
        for layer in self._layers:
            here = layer.keys() & left
            firsts += zip(map(layer.__getitem__, here), here, strict=True)
            left -= here
        return firsts

    def _repeated(self, own: AbstractSet[int]) -> list[tuple[int, int]]:
        """All positions of those hits that come again, as (position, hash)."""
        following = self._following_positions()
        again = [(at, gram) for at, gram in self._firsts(own) if following[at] >= 0]
        most = min(MOST_AGAIN, max(1, MOST_POSITIONS // max(1, len(again))))
        repeated: list[tuple[int, int]] = []
        for first, gram in paused(again, self._pause):
            at = first
            for _ in range(most + 1):
                if at >= 0:
                    repeated.append((at, gram))
                    at = following[at]
        self._pause()
        return repeated

    def _following_positions(self) -> array[int]:
        """For each position that at which the same run of words comes again, -1 for none."""
        if self._following is None:
            # Of those that come again only: they are few.
            latest: dict[int, int] = {}
            following = array("l", [-1]) * len(self._grams)
            for layer, first, here in self._in_blocks(SORTED):
                for position, at in enumerate(map(layer.__getitem__, here), first):
                    if at != position:
                        following[latest.get(at, at)] = latest[at] = position
            self._following = following
            _empty(latest, self._pause)
        return self._following


def _empty(things: dict[int, int] | set[int], pause: Pause) -> None:
    """Let go of things bit by bit: of a hundred thousand at once it takes long."""
    take = things.popitem if isinstance(things, dict) else things.pop
    while things:
        for _ in range(min(BLOCK, len(things))):
            take()
        pause()


def _places(needle: Needle, taken: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """Positions of one occurrence after the other: it begins anew when its first words come again."""
    place: list[int] = []
    opening: set[int] = set()
    seen: set[int] = set()
    for position, gram in taken:
        if gram in opening and len(seen) >= needle.least:
            yield place
            place, opening, seen = [], set(), set()
        if len(opening) < OPENING:
            opening.add(gram)
        seen.add(gram)
        place.append(position)
    yield place


def _stretches(place: Sequence[int], needle: Needle) -> list[Span]:
    """First and last hits of the stretches of one occurrence: one where it is no longer than the chunk itself."""
    middle, reach = place[len(place) // 2], needle.gap + REACH * needle.words
    runs = [
        (run[0], run[-1])
        for run in _runs(place, needle.gap)
        if (len(run) > 1 or len(needle.grams) < FEW_GRAMS) and run[0] < middle + reach and run[-1] > middle - reach
    ]
    if runs and runs[-1][1] - runs[0][0] <= STRETCHED * needle.words:
        return [(runs[0][0], runs[-1][1])]
    return runs


def _runs(positions: Sequence[int], gap: int) -> Iterator[list[int]]:
    """Positions grouped wherever more than `gap` words lie between two."""
    run = [positions[0]]
    for position in positions[1:]:
        if position > run[-1] + GRAM + gap:
            yield run
            run = []
        run.append(position)
    yield run
