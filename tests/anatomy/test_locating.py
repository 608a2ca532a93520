"""Chunks are found in prompts whatever a template has made of them, and only those that are there."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edits import EDITS, Trial, trials
from ragmeter.anatomy import finding
from ragmeter.anatomy import memory as chunk_memory
from ragmeter.anatomy.finding import ChunkFinder
from ragmeter.anatomy.memory import ChunkMemory
from ragmeter.anatomy.parts import Place
from ragmeter.anatomy.words import normal, word_span, words
from ragmeter.domain.model import Chunk, Prompt, PromptFragment, Role, key_of

RECALL = 0.97
FALSE_POSITIVES = 0.01
SIZE_ERROR = 4.0
"""Characters by which the context's size is off, in percent of the prompt: the mean over all edits."""


@pytest.fixture(scope="module")
def all_trials() -> dict[str, list[Trial]]:
    return {edit: trials(edit, Random(edit), prompts=4) for edit in EDITS}


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def user(text: str) -> Prompt:
    return Prompt((PromptFragment(Role.USER, text),))


def places_of(trial: Trial, known_as: str) -> tuple[Place, ...]:
    """Where the trial's chunks are found: as the query's own, another query's, or by hashes when their text is gone."""
    clock = Clock()
    memory = ChunkMemory(clock=clock)
    known = memory.remember([chunk for pair in zip(trial.present, trial.absent, strict=True) for chunk in pair])
    if known_as == "hashes":
        clock.now += chunk_memory.TEXT_SECONDS + 1
    return ChunkFinder(memory).locate(user(trial.prompt), known if known_as == "own" else ()).places


@pytest.mark.parametrize("known_as", ["own", "foreign", "hashes"])
def test_edited_chunks_are_found_and_no_others(all_trials, known_as):
    """Over all edits recall is .97 or better, false positives .01 or fewer, and the context's size is about right."""
    found = present = wrong = absent = 0
    errors = []
    for edit_trials in all_trials.values():
        for trial in edit_trials:
            places = places_of(trial, known_as)
            keys = {place.chunk.key for place in places}
            found += len(keys & {key_of(chunk.text) for chunk in trial.present})
            wrong += len(keys & {key_of(chunk.text) for chunk in trial.absent})
            present += len(trial.present)
            absent += len(trial.absent)
            size = sum(end - start for place in places for start, end in place.spans)
            errors.append(abs(size - sum(map(len, trial.spans))) / len(trial.prompt) * 100)
    assert found / present >= RECALL
    assert wrong / absent <= FALSE_POSITIVES
    assert sum(errors) / len(errors) <= SIZE_ERROR


def test_a_verbatim_chunk_is_found_to_the_character():
    """What stands there as it was retrieved has exactly its own characters."""
    memory = ChunkMemory()
    text = "The tide tables of the northern harbour are printed anew every spring."
    known = memory.remember([Chunk(text)])
    (place,) = ChunkFinder(memory).locate(user(f"Context: {text}\n\nQuestion?"), known).places
    assert place.spans == ((9, 9 + len(text)),)


def test_a_chunk_that_stands_twice_has_two_places():
    """Twice verbatim, twice reformatted, or once each: two places."""
    text = "The tide tables of the northern harbour are printed anew every spring, and cost two crowns at the kiosk."
    for first, second in ((text, text), (text.upper(), text.upper()), (text, repr(text.upper()))):
        memory = ChunkMemory()
        known = memory.remember([Chunk(text)])
        assert (
            len(ChunkFinder(memory).locate(user(f"{first}\n\n---\n\n{second}\n\nWhat do they cost?"), known).places)
            == 2
        )


def test_what_a_model_wrote_and_what_tools_declare_is_no_context():
    """An answer that quotes a chunk stays history, a schema that resembles one stays a tool."""
    memory = ChunkMemory()
    text = "The tide tables of the northern harbour are printed anew every spring, and cost two crowns at the kiosk."
    known = memory.remember([Chunk(text)])
    parts = (
        PromptFragment(Role.TOOLS, text),
        PromptFragment(Role.ASSISTANT, text),
        PromptFragment(Role.USER, "What do they cost?"),
    )
    assert ChunkFinder(memory).locate(Prompt(parts), known).places == ()


def test_a_text_sent_before_it_was_retrieved_is_found_the_second_time():
    """A prompt that was seen without the retrieval is searched again once the same text has been retrieved."""
    memory = ChunkMemory()
    finder = ChunkFinder(memory)
    memory.remember([Chunk("Something else entirely that was retrieved before, to have a memory at all.")])
    text = "The tide tables of the northern harbour are printed anew every spring."
    prompt = user(f"Context: {text}\n\nWhen?")
    assert finder.locate(prompt).places == ()
    known = memory.remember([Chunk(text)])
    assert len(finder.locate(prompt, known).places) == 1


