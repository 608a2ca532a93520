"""Anthropic's Messages API.

`input_tokens` of its usage leaves out what was read from or written to the cache; here both are added, so that input
means the same for every provider. Cache writes have two lifetimes with two prices: five minutes and one hour
(https://docs.claude.com/en/docs/build-with-claude/prompt-caching).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from ragmeter.domain import gate
from ragmeter.domain.model import Origin, Prompt, PromptFragment, Response, Role, Usage
from ragmeter.reading.declaration import Reader
from ragmeter.reading.shapes.costs import read_cost
from ragmeter.reading.shapes.documents import REREADABLE, Read, either, json_text, read_content, unread_iterators
from ragmeter.reading.shapes.fees import added, billed, read_units, units_of_blocks
from ragmeter.reading.shapes.fields import blocks_of, count, entries, field, items, named
from ragmeter.reading.shapes.openai_chat import call_text, definitions, role_of, tool_definitions
from ragmeter.reading.shapes.tool_calls import call_ids, message_results, results_after_question
from ragmeter.reading.shapes.usage import LASTING, counted, later, mixed

WRITTEN = {"thinking": "thinking", "redacted_thinking": "thinking", "compaction": "content"}
"""Blocks of what the model wrote of earlier turns, and the field with its text."""

WRITES = "cache_creation_input_tokens"

BESIDE = ("compaction", "advisor_message")
"""Steps of a call whose tokens are not in its counts: its summary of earlier turns, an answer of another model."""

OWN = {"message", "compaction"}
"""Steps that the model which answers has made, at its own price."""

COUNTS = ("input_tokens", "output_tokens")
SUMMED = (*COUNTS, "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")

DEFINITIONS = ("tool_addition", "mcp_tool_listing")
EMPTY = ("tool_removal", "fallback")
"""Blocks that define tools while the conversation goes on, and those that bring no text."""


def read_usage(usage: Any, model: str | None = None) -> Usage | None:
    """The counts of a `usage` object of an answer by `model`.

    What the server has summed up on the way, or asked of another model, is not in the counts at the top: it is added
    (https://platform.claude.com/docs/en/build-with-claude/compaction).
    """
    known, steps = _counts(usage), _steps(usage)
    return _with_steps(known, steps, model) if known is not None and steps else known


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a call has used, with which model: a turn, or what was done beside the turns."""

    kind: str | None
    model: str | None
    usage: Usage

    @property
    def is_beside(self) -> bool:
        """Whether its tokens are not in the counts of the call."""
        return self.kind in BESIDE


def _steps(usage: Any) -> list[Step]:
    """The steps of a call that have counts."""
    told = ((step, _counts(step)) for step in items(field(usage, "iterations")))
    return [Step(named(step, "type"), named(step, "model"), read) for step, read in told if read is not None]


def _with_steps(known: Usage, steps: Sequence[Step], model: str | None) -> Usage:
    is_told = _covers(known, steps) and all(step.kind in OWN for step in steps)
    beside = [step.usage for step in steps if step.is_beside]
    longest = max(step.usage.input_tokens or 0 for step in steps)
    whole = reduce(_sum, beside, known)
    whole = replace(whole, longest_input=longest or None, inexact=whole.inexact or not is_told)
    return mixed(whole, model, [step.model for step in steps])


def _covers(known: Usage, steps: Sequence[Step]) -> bool:
    """Whether the counts at the top are those of all turns; where they are less, what was billed is not known."""
    turns = [step.usage for step in steps if not step.is_beside]
    return all(sum(getattr(turn, name) or 0 for turn in turns) <= (getattr(known, name) or 0) for name in COUNTS)


def _counts(usage: Any) -> Usage | None:
    """The counts at the top of a `usage` object."""
    fresh, output, cost = count(usage, "input_tokens"), count(usage, "output_tokens"), read_cost(usage)
    if fresh is None and output is None and cost is None:
        return None
    read, lasting = count(usage, "cache_read_input_tokens"), count(usage, *LASTING)
    written, disagrees = _written(usage, lasting)
    counts = Usage(
        input_tokens=None if fresh is None else gate.whole(fresh + (read or 0) + (written or 0)),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=lasting,
        reasoning_tokens=count(usage, "output_tokens_details", "thinking_tokens"),
        reported_cost=cost,
        # What an earlier refusal has paid for is not charged again: it is not told how much that is.
        inexact=disagrees or field(usage, "fallback_credit") is not None,
    )
    return billed(counts, read_units(usage))


def _written(usage: Any, lasting: int | None) -> tuple[int | None, bool]:
    """The tokens written to the cache, and whether the sum that is told is less than that of the two lifetimes.

    A server may tell the lifetimes and not their sum, or another sum.
    """
    told = count(usage, WRITES)
    by_lifetime = (lasting or 0) + (count(usage, "cache_creation", "ephemeral_5m_input_tokens") or 0)
    disagrees = told is not None and by_lifetime > told
    return max(told or 0, by_lifetime) if by_lifetime else told, disagrees


def _sum(known: Usage, step: Usage) -> Usage:
    """The counts of a call with those of one of its steps."""
    pairs = {name: (getattr(known, name), getattr(step, name)) for name in SUMMED}
    sums = {name: gate.whole((first or 0) + (second or 0)) for name, (first, second) in pairs.items() if second}
    return replace(known, **sums)  # type: ignore[arg-type]


def read_prompt(body: Any) -> Prompt:
    """The prompt of a Messages request body: tools, then system blocks, then the turns."""
    fragments = tool_definitions(body)
    unread = unread_iterators(body, "tools", "system", "messages")
    system = field(body, "system")
    if isinstance(system, REREADABLE):
        # anthropic 2.14 has a marker of its own here when the app gave nothing.
        system_fragments, system_unread = read_content(Role.SYSTEM, system)
        fragments += system_fragments
        unread = either(unread, system_unread)
    for message in items(field(body, "messages")):
        role = role_of(message)
        content = field(message, "content")
        if isinstance(content, str):
            fragments.append(PromptFragment(role, content))
            continue
        for block in blocks_of(content):
            block_fragments, block_unread = _read_block(role, block)
            fragments += block_fragments
            unread = either(unread, block_unread)
    return Prompt(tuple(fragments), unread, results=results_after_question(field(body, "messages"), message_results))


def _read_block(role: Role, block: Any) -> Read:
    kind = str(field(block, "type"))
    if kind.endswith("tool_use"):
        return [PromptFragment(Role.ASSISTANT, call_text(block))], None
    if kind.endswith("tool_result"):
        return read_content(Role.TOOL, field(block, "content"))
    if kind in WRITTEN:
        # Without a text it is only there for the provider, which alone can read the rest.
        text = field(block, WRITTEN[kind])
        return ([PromptFragment(role, text)], None) if isinstance(text, str) and text else ([], Origin.HISTORY)
    if kind in DEFINITIONS:
        given = [field(field(block, "tool"), "definition"), *items(field(block, "tools"))]
        return definitions([each for each in given if each is not None]), None
    if kind in EMPTY:
        return [], None
    return read_content(role, (block,))


def read_response(result: Any) -> Response:
    """A whole message."""
    texts: list[str] = []
    reasoning: list[str] = []
    blocks = items(field(result, "content"))
    for block in blocks:
        for name, kind in (("text", texts), ("thinking", reasoning)):
            if isinstance(text := field(block, name), str):
                kind.append(text)
        if isinstance(arguments := field(block, "input"), dict):
            texts.append(json_text(arguments))
    reason, model, identifier = named(result, "stop_reason"), named(result, "model"), named(result, "id")
    told = field(result, "usage")
    usage = added(read_usage(told, model=model), units_of_blocks(blocks))
    return counted(
        Response(
            model=model,
            id=identifier,
            finish_reasons=(reason,) if reason else (),
            usage=usage,
            service_tier=named(told, "service_tier"),
            speed=named(told, "speed"),
            inference_geo=named(told, "inference_geo"),
            calls=_calls(blocks),
            text=tuple(texts),
            reasoning=tuple(reasoning),
            unanswered=not (blocks or identifier or usage),
        )
    )


def _calls(blocks: Iterable[Any]) -> tuple[str, ...]:
    return tuple(call_ids([block for block in blocks if field(block, "type") == "tool_use"]))


def read_pieces(so_far: Response, pieces: Sequence[Any]) -> Response:
    """The next events of a stream: input comes with the first one, output is cumulative in the later ones."""
    response, text, reasoning = so_far, list(so_far.text), list(so_far.reasoning)
    for piece in pieces:
        kind = named(piece, "type")
        if kind == "message_start":
            message = field(piece, "message")
            response = replace(read_response(message), usage_is_early=True, told=field(message, "usage"))
        elif kind == "message_delta":
            response = _ended(response, piece)
        elif kind == "content_block_start":
            begun = (field(piece, "content_block"),)
            response = replace(
                response,
                usage=added(response.usage, units_of_blocks(begun)),
                calls=response.calls + _calls(begun),
            )
        elif kind == "content_block_delta":
            delta = field(piece, "delta")
            text += [value for name in ("text", "partial_json") if isinstance(value := field(delta, name), str)]
            if isinstance(thought := field(delta, "thinking"), str):
                reasoning.append(thought)
    return counted(replace(response, text=tuple(text), reasoning=tuple(reasoning)))


def _ended(response: Response, piece: Any) -> Response:
    reason, now = named(piece, "delta", "stop_reason"), field(piece, "usage")
    told = _merged(response.told, now)
    return replace(
        response,
        told=told,
        usage=later(response.usage, read_usage(told, response.model)),
        # An end that does not count leaves what the beginning has said.
        usage_is_early=response.usage_is_early and not count(now, "output_tokens"),
        finish_reasons=(reason,) if reason else response.finish_reasons,
        service_tier=named(told, "service_tier"),
        speed=named(told, "speed"),
        inference_geo=named(told, "inference_geo"),
    )


def _merged(earlier: Any, now: Any) -> Any:
    """What a stream has told so far: later events stand above earlier ones, but nothing and a late zero are no news."""
    fresh = entries(now)
    if fresh is None:
        return now if now or earlier is None else earlier
    known = dict(entries(earlier) or ())
    return {**known, **{name: _merged(known.get(name), value) for name, value in fresh}}


MESSAGES = Reader(read_response, read_prompt, read_pieces)
