"""Where remembered chunks stand in prompts, each fragment of a prompt looked through once. Worker only.

What was retrieved for the same query is looked for first, as it is. Then the rest of each new fragment is compared with
all that is remembered, by words. A fragment that comes again, as histories do, is not looked through again. The work is
bounded: what could not be looked for everywhere is said to be unsettled.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ragmeter.anatomy.exact_finding import MOST_SCANNED, ExactFinder, together
from ragmeter.anatomy.locating import FEW_GRAMS, LEAST_CHUNK, Found, Haystack, Needle, free_spans
from ragmeter.anatomy.memory import ChunkMemory, Remembered
from ragmeter.anatomy.parts import Place, Span, current_turn
from ragmeter.anatomy.words import compact
from ragmeter.domain.model import KnownChunk, Prompt, PromptFragment, Role, TextKey, key_of
from ragmeter.domain.pausing import Pause, in_order, paused, without_pause

MOST_FRAGMENTS = 8_192
"""Fragments of prompts of which it is remembered what stands in them."""

SHORT_STRETCH = 200
"""Characters between located chunks that are not looked through any further: a separator, a question."""

MOST_LOOKED_THROUGH = 1_500_000
"""Characters of one prompt that are compared by words at the most, the latest fragments first."""

MOST_COMPARED = 50_000
PREPARING = 15
"""Comparisons of a chunk with a fragment of one prompt by words, some 10 microseconds each; it takes the time of so
many to make a chunk ready for its first."""

MOST_PLACES = 2_048
"""Places of chunks in one prompt beyond which no fragment is compared by words."""

MOST_FULL = 32
"""Fragments, the latest, that all of the query's missing chunks are compared with, not only those likely there."""

MOST_QUOTED = 4
"""Chunks that a question is expected to quote at the most."""

FEWEST_CANDIDATES = 256
CHARACTERS_OF_CANDIDATE = 500
"""Chunks of other queries that a fragment is compared with at the most, the likeliest, and more where it has room for
more: hundreds of texts made by one template are like each other, and few of them stand there."""

MOST_LOOKED_AGAIN = 8
"""Known fragments, the latest, that are looked through again when nothing of the query's own retrieval was found."""

ROLES_OF_CHUNKS = frozenset((Role.SYSTEM, Role.DOCUMENT, Role.USER, Role.TOOL))
"""Retrieved text stands in these; what a model wrote is its own, and tool definitions share their boilerplate."""

_ENDS_ITS_LINE = re.compile(r"[^\w\n]{0,8}\n")


