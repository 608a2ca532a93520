"""What was retrieved lately, so that it is found again in prompts by its content. Worker only.

A text is held while it is young, by reference; after that 24 hashes of its words are left. Both are bounded.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import islice
from typing import Self

from ragmeter.anatomy.locating import GAP_OF_ALL, GAP_OF_SAMPLE, Haystack, Needle
from ragmeter.anatomy.words import GRAM, SLICE, Hashes, compact, grams, normal, slices_of, words
from ragmeter.domain.model import Chunk, KnownChunk, TextKey, key_of
from ragmeter.domain.pausing import Pause, in_order, paused, without_pause

MOST_CHUNKS = 4_096
"""Chunks remembered, by 24 hashes each: 10 MB."""

MOST_COMPARED = 4_096
"""Hashes of a chunk that are compared while its text is held: all of them, or of a text of many pages each second one,
each fourth."""

SAMPLE = 24
"""Hashes kept of a chunk, the smallest: recall .986 and precision .989 with 3,416 chunks remembered."""

MOST_CHARACTERS = 8_000_000
TEXT_SECONDS = 120.0
"""How much retrieved text is held at once, and how long after it was last retrieved."""

GAP_OF_RATE = 6
"""Words more that may lie between two hits, for each that is left out on average."""

MOST_RUNS = 128
"""Chunks of which all hashes are kept as long as their text is, 20 kB each: hot ones are made into words once."""

MOST_LATEST = 64
"""Chunks retrieved last that are looked for as they are where nothing tells which were retrieved for a prompt."""

LONGEST_SAMPLED = 16_384
STRETCHES = 8
"""Characters of a text that is made into words as a whole for its sample; of a longer one so many slices are, spread
evenly over it."""

LEAST_SAMPLED = 0.2
"""Share of a sample that makes a chunk a candidate: less than is asked of it in the end, when its text is known."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The hashes of a text's runs of words, one in `rate` of them, and its number of words."""

    grams: Hashes
    words: int
    rate: int

    @classmethod
    def of(cls, text: str, partition: str, pause: Pause) -> Self:
        """Those of a text; of a long one so many that they can be compared in one go."""
        kept: set[int] = set()
        count, rare = 0, 0
        last: list[str] = []
        for start, end in slices_of(text, 0, len(text)):
            found = words(normal(text[start:end]))
            count += len(found)
            last += found
            if len(last) >= GRAM:
                hashed = grams(last, partition)
                kept.update([gram for gram in hashed if not gram & rare] if rare else hashed)
                last = last[1 - GRAM :]
            while len(kept) > MOST_COMPARED:
                pause()
                rare = 2 * rare + 1
                kept = {gram for gram in kept if not gram & rare}
            pause()
        if count < GRAM:
            kept.update(grams(last, partition))
        return cls(compact(kept, MOST_RUNS), count, rare + 1)

    @classmethod
    def spread(cls, text: str, partition: str, pause: Pause) -> Self:
        """Those of some slices of a long text, with the number of its words as these tell it."""
        kept: set[int] = set()
        count = 0
        for stretch in range(STRETCHES):
            start = stretch * (len(text) - SLICE) // (STRETCHES - 1)
            # The first and the last word are cut off anywhere.
            found = words(normal(text[start : start + SLICE]))[1:-1]
            count += len(found)
            if len(found) >= GRAM:
                kept.update(grams(found, partition))
            pause()
        return cls(kept, count * len(text) // (STRETCHES * SLICE), 1) if kept else cls.of(text, partition, pause)


@dataclass(eq=False, slots=True)
class Remembered:
    """A chunk, with its text as long as it is held and the sample of its hashes once it was needed.

    `number` counts up with every chunk that is new; `retrieved` is on the monotonic clock.
    """

    chunk: KnownChunk
    partition: str
    number: int
    text: str | None
    retrieved: float
    sample: frozenset[int] | None = None
    words: int = 0

    def take_sample(self, runs: Runs) -> None:
        """Keep the sample of runs of words of the text that is still held."""
        self.words = runs.words
        self.sample = frozenset(nsmallest(SAMPLE, runs.grams))


class ChunkMemory:
    """The chunks retrieved last; `pause` is called between slices of the work.

    Chunks of different partitions (tenants) never meet: one retrieved for one is not looked for in prompts of another.
    """

    def __init__(self, pause: Pause = without_pause, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause = pause
        self._clock = clock
        # All in the order of their last use: the oldest go first.
        self._chunks: OrderedDict[TextKey, Remembered] = OrderedDict()
        self._texts: OrderedDict[TextKey, Remembered] = OrderedDict()
        self._runs: OrderedDict[TextKey, Runs] = OrderedDict()
        self._unsampled: dict[TextKey, Remembered] = {}
        self._samples = SampleIndex()
        self._characters = 0
        self._number = 0

    def remember(
        self,
        chunks: Iterable[Chunk],
        partition: str = "",
        collection: str | None = None,
        *,
        is_distance: bool | None = None,
    ) -> tuple[KnownChunk, ...]:
        """Take in what was retrieved; gives the chunks as they are known from now on, those without text left out.

        `is_distance` says whether less of a score is nearer.
        """
        known: list[KnownChunk] = []
        for chunk in chunks:
            if chunk.text.strip():
                key = key_of(chunk.text, partition, self._pause)
                place = chunk.collection or collection
                known.append(KnownChunk(key, chunk.id, chunk.rank, place, chunk.score, is_distance))
                self._take_in(known[-1], chunk.text, partition)
            self._pause()
        self.expire()
        return tuple(known)

    def get(self, key: TextKey) -> Remembered | None:
        """What is remembered of a chunk."""
        return self._chunks.get(key)

    def needle(self, remembered: Remembered) -> Needle:
        """The chunk as it is looked for: by all its runs of words, or by the sample that is left."""
        chunk = remembered.chunk
        if remembered.text is None:
            margin = remembered.words // (SAMPLE + 1)
            return Needle(chunk, remembered.sample or frozenset(), remembered.words, GAP_OF_SAMPLE, margin)
        runs = self._runs_of(remembered)
        gap = GAP_OF_ALL + GAP_OF_RATE * (runs.rate - 1)
        return Needle(chunk, runs.grams, runs.words, gap, runs.rate - 1)

    def latest(self, partition: str) -> list[Remembered]:
        """The chunks retrieved last whose texts are held, in the order of their retrieval."""
        found = islice((each for each in reversed(self._texts.values()) if each.partition == partition), MOST_LATEST)
        return list(found)[::-1]

    def candidates(self, haystack: Haystack, most: int) -> list[Remembered]:
        """The chunks of the haystack's partition that may stand in it, no more than `most`: the likeliest first."""
        while self._unsampled:
            _, remembered = self._unsampled.popitem()
            self._sample(remembered)
        return self._samples.candidates(haystack, most, self._pause)

    @property
    def number(self) -> int:
        """The number of the latest chunk, 0 when there was none."""
        return self._number

    def expire(self) -> None:
        """Let go of texts that are too old or too many, and of chunks beyond what is remembered."""
        oldest = self._clock() - TEXT_SECONDS
        while self._texts:
            remembered = next(iter(self._texts.values()))
            if remembered.retrieved > oldest and self._characters <= MOST_CHARACTERS:
                break
            self._drop_text(remembered)
            self._pause()
        while len(self._chunks) > MOST_CHUNKS:
            key, remembered = self._chunks.popitem(last=False)
            self._unsampled.pop(key, None)
            self._runs.pop(key, None)
            if self._texts.pop(key, None) is not None:
                self._characters -= len(remembered.text or "")
            self._samples.remove(remembered)
            self._pause()

    def next_deadline(self) -> float | None:
        """When `expire` has a text to let go of, on the monotonic clock."""
        return next((remembered.retrieved + TEXT_SECONDS for remembered in self._texts.values()), None)

    def _take_in(self, chunk: KnownChunk, text: str, partition: str) -> None:
        key = chunk.key
        remembered = self._chunks.get(key)
        if remembered is None:
            self._number += 1
            remembered = Remembered(chunk, partition, self._number, None, 0.0)
            self._chunks[key] = self._unsampled[key] = remembered
        else:
            self._chunks.move_to_end(key)
        if remembered.text is None:
            self._characters += len(text)
        if chunk.collection is None and remembered.chunk.collection is not None:
            # A framework hands on what its database gave, and does not say where it is from.
            chunk = replace(chunk, collection=remembered.chunk.collection)
        remembered.chunk, remembered.text, remembered.retrieved = chunk, text, self._clock()
        self._texts[key] = remembered
        self._texts.move_to_end(key)

    def _sample(self, remembered: Remembered) -> None:
        """Take the sample of a chunk whose text is still held."""
        text = remembered.text or ""
        is_short = len(text) <= LONGEST_SAMPLED
        # What is looked for next needs all of them: those of a short text are kept for it.
        runs = self._runs_of(remembered) if is_short else Runs.spread(text, remembered.partition, self._pause)
        remembered.take_sample(runs)
        self._pause()
        self._samples.add(remembered)
        self._pause()

    def _runs_of(self, remembered: Remembered) -> Runs:
        """All runs of words of a chunk whose text is still held, made once while they are needed."""
        key = remembered.chunk.key
        runs = self._runs.get(key)
        if runs is None:
            runs = self._runs[key] = Runs.of(remembered.text or "", remembered.partition, self._pause)
            if len(self._runs) > MOST_RUNS:
                self._runs.popitem(last=False)
        else:
            self._runs.move_to_end(key)
        return runs

    def _drop_text(self, remembered: Remembered) -> None:
        key = remembered.chunk.key
        if self._unsampled.pop(key, None) is not None:
            self._sample(remembered)
        self._runs.pop(key, None)
        del self._texts[key]
        self._characters -= len(remembered.text or "")
        remembered.text = None


class SampleIndex:
    """Who has which hash in its sample."""

    def __init__(self) -> None:
        # Most hashes have one owner: a collection for each of 100,000 would take twice the memory.
        self._owners: dict[int, Remembered | dict[Remembered, None]] = {}

    def add(self, remembered: Remembered) -> None:
        """Take in the sample of a chunk."""
        for gram in remembered.sample or ():
            owner = self._owners.get(gram)
            if owner is None:
                self._owners[gram] = remembered
            elif isinstance(owner, dict):
                owner[remembered] = None
            else:
                self._owners[gram] = {owner: None, remembered: None}

    def remove(self, remembered: Remembered) -> None:
        """Forget a chunk."""
        for gram in remembered.sample or ():
            owner = self._owners.get(gram)
            if owner is remembered:
                del self._owners[gram]
            elif isinstance(owner, dict):
                owner.pop(remembered, None)
                if not owner:
                    del self._owners[gram]

    def candidates(self, haystack: Haystack, most: int, pause: Pause) -> list[Remembered]:
        """The chunks that may stand in a text: enough of their sample does."""
        hits: dict[Remembered, int] = {}
        for gram in haystack.common(self._owners):
            owner = self._owners[gram]
            for remembered in owner if isinstance(owner, dict) else (owner,):
                hits[remembered] = hits.get(remembered, 0) + 1
            pause()
        likely = {
            remembered: count / len(remembered.sample or (1,))
            for remembered, count in paused(hits.items(), pause)
            if count >= LEAST_SAMPLED * len(remembered.sample or ())
        }
        if len(likely) <= most:
            return list(likely)
        return list(islice(in_order(list(likely), pause, lambda each: -likely[each]), most))
