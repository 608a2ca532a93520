"""How exactly a prompt is split by origin: against real token counts, over templates of apps and of frameworks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from random import Random
from statistics import mean

import bpe_openai
import pytest

from corpus import KINDS
from framework_templates import framework_templates
from prompts import Sample, templates
from ragmeter.anatomy.dissecting import Dissector
from ragmeter.anatomy.parts import apportion
from ragmeter.anatomy.tools import declaration
from ragmeter.domain.model import Operation, OperationKind, Origin, Request, Response, Role, Usage
from ragmeter.reading.shapes.anthropic_messages import MESSAGES
from ragmeter.reading.shapes.openai_chat import CHAT
from ragmeter.reading.shapes.openai_responses import RESPONSES
from recorded import recordings

_o200k = bpe_openai.get_encoding("o200k_base")
MEAN_ERROR = 2.0
WORST_P95 = 6.0
EXACT_MEAN_ERROR = 0.3
"""Points of the context's share: the mean over all, and the 95th percentile of the worst kind of text."""


def count(text: str) -> int:
    return len(_o200k.encode_ordinary(text))


def tokens_of(sample: Sample) -> Mapping[Origin, int]:
    """The true tokens of each origin: of the texts as they stand there, of tools as OpenAI's models get them."""
    found: dict[Origin, int] = defaultdict(int)
    for origin, text in sample.truth:
        if origin is not Origin.TOOLS:
            found[origin] += count(text)
    declared = declaration(text for origin, text in sample.truth if origin is Origin.TOOLS)
    if "tools" in sample.body:
        found[Origin.TOOLS] = count(declared)
    return found


def error_of(sample: Sample, *, exact: bool) -> float:
    """Points by which the context's share is off; the parts sum to the total in any case."""
    truth = tokens_of(sample)
    total = sum(truth.values())
    dissector = Dissector(exact=exact)
    operation = Operation(
        request=Request(OperationKind.CHAT, "openai", model="gpt-4o"),
        response=Response(usage=Usage(total, 50), text=("An answer.",)),
        prompt=CHAT.prompt(sample.body),
        started=0,
        duration=1.0,
    )
    shares = apportion(dissector.dissect(operation, dissector.remember(sample.chunks)), total)
    assert sum(share.tokens for share in shares) == total
    context = sum(share.tokens for share in shares if share.origin is Origin.CONTEXT)
    return abs(context - truth[Origin.CONTEXT]) / total * 100


def every_sample() -> Iterator[tuple[str, str, Sample]]:
    for kind in (*KINDS, "mixed"):
        for name, template in {**templates(kind), **framework_templates(kind)}.items():
            yield kind, name, template(Random(f"{name} {kind}"))


def p95(errors: list[float]) -> float:
    return sorted(errors)[int(len(errors) * 0.95)]


@pytest.mark.parametrize("exact", [False, True], ids=["weighed", "counted"])
def test_the_contexts_share_is_right(exact):
    """Over all templates and kinds of text the mean error and the worst kind's p95 stay within what is promised."""
    by_kind: dict[str, list[float]] = defaultdict(list)
    names = set()
    for kind, name, sample in every_sample():
        names.add(name)
        by_kind[kind].append(error_of(sample, exact=exact))
    assert len(names) >= 30
    assert {name.partition("/")[0] for name in names} >= {"langchain", "llama_index", "haystack"}
    errors = [error for errors in by_kind.values() for error in errors]
    assert mean(errors) <= (EXACT_MEAN_ERROR if exact else MEAN_ERROR)
    assert max(p95(errors) for errors in by_kind.values()) <= WORST_P95


def test_tools_weigh_what_openai_counts_for_them():
    """In recorded calls of OpenAI's models with functions alone, declarations come nearer to the totals than JSON."""
    nearer = compared = 0
    for recording in recordings():
        body = recording.body
        tools = body.get("tools") or []
        if recording.provider not in ("openai", "azure_openai") or not tools or not recording.input_tokens:
            continue
        reader = RESPONSES if "input" in body else CHAT
        parts = reader.prompt(body).fragments
        texts = [part.text for part in parts if part.role is Role.TOOLS]
        if any(tool["type"] != "function" for tool in tools):
            continue
        declared = declaration(texts)
        rest = [part.text for part in parts if part.role is not Role.TOOLS]
        left = recording.input_tokens - sum(map(count, rest)) - 4 * len(rest) - 3
        as_json = sum(map(count, texts))
        compared += 1
        nearer += abs(count(declared) - left) < abs(as_json - left)
    assert compared >= 5
    assert nearer / compared >= 0.5


def test_claudes_own_tool_prompt_is_tools():
    """What Anthropic adds to tools is theirs in the split, not the question's: most of a small call with a tool."""
    for recording in recordings():
        tools = recording.body.get("tools") or []
        if recording.provider != "anthropic" or not tools or any("input_schema" not in tool for tool in tools):
            continue
        dissector = Dissector()
        usage = Usage(recording.input_tokens, 10)
        operation = Operation(
            request=Request(OperationKind.CHAT, "anthropic", model=recording.body["model"]),
            response=Response(usage=usage, text=("An answer.",)),
            prompt=MESSAGES.prompt(recording.body),
            started=0,
            duration=1.0,
        )
        shares = apportion(dissector.dissect(operation), recording.input_tokens or 0)
        tokens = sum(share.tokens for share in shares if share.origin is Origin.TOOLS)
        assert tokens >= 0.5 * (recording.input_tokens or 0)


def test_a_tools_factor_is_learned_from_totals():
    """After some calls with the same tools their share is what the provider's totals say, whatever our prior was."""
    dissector = Dissector(exact=True)
    tools = [{"name": "look_up", "description": "Looks something up in the archive of the library", "parameters": {}}]
    counted = 500
    for number in range(5):
        question = f"Question number {number} about the opening hours of the reading room on weekdays and holidays?"
        body = {"messages": [{"role": "user", "content": question}], "tools": tools}
        total = count(question) + 4 + counted
        operation = Operation(
            request=Request(OperationKind.CHAT, "openai", model="gpt-4o"),
            response=Response(usage=Usage(total, 10), text=("An answer.",)),
            prompt=CHAT.prompt(body),
            started=0,
            duration=1.0,
        )
        shares = apportion(dissector.dissect(operation), total)
    tokens = sum(share.tokens for share in shares if share.origin is Origin.TOOLS)
    assert abs(tokens - counted) <= 10
