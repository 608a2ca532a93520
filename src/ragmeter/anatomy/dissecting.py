"""A prompt taken apart: its chunks found and judged, its texts weighed. What one prompt teaches of the next lives here.

Used by the worker for live calls, and by `ragmeter anatomy` for a prompt in a file.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from ragmeter.anatomy import fates
from ragmeter.anatomy.calibration import Calibration
from ragmeter.anatomy.fates import Fingerprint
from ragmeter.anatomy.finding import ChunkFinder
from ragmeter.anatomy.memory import ChunkMemory
from ragmeter.anatomy.parts import Dissection, JudgedPlace, Place, Segment, earlier_turns, question_of, segments
from ragmeter.anatomy.tools import declaration
from ragmeter.anatomy.weights import Tokenizer, Weigher, tokenizer_of
from ragmeter.domain.model import Chunk, Fate, KnownChunk, Operation, Origin, Prompt, Response, Role, TextKey, key_of
from ragmeter.domain.pausing import Pause, hash_of, paused, without_pause

MOST_FINGERPRINTS = 256
"""Of texts in prompts, about 40 kB each: chunks come again."""

MOST_DECLARATIONS = 1_024
"""Sets of tools of which the weight is remembered."""

MOST_JUDGED = 100
"""Chunks of the current turn an answer is held against, the latest: agents pile up hundreds. Others are unknown."""

_LABEL = re.compile(r"(\d{1,3})[\s\W]{0,6}$")
LABEL_LENGTH = 24
"""Characters before a chunk in which a template may have numbered it."""

_VERDICTS = {True: Fate.USED, False: Fate.UNUSED, None: Fate.UNKNOWN}


class Dissector:
    """Takes prompts apart; `exact` counts tokens instead of weighing where it can, `pause` lets the app run between."""

    def __init__(self, *, exact: bool = False, pause: Pause = without_pause) -> None:
        self.weigher = Weigher(exact=exact, pause=pause)
        self.memory = ChunkMemory(pause)
        self._finder = ChunkFinder(self.memory, pause)
        self._calibration = Calibration()
        self._fingerprints: OrderedDict[TextKey, Fingerprint] = OrderedDict()
        self._declarations: dict[tuple[int, Tokenizer], float] = {}
        self._pause = pause

    def remember(
        self,
        chunks: Iterable[Chunk],
        partition: str = "",
        collection: str | None = None,
        *,
        is_distance: bool | None = None,
    ) -> tuple[KnownChunk, ...]:
        """Take in what was retrieved from `collection`, to be found in the prompts of its `partition`."""
        return self.memory.remember(chunks, partition, collection, is_distance=is_distance)

    def dissect(self, operation: Operation, own: Sequence[KnownChunk] = (), partition: str = "") -> Dissection:
        """Take apart the prompt of a finished inference; `own` are the chunks retrieved for the same query."""
        prompt = operation.prompt
        if not prompt.fragments:
            return Dissection(unread=prompt.unread)
        located = self._finder.locate(prompt, own, partition)
        tokenizer = tokenizer_of(operation.model)
        weigh = partial(self.weigher.weigh, tokenizer=tokenizer)
        tools, weight, factor = self._hash_of_tools(prompt), 0.0, 1.0
        if tools:
            weight = sum(
                [weigh(each.text) for each in paused(prompt.fragments, self._pause) if each.role is Role.TOOLS]
            )
            declared = self._declared(prompt, tools, tokenizer) if tokenizer.is_known else None
            factor = self._calibration.tools_factor(operation.model or "", tools, weight, declared)
        cut = segments(prompt, located.places, weigh, factor, self._pause)
        self._pause()
        judged = self._judge(prompt, located.places, "".join(operation.response.text))
        unread = prompt.unread or _added(operation.response)
        if unread is None:
            self._learn(operation, cut, tools, weight, tokenizer)
        return Dissection(cut, judged, unread, self.weigher.is_exact(tokenizer), located.unsettled)

    def _learn(
        self, operation: Operation, cut: Sequence[Segment], tools: int, weight: float, tokenizer: Tokenizer
    ) -> None:
        """Learn from the provider's total of a prompt that was read once and as a whole; `weight` is its tools'."""
        usage = operation.response.usage
        if usage is None or not usage.input_tokens or usage.longest_input is not None:
            return
        others = [segment.weight for segment in paused(cut, self._pause) if segment.origin is not Origin.TOOLS]
        self._calibration.observe(
            operation.model or "",
            tools,
            total=usage.input_tokens,
            tools_weight=weight,
            other_weight=sum(others),
            fragments=sum([each.role is not Role.TOOLS for each in paused(operation.prompt.fragments, self._pause)]),
            is_known=tokenizer.is_known,
            is_exact=self.weigher.is_exact(tokenizer),
        )

    def _declared(self, prompt: Prompt, tools: int, tokenizer: Tokenizer) -> float:
        """What the tools weigh as OpenAI's models read them."""
        if (tools, tokenizer) not in self._declarations:
            if len(self._declarations) >= MOST_DECLARATIONS:
                self._declarations.clear()
            texts = (each.text for each in paused(prompt.fragments, self._pause) if each.role is Role.TOOLS)
            text = declaration(texts, self._pause)
            self._declarations[tools, tokenizer] = self.weigher.weigh(text, tokenizer)
        return self._declarations[tools, tokenizer]

    def _judge(self, prompt: Prompt, places: Sequence[Place], answer: str) -> tuple[JudgedPlace, ...]:
        """What became of each place: what stands in an earlier turn was sent again, the first of equals is judged."""
        if not places:
            return ()
        pause, earlier = self._pause, earlier_turns(prompt.fragments, self._pause)
        stale = [
            place.fragment in earlier and prompt.fragments[place.fragment].role is not Role.SYSTEM
            for place in paused(places, pause)
        ]
        first: dict[TextKey, int] = {}
        for number, place in enumerate(paused(places, pause)):
            if not stale[number]:
                first.setdefault(place.chunk.key, number)
        pause()
        candidates = list(first.values())[-MOST_JUDGED:]
        prints = [self._fingerprint(_text_of(prompt, places[number])) for number in candidates]
        verdicts = fates.judge(answer, question_of(prompt, places, pause), prints, pause)
        verdict_of = dict.fromkeys(first.values(), Fate.UNKNOWN)
        duplicates = fates.near_duplicates(prints, pause)
        for number, verdict, duplicate in zip(candidates, verdicts, duplicates, strict=True):
            verdict_of[number] = Fate.REPEATED if duplicate is not None else _VERDICTS[verdict]
        cited = _cited(prompt, places, stale, fates.cited(answer, pause), pause)
        fates_of = [verdict_of.get(number, Fate.REPEATED) for number in paused(range(len(places)), pause)]
        return tuple(_judged(places, fates_of, stale, cited, pause))

    def _fingerprint(self, text: str) -> Fingerprint:
        key = key_of(text, pause=self._pause)
        found = self._fingerprints.get(key)
        if found is None:
            found = self._fingerprints[key] = fates.fingerprint(text, self._pause)
            if len(self._fingerprints) > MOST_FINGERPRINTS:
                self._fingerprints.popitem(last=False)
        else:
            self._fingerprints.move_to_end(key)
        return found

    def _hash_of_tools(self, prompt: Prompt) -> int:
        fragments = paused(prompt.fragments, self._pause)
        hashes = tuple([hash_of(each.text, self._pause) for each in fragments if each.role is Role.TOOLS])
        return hash(hashes) if hashes else 0


