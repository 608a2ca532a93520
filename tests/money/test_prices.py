"""What an operation costs: against genai-prices itself, against hand calculations, and against the peers' faults."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from genai_prices import Usage as GenaiUsage
from genai_prices import calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmeter.domain.model import COUNTS, Operation, OperationKind, PriceState, Prompt, Request, Response, Usage
from ragmeter.money.pricebook import PriceBook, PriceTableError, read_price_table
from ragmeter.money.pricing import price
from ragmeter.naming import semconv

STARTED = int(datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp() * 1e9)


def operation(model, provider="openai", usage=None, *, tier=None, speed=None, asked=None):
    return Operation(
        request=Request(OperationKind.CHAT, provider, model=asked or model),
        response=Response(model=model, usage=usage, service_tier=tier, speed=speed),
        prompt=Prompt(),
        started=STARTED,
        duration=1.0,
    )


def cost_of(model, usage, provider="openai", book=None, **more):
    made = operation(model, provider, usage, **more)
    return price(usage, (book or PriceBook({})).card(made))


MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini-2024-07-18"),
    ("openai", "gpt-5.6-sol"),
    ("openai", "gpt-4o-audio-preview"),
    ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("groq", "openai/gpt-oss-120b"),
    ("deepseek", "deepseek-chat"),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
]


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_equals_genai_prices_for_any_mix_of_tokens(provider, model):
    """Where genai-prices knows a model our floats give its price, for plain, cached, written and long prompts."""
    card = PriceBook({}).card(operation(model, provider))
    assert card is not None
    chance = random.Random(model)
    for _ in range(60):
        read, written, plain = (chance.choice((0, 1, 700, 150_000)) for _ in range(3))
        output = chance.choice((0, 1, 900))
        one_hour = chance.randint(0, written)
        counts = {
            "input_tokens": read + written + plain,
            "output_tokens": output,
            "cache_read_tokens": read,
            "cache_write_tokens": written,
        }
        usage = Usage(**counts, cache_write_1h_tokens=one_hour if provider == "anthropic" else None)
        reported = GenaiUsage(**counts, **({"cache_write_1h_tokens": one_hour} if provider == "anthropic" else {}))
        expected = calc_price(
            reported, model, provider_id=provider, genai_request_timestamp=datetime.fromtimestamp(STARTED / 1e9, tz=UTC)
        )
        assert price(usage, card).amount == pytest.approx(float(expected.total_price), rel=1e-9, abs=1e-15)


def test_cached_tokens_are_a_part_of_the_prompt_and_not_billed_twice():
    """1,000 prompt tokens of which 800 are cached cost 200 at the full and 800 at the cached rate."""
    cost = cost_of("gpt-4o", Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=800))
    assert cost.amount == pytest.approx((200 * 2.5 + 800 * 1.25 + 100 * 10) / 1e6)
    assert cost.state is PriceState.PRICED


def test_reasoning_is_a_part_of_the_output():
    """1,970 output tokens of which 956 are reasoning are billed as 1,970."""
    cost = cost_of("gpt-5", Usage(input_tokens=0, output_tokens=1970, reasoning_tokens=956))
    assert cost.amount == pytest.approx(1970 * 10 / 1e6)


def test_an_hour_long_cache_write_costs_twice_the_input():
    """Anthropic's two lifetimes of a cache write have their own rates: 1.25 and 2 times the input price."""
    five_minutes = cost_of("claude-sonnet-4-5", Usage(input_tokens=2000, cache_write_tokens=2000), "anthropic")
    one_hour = cost_of(
        "claude-sonnet-4-5", Usage(input_tokens=2000, cache_write_tokens=2000, cache_write_1h_tokens=2000), "anthropic"
    )
    assert five_minutes.amount == pytest.approx(2000 * 3.75 / 1e6)
    assert one_hour.amount == pytest.approx(2000 * 6 / 1e6)


def test_the_served_tier_sets_the_price():
    """What the response says was served is billed: flex is cheaper than default, priority dearer."""
    usage = Usage(input_tokens=1000, output_tokens=1000)
    default, flex, priority = (cost_of("gpt-5", usage, tier=tier).amount for tier in ("default", "flex", "priority"))
    assert flex == pytest.approx(default / 2)
    assert priority > default


