"""Where chunks stand in the fragments of a prompt as they are, to the character. Pure.

The work is bounded for every text: the finder jumps over what was found before, goes through long texts window by
window, and ends when so much was looked through that no ordinary prompt comes near.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate

from ragmeter.anatomy.locating import LEAST_CHUNK, Found
from ragmeter.domain.model import KnownChunk
from ragmeter.domain.pausing import LONG_TEXT, Pause, blocks, paused

SEPARATOR = "\0"
"""Stands between the fragments, which are looked through as one text; no place lies across it."""

JOINED = 262_144
"""Characters of fragments that are joined: a longer one is looked through by itself."""

ANCHOR = 96
"""Characters of a chunk that are looked for before the rest is compared: with so many Python's own search is linear in
the text, whatever that is, and with some more it is not."""

WINDOW = 262_144
"""Characters that are looked through in one go: a millisecond or two at the worst."""

MOST_SCANNED = 64_000_000
"""Characters that are looked through for one prompt: a third of a second at the worst, a tenth of that in prose."""

STEP = 1_000
OF_A_PLACE = 31_000
"""Characters in whose time a match is held against what is taken and the rest of a chunk, and a place is dealt with:
so that there are 2,000 places at the most, each of which is some objects until the call is accounted for."""


class ExactFinder:
    """The fragments of a prompt as one text, in which chunks are found one after the other, without overlaps.

    A chunk that stands nowhere by itself, but within what was found before, has its place there. `left` is what may be
    spent: with nothing left not every chunk was looked for everywhere.
    """

    def __init__(self, texts: Sequence[str], pause: Pause, left: int = MOST_SCANNED) -> None:
        self._text = texts[0] if len(texts) == 1 else SEPARATOR.join(texts)
        self._starts = list(accumulate((len(text) + 1 for text in paused(texts, pause)), initial=0))
        self._pause = pause
        self.left = left
        self._cursor = 0
        # Separators are taken: so no place lies across one.
        self._taken = _Taken(self._starts[1:-1], pause)

    def find(self, chunks: Iterable[tuple[KnownChunk, str]]) -> Iterator[tuple[int, Found]]:
        """The numbers of fragments and what stands in them, each chunk once in each fragment.

        It starts where the last chunk ended: templates keep the order of the retrieval.
        """
        for chunk, chunk_text in chunks:
            needle = chunk_text.strip()
            if LEAST_CHUNK <= len(needle) <= len(self._text):
                for start in self._places(needle):
                    fragment = bisect_right(self._starts, start) - 1
                    offset = start - self._starts[fragment]
                    yield fragment, Found(chunk, ((offset, offset + len(needle)),))
                    self._pause()
            self._pause()

    def _places(self, needle: str) -> list[int]:
        """Where it stands: once in each fragment where it has room, else once within what was found before."""
        found: dict[int, int] = {}
        within: list[int] = []
        cursor = self._cursor
        for first, stop in ((cursor, len(self._text)), (0, min(len(self._text), cursor + len(needle) - 1))):
            if len(found) < len(self._starts) - 1:
                self._look(needle, first, stop, found, within)
        for start in found.values():
            self._taken.add(start, start + len(needle))
            self._pause()
        self._cursor = next((start + len(needle) for start in found.values()), cursor)
        return list(found.values()) or within

    def _look(self, needle: str, first: int, stop: int, found: dict[int, int], within: list[int]) -> None:
        """Note where it stands between two positions: the first place in each fragment, or within what is taken."""
        at = self._match(needle, first, stop)
        while at >= 0:
            end = at + len(needle)
            after = self._taken.end_over(at, end)
            if after and not within and self._taken.covers(at, end):
                within.append(at)
            if not after:
                fragment = bisect_right(self._starts, at)
                found.setdefault(fragment, at)
                after = self._starts[fragment]
                self.left -= OF_A_PLACE
            at = self._match(needle, after, stop)

    def _match(self, needle: str, start: int, stop: int) -> int:
        """Where `needle` stands between two positions, -1 if nowhere or when enough was looked through."""
        anchor = needle[:ANCHOR]
        while start + len(needle) <= stop and self.left > 0:
            end = min(stop, start + WINDOW)
            at = self._text.find(anchor, start, min(stop, end + len(anchor) - 1))
            self.left -= STEP + (end if at < 0 else at) - start
            self._pause()
            if at < 0:
                start = end
            elif at + len(needle) > stop:
                return -1
            elif len(needle) == len(anchor) or self._is_at(needle, at):
                return at
            else:
                start = at + 1
        return -1

    def _is_at(self, needle: str, at: int) -> bool:
        for start, end in blocks(len(needle), LONG_TEXT):
            if not self._text.startswith(needle[start:end], at + start):
                return False
            self._pause()
        return True


def together(lengths: Sequence[int], pause: Pause) -> Iterator[list[int]]:
    """The numbers of fragments of these lengths, grouped as they are looked through together."""
    group: list[int] = []
    size = 0
    for number, length in enumerate(paused(lengths, pause)):
        if length > JOINED:
            yield [number]
            continue
        if size + length > JOINED and group:
            yield group
            group, size = [], 0
        group.append(number)
        size += length
    if group:
        yield group


class _Taken:
    """Stretches of a text that are taken, in order; neighbours grow together."""

    def __init__(self, separators: Collection[int], pause: Pause) -> None:
        self._starts = [each - 1 for each in paused(separators, pause)]
        self._ends = [each + 1 for each in paused(self._starts, pause)]

    def end_over(self, start: int, end: int) -> int:
        """The end of the last stretch that overlaps this one, 0 if none does: what begins before that overlaps too."""
        last = bisect_left(self._starts, end) - 1
        return self._ends[last] if last >= 0 and self._ends[last] > start else 0

    def covers(self, start: int, end: int) -> bool:
        """Whether one stretch holds all of this one."""
        last = bisect_right(self._starts, start) - 1
        return last >= 0 and self._ends[last] >= end

    def add(self, start: int, end: int) -> None:
        """Take a stretch that overlaps none."""
        at = bisect_left(self._starts, start)
        if at < len(self._starts) and self._starts[at] == end and self._ends[at] - end > 1:
            end = self._ends[at]
            del self._starts[at], self._ends[at]
        if at and self._ends[at - 1] == start and start - self._starts[at - 1] > 1:
            self._ends[at - 1] = end
        else:
            self._starts.insert(at, start)
            self._ends.insert(at, end)
