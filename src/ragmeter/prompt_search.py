"""Where remembered chunks stand in prompts, each part of a prompt searched once. Worker only.

What was retrieved for the same query is looked for first, as it is. Then the rest of each new part is compared with all
that is remembered, by words. A part that comes again, as histories do, is not searched again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ragmeter.anatomy import Place
from ragmeter.chunk_memory import ChunkMemory, Remembered
from ragmeter.locating import LEAST_CHUNK, Found, Haystack, Needle, find_exact, free_spans
from ragmeter.model import KnownChunk, Prompt, PromptPart, Role, TextKey, key_of
from ragmeter.pausing import Pause, without_pause

MOST_PARTS = 8_192
"""Parts of prompts of which it is remembered what stands in them."""

SHORT_STRETCH = 200
"""Characters between located chunks that are not searched any further: a separator, a question."""

MOST_SEARCHED = 400_000
"""Characters of one prompt that are searched at the most, the latest parts first."""

MOST_LOOKED_AGAIN = 8
"""Known parts, the latest, that are searched again when nothing of the query's own retrieval was found."""

SEARCHED_ROLES = frozenset((Role.SYSTEM, Role.DOCUMENT, Role.USER, Role.TOOL))
"""Retrieved text stands in these; what a model wrote is its own, and tool definitions share their boilerplate."""


@dataclass(frozen=True, slots=True)
class _KnownPart:
    """What was found in a part, and the number of the latest chunk that was remembered then."""

    found: tuple[Found, ...]
    number: int


@dataclass(slots=True)
class _Search:
    """One prompt being searched: `found` by number of the part, `own` the chunks of its query that are remembered."""

    parts: Sequence[PromptPart]
    partition: str
    own: list[Remembered]
    found: dict[int, tuple[Found, ...]] = field(default_factory=dict)

    def missing(self) -> list[Remembered]:
        """What was retrieved for the query and stands nowhere yet."""
        present = {each.chunk.key for found in self.found.values() for each in found}
        return [remembered for remembered in self.own if remembered.chunk.key not in present]


class PromptSearch:
    """Finds the chunks of a memory in prompts; `pause` is called between slices of the work."""

    def __init__(self, memory: ChunkMemory, pause: Pause = without_pause) -> None:
        self._memory = memory
        self._pause = pause
        self._known: OrderedDict[TextKey, _KnownPart] = OrderedDict()

    def locate(self, prompt: Prompt, own: Sequence[KnownChunk] = (), partition: str = "") -> tuple[Place, ...]:
        """The places of chunks in `prompt`, in wire order; `own` are those retrieved for the same query.

        A document that the provider was handed is a chunk, remembered or not.
        """
        self._memory.expire()
        found = self._search(prompt.parts, own, partition) if self._memory.number else {}
        metadata = {chunk.key: chunk for chunk in own}
        places: list[Place] = []
        for number, part in enumerate(prompt.parts):
            places += [
                Place(metadata.get(each.chunk.key, each.chunk), number, each.spans)
                for each in sorted(found.get(number, ()), key=lambda each: each.spans)
            ]
            if part.role is Role.DOCUMENT and part.text and not found.get(number):
                places.append(Place(KnownChunk(key_of(part.text, partition)), number, ((0, len(part.text)),)))
        return tuple(places)

    def _search(
        self, parts: Sequence[PromptPart], own: Sequence[KnownChunk], partition: str
    ) -> dict[int, tuple[Found, ...]]:
        remembered = (self._memory.get(chunk.key) for chunk in own)
        search = _Search(parts, partition, [each for each in remembered if each is not None])
        newest = max((each.number for each in search.own), default=0)
        fresh: list[int] = []
        known: list[int] = []
        for number, part in enumerate(parts):
            if part.role not in SEARCHED_ROLES or len(part.text) < LEAST_CHUNK:
                continue
            key = key_of(part.text, partition)
            before = self._known.get(key)
            if before is None:
                fresh.append(number)
            else:
                self._known.move_to_end(key)
                search.found[number] = before.found
                if newest > before.number:
                    known.append(number)
        self._search_parts(search, fresh)
        if search.own and len(search.missing()) == len(search.own):
            # Retrieved only after the same text was sent before: a cache, a test, a hurried thread.
            self._search_parts(search, known[-MOST_LOOKED_AGAIN:])
        return search.found

    def _search_parts(self, search: _Search, numbers: Sequence[int]) -> None:
        budget = MOST_SEARCHED
        chosen: list[int] = []
        for number in reversed(numbers):
            budget -= len(search.parts[number].text)
            if budget < 0 and chosen:
                break
            chosen.append(number)
        self._find_exact(search, chosen, search.own)
        if not any(search.found[number] for number in chosen):
            self._find_exact(search, chosen, self._memory.latest(search.partition))
        for number in chosen:
            search.found[number] += tuple(self._search_rest(search, number))
            self._keep(search, number)

    def _find_exact(self, search: _Search, numbers: Sequence[int], chunks: Iterable[Remembered]) -> None:
        texts = [(each.chunk, each.text) for each in chunks if each.text is not None]
        for number in numbers:
            search.found[number] = tuple(find_exact(search.parts[number].text, texts, self._pause))

    def _search_rest(self, search: _Search, number: int) -> Iterable[Found]:
        """What stands in a part besides what was found as it is; short stretches only where they may hold something."""
        text = search.parts[number].text
        missing = search.missing()
        # While nothing was found at all every stretch may hold something, else what is as long as a chunk.
        lengths = [LEAST_CHUNK if len(missing) == len(search.own) else SHORT_STRETCH]
        lengths += [each.chunk.key[1] // 2 for each in search.own]
        least = max(LEAST_CHUNK, min(lengths))
        stretches = [span for span in free_spans(len(text), search.found[number]) if span[1] - span[0] >= least]
        if not stretches:
            return ()
        haystack = Haystack(text, stretches, search.partition, self._pause)
        needles: dict[TextKey, Needle] = {}
        for each in missing:
            needles[each.chunk.key] = self._memory.needle(each)
            self._pause()
        for each in self._memory.candidates(haystack):
            if each.chunk.key not in needles:
                needles[each.chunk.key] = self._memory.needle(each)
                self._pause()
        return haystack.find(list(needles.values()), self._pause)

    def _keep(self, search: _Search, number: int) -> None:
        key = key_of(search.parts[number].text, search.partition)
        self._known[key] = _KnownPart(search.found[number], self._memory.number)
        while len(self._known) > MOST_PARTS:
            self._known.popitem(last=False)
