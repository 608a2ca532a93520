"""Which call goes on with which: a question that takes several calls is one query, without a scope or a span around it.

Two kinds of answer are waited for. One that asks for the results of tools is gone on with by the call that sends them.
One that has read a conversation as a text, to make one question of its last turn, is a step before the answer to that
question. A new question in the same conversation is a new query: what stands in its history joins nothing.

Texts are held as hashes, and those of two calls are only compared under the same labels. Worker only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from ragmeter.anatomy.parts import current_turn
from ragmeter.domain.model import Operation, Prompt, PromptFragment, Role
from ragmeter.domain.pausing import Pause, hash_of, without_pause

MOST_STEPS = 20_000
MOST_OF_QUERY = 4
"""Answers that are waited for, in all and of one query: calls made at once may go on with the same answer."""

MOST_LOOKED_AT = 8
"""Equal answers that are looked at for the one which a call goes on with."""

STEP_NANOSECONDS = 5_000_000_000
CLOCK_NANOSECONDS = 5_000_000
"""Between a question made of a conversation and its answer lies one retrieval, and no time to ask the same by hand;
the clocks of start and end may differ by some milliseconds."""

MOST_LINES = 256
LONGEST_HEAD = 40
"""Lines of a conversation, the latest, and characters of what stands before a text in its line: `Follow Up Input:`."""

LEAST_QUESTION = 12
LONGEST_QUESTION = 1_000
"""Characters of a question that a model has written."""

LAST_TURN = 8_000
"""Characters from the end of a text in which the last answer of a conversation begins."""

CONVERSATION = ("\nassistant:", "\nAssistant:", "\nAI:")
"""What stands before an answer where a conversation is written as one text."""

MARKS = " \t\r\"'`*<>#-"

Query = TypeVar("Query", bound=Hashable)


@dataclass(eq=False, slots=True)
class Step(Generic[Query]):
    """An answer that is waited for: the keys under which a call that goes on with it looks for it.

    `lines` are those of a conversation that it has made a question of, `written` stands for that question.
    """

    query: Query
    keys: tuple[int, ...]
    started: int
    ended: int
    lines: frozenset[int] = frozenset()
    written: int | None = None


def hash_of_question(text: str, pause: Pause = without_pause) -> int:
    """What stands for a question, wherever a template has put it in a line of its own."""
    return hash_of(_content(text), pause)


class Continuations(Generic[Query]):
    """The answers that are waited for, and the queries they belong to; `pause` is called between slices of the work."""

    def __init__(self, pause: Pause = without_pause) -> None:
        self._pause = pause
        self._steps: dict[Query, deque[Step[Query]]] = {}
        self._waiting: dict[int, dict[Step[Query], None]] = {}
        self._taken: dict[int, Step[Query]] = {}
        self._count = self._conversations = 0

    def wait(self, query: Query, operation: Operation, labels: Mapping[str, str]) -> bool:
        """Whether the answer of this operation is gone on with, as far as it shows: then it is waited for."""
        step = self._step(query, operation, labels)
        if step is None:
            return False
        steps = self._steps.setdefault(query, deque())
        steps.append(step)
        self._count += 1
        self._conversations += bool(step.lines)
        for key in step.keys:
            self._waiting.setdefault(key, {})[step] = None
        if len(steps) > MOST_OF_QUERY:
            self._drop(steps.popleft())
        while self._count > MOST_STEPS:
            self.forget(next(iter(self._steps)))
        return True

    def find(self, operation: Operation, labels: Mapping[str, str]) -> Step[Query] | None:
        """The answer that this call goes on with, if one is waited for: one that no other call took, if there is."""
        prompt = operation.prompt
        begins = bool(prompt.fragments) and prompt.fragments[-1].role is Role.USER and not prompt.results
        if not self._steps or (begins and not self._conversations):
            return None
        under = _hash_of_labels(labels)
        for key, fits in self._looks(operation, under):
            waiting = islice(self._waiting.get(key, ()), MOST_LOOKED_AT)
            step = next((each for each in waiting if fits(each)), None)
            if step is not None:
                self._take(step)
                return step
        return self._already_taken(operation, under)

    def forget(self, query: Query) -> None:
        """The query is over."""
        for step in self._steps.pop(query, ()):
            self._drop(step)

    def _step(self, query: Query, operation: Operation, labels: Mapping[str, str]) -> Step[Query] | None:
        ended = operation.started + int(operation.duration * 1e9)
        if operation.response.goes_on:
            keys = tuple(self._awaited_keys(operation, _hash_of_labels(labels)))
            return Step(query, keys, operation.started, ended)
        written = _question_written(operation.response.text)
        text = _last_question(operation.prompt) if written else ""
        if not _is_conversation(text):
            return None
        under = _hash_of_labels(labels)
        contents = [self._hash(line) for line in _lines(text)]
        asked = [hash(("asked", each, under)) for each in contents[-3:]]
        keys = (hash(("written", self._hash(written), under)), *asked)
        return Step(query, keys, operation.started, ended, frozenset(contents), self._hash(written))

    def _looks(self, operation: Operation, labels: int) -> Iterator[tuple[int, Callable[[Step[Query]], bool]]]:
        """The keys a call may find its step under, the surest first, and what the step must be like."""
        prompt = operation.prompt

        def is_earlier(step: Step[Query]) -> bool:
            return step.started < operation.started

        def is_just_before(step: Step[Query]) -> bool:
            return -CLOCK_NANOSECONDS <= operation.started - step.ended <= STEP_NANOSECONDS

        def has_read_it(step: Step[Query]) -> bool:
            return is_just_before(step) and self._answer_before(prompt) in step.lines

        for key in self._result_keys(operation, labels):
            yield key, is_earlier
        text = _last_question(prompt) if self._conversations else ""
        if text and not _is_conversation(text):
            line = self._hash(_last_line(text))
            yield hash(("written", line, labels)), is_just_before
            yield hash(("asked", line, labels)), has_read_it

    def _already_taken(self, operation: Operation, labels: int) -> Step[Query] | None:
        """A step that another call has gone on with: of calls made at once, or after one that failed."""
        keys = self._result_keys(operation, labels)
        return next((self._taken[key] for key in keys if key in self._taken), None)

    def _awaited_keys(self, operation: Operation, labels: int) -> Iterator[int]:
        """Keys of an answer that asks for results: the ids of its calls, of what the provider keeps, or its prompt.

        An id counts together with the question and the number of earlier results: some providers number the calls of
        each answer anew.
        """
        prompt, calls = operation.prompt, operation.response.calls
        asked = self._hash(_last_question(prompt))
        for identifier in calls:
            yield hash(("call", identifier, asked, len(prompt.results), labels))
            yield hash(("call", identifier, asked, labels))
            yield hash(("call", identifier, labels))
        yield from _kept_keys(operation.response.id, operation, labels)
        if not calls:
            turns = _turns(prompt)
            yield from (hash(("prompt", each, labels)) for each in self._beginnings(turns, len(turns), len(turns)))

    def _result_keys(self, operation: Operation, labels: int) -> Iterator[int]:
        """Keys of the answer that a request goes on with, the surest first."""
        prompt = operation.prompt
        question = _last_question(prompt)
        if question:
            asked = self._hash(question)
            for before in range(len(prompt.results) - 1, -1, -1):
                yield hash(("call", prompt.results[0], asked, before, labels))
            yield from (hash(("call", each, asked, labels)) for each in prompt.results)
            turns = _turns(prompt)
            last = current_turn(turns)[1]
            beginnings = self._beginnings(turns, last + 1, len(turns) - 1)
            yield from (hash(("prompt", each, labels)) for each in beginnings)
        else:
            # With a question of its own it begins a query, whatever conversation the provider puts it into.
            yield from (hash(("call", each, labels)) for each in prompt.results)
            yield from _kept_keys(operation.parameters.get("previous_response.id"), operation, labels)

    def _beginnings(self, turns: Sequence[PromptFragment], shortest: int, longest: int) -> Iterator[int]:
        """Hashes of the beginnings of a conversation, the longest first."""
        if shortest > longest:
            return
        hashes: list[int] = []
        so_far = 0
        for fragment in islice(turns, longest):
            so_far = hash((so_far, fragment.role, self._hash(fragment.text)))
            hashes.append(so_far)
        yield from reversed(hashes[max(0, shortest - 1) :])

    def _answer_before(self, prompt: Prompt) -> int:
        """The last line of the answer before the question."""
        first = max(0, current_turn(prompt.fragments)[0])
        answers = (fragment.text for fragment in reversed(prompt.fragments[:first]) if fragment.role is Role.ASSISTANT)
        return self._hash(_last_line(next(answers, "")))

    def _hash(self, text: str) -> int:
        return hash_of(text, self._pause)

    def _take(self, step: Step[Query]) -> None:
        for key in step.keys:
            self._release(key, step)
            self._taken[key] = step

    def _release(self, key: int, step: Step[Query]) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.pop(step, None)
            if not waiting:
                del self._waiting[key]

    def _drop(self, step: Step[Query]) -> None:
        self._count -= 1
        self._conversations -= bool(step.lines)
        for key in step.keys:
            self._release(key, step)
            if self._taken.get(key) is step:
                del self._taken[key]


def _hash_of_labels(labels: Mapping[str, str]) -> int:
    return hash(frozenset(labels.items()))


def _kept_keys(answer: object, operation: Operation, labels: int) -> Iterator[int]:
    """Keys by what the provider keeps: an answer under its id, the conversation it belongs to."""
    named = (("answer", answer), ("conversation", operation.parameters.get("conversation.id")))
    yield from (hash((kind, identifier, labels)) for kind, identifier in named if identifier)


def _last_question(prompt: Prompt) -> str:
    """The last text of the user."""
    last = current_turn(prompt.fragments)[1]
    return prompt.fragments[last].text if last >= 0 else ""


def _question_written(answer: Sequence[str]) -> str:
    """The question that an answer is, as it is compared; "" for what is none."""
    text = "".join(answer).strip()
    return _content(text) if LEAST_QUESTION <= len(text) <= LONGEST_QUESTION and "\n" not in text else ""


def _is_conversation(text: str) -> bool:
    latest = text[-LAST_TURN:]
    return any(mark in latest for mark in CONVERSATION)


def _lines(text: str) -> list[str]:
    """The last lines of a text without the heads and marks of templates, those without any content left out."""
    lines = text[-MOST_LINES * LONGEST_QUESTION :].splitlines()[-MOST_LINES:]
    return [content for line in lines if (content := _content(line)) and not content.endswith(":")]


def _last_line(text: str) -> str:
    lines = reversed(text[-2 * LONGEST_QUESTION :].splitlines())
    return next((content for line in lines if (content := _content(line)) and not content.endswith(":")), "")


def _turns(prompt: Prompt) -> list[PromptFragment]:
    return [fragment for fragment in prompt.fragments if fragment.role not in (Role.TOOLS, Role.SYSTEM)]


def _content(line: str) -> str:
    head, colon, rest = line.strip().partition(": ")
    return (rest if colon and len(head) <= LONGEST_HEAD and rest.strip() else line).strip(MARKS)
