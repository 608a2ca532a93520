"""Texts made to be slow: work grows with the text and no faster, the app may run all the time, bounds are told."""

from __future__ import annotations

import json
from random import Random

import pytest
from benchmarks.slices import kinds
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import passages
from ragmeter.anatomy import finding
from ragmeter.anatomy.dissecting import Dissector
from ragmeter.anatomy.exact_finding import ANCHOR, STEP, WINDOW, ExactFinder
from ragmeter.anatomy.finding import ChunkFinder
from ragmeter.anatomy.memory import TEXT_SECONDS, ChunkMemory
from ragmeter.anatomy.parts import apportion, question_of
from ragmeter.anatomy.tools import declaration
from ragmeter.anatomy.weights import tokenizer_of
from ragmeter.domain.model import (
    Chunk,
    Fate,
    KnownChunk,
    Operation,
    OperationKind,
    Origin,
    Prompt,
    PromptFragment,
    Request,
    Response,
    Role,
    Usage,
    key_of,
)
from ragmeter.domain.pausing import LONG_TEXT, without_pause
from ragmeter.ledger.metering import meter_inference

QUESTION = PromptFragment(Role.USER, "What was closed, and for how long?")


def call(
    parts: list[PromptFragment], answer: str = "It was closed for thirty months, as the harbour master said."
) -> Operation:
    return Operation(
        request=Request(OperationKind.CHAT, "openai", model="gpt-4o"),
        response=Response(usage=Usage(10_000, 50), text=(answer,)),
        prompt=Prompt(tuple(parts)),
        started=0,
        duration=1.0,
    )


def pauses(name: str, length: int, count: int) -> int:
    """How often the app could run while a prompt of this kind was taken apart."""
    kind, paused = kinds(length, count)[name](), []
    dissector = Dissector(pause=lambda: paused.append(1))
    known = dissector.remember([Chunk(text, str(at), None, at) for at, text in enumerate(kind.chunks)])
    parts = [PromptFragment(kind.role, text) for text in kind.parts]
    dissection = dissector.dissect(call([*parts, QUESTION], kind.answer), known)
    assert sum(share.tokens for share in apportion(dissection, 10_000)) == 10_000
    return len(paused)


@pytest.mark.parametrize("name", kinds(1_000, 10))
def test_slices_of_work_grow_with_the_text(name):
    """A prompt twice as long with twice as many chunks takes about twice as many slices of work, whatever is in it."""
    assert pauses(name, 60_000, 60) <= 3 * pauses(name, 30_000, 30) + 1_000


class Counted(str):
    """A text that knows how often and how far it was searched."""

    __slots__ = ("calls", "longest")

    def __init__(self, _: str) -> None:
        self.calls = self.longest = 0

    def find(self, needle: str, start: int = 0, end: int = -1) -> int:
        self.calls += 1
        self.longest = max(self.longest, (len(self) if end < 0 else end) - start)
        return super().find(needle, start, end)


@pytest.mark.parametrize("unit", ["x", "ab", "word ", "\\", "字", "x" * 99 + "y"])
@pytest.mark.parametrize("ending", ["", "!"])
def test_a_search_jumps_over_what_is_taken(unit, ending):
    """Chunks of one letter or word, each of another length, take some searches each, none over too long a text."""
    text = Counted((unit * 200_000)[:200_000])
    chunks = [((unit * 2_000)[: 20 + at] + ending).strip() for at in range(1_500)]
    exact = ExactFinder([text], without_pause, left=10 * STEP * len(chunks))
    found = list(exact.find((KnownChunk((at, len(chunk))), chunk) for at, chunk in enumerate(chunks)))
    assert text.calls <= 12 * len(chunks)
    assert text.longest <= WINDOW + ANCHOR
    free = sorted(each.spans[0] for _, each in found)
    assert all(text[start:end] in chunks for start, end in free)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(alphabet="ab", min_size=20, max_size=45), min_size=1, max_size=6),
    st.lists(st.text(alphabet="ab", max_size=150), min_size=1, max_size=3),
)
def test_an_exact_search_finds_what_stands_there(texts, parts):
    """A chunk is found where its text stands, the first one always; a part that holds one has some place in it."""
    parts = [*parts, parts[0] + texts[0]]
    found = list(ExactFinder(parts, without_pause).find([(KnownChunk(key_of(text)), text) for text in texts]))
    of_key = {key_of(text): text for text in texts}
    for part, each in found:
        ((start, end),) = each.spans
        assert parts[part][start:end] == of_key[each.chunk.key]
    assert key_of(texts[0]) in {each.chunk.key for _, each in found}
    for part, text in enumerate(parts):
        for key, chunk in of_key.items():
            if chunk in text and not any(number == part for number, _ in found):
                pytest.fail(f"{chunk} of {key} stands alone in part {part}")


