"""Where remembered chunks stand in prompts, each part of a prompt searched once. Worker only.

What was retrieved for the same query is looked for first, as it is. Then the rest of each new part is compared with all
that is remembered, by words. A part that comes again, as histories do, is not searched again. The work is bounded: what
could not be looked for everywhere is said to be unsettled.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ragmeter.anatomy.exact_search import MOST_SCANNED, ExactSearch, together
from ragmeter.anatomy.locating import FEW_GRAMS, LEAST_CHUNK, Found, Haystack, Needle, free_spans
from ragmeter.anatomy.memory import ChunkMemory, Remembered
from ragmeter.anatomy.parts import Place, Span, current_turn
from ragmeter.anatomy.words import compact
from ragmeter.domain.model import KnownChunk, Prompt, PromptPart, Role, TextKey, key_of
from ragmeter.domain.pausing import Pause, in_order, paused, without_pause

MOST_PARTS = 8_192
"""Parts of prompts of which it is remembered what stands in them."""

SHORT_STRETCH = 200
"""Characters between located chunks that are not searched any further: a separator, a question."""

MOST_SEARCHED = 1_500_000
"""Characters of one prompt that are compared by words at the most, the latest parts first."""

MOST_COMPARED = 50_000
PREPARING = 15
"""Comparisons of a chunk with a part of one prompt by words, some 10 microseconds each; it takes the time of so many to
make a chunk ready for its first."""

MOST_PLACES = 2_048
"""Places of chunks in one prompt beyond which no part is compared by words."""

MOST_FULL = 32
"""Parts, the latest, that all of the query's missing chunks are compared with, not only those likely to be there."""

MOST_QUOTED = 4
"""Chunks that a question is expected to quote at the most."""

FEWEST_CANDIDATES = 256
CHARACTERS_OF_CANDIDATE = 500
"""Chunks of other queries that a part is compared with at the most, the likeliest, and more where it has room for more:
hundreds of texts made by one template are like each other, and few of them stand there."""

MOST_LOOKED_AGAIN = 8
"""Known parts, the latest, that are searched again when nothing of the query's own retrieval was found."""

SEARCHED_ROLES = frozenset((Role.SYSTEM, Role.DOCUMENT, Role.USER, Role.TOOL))
"""Retrieved text stands in these; what a model wrote is its own, and tool definitions share their boilerplate."""

_ENDS_ITS_LINE = re.compile(r"[^\w\n]{0,8}\n")