def test_a_tier_without_a_price_is_an_estimate():
    """A served tier that no table prices is charged at the standard rate and marked as an estimate."""
    cost = cost_of("gpt-4o", Usage(input_tokens=1000, output_tokens=10), tier="some-new-tier")
    assert cost.state is PriceState.ESTIMATED
    assert cost.amount == pytest.approx(cost_of("gpt-4o", Usage(input_tokens=1000, output_tokens=10)).amount)


@pytest.mark.parametrize("model", ["no-such-model", "ft:no-such-model:acme::abc", "", "llama3:8b"])
def test_an_unknown_model_is_unpriced_and_never_free(model):
    """Without a price there is no amount, and the state says so."""
    cost = cost_of(model, Usage(input_tokens=1000, output_tokens=10))
    assert cost.amount is None
    assert cost.state is PriceState.UNPRICED


def test_a_known_model_name_on_an_unknown_host_is_unpriced():
    """A local server that calls its model gpt-4o does not cost what OpenAI's does."""
    assert cost_of("gpt-4o", Usage(input_tokens=1000), provider="localhost").amount is None


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("ft:gpt-4.1-2025-04-14:acme::abc", (3, 0.75, 12)),
        ("ft:gpt-4.1-mini-2025-04-14:acme::abc", (0.8, 0.2, 3.2)),
        ("ft:gpt-4.1-nano-2025-04-14:acme:suffix:abc", (0.2, 0.05, 0.8)),
        ("ft:gpt-4o-2024-08-06:acme::abc", (3.75, 1.875, 15)),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", (0.3, 0.15, 1.2)),
        ("ft:o4-mini-2025-04-16:acme::abc", (4, 1, 16)),
    ],
)
def test_fine_tuned_models_have_their_own_prices_also_for_cached_tokens(model, rates):
    """Fine-tuned ids with any organisation and suffix are priced, cached tokens at their reduced rate."""
    full, cached, output = rates
    cost = cost_of(model, Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=400))
    assert cost.amount == pytest.approx((600 * full + 400 * cached + 100 * output) / 1e6)


def test_the_apps_own_prices_stand_before_the_built_in_ones():
    """A price the app gives beats the table, also by pattern, and the longest pattern wins."""
    book = PriceBook({"gpt-*": {"input": 100.0}, "gpt-4o*": {"input": 7.0, "output": 9.0, "cache_read": 1.0}})
    cost = cost_of("gpt-4o", Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=500), book=book)
    assert cost.amount == pytest.approx((500 * 7 + 500 * 1 + 100 * 9) / 1e6)
    assert "gpt-4o*" in (cost.row or "")


def test_the_built_in_prices_can_be_switched_off():
    """With `builtin=False` only the app's own table counts."""
    assert cost_of("gpt-4o", Usage(input_tokens=1000), book=PriceBook({}, builtin=False)).amount is None


def test_a_deployment_name_is_priced_as_the_model_it_stands_for():
    """An alias gives an Azure deployment or a gateway's model name the price of the model behind it."""
    book = PriceBook({"prod-answers": "gpt-4o-mini", "prod-tuned": "ft:gpt-4o-mini"})
    usage = Usage(input_tokens=1000, output_tokens=1000)
    assert cost_of("prod-answers", usage, "azure.ai.openai", book).amount == pytest.approx(0.75e-3)
    assert book.is_fine_tuned(operation("prod-tuned", "azure.ai.openai"))
    assert not book.is_fine_tuned(operation("prod-answers", "azure.ai.openai"))


def test_an_alias_may_stand_for_another_alias():
    """The price is that of the last of them, in the app's own table or in the built-in one."""
    book = PriceBook(
        {"prod": "answers", "answers": "gpt-4o-mini", "test": "ours", "ours": {"input": 1.0, "output": 1.0}}
    )
    usage = Usage(input_tokens=1000, output_tokens=1000)
    assert cost_of("prod", usage, book=book).amount == pytest.approx(0.75e-3)
    assert cost_of("test", usage, book=book).amount == pytest.approx(2e-3)