def test_texts_are_let_go_of(monkeypatch):
    """A text is held for two minutes and within a bound; after that its hashes are left, and it is still found."""
    clock = Clock()
    memory = ChunkMemory(clock=clock)
    monkeypatch.setattr(chunk_memory, "MOST_CHARACTERS", 10_000)
    texts = [" ".join(f"word{number}x{at}" for at in range(200)) for number in range(20)]
    memory.remember([Chunk(text) for text in texts])
    held = [memory.get(key_of(text)) for text in texts]
    assert sum(len(each.text or "") for each in held) <= 10_000
    clock.now += chunk_memory.TEXT_SECONDS + 1
    memory.expire()
    assert all(each.text is None for each in held)
    assert memory.next_deadline() is None
    found = ChunkFinder(memory).locate(user("\n".join(f"> {text.upper()}" for text in texts[:3]))).places
    assert {place.chunk.key for place in found} == {key_of(text) for text in texts[:3]}


def test_memory_is_bounded(monkeypatch):
    """However many chunks and prompts come, only so many are remembered; the forgotten leave nothing behind."""
    monkeypatch.setattr(chunk_memory, "MOST_CHUNKS", 50)
    monkeypatch.setattr(finding, "MOST_FRAGMENTS", 20)
    memory = ChunkMemory()
    finder = ChunkFinder(memory)
    for number in range(300):
        text = " ".join(f"word{number}x{at}" for at in range(30))
        known = memory.remember([Chunk(text)])
        finder.locate(user(f"{text.upper()} and question {number}"), known)
    assert len(memory._chunks) == 50
    assert len(memory._samples._owners) <= 50 * chunk_memory.SAMPLE
    assert len(finder._known) == 20


def test_forgotten_chunks_with_words_in_common_leave_nothing_behind(monkeypatch):
    """A run of words that several chunks had is forgotten with the last of them."""
    monkeypatch.setattr(chunk_memory, "MOST_CHUNKS", 10)
    memory = ChunkMemory()
    finder = ChunkFinder(memory)
    for number in range(200):
        shared = " ".join(f"common{number // 4}x{at}" for at in range(40))
        memory.remember([Chunk(f"{shared} only{number}")])
        finder.locate(user(f"A question number {number} that has nothing to do with any of it, long enough to search."))
    assert len(memory._samples._owners) <= 10 * chunk_memory.SAMPLE


def test_a_text_that_is_let_go_of_leaves_its_sample_only():
    """When a text is no longer held, no more than the sample of its hashes is either."""
    clock = Clock()
    memory = ChunkMemory(clock=clock)
    text = " ".join(f"word{at}" for at in range(200))
    known = memory.remember([Chunk(text)])
    ChunkFinder(memory).locate(user(f"> {text.upper()}"), known)
    assert len(memory._runs) == 1
    clock.now += chunk_memory.TEXT_SECONDS + 1
    memory.expire()
    assert len(memory._runs) == 0
    (remembered,) = memory._chunks.values()
    assert len(remembered.sample or ()) == chunk_memory.SAMPLE


def test_partitions_share_nothing():
    """A chunk of one tenant is not found in a prompt of another, not even by the hashes of its words."""
    memory = ChunkMemory()
    finder = ChunkFinder(memory)
    text = "The tide tables of the northern harbour are printed anew every spring, and cost two crowns at the kiosk."
    memory.remember([Chunk(text)], "a")
    assert len(finder.locate(user(text.upper()), (), "a").places) == 1
    assert finder.locate(user(text.upper()), (), "b").places == ()
    assert finder.locate(user(text), (), "b").places == ()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="ab \\nu0e9中文é&;\"'\0", max_size=200))
def test_words_stand_where_they_are_said_to_stand(text):
    """Normalising keeps the length of any text, and every word is found at its own place."""
    plain = normal(text)
    assert len(plain) == len(text)
    for number, word in enumerate(words(plain)):
        start, end = word_span(plain, number)
        assert plain[start:end].replace("\0", "") == word


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=5), st.text(max_size=200), st.booleans())
def test_places_lie_within_their_texts(texts, around, escaped):
    """For any texts each place has spans inside its part, and nothing raises."""
    memory = ChunkMemory()
    known = memory.remember([Chunk(text) for text in texts])
    body = around + " ".join(repr(text) if escaped else text for text in texts) + around
    for place in ChunkFinder(memory).locate(user(body), known).places:
        assert all(0 <= start < end <= len(body) for start, end in place.spans)