PARENT = (
    "Frames made of steel carry a warranty of ten years. "
    "Batteries lose up to a fifth of what they hold in three years. "
    "Returned bicycles are collected at the shop in Ghent, and the money is back within fourteen days."
)
CHILD = "Batteries lose up to a fifth of what they hold in three years."


@pytest.mark.parametrize(
    "question",
    [
        f'What does "{CHILD}" mean?',
        f"Question: {CHILD}",
        "Is it true that batteries lose up to a fifth of what they hold in three years, or is it less?",
    ],
    ids=["quoted", "alone", "in other words"],
)
@pytest.mark.parametrize("order", [(PARENT, CHILD), (CHILD, PARENT)], ids=["parent first", "child first"])
def test_a_chunk_inside_another_is_not_found_in_the_question(question, order):
    """What stands within another chunk has its place there: a question that repeats it stays a question."""
    memory = ChunkMemory()
    known = memory.remember([Chunk(text) for text in order])
    prompt = Prompt((PromptFragment(Role.USER, f"Context:\n{PARENT}\n\n{question}"),))
    places = ChunkFinder(memory).locate(prompt, known).places
    assert {place.chunk.key for place in places} == {chunk.key for chunk in known}
    assert question in question_of(prompt, places)


def test_a_chunk_sent_by_itself_and_inside_another_is_found_by_itself():
    """Where a template has written it as a source of its own, a chunk that another one holds has its place there."""
    memory = ChunkMemory()
    known = memory.remember([Chunk(PARENT), Chunk(CHILD)])
    text = f"[1] {PARENT}\n[2] {CHILD}\n\nAnswer from these sources: how long do batteries last?"
    places = ChunkFinder(memory).locate(Prompt((PromptFragment(Role.USER, text),)), known).places
    assert [text[slice(*place.spans[0])] for place in places] == [PARENT, CHILD]


def fates_of(dissector: Dissector, operation: Operation, known: tuple[KnownChunk, ...]) -> list[Fate]:
    metered = meter_inference(operation, dissector.dissect(operation, known), None, dissector.weigher, fine_tuned=False)
    assert sum(part.tokens for part in metered.parts if part.part != "output") == 10_000
    return [use.place.fate for use in metered.context]


@pytest.fixture
def bounded(monkeypatch):
    """Sets what one prompt may spend."""

    def bound(**spent):
        made = finding._Looking.__init__
        monkeypatch.setattr(finding._Looking, "__init__", lambda *given: made(*given, **spent))

    return bound


@pytest.mark.parametrize("spent", [{"characters": 10}, {"comparisons": 1}, {}], ids=str)
def test_what_nobody_looked_for_is_unknown(bounded, spent):
    """A chunk that may stand where a bound has kept us from looking is not unsent: nobody knows, and so it counts."""
    bounded(**spent)
    dissector = Dissector()
    known = dissector.remember([Chunk(PARENT)])
    quoted = PromptFragment(Role.TOOL, "> " + PARENT.upper().replace(". ", ".\n> "))
    assert (fates_of(dissector, call([quoted, QUESTION]), known) == [Fate.UNKNOWN]) is bool(spent)
    absent = dissector.remember([Chunk("Nothing of this stands anywhere in what was sent, in whatever form.")])
    assert fates_of(dissector, call([PromptFragment(Role.USER, "What was closed?")]), absent) == []