@pytest.mark.parametrize(
    ("prices", "usage", "amount", "state"),
    [
        ({"request": 0.004}, Usage(1000, 100, cache_read_tokens=400, reasoning_tokens=9), 0.004, PriceState.PRICED),
        ({"request": 0.004}, Usage(1000, 100, units={"web_searches": 1}), 0.004, PriceState.ESTIMATED),
        ({"request": 0.004, "input": 1.0}, Usage(1000, 100), 0.005, PriceState.ESTIMATED),
        ({"input": 1.0}, Usage(1000, 100), 0.001, PriceState.ESTIMATED),
        ({"input": 1.0}, Usage(1000), 0.001, PriceState.PRICED),
        ({"input": 1.0, "output": 2.0}, Usage(1000, 100, cache_read_tokens=400), 0.0012, PriceState.ESTIMATED),
    ],
)
def test_what_a_table_leaves_out_is_not_free(prices, usage, amount, state):
    """A price for a request alone is for all its tokens; once tokens have a price, each kind needs one."""
    cost = cost_of("ours", usage, book=PriceBook({"ours": prices}))
    assert cost.amount == pytest.approx(amount)
    assert cost.state is state


@pytest.mark.parametrize(
    "served",
    [{"service_tier": "flex"}, {"service_tier": "priority"}, {"speed": "fast"}, {"inference_geo": "us"}],
)
def test_the_apps_own_prices_are_those_of_the_plain_service(served):
    """What an answer says that changes a price is not in the app's table: the cost is an estimate."""
    made = operation("ours")
    made = replace(made, response=replace(made.response, **served))
    usage = Usage(input_tokens=1000, output_tokens=100)
    card = PriceBook({"ours": {"input": 1.0, "output": 2.0}}).card(made)
    assert price(usage, card).state is PriceState.ESTIMATED


@pytest.mark.parametrize(("asked", "served", "state"), [("flex", None, "estimated"), ("flex", "default", "priced")])
def test_what_was_served_counts_and_not_what_was_asked_for(asked, served, state):
    """A tier that was asked for has its price, which is a guess as long as no answer says that it was served."""
    usage = Usage(input_tokens=1000, output_tokens=1000)
    made = operation("gpt-5", tier=served)
    made = replace(made, request=replace(made.request, service_tier=asked))
    cost = price(usage, PriceBook({}).card(made))
    assert cost.state == state
    assert cost.amount == pytest.approx(cost_of("gpt-5", usage, tier=served or asked).amount)


def test_the_providers_own_cost_stands_above_the_table():
    """A cost reported in the answer is passed through to the cent, and its source is named."""
    cost = cost_of(
        "anthropic/claude-sonnet-4.5", Usage(input_tokens=43, output_tokens=51, reported_cost=0.000894), "openrouter"
    )
    assert cost.amount == 0.000894
    assert cost.source == "provider"


def test_tokens_the_provider_hides_make_the_cost_an_estimate():
    """When the total says more was used than input and output show, the price is not called exact."""
    usage = Usage(input_tokens=35, output_tokens=12, total_tokens=109)
    assert cost_of("gpt-4o", usage).state is PriceState.ESTIMATED


@settings(max_examples=200, deadline=None)
@given(total=st.integers(0, 1_000_000), cached=st.integers(0, 1_000_000))
@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5")])
def test_a_cache_hit_never_costs_more_than_a_miss(provider, model, total, cached):
    """For any share of cached tokens the price is at most that of the same prompt without a cache."""
    card = PriceBook({}).card(operation(model, provider))
    hit = price(Usage(input_tokens=total, cache_read_tokens=min(cached, total)), card).amount
    miss = price(Usage(input_tokens=total), card).amount
    assert hit is not None
    assert miss is not None
    assert hit <= miss + 1e-12


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"gpt-4o": {"inputs": 1}}, "unknown unit 'inputs'"),
        ({"gpt-4o": {"input": "1"}}, "expected a number"),
        ({"gpt-4o": {"input": -1}}, "expected a number"),
        ({"gpt-4o": 3}, "US dollars per million tokens"),
        ({"gpt-4o": {}}, "US dollars per million tokens"),
        ({"pinecone": {"read_units": 16e-6}}, "unknown unit 'read_units'.*'units' with a mapping"),
        ({"pinecone": {"unit": {"read_units": 16e-6}}}, "did you mean 'units'"),
        ({"pinecone": {"units": 16e-6}}, r"\['units'\]: expected US dollars for one of each unit"),
        ({"pinecone": {"units": {}}}, "expected US dollars for one of each unit"),
        ({"pinecone": {"units": {"read_units": "16"}}}, r"\['units'\]\['read_units'\]: expected a number"),
        ({"pinecone": {"units": {"": 1}}}, "expected the name of a unit"),
        ({"gpt-4o": {"units": {"input_tokens": 1e-6}}}, r"write prices\['gpt-4o'\]\['input'\]"),
        ("no/such/file.toml", "cannot read"),
        ({"a": "b", "b": "a"}, "in a circle"),
    ],
)
def test_a_wrong_price_table_says_what_to_write(table, message):
    """Each mistake in a price table is named with its entry."""
    with pytest.raises(PriceTableError, match=message):
        read_price_table(table)