@dataclass(frozen=True, slots=True)
class Located:
    """The places of chunks in a prompt; `unsettled` are the query's own that may stand where nobody looked."""

    places: tuple[Place, ...]
    unsettled: tuple[KnownChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class _KnownPart:
    """What was found in a part, the number of the latest chunk that was remembered then, whether all was searched."""

    found: tuple[Found, ...]
    number: int
    is_whole: bool


@dataclass(slots=True)
class _Search:
    """One prompt being searched: `found` by number of the part, `missing` the query's own that stand nowhere yet.

    `places` is their number; `scanned`, `characters`, `comparisons` and `full` ones may still be spent; `shortest` is
    the length of its shortest own chunk; `is_whole` says that all was compared by words that may hold something.
    """

    parts: Sequence[PromptPart]
    partition: str
    own: dict[TextKey, Remembered]
    shortest: int
    missing: dict[TextKey, Remembered]
    found: dict[int, list[Found]] = field(default_factory=dict)
    prepared: dict[TextKey, Needle] = field(default_factory=dict)
    places: int = 0
    scanned: int = MOST_SCANNED
    characters: int = MOST_SEARCHED
    comparisons: int = MOST_COMPARED
    full: int = MOST_FULL
    is_whole: bool = True

    @property
    def has_nothing(self) -> bool:
        """Whether none of the query's own chunks stands anywhere so far."""
        return len(self.missing) == len(self.own)

    def is_unsettled(self, key: TextKey) -> bool:
        """Whether a chunk that was not found may stand where nobody looked; by its words it would have been found."""
        if key not in self.missing or (self.is_whole and self.scanned > 0):
            return False
        needle = self.prepared.get(key)
        return not self.is_whole or needle is None or len(needle.grams) < FEW_GRAMS

    def has_found(self, key: TextKey, pause: Pause) -> bool:
        """Whether a chunk stands in any part."""
        return any(
            each.chunk.key == key for found in paused(self.found.values(), pause) for each in paused(found, pause)
        )

    def take(self, number: int, found: Iterable[Found]) -> None:
        """Note what stands in a part."""
        for each in found:
            self.found.setdefault(number, []).append(each)
            self.places += 1
            self.missing.pop(each.chunk.key, None)


class PromptSearch:
    """Finds the chunks of a memory in prompts; `pause` is called between slices of the work."""

    def __init__(self, memory: ChunkMemory, pause: Pause = without_pause) -> None:
        self._memory = memory
        self._pause = pause
        self._known: OrderedDict[TextKey, _KnownPart] = OrderedDict()

    def locate(self, prompt: Prompt, own: Sequence[KnownChunk] = (), partition: str = "") -> Located:
        """The places of chunks in `prompt`, in wire order; `own` are those retrieved for the same query.

        A document that the provider was handed is a chunk, remembered or not.
        """
        self._memory.expire()
        remembered = {chunk.key: self._memory.get(chunk.key) for chunk in paused(own, self._pause)}
        mine = {key: each for key, each in paused(remembered.items(), self._pause) if each is not None}
        shortest = min((length for _, length in mine), default=SHORT_STRETCH)
        self._pause()
        search = _Search(prompt.parts, partition, mine, shortest, dict(mine))
        if self._memory.number:
            self._search(search)
        places = tuple(self._places(search, own))
        unsettled = tuple([chunk for chunk in paused(own, self._pause) if search.is_unsettled(chunk.key)])
        while search.prepared:
            # One after the other: to let go of a thousand at once takes long.
            search.prepared.popitem()
            self._pause()
        return Located(places, unsettled)

    def _places(self, search: _Search, own: Sequence[KnownChunk]) -> Iterator[Place]:
        """What was found in wire order, with what the query's own retrieval says of its chunks."""
        metadata = {chunk.key: chunk for chunk in paused(own, self._pause)}
        for number, part in enumerate(paused(search.parts, self._pause)):
            found = search.found.get(number)
            if found:
                for each in in_order(found, self._pause, lambda each: each.spans[0]):
                    yield Place(metadata.get(each.chunk.key, each.chunk), number, each.spans)
            elif part.role is Role.DOCUMENT and part.text:
                key = key_of(part.text, search.partition, self._pause)
                yield Place(KnownChunk(key), number, ((0, len(part.text)),))

    def _search(self, search: _Search) -> None:
        fresh, known = self._told_apart(search)
        self._search_parts(search, fresh)
        if search.own and search.has_nothing:
            # Retrieved only after the same text was sent before: a cache, a test, a hurried thread.
            again = known[-MOST_LOOKED_AGAIN:]
            for number in again:
                search.found.pop(number, None)
            self._search_parts(search, again)

    def _told_apart(self, search: _Search) -> tuple[list[int], list[int]]:
        """The numbers of the parts that are new, and of those searched before the query's own chunks were retrieved.

        What was found in a part before is taken.
        """
        newest = max([each.number for each in paused(search.own.values(), self._pause)], default=0)
        fresh: list[int] = []
        known: list[int] = []
        for number, part in enumerate(paused(search.parts, self._pause)):
            if part.role not in SEARCHED_ROLES or len(part.text) < LEAST_CHUNK:
                continue
            key = key_of(part.text, search.partition, self._pause)
            before = self._known.get(key)
            if before is None:
                fresh.append(number)
                continue
            self._known.move_to_end(key)
            search.take(number, before.found)
            search.is_whole = search.is_whole and before.is_whole
            if newest > before.number:
                known.append(number)
        return fresh, known

    def _search_parts(self, search: _Search, numbers: Sequence[int]) -> None:
        is_whole = self._find_exact(search, numbers, search.own.values())
        asked = current_turn(search.parts, self._pause)[1]
        if asked in numbers:
            self._leave_question(search, asked)
        if not any(search.found.get(number) for number in paused(numbers, self._pause)):
            is_whole &= self._find_exact(search, numbers, self._memory.latest(search.partition))
        for number in paused(numbers[::-1], self._pause):
            was_whole = self._search_words(search, number)
            if number == asked:
                self._leave_question(search, asked)
            search.is_whole = search.is_whole and was_whole
            self._keep(search, number, is_whole=was_whole and is_whole)

    def _find_exact(self, search: _Search, numbers: Sequence[int], chunks: Collection[Remembered]) -> bool:
        """Look for chunks as they are; whether all were looked for everywhere."""
        texts = [(each.chunk, each.text) for each in paused(chunks, self._pause) if each.text is not None]
        if not texts or not numbers:
            return True
        lengths = [len(search.parts[number].text) for number in paused(numbers, self._pause)]
        for group in together(lengths, self._pause):
            joined = [search.parts[numbers[at]].text for at in paused(group, self._pause)]
            exact = ExactSearch(joined, self._pause, search.scanned)
            for at, found in exact.find(texts):
                search.take(numbers[group[at]], (found,))
            search.scanned = exact.left
        return search.scanned > 0

    def _leave_question(self, search: _Search, asked: int) -> None:
        """A chunk whose text another one holds has its place there, rather than in a question that repeats it."""
        found = search.found.get(asked, [])
        for _ in range(MOST_QUOTED):
            last = max(paused(found, self._pause), key=lambda each: each.spans[-1], default=None)
            if last is None or _is_before_question(search.parts[asked].text, last.spans[-1][1]):
                return
            within = self._within_another(search, last)
            if within is None:
                return
            found.remove(last)
            if not search.has_found(last.chunk.key, self._pause):
                search.take(within[0], (within[1],))

    def _within_another(self, search: _Search, quoted: Found) -> tuple[int, Found] | None:
        """The part and the place of a chunk within a longer one that stands in the prompt and holds its text."""
        text = self._text_of(quoted.chunk)
        for number, found in paused(search.found.items(), self._pause):
            for each in paused(found, self._pause) if text else ():
                other = self._text_of(each.chunk)
                if len(other) > len(text):
                    for _, inner in ExactSearch((other,), self._pause).find([(quoted.chunk, text)]):
                        return number, Found(quoted.chunk, (_scaled(inner.spans[0], len(other), each.spans[0]),))
        return None

    def _text_of(self, chunk: KnownChunk) -> str:
        remembered = self._memory.get(chunk.key)
        return "" if remembered is None or remembered.text is None else remembered.text.strip()

    def _search_words(self, search: _Search, number: int) -> bool:
        """Look for what stands in a part besides what was found as it is; whether all of it was looked through."""
        if search.places >= MOST_PLACES:
            return False
        stretches = self._stretches(search, number)
        if not stretches:
            return True
        if search.characters <= 0:
            return False
        allowed = _cut(stretches, search.characters)
        haystack = Haystack(search.parts[number].text, allowed, search.partition, self._pause)
        size = sum(end - start for start, end in stretches)
        is_whole = haystack.is_whole and size <= search.characters
        search.characters -= size
        needles = self._needles(search, haystack, max(FEWEST_CANDIDATES, size // CHARACTERS_OF_CANDIDATE))
        search.take(number, haystack.find(needles))
        haystack.release()
        return is_whole and search.comparisons > 0

    def _stretches(self, search: _Search, number: int) -> list[Span]:
        """What is left of a part, short stretches only where they may hold something."""
        # While nothing was found at all every stretch may hold something, else what is as long as a chunk.
        length = LEAST_CHUNK if search.has_nothing else min(SHORT_STRETCH, search.shortest // 2)
        left = free_spans(len(search.parts[number].text), search.found.get(number, ()), self._pause)
        return [span for span in paused(left, self._pause) if span[1] - span[0] >= max(LEAST_CHUNK, length)]

    def _needles(self, search: _Search, haystack: Haystack, most: int) -> list[Needle]:
        """The chunks to compare with a part: the query's own, and of the others those that may stand there."""
        needles: dict[TextKey, Needle] = {}
        search.full -= 1
        missing = search.missing.values() if search.full >= 0 else ()
        for each in (*missing, *self._memory.candidates(haystack, most)):
            key = each.chunk.key
            if key not in needles:
                needle = search.prepared.get(key)
                search.comparisons -= 1 if needle is not None else PREPARING
                if search.comparisons <= 0:
                    break
                if needle is None:
                    needle = self._memory.needle(each)
                    needle = search.prepared[key] = replace(needle, grams=compact(needle.grams, len(search.prepared)))
                needles[key] = needle
                self._pause()
        return list(needles.values())

    def _keep(self, search: _Search, number: int, *, is_whole: bool) -> None:
        text = search.parts[number].text
        if not is_whole and len(text) < MOST_SEARCHED:
            # There was no room for it this time, and may be the next.
            return
        found = tuple(search.found.get(number, ()))
        self._known[key_of(text, search.partition, self._pause)] = _KnownPart(found, self._memory.number, is_whole)
        while len(self._known) > MOST_PARTS:
            self._known.popitem(last=False)


def _scaled(span: Span, length: int, place: Span) -> Span:
    """Where a stretch of a text of this length lies in the place that the text has taken in another form."""
    start, end = place
    return start + span[0] * (end - start) // length, start + span[1] * (end - start) // length


def _is_before_question(text: str, end: int) -> bool:
    """Whether what ends there ends its line, and more than a word or two follow: so do chunks in a template."""
    line_end = _ENDS_ITS_LINE.match(text, end)
    return line_end is not None and len(text[line_end.end() : line_end.end() + SHORT_STRETCH].strip()) >= LEAST_CHUNK


def _cut(stretches: Iterable[Span], length: int) -> Iterator[Span]:
    """The stretches as far as they are within `length` characters together."""
    for start, end in stretches:
        if length > 0:
            yield start, min(end, start + length)
        length -= end - start
