"""The anatomy of a prompt adds up: parts to the provider's tokens, costs to the price, for anything at all."""

from __future__ import annotations

from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmeter.anatomy.dissecting import Dissector
from ragmeter.anatomy.parts import Share
from ragmeter.domain.model import (
    Chunk,
    Operation,
    OperationKind,
    Origin,
    PriceState,
    Prompt,
    PromptFragment,
    Request,
    Response,
    Role,
    Usage,
)
from ragmeter.ledger.metering import meter_inference
from ragmeter.money.pricebook import card_of
from ragmeter.money.pricing import price, split

PRICES = {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75, "cache_write_1h": 6.0}
INPUTS = {origin.value for origin in Origin}

texts = st.text(max_size=400)
parts = st.builds(PromptFragment, st.sampled_from(list(Role)), texts)
prompts = st.builds(Prompt, st.lists(parts, max_size=12).map(tuple), st.sampled_from([None, *Origin]))


@st.composite
def usages(draw):
    total = draw(st.integers(0, 200_000))
    read = draw(st.integers(0, total))
    written = draw(st.integers(0, total - read))
    output = draw(st.integers(0, 5_000))
    return Usage(
        input_tokens=total,
        output_tokens=output,
        cache_read_tokens=draw(st.sampled_from([None, read])),
        cache_write_tokens=draw(st.sampled_from([None, written])),
        cache_write_1h_tokens=draw(st.sampled_from([None, written // 2])),
        reasoning_tokens=draw(st.sampled_from([None, output // 3])),
        units=draw(st.sampled_from([{}, {"web_searches": 2}])),
        reported_cost=draw(st.sampled_from([None, None, 0.0, 0.25])),
    )


def metered(prompt, usage, chunks=(), prices=PRICES, fine_tuned=False):
    operation = Operation(
        request=Request(OperationKind.CHAT, "openai", model="m"),
        response=Response(model="m", usage=usage, finish_reasons=("stop",), text=("An answer.",)),
        prompt=prompt,
        started=0,
        duration=1.0,
    )
    card = card_of(prices, "test") if prices else None
    dissector = Dissector()
    known = dissector.remember(chunks)
    return meter_inference(
        operation, dissector.dissect(operation, known), card, dissector.weigher, fine_tuned=fine_tuned
    )


@settings(max_examples=400, deadline=None)
@given(prompt=prompts, usage=usages())
def test_parts_sum_to_the_providers_tokens_and_to_the_price(prompt, usage):
    """For any prompt and usage input parts sum to the input, output parts to the output, and costs to the amount."""
    result = metered(prompt, usage)
    assert sum(part.tokens for part in result.parts if part.part in INPUTS) == usage.input_tokens
    assert sum(part.tokens for part in result.parts if part.part in ("output", "reasoning")) == usage.output_tokens
    assert all(part.tokens >= 0 for part in result.parts)
    assert fsum(part.cost for part in result.parts) == pytest.approx(result.cost.amount, rel=1e-15, abs=1e-12)
    assert all(part.cost >= 0 for part in result.parts)
    for rate, expected in (("cache_read", usage.cache_read_tokens), ("cache_write", usage.cache_write_tokens)):
        assert sum(part.tokens for part in result.parts if part.rate == rate) == (expected or 0)


@settings(max_examples=200, deadline=None)
@given(prompt=prompts, usage=usages())
def test_without_a_price_parts_have_tokens_and_no_money(prompt, usage):
    """An unpriced operation still has its tokens by part, and no part claims to be free."""
    result = metered(prompt, Usage(usage.input_tokens, usage.output_tokens), prices=None)
    assert result.cost.state is PriceState.UNPRICED
    assert all(part.cost is None for part in result.parts)
    assert sum(part.tokens for part in result.parts) == usage.input_tokens + usage.output_tokens


@settings(max_examples=150, deadline=None)
@given(total=st.integers(200, 20_000), filler=st.text(alphabet="abc def.\n", max_size=300))
def test_one_more_chunk_in_the_prompt_never_makes_the_context_smaller(total, filler):
    """Adding a retrieved chunk to the same prompt does not lower the context's tokens."""
    chunks = [Chunk(f"Passage number {number} tells about subject {number * 7} in some words.") for number in range(4)]
    text = filler + "\n" + "\n\n".join(chunk.text for chunk in chunks)
    prompt = Prompt((PromptFragment(Role.USER, text), PromptFragment(Role.USER, "What is the subject?")))
    counts = [metered(prompt, Usage(total, 10), chunks[:number]).context_tokens for number in range(5)]
    assert counts == sorted(counts)
    assert counts[0] == 0 < counts[1]


def test_cached_tokens_fall_on_the_front_of_the_prompt():
    """The cheap rate goes to what stands first on the wire: tools and system before the context behind them."""
    chunk = Chunk("The warranty lasts for two years from the day of purchase.")
    prompt = Prompt(
        (
            PromptFragment(Role.TOOLS, '{"name": "search", "parameters": {"query": "string"}}'),
            PromptFragment(Role.SYSTEM, "You are a helpful assistant of the shop. " * 10),
            PromptFragment(Role.USER, f"Context: {chunk.text}\nHow long is the warranty?"),
        )
    )
    usage = Usage(input_tokens=1000, output_tokens=10, cache_read_tokens=700)
    result = metered(prompt, usage, [chunk])
    rates = {(part.part, part.rate) for part in result.parts}
    assert ("tools", "cache_read") in rates
    assert ("tools", "full") not in rates
    assert ("context", "cache_read") not in rates
    context = sum(part.cost for part in result.parts if part.part == "context")
    tokens = sum(part.tokens for part in result.parts if part.part == "context")
    assert context == pytest.approx(tokens * 3.0 / 1e6)


def test_every_origin_is_found_in_a_whole_conversation():
    """System, tools, history, context, tool results and the question are told apart."""
    chunk = Chunk("Chroma stores vectors and the documents they were made of.")
    prompt = Prompt(
        (
            PromptFragment(Role.TOOLS, '{"name": "lookup"}'),
            PromptFragment(Role.SYSTEM, "Answer briefly and only from what you are given."),
            PromptFragment(Role.USER, "Hello there, who are you?"),
            PromptFragment(Role.ASSISTANT, "I am an assistant."),
            PromptFragment(Role.USER, f"{chunk.text}\n\nWhat does Chroma store?"),
            PromptFragment(Role.TOOL, '{"rows": [1, 2, 3]}'),
        )
    )
    result = metered(prompt, Usage(input_tokens=300, output_tokens=5), [chunk])
    assert {part.part for part in result.parts} == {
        "tools",
        "system",
        "history",
        "context",
        "question",
        "tool_results",
        "output",
    }
    assert result.strategy == "rag"


def test_a_prompt_of_images_alone_is_other():
    """What no text accounts for is not given to the question."""
    result = metered(Prompt((), unread=Origin.OTHER), Usage(input_tokens=900, output_tokens=5))
    assert {part.part: part.tokens for part in result.parts} == {"other": 900, "output": 5}


def test_an_image_beside_a_question_does_not_swell_the_question():
    """With an image in the prompt the text keeps its own size and the rest is other."""
    prompt = Prompt((PromptFragment(Role.USER, "What is in this picture?"),), unread=Origin.OTHER)
    tokens = {part.part: part.tokens for part in metered(prompt, Usage(input_tokens=1000, output_tokens=5)).parts}
    assert tokens["question"] < 15
    assert tokens["other"] == 1000 - tokens["question"]


passages = st.lists(
    st.text(alphabet="abcdefgh éß中文\n.,|{}\"\\'0123456789", min_size=25, max_size=120).filter(
        lambda text: len(text.strip()) >= 25
    ),
    min_size=1,
    max_size=6,
    unique=True,
)


@settings(max_examples=300, deadline=None)
@given(texts=passages, glue=st.text(alphabet="xyz \n:-", min_size=1, max_size=30), total=st.integers(1, 50_000))
def test_with_each_further_chunk_the_context_grows_or_stays(texts, glue, total):
    """Whatever the passages look like, knowing one more never lowers the context, and parts sum to the total."""
    prompt = Prompt(
        (PromptFragment(Role.SYSTEM, "Be brief."), PromptFragment(Role.USER, glue.join(("", *texts, "Why is that?"))))
    )
    counts = []
    for known in range(len(texts) + 1):
        result = metered(prompt, Usage(total, 10), [Chunk(text) for text in texts[:known]])
        counts.append(result.context_tokens)
        assert sum(part.tokens for part in result.parts if part.part in INPUTS) == total
        assert sum(use.tokens for use in result.context) == result.context_tokens
        assert sum(use.cost for use in result.context) == pytest.approx(
            sum(part.cost for part in result.parts if part.part == "context"), rel=1e-9, abs=1e-15
        )
    assert counts == sorted(counts)


@settings(max_examples=200, deadline=None)
@given(
    prompt=prompts,
    usage=usages(),
    prices=st.dictionaries(st.sampled_from([*PRICES, "request", "web_search", "audio_output"]), st.floats(0, 100)),
)
def test_parts_sum_to_the_price_at_any_table(prompt, usage, prices):
    """Whatever a table prices or leaves out, the parts of a known cost sum to it, and none is negative."""
    result = metered(prompt, replace(usage, audio_output_tokens=7), prices=prices or {"input": 1.0})
    assert fsum(part.cost for part in result.parts) == pytest.approx(result.cost.amount, rel=1e-12, abs=1e-12)
    assert all(part.cost >= 0 for part in result.parts)


def test_the_price_of_a_request_is_shared_over_its_parts():
    """A server paid by the request: each token of prompt and answer bears the same part of it, and no search does."""
    prompt = Prompt(
        (PromptFragment(Role.SYSTEM, "Be brief. " * 20), PromptFragment(Role.USER, "How long is the warranty?"))
    )
    usage = Usage(input_tokens=300, output_tokens=100, cache_read_tokens=40)
    result = metered(prompt, usage, prices={"request": 0.0004})
    assert {part.part for part in result.parts} == {"system", "question", "output"}
    for part in result.parts:
        assert part.cost == pytest.approx(0.0004 * part.tokens / 400)


def test_a_line_without_tokens_does_not_swell_the_others():
    """What a line has that no token of a part counts stands in other; the prompt keeps its own price."""
    usage = Usage(input_tokens=1000, output_tokens=None, audio_output_tokens=50)
    cost = price(usage, card_of({"input": 1.0, "output": 2.0, "audio_output": 80.0}, "test"))
    found = split(usage, [Share(Origin.QUESTION, 1000)], cost)
    assert {part.part: pytest.approx(part.cost) for part in found} == {"question": 0.001, "other": 0.004}
