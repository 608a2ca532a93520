"""What a chat or legacy completion answers, whole or in pieces: texts, thoughts, counts, what its server retrieved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ragmeter.domain.model import Chunk, Response, Usage
from ragmeter.reading.shapes.costs import read_cost
from ragmeter.reading.shapes.documents import read_retrieved
from ragmeter.reading.shapes.fees import WEB_SEARCHES, added, billed, units_of_message, units_of_model
from ragmeter.reading.shapes.fields import count, field, items, may_have, named, plain_text, text_of
from ragmeter.reading.shapes.tool_calls import call_ids
from ragmeter.reading.shapes.usage import counted, later, mixed, read_usage

REASONING = ("reasoning_content", "reasoning", "reasoning_details")
"""The names servers have for one text: only the first that is there counts."""

THOUGHTS = {"thinking": ("thinking",), "reasoning": ("summary", "content", "text"), "redacted_thinking": ()}
"""Blocks of what a model wrote for itself, and where their text is: Mistral's and Anthropic's, Databricks'."""

BESIDE_CONTENT = frozenset(("refusal", "audio", "tool_calls", "function_call", *REASONING))
TOOLS = frozenset(("executed_tools",))
CALLS = frozenset(("tool_calls",))
CALL_TEXTS = ("name", "arguments", "input")


class Gathered:
    """An answer while it is read: `take` a whole one, or the next piece of a stream, then ask for the `response`."""

    def __init__(self, so_far: Response) -> None:
        self._model, self._id, self._tier = so_far.model, so_far.id, so_far.service_tier
        self._usage, self._is_early = so_far.usage, so_far.usage_is_early
        self._reasons = list(so_far.finish_reasons)
        self._text, self._reasoning = list(so_far.text), list(so_far.reasoning)
        self._calls = list(so_far.calls)
        self._chunks: tuple[Chunk, ...] = so_far.chunks
        self._tools: Counter[str] = Counter()
        self._by_choice: dict[int, Usage] = so_far.told or {}
        self._is_answer = so_far != Response() and not so_far.unanswered

    def take(self, piece: Any, holder: str) -> None:
        """Read what has come; `holder` is the field of a choice in which its message stands."""
        self._model = self._model or named(piece, "model")
        self._id = self._id or named(piece, "id")
        tier = named(piece, "service_tier")
        self._tier = self._tier if tier is None else tier
        choices = items(field(piece, "choices"))
        written = len(self._text) + len(self._reasoning)
        for choice in choices:
            self._take_choice(choice, field(choice, holder))
        self._chunks = self._chunks or read_retrieved(piece)
        has_text = len(self._text) + len(self._reasoning) > written
        self._take_usage(piece, choices, is_stale=has_text and holder == "delta")
        self._is_answer = self._is_answer or bool(choices)

    def response(self) -> Response:
        """All that was read, in the form it has for every provider."""
        usage = added(self._usage, self._tools)
        if self._is_answer and (usage is None or WEB_SEARCHES not in usage.units):
            usage = billed(usage, units_of_model(self._model))
        return counted(
            Response(
                self._model,
                self._id,
                tuple(self._reasons),
                usage,
                usage_is_early=self._is_early,
                service_tier=self._tier,
                calls=tuple(self._calls),
                text=tuple(self._text),
                reasoning=tuple(self._reasoning),
                chunks=self._chunks,
                retrieved=bool(self._chunks),
                unanswered=not (self._is_answer or self._id or usage),
                told=self._by_choice or None,
            )
        )

    def _take_choice(self, choice: Any, message: Any) -> None:
        text, reasoning = _texts_of(choice, message)
        self._text += [each for each in text if each]
        self._reasoning += [each for each in reasoning if each]
        if may_have(message, CALLS):
            self._calls += call_ids(field(message, "tool_calls"))
        if may_have(message, TOOLS):
            self._tools += units_of_message(message)
        self._chunks = self._chunks or read_retrieved(message)
        if reason := named(choice, "finish_reason"):
            self._reasons.append(reason)

    def _take_usage(self, piece: Any, choices: Iterable[Any], *, is_stale: bool) -> None:
        told = usage_of(piece) or self._usage_of_choices(piece, choices)
        self._usage = later(self._usage, told)
        if told is not None and (told.output_tokens or told.total_tokens):
            self._is_early = False
        elif is_stale and self._usage is not None:
            # What was counted before the last of the text is not all of it.
            self._is_early = True

    def _usage_of_choices(self, piece: Any, choices: Iterable[Any]) -> Usage | None:
        """The usage that Moonshot's streams have in a choice; each of several choices has its own."""
        told = False
        for position, choice in enumerate(choices):
            read = read_usage(field(choice, "usage"), piece)
            number = count(choice, "index")
            number = position if number is None else number
            if read is not None:
                self._by_choice = {**self._by_choice, number: later(self._by_choice.get(number), read) or read}
                told = True
        return of_choices(list(self._by_choice.values())) if told else None


