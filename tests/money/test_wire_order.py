"""Cached money falls on what stands first on the provider's wire, in a documented order or one marked as unknown."""

from __future__ import annotations

from itertools import permutations
from math import fsum

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_parts import INPUTS, metered, prompts, usages

import ragmeter
from ragmeter.anatomy.wire_order import READERS_ORDER, arranged, order_of
from ragmeter.domain.model import Prompt, PromptFragment, Role
from wire import Wire, whole

SYSTEM = "You help the customers of a shop for garden tools, and you answer in two sentences at most. " * 8
TOOL = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Finds the order of a customer by its number, with what was bought, when, and where it is now. "
        * 4,
        "parameters": {"type": "object", "properties": {"number": {"type": "string"}}},
    },
}
QUESTION = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Where is order 7, and what was in it?"}]
PRICES = {"m": {"input": 2.0, "cache_read": 0.2, "output": 8.0}}
READ, TOTAL = 64, 400
TELLS_ORDER = "ragmeter.cache.order"


def answer(cached=READ):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "On its way."}}
    usage = {"prompt_tokens": TOTAL, "completion_tokens": 10, "total_tokens": TOTAL + 10}
    usage |= {"prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": TOTAL - cached}
    told = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return whole({**told, "choices": [choice], "usage": usage})


def asked(watch, provider, cached=READ, tools=(TOOL,)):
    """What is told of a call with tools, system text and a cache, made with OpenAI's client to a provider."""
    with Wire(answer(cached)) as wire:
        seen = watch(providers={"127.0.0.1": provider}, prices=PRICES)
        client = openai.OpenAI(base_url=wire.url, api_key="k", max_retries=0)
        client.chat.completions.create(model="m", messages=QUESTION, **({"tools": list(tools)} if tools else {}))
        client.close()
    return seen


def cached_tokens(seen, part):
    return seen.total("ragmeter.tokens", ragmeter_part=part, ragmeter_token_rate="cache_read")


def cost(seen, part):
    return seen.total("ragmeter.cost.usd", ragmeter_part=part)


def test_cached_money_of_deepseek_falls_on_the_system_text(watch):
    """DeepSeek's encoder writes the tools behind the system text, so the first cached tokens are of the system text.

    https://huggingface.co/deepseek-ai/DeepSeek-V3.2/blob/main/encoding/encoding_dsv32.py
    """
    seen = asked(watch, "deepseek")
    assert (cached_tokens(seen, "system"), cached_tokens(seen, "tools")) == (READ, 0)
    system = seen.total("ragmeter.tokens", ragmeter_part="system")
    assert cost(seen, "system") == pytest.approx((READ * 0.2 + (system - READ) * 2.0) / 1e6)
    assert cost(seen, "tools") == pytest.approx(seen.total("ragmeter.tokens", ragmeter_part="tools") * 2.0 / 1e6)
    assert seen.span()[TELLS_ORDER] == "documented"


@pytest.mark.parametrize(("provider", "order"), [("openai", "documented"), ("x_ai", "unknown")])
def test_elsewhere_tools_stand_first(watch, provider, order):
    """OpenAI documents that tools stand first; where nobody has documented anything that is assumed, and marked."""
    seen = asked(watch, provider)
    assert (cached_tokens(seen, "system"), cached_tokens(seen, "tools")) == (0, READ)
    assert seen.span()[TELLS_ORDER] == order
    assert seen.span()["ragmeter.price.state"] == "priced"


def test_the_order_changes_no_total(watch):
    """A call costs the same and has the same tokens of each part, whatever stands first."""
    totals = []
    for provider in ("deepseek", "openai", "x_ai"):
        seen = asked(watch, provider)
        parts = {part: seen.total("ragmeter.tokens", ragmeter_part=part) for part in ("tools", "system", "question")}
        totals.append((parts, round(seen.total("ragmeter.cost.usd"), 15), seen.span()["ragmeter.cost.amount"]))
        ragmeter.uninstrument()
    assert totals == [totals[0]] * 3
    assert totals[0][2] == pytest.approx((READ * 0.2 + (TOTAL - READ) * 2.0 + 10 * 8.0) / 1e6)


@pytest.mark.parametrize(("cached", "tools"), [(0, (TOOL,)), (TOTAL, (TOOL,)), (READ, ())])
def test_nothing_is_marked_where_any_order_gives_the_same(watch, cached, tools):
    """Without a cache, with all in it, or without tools it does not matter which order is right."""
    assert TELLS_ORDER not in asked(watch, "x_ai", cached, tools).span()


@pytest.mark.parametrize(
    ("provider", "model", "first"),
    [
        ("deepseek", "deepseek-flash", "system"),
        ("together", "deepseek-ai/DeepSeek-V3.2", "system"),
        ("groq", "openai/gpt-oss-120b", "system"),
        ("azure.ai.openai", "gpt-4o-2024-11-20", "tools"),
        ("openrouter", "openai/gpt-5.4", "tools"),
        ("aws.bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", "tools"),
        ("gcp.vertex_ai", "claude-opus-5", "tools"),
        ("groq", "moonshotai/kimi-k2-instruct", "tools"),
        ("mistral_ai", "mistral-large-2512", None),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", None),
    ],
)
def test_an_order_is_known_where_it_is_documented(provider, model, first):
    """The order is that of the model's own template wherever it runs; of others nobody says it."""
    order = order_of(provider, model)
    assert (order and order[0]) == first


@settings(max_examples=200, deadline=None)
@given(prompt=prompts, usage=usages(), order=st.sampled_from(list(permutations(READERS_ORDER))))
def test_parts_sum_to_the_providers_totals_in_any_order(prompt, usage, order):
    """Whatever order the wire has, no part of a prompt is lost, and tokens and money sum to the provider's."""
    moved = arranged(prompt, order)
    assert sorted(moved.fragments, key=str) == sorted(prompt.fragments, key=str)
    result, before = metered(moved, usage), metered(prompt, usage)
    assert sum(part.tokens for part in result.parts if part.part in INPUTS) == usage.input_tokens
    assert sum(part.tokens for part in result.parts if part.rate == "cache_read") == (usage.cache_read_tokens or 0)
    assert fsum(part.cost for part in result.parts) == pytest.approx(before.cost.amount, rel=1e-15, abs=1e-12)


def test_what_stands_in_a_turn_stays_there():
    """System text and tools of a later turn are where they were; only the front of the prompt is put in order."""
    front = (PromptFragment(Role.TOOLS, "t"), PromptFragment(Role.SYSTEM, "s"))
    later = (PromptFragment(Role.USER, "u"), PromptFragment(Role.SYSTEM, "s2"), PromptFragment(Role.TOOLS, "t2"))
    moved = arranged(Prompt((*front, *later)), ("system", "tools", "messages"))
    assert moved.fragments == (*reversed(front), *later)