@dataclass(frozen=True, slots=True)
class Located:
    """The places of chunks in a prompt; `unsettled` are the query's own that may stand where nobody looked."""

    places: tuple[Place, ...]
    unsettled: tuple[KnownChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class _KnownFragment:
    """What was found in a fragment, the number of the latest chunk remembered then, whether all was looked for."""

    found: tuple[Found, ...]
    number: int
    is_whole: bool


@dataclass(slots=True)
class _Looking:
    """One prompt being looked through: `found` by number of the fragment, `missing` the query's own not found yet.

    `places` is their number; `scanned`, `characters`, `comparisons` and `full` ones may still be spent; `shortest` is
    the length of its shortest own chunk; `is_whole` says that all was compared by words that may hold something.
    """

    fragments: Sequence[PromptFragment]
    partition: str
    own: dict[TextKey, Remembered]
    shortest: int
    missing: dict[TextKey, Remembered]
    found: dict[int, list[Found]] = field(default_factory=dict)
    prepared: dict[TextKey, Needle] = field(default_factory=dict)
    places: int = 0
    scanned: int = MOST_SCANNED
    characters: int = MOST_LOOKED_THROUGH
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
        """Whether a chunk stands in any fragment."""
        return any(
            each.chunk.key == key for found in paused(self.found.values(), pause) for each in paused(found, pause)
        )

    def take(self, number: int, found: Iterable[Found]) -> None:
        """Note what stands in a fragment."""
        for each in found:
            self.found.setdefault(number, []).append(each)
            self.places += 1
            self.missing.pop(each.chunk.key, None)


class ChunkFinder:
    """Finds the chunks of a memory in prompts; `pause` is called between slices of the work."""

    def __init__(self, memory: ChunkMemory, pause: Pause = without_pause) -> None:
        self._memory = memory
        self._pause = pause
        self._known: OrderedDict[TextKey, _KnownFragment] = OrderedDict()

    def locate(self, prompt: Prompt, own: Sequence[KnownChunk] = (), partition: str = "") -> Located:
        """The places of chunks in `prompt`, in wire order; `own` are those retrieved for the same query.

        A document that the provider was handed is a chunk, remembered or not.
        """
        self._memory.expire()
        remembered = {chunk.key: self._memory.get(chunk.key) for chunk in paused(own, self._pause)}
        mine = {key: each for key, each in paused(remembered.items(), self._pause) if each is not None}
        shortest = min((length for _, length in mine), default=SHORT_STRETCH)
        self._pause()
        looking = _Looking(prompt.fragments, partition, mine, shortest, dict(mine))
        if self._memory.number:
            self._look(looking)
        places = tuple(self._places(looking, own))
        unsettled = tuple([chunk for chunk in paused(own, self._pause) if looking.is_unsettled(chunk.key)])
        while looking.prepared:
            # One after the other: to let go of a thousand at once takes long.
            looking.prepared.popitem()
            self._pause()
        return Located(places, unsettled)

    def _places(self, looking: _Looking, own: Sequence[KnownChunk]) -> Iterator[Place]:
        """What was found in wire order, with what the query's own retrieval says of its chunks."""
        metadata = {chunk.key: chunk for chunk in paused(own, self._pause)}
        for number, fragment in enumerate(paused(looking.fragments, self._pause)):
            found = looking.found.get(number)
            if found:
                for each in in_order(found, self._pause, lambda each: each.spans[0]):
                    yield Place(metadata.get(each.chunk.key, each.chunk), number, each.spans)
            elif fragment.role is Role.DOCUMENT and fragment.text:
                key = key_of(fragment.text, looking.partition, self._pause)
                yield Place(KnownChunk(key), number, ((0, len(fragment.text)),))

    def _look(self, looking: _Looking) -> None:
        fresh, known = self._told_apart(looking)
        self._look_through(looking, fresh)
        if looking.own and looking.has_nothing:
            # Retrieved only after the same text was sent before: a cache, a test, a hurried thread.
            again = known[-MOST_LOOKED_AGAIN:]
            for number in again:
                looking.found.pop(number, None)
            self._look_through(looking, again)

    def _told_apart(self, looking: _Looking) -> tuple[list[int], list[int]]:
        """The numbers of the fragments that are new, and of those known before the query's own chunks were retrieved.

        What was found in a fragment before is taken.
        """
        newest = max([each.number for each in paused(looking.own.values(), self._pause)], default=0)
        fresh: list[int] = []
        known: list[int] = []
        for number, fragment in enumerate(paused(looking.fragments, self._pause)):
            if fragment.role not in ROLES_OF_CHUNKS or len(fragment.text) < LEAST_CHUNK:
                continue
            key = key_of(fragment.text, looking.partition, self._pause)
            before = self._known.get(key)
            if before is None:
                fresh.append(number)
                continue
            self._known.move_to_end(key)
            looking.take(number, before.found)
            looking.is_whole = looking.is_whole and before.is_whole
            if newest > before.number:
                known.append(number)
        return fresh, known

    def _look_through(self, looking: _Looking, numbers: Sequence[int]) -> None:
        is_whole = self._find_exact(looking, numbers, looking.own.values())
        asked = current_turn(looking.fragments, self._pause)[1]
        if asked in numbers:
            self._leave_question(looking, asked)
        if not any(looking.found.get(number) for number in paused(numbers, self._pause)):
            is_whole &= self._find_exact(looking, numbers, self._memory.latest(looking.partition))
        for number in paused(numbers[::-1], self._pause):
            was_whole = self._look_by_words(looking, number)
            if number == asked:
                self._leave_question(looking, asked)
            looking.is_whole = looking.is_whole and was_whole
            self._keep(looking, number, is_whole=was_whole and is_whole)

    def _find_exact(self, looking: _Looking, numbers: Sequence[int], chunks: Collection[Remembered]) -> bool:
        """Look for chunks as they are; whether all were looked for everywhere."""
        texts = [(each.chunk, each.text) for each in paused(chunks, self._pause) if each.text is not None]
        if not texts or not numbers:
            return True
        lengths = [len(looking.fragments[number].text) for number in paused(numbers, self._pause)]
        for group in together(lengths, self._pause):
            joined = [looking.fragments[numbers[at]].text for at in paused(group, self._pause)]
            exact = ExactFinder(joined, self._pause, looking.scanned)
            for at, found in exact.find(texts):
                looking.take(numbers[group[at]], (found,))
            looking.scanned = exact.left
        return looking.scanned > 0

    def _leave_question(self, looking: _Looking, asked: int) -> None:
        """A chunk whose text another one holds has its place there, rather than in a question that repeats it."""
        found = looking.found.get(asked, [])
        for _ in range(MOST_QUOTED):
            last = max(paused(found, self._pause), key=lambda each: each.spans[-1], default=None)
            if last is None or _is_before_question(looking.fragments[asked].text, last.spans[-1][1]):
                return
            within = self._within_another(looking, last)
            if within is None:
                return
            found.remove(last)
            if not looking.has_found(last.chunk.key, self._pause):
                looking.take(within[0], (within[1],))

    def _within_another(self, looking: _Looking, quoted: Found) -> tuple[int, Found] | None:
        """The fragment and the place of a chunk within a longer one that stands in the prompt and holds its text."""
        text = self._text_of(quoted.chunk)
        for number, found in paused(looking.found.items(), self._pause):
            for each in paused(found, self._pause) if text else ():
                other = self._text_of(each.chunk)
                if len(other) > len(text):
                    for _, inner in ExactFinder((other,), self._pause).find([(quoted.chunk, text)]):
                        return number, Found(quoted.chunk, (_scaled(inner.spans[0], len(other), each.spans[0]),))
        return None

    def _text_of(self, chunk: KnownChunk) -> str:
        remembered = self._memory.get(chunk.key)
        return "" if remembered is None or remembered.text is None else remembered.text.strip()

    def _look_by_words(self, looking: _Looking, number: int) -> bool:
        """Look for what stands in a fragment besides what was found as it is; whether all of it was looked through."""
        if looking.places >= MOST_PLACES:
            return False
        stretches = self._stretches(looking, number)
        if not stretches:
            return True
        if looking.characters <= 0:
            return False
        allowed = _cut(stretches, looking.characters)
        haystack = Haystack(looking.fragments[number].text, allowed, looking.partition, self._pause)
        size = sum(end - start for start, end in stretches)
        is_whole = haystack.is_whole and size <= looking.characters
        looking.characters -= size
        needles = self._needles(looking, haystack, max(FEWEST_CANDIDATES, size // CHARACTERS_OF_CANDIDATE))
        looking.take(number, haystack.find(needles))
        haystack.release()
        return is_whole and looking.comparisons > 0

    def _stretches(self, looking: _Looking, number: int) -> list[Span]:
        """What is left of a fragment, short stretches only where they may hold something."""
        # While nothing was found at all every stretch may hold something, else what is as long as a chunk.
        length = LEAST_CHUNK if looking.has_nothing else min(SHORT_STRETCH, looking.shortest // 2)
        left = free_spans(len(looking.fragments[number].text), looking.found.get(number, ()), self._pause)
        return [span for span in paused(left, self._pause) if span[1] - span[0] >= max(LEAST_CHUNK, length)]

    def _needles(self, looking: _Looking, haystack: Haystack, most: int) -> list[Needle]:
        """The chunks to compare with a fragment: the query's own, and of the others those that may stand there."""
        needles: dict[TextKey, Needle] = {}
        looking.full -= 1
        missing = looking.missing.values() if looking.full >= 0 else ()
        for each in (*missing, *self._memory.candidates(haystack, most)):
            key = each.chunk.key
            if key not in needles:
                needle = looking.prepared.get(key)
                looking.comparisons -= 1 if needle is not None else PREPARING
                if looking.comparisons <= 0:
                    break
                if needle is None:
                    needle = self._memory.needle(each)
                    needle = looking.prepared[key] = replace(needle, grams=compact(needle.grams, len(looking.prepared)))
                needles[key] = needle
                self._pause()
        return list(needles.values())

    def _keep(self, looking: _Looking, number: int, *, is_whole: bool) -> None:
        text = looking.fragments[number].text
        if not is_whole and len(text) < MOST_LOOKED_THROUGH:
            # There was no room for it this time, and may be the next.
            return
        found = tuple(looking.found.get(number, ()))
        self._known[key_of(text, looking.partition, self._pause)] = _KnownFragment(found, self._memory.number, is_whole)
        while len(self._known) > MOST_FRAGMENTS:
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