def _judged(
    places: Sequence[Place], fates_of: Sequence[Fate], stale: Sequence[bool], cited: AbstractSet[int], pause: Pause
) -> Iterator[JudgedPlace]:
    """The places with what became of them; those of one chunk that had the same fate are one object."""
    alike: dict[tuple[TextKey, Fate, bool, bool], JudgedPlace] = {}
    for number, place in enumerate(paused(places, pause)):
        key = (place.chunk.key, fates_of[number], stale[number], number in cited)
        judged = alike.get(key)
        if judged is None:
            judged = alike[key] = JudgedPlace(place.chunk, fates_of[number], stale[number], number in cited)
        yield judged


def _text_of(prompt: Prompt, place: Place) -> str:
    text = prompt.fragments[place.fragment].text
    return " ".join(text[start:end] for start, end in place.spans)


def _cited(
    prompt: Prompt, places: Sequence[Place], stale: Sequence[bool], named: frozenset[int], pause: Pause
) -> set[int]:
    """The numbers of those places of the current turn that a marker in the answer names, by the numbers it has `named`.

    A marker names the number a template has written before a chunk, else its place in the current turn's order, from 1.
    """
    if not named:
        return set()
    current = [number for number, is_stale in enumerate(paused(stale, pause)) if not is_stale]
    written: list[int | None] = []
    for number in paused(current, pause):
        place = places[number]
        written.append(_label(prompt.fragments[place.fragment].text, place.spans[0][0]))
    has_labels = (len(written) - written.count(None)) * 2 > len(current)
    labels = written if has_labels else range(1, len(current) + 1)
    return {number for number, label in zip(paused(current, pause), labels, strict=True) if label in named}


def _label(text: str, start: int) -> int | None:
    match = _LABEL.search(text[max(0, start - LABEL_LENGTH) : start])
    return int(match[1]) if match else None


def _added(response: Response) -> Origin | None:
    """The origin of what the provider has put into the prompt itself: its file search, its web search, other tools."""
    if response.retrieved:
        return Origin.CONTEXT
    usage = response.usage
    if usage is None:
        return None
    # Tokens and seconds of another kind are what was given or made, not what a tool has brought.
    has_tools = any(number and not unit.endswith(("_tokens", "_seconds")) for unit, number in usage.units.items())
    return Origin.OTHER if has_tools else None