def test_a_search_that_was_cut_short_says_so(bounded):
    """With enough looked through the search ends: what has no words to be found by counts as unknown."""
    bounded(scanned=1_000)
    dissector = Dissector()
    known = dissector.remember([Chunk("x" * 50 + "y"), Chunk("x" * 60 + "z")])
    operation = call([PromptFragment(Role.USER, "x" * 5_000)])
    assert fates_of(dissector, operation, known) == [Fate.UNKNOWN, Fate.UNKNOWN]


@pytest.mark.parametrize("edit", [str.upper, lambda text: "> " + text.replace(". ", ".\n> "), json.dumps])
def test_a_chunk_of_many_pages_is_found_in_another_form(edit):
    """Of a text of 60,000 characters not every run of words is compared, and it is found with about its size."""
    text = "\n".join(passages("prose", 30, Random(5)))
    dissector = Dissector()
    known = dissector.remember([Chunk(text)])
    dissection = dissector.dissect(call([PromptFragment(Role.USER, f"{edit(text)}\n\nWhat is it about?")]), known)
    context = sum(part.weight for part in dissection.segments if part.origin is Origin.CONTEXT)
    assert context == pytest.approx(dissector.weigher.weigh(edit(text), tokenizer_of("gpt-4o")), rel=0.05)


def test_a_chunk_of_many_pages_is_found_when_its_text_is_held_no_more():
    """Of a text of 60,000 characters a sample of its words is left, by which also its second half is found."""
    now = [0.0]
    memory = ChunkMemory(clock=lambda: now[0])
    text = "\n".join(passages("prose", 30, Random(5)))
    known = memory.remember([Chunk(text)])
    now[0] += TEXT_SECONDS + 1
    sent = "> " + text[len(text) // 2 :].replace("\n", "\n> ")
    located = ChunkFinder(memory).locate(Prompt((PromptFragment(Role.USER, f"{sent}\n\nWhat is it about?"),)), known)
    assert [place.chunk.key for place in located.places] == [key_of(text)]


def test_ten_thousand_results_of_tools_are_weighed_as_few():
    """Parts without a chunk are put together beyond a thousand: nothing of their weight or their text is lost."""
    dissector = Dissector()
    texts = [" ".join(f"word{number}of{at}" for at in range(6)) for number in range(10_000)]
    (chunk,) = dissector.remember([Chunk(texts[9_000])])
    parts = dissector.dissect(call([*(PromptFragment(Role.TOOL, text) for text in texts), QUESTION]), [chunk]).segments
    assert len(parts) < 2_000
    weights = sum(dissector.weigher.weigh(text, tokenizer_of("gpt-4o")) for text in (*texts, QUESTION.text))
    assert sum(part.weight for part in parts) == pytest.approx(weights)
    assert "\n".join(part.text for part in parts) == "\n".join((*texts, QUESTION.text))
    assert [part.text for part in parts if part.origin is Origin.CONTEXT] == [texts[9_000]]


def test_long_texts_have_keys_as_short_ones():
    """Equal long texts have one key, also as copies; of two tenants, or with another end, they have two."""
    text = "word " * LONG_TEXT
    assert key_of(text, "a") == key_of((text + " ")[:-1], "a")
    assert len({key_of(text, "a"), key_of(text, "b"), key_of(text[:-1] + "s", "a")}) == 3


@pytest.mark.parametrize(
    "definition",
    ["[" * 60_000, '{"a":' * 10_000, '{"name": "f", "parameters": {"properties": {"a": {}}, "required": 7}}'],
)
def test_no_definition_of_a_tool_costs_the_anatomy(definition):
    """What cannot be read as a function's definition counts as it stands."""
    assert declaration([definition])
    assert Dissector().dissect(call([PromptFragment(Role.TOOLS, definition), QUESTION])).segments