def test_prices_are_read_from_toml_and_json_files(tmp_path):
    """A price file in either format gives the same table."""
    toml, json = tmp_path / "prices.toml", tmp_path / "prices.json"
    toml.write_text('alias = "gpt-4o"\n["my-model"]\ninput = 1.5\n')
    json.write_text('{"alias": "gpt-4o", "my-model": {"input": 1.5}}')
    assert read_price_table(toml) == read_price_table(str(json)) == {"alias": "gpt-4o", "my-model": {"input": 1.5}}


@pytest.mark.parametrize(
    ("table", "fee", "state"),
    [
        ({}, 0.0, PriceState.ESTIMATED),
        ({"openai": {"units": {"code_interpreter_sessions": 0.03}}}, 0.06, PriceState.PRICED),
        ({"anthropic": {"units": {"code_interpreter_sessions": 0.03}}}, 0.0, PriceState.ESTIMATED),
        ({"openai": {"units": {"code_interpreter_sessions": 0.03, "web_searches": 1.0}}}, 0.06, PriceState.PRICED),
    ],
)
def test_a_fee_of_a_provider_is_beside_the_prices_of_its_models(table, fee, state):
    """What a provider bills beside tokens can have one price for all its models, whose own prices stay."""
    plain = cost_of("gpt-5-mini", Usage(1000, 100))
    used = Usage(1000, 100, units={"code_interpreter_sessions": 2})
    cost = cost_of("gpt-5-mini", used, book=PriceBook(table))
    assert cost.amount == pytest.approx(plain.amount + fee)
    assert cost.state is state


def test_the_apps_fee_of_a_provider_stands_above_the_built_in_one_and_below_the_models():
    """Of several prices for one unit the most particular of the app counts, then the app's, then ours."""
    used = Usage(1000, 100, units={"web_searches": 1})
    fees = {"openai": {"units": {"web_searches": 0.5}}}
    tokens = cost_of("gpt-5-mini", Usage(1000, 100)).amount
    assert cost_of("gpt-5-mini", used).amount == pytest.approx(tokens + 0.01)
    assert cost_of("gpt-5-mini", used, book=PriceBook(fees)).amount == pytest.approx(tokens + 0.5)
    own = {**fees, "gpt-5-mini": {"input": 1.0, "output": 2.0, "web_search": 5.0}}
    assert cost_of("gpt-5-mini", used, book=PriceBook(own)).amount == pytest.approx(0.0012 + 0.005)


def test_fees_alone_are_no_price_of_a_models_tokens():
    """A provider's fees do not make an answer of an unknown model cost next to nothing; a price of tokens does."""
    used = Usage(1000, 100, units={"web_searches": 1})
    fees = PriceBook({"gateway": {"units": {"web_searches": 0.5}}})
    assert cost_of("our-own", used, "gateway", book=fees).state is PriceState.UNPRICED
    tokens = PriceBook({"gateway": {"input": 1.0, "output": 2.0, "units": {"web_searches": 0.5}}})
    assert cost_of("our-own", used, "gateway", book=tokens).amount == pytest.approx(0.5012)


def test_a_count_of_usage_has_one_name_in_every_table():
    """Each count is a field of `Usage`, stands after what it is a part of, and has an attribute on spans."""
    counts = [count.field for count in COUNTS]
    assert set(counts) <= {each.name for each in fields(Usage)}
    assert all(count.part_of is None or count.part_of in counts[:at] for at, count in enumerate(COUNTS))
    # The conventions have no name for what was written for an hour; it is in what was written.
    assert set(semconv.USAGE) == set(counts) - {"cache_write_1h_tokens"}
    assert set(semconv.LATEST_USAGE) <= set(semconv.USAGE)