def of_choices(told: Sequence[Usage]) -> Usage:
    """The usage of an answer with several choices that each count: one prompt, and all that was written.

    Nobody says whether each has counted for itself, so it is no exact sum.
    """
    if len(told) == 1:
        return told[0]
    made = {name: sum(getattr(each, name) or 0 for each in told) for name in ("output_tokens", "reasoning_tokens")}
    longest = max(told, key=lambda each: each.input_tokens or 0)
    return replace(
        longest,
        output_tokens=made["output_tokens"],
        reasoning_tokens=made["reasoning_tokens"] or None,
        total_tokens=None,
        inexact=True,
    )


def usage_of(result: Any) -> Usage | None:
    """The usage of an answer or of a piece of one: Groq reports it under a name of its own unless it was asked for."""
    told = [usage for holder in (result, field(result, "x_groq")) if (usage := field(holder, "usage"))]
    known = next((read for usage in told if (read := read_usage(usage, result)) is not None), None)
    if known is None:
        cost = read_cost(None, result)
        return None if cost is None else Usage(reported_cost=cost)
    models = [named(each, "model") for each in items(field(field(result, "usage_breakdown"), "models"))]
    return mixed(known, named(result, "model"), models)


def _texts_of(choice: Any, message: Any) -> tuple[list[str], list[str]]:
    """What was written for the reader and what for the model itself: tool calls and speech are the reader's."""
    if message is None:
        text = field(choice, "text")
        return [text] if isinstance(text, str) else [], []
    text, reasoning = _content_of(field(message, "content"))
    if not may_have(message, BESIDE_CONTENT):
        return text, reasoning
    return text + _beside(message), reasoning or _reasoning_of(message)


def _beside(message: Any) -> list[str]:
    """What a message says beside its content: a refusal, what was spoken, what tools are asked for."""
    refusal, spoken = field(message, "refusal"), field(field(message, "audio"), "transcript")
    calls = [field(call, "function", field(call, "custom")) for call in items(field(message, "tool_calls"))]
    asked = [field(call, name) for call in (*calls, field(message, "function_call")) for name in CALL_TEXTS]
    return [each for each in (refusal, spoken, *asked) if isinstance(each, str)]


def _content_of(content: Any) -> tuple[list[str], list[str]]:
    """The texts of a message's content, which reasoning models give in blocks, thoughts apart."""
    if isinstance(content, str):
        return [content], []
    text: list[str] = []
    reasoning: list[str] = []
    for block in items(content):
        names = THOUGHTS.get(named(block, "type") or "")
        if names is not None:
            told = next((found for name in names if (found := field(block, name)) is not None), None)
            reasoning += text_of(told)[0]
        else:
            text += [each for each in (plain_text(block), field(block, "refusal")) if isinstance(each, str)]
    return text, reasoning


def _reasoning_of(message: Any) -> list[str]:
    for name in REASONING:
        found = field(message, name)
        if isinstance(found, str):
            return [found]
        if texts := [text for each in items(found) for text in _detail_texts(each)]:
            return texts
    return []


def _detail_texts(detail: Any) -> list[str]:
    return [text for name in ("text", "summary") if isinstance(text := field(detail, name), str)]
