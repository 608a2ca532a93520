"""What a price depends on beside the model: place, day, tier, tuning, and units that a table lacks."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from ragmeter.domain.model import Operation, OperationKind, PriceState, Prompt, Request, Response, Usage
from ragmeter.money.pricebook import PriceBook, PriceTableError, check_aliases
from ragmeter.money.pricing import price
from ragmeter.settings import SettingsError, read_settings

PRICED, ESTIMATED = PriceState.PRICED, PriceState.ESTIMATED
FRIDAY = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PLAIN = Usage(input_tokens=1_000_000, output_tokens=0)


def cost_of(provider, model, usage=PLAIN, *, at=FRIDAY, host=None, asked=None, book=None, **answered):
    operation = Operation(
        request=Request(OperationKind.CHAT, provider, model=asked or model, server_address=host),
        response=Response(model=model, usage=usage, **answered),
        prompt=Prompt(),
        started=int(at.timestamp() * 1e9),
        duration=1.0,
    )
    return price(usage, (book or PriceBook({})).card(operation))


@pytest.mark.parametrize(
    ("provider", "model", "host", "factor", "state"),
    [
        ("openai", "gpt-5.4", "api.openai.com", 1.0, PRICED),
        ("openai", "gpt-5.4", "eu.api.openai.com", 1.1, PRICED),
        ("openai", "gpt-6.1-terra", "us.api.openai.com", 1.1, PRICED),
        ("openai", "gpt-5-mini", "eu.api.openai.com", 1.0, PRICED),
        ("openai", "gpt-5.2", "eu.api.openai.com", 1.0, PRICED),
        ("openai", "gpt-4o", "us.api.openai.com", 1.0, PRICED),
        ("openai", "text-embedding-3-small", "eu.api.openai.com", 1.0, PRICED),
        ("openai", "gpt-audio", "eu.api.openai.com", 1.0, ESTIMATED),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "aiplatform.googleapis.com", 1.0, PRICED),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "us-east5-aiplatform.googleapis.com", 1.1, PRICED),
        ("gcp.vertex_ai", "claude-opus-5", "aiplatform.eu.rep.googleapis.com", 1.1, PRICED),
        ("gcp.vertex_ai", "claude-3-5-haiku@20241022", "us-east5-aiplatform.googleapis.com", 1.0, PRICED),
        ("gcp.vertex_ai", "google/gemini-2.5-flash", "europe-west4-aiplatform.googleapis.com", 1.0, PRICED),
        ("gcp.vertex_ai", "google/gemini-3-flash-preview", "europe-west4-aiplatform.googleapis.com", 1.0, ESTIMATED),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "us-api.together.ai", 1.25, PRICED),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "eu-api.together.ai", 1.0, ESTIMATED),
        ("mistral_ai", "mistral-large-2512", "api.eu.mistral.ai", 1.1, PRICED),
        ("aws.bedrock", "amazon.nova-lite-v1:0", "bedrock-runtime.us-west-2.amazonaws.com", 1.0, PRICED),
        ("aws.bedrock", "amazon.nova-lite-v1:0", "bedrock-runtime.eu-central-1.amazonaws.com", 1.0, ESTIMATED),
        (
            "aws.bedrock",
            "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
            "bedrock-runtime.eu-central-1.amazonaws.com",
            1.0,
            PRICED,
        ),
    ],
)
def test_the_host_that_was_asked_changes_the_price_of_tokens(provider, model, host, factor, state):
    """Regional hosts cost what their pages say; where none says, the standard price is an estimate."""
    standard, here = cost_of(provider, model), cost_of(provider, model, host=host)
    assert standard.amount is not None
    assert here.amount == pytest.approx(standard.amount * factor)
    assert here.state is state


@pytest.mark.parametrize(("provider", "model"), [("mistral_ai", "mistral-large-latest"), ("deepseek", "deepseek-chat")])
def test_a_name_that_moves_on_is_an_estimate(provider, model):
    """A name that stands for another model each year has a price that may be an older model's."""
    assert cost_of(provider, model).state is ESTIMATED


@pytest.mark.parametrize(
    ("geography", "factor", "state"),
    [
        (None, 1.0, PRICED),
        ("global", 1.0, PRICED),
        ("not_available", 1.0, PRICED),
        ("us", 1.1, PRICED),
        ("moon", 1.0, ESTIMATED),
    ],
)
def test_the_place_that_anthropic_names_changes_the_price_of_tokens(geography, factor, state):
    """Inference in the USA alone costs a tenth more, for cached tokens as well; its searches cost what they cost."""
    usage = Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=400, units={"web_searches": 1})
    cost = cost_of("anthropic", "claude-opus-4-6", usage, inference_geo=geography)
    assert cost.amount == pytest.approx((600 * 5 + 400 * 0.5 + 100 * 25) / 1e6 * factor + 0.01)
    assert cost.state is state


@pytest.mark.parametrize(("tokens", "state"), [(200_000, PRICED), (200_001, ESTIMATED)])
def test_a_prompt_longer_than_its_prices_are_known_for_is_an_estimate(tokens, state):
    """Bedrock has rows of its own for long prompts of this model, which no table here has."""
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    assert cost_of("aws.bedrock", model, Usage(input_tokens=tokens, output_tokens=1)).state is state


def test_the_profile_that_was_asked_for_sets_the_price_on_bedrock():
    """Bedrock answers with the bare model; whether it ran in one region or anywhere only the request says."""
    bare = "claude-sonnet-4-5-20250929"
    anywhere = cost_of("aws.bedrock", bare, asked=f"global.anthropic.{bare}-v1:0")
    regional = cost_of("aws.bedrock", bare, asked=f"us.anthropic.{bare}-v1:0")
    assert anywhere.amount * 1.1 == pytest.approx(regional.amount)


def test_a_model_that_answers_under_another_name_is_an_estimate():
    """Where no table has the name that answered, the price of the one that was asked for is a guess."""
    cost = cost_of("openai", "gpt-4o-of-tomorrow", asked="gpt-4o")
    assert (cost.amount, cost.state) == (pytest.approx(2.5), ESTIMATED)
    profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
    assert cost_of("aws.bedrock", "claude-sonnet-4-5-20250929", asked=profile).state is ESTIMATED


@pytest.mark.parametrize(
    ("at", "peak", "state"),
    [
        (datetime(2026, 11, 20, 2, 0, tzinfo=UTC), True, PRICED),
        (datetime(2026, 11, 20, 0, 59, tzinfo=UTC), False, PRICED),
        (datetime(2026, 11, 20, 4, 0, tzinfo=UTC), False, PRICED),
        (datetime(2026, 11, 21, 2, 0, tzinfo=UTC), False, PRICED),
        (datetime(2026, 11, 22, 7, 0, tzinfo=UTC), False, PRICED),
        (datetime(2026, 10, 2, 2, 0, tzinfo=UTC), False, PRICED),
        (datetime(2027, 3, 3, 2, 0, tzinfo=UTC), True, ESTIMATED),
        (datetime(2027, 3, 3, 12, 0, tzinfo=UTC), False, PRICED),
    ],
)
def test_peak_hours_are_those_of_working_days(at, peak, state):
    """DeepSeek's peak price holds on working days in China alone; a year whose holidays are not known is a guess."""
    cost = cost_of("deepseek", "deepseek-v4-pro", at=at)
    assert cost.amount == pytest.approx(1.32 if peak else 0.66)
    assert cost.state is state


def test_a_price_changes_with_the_minute():
    """What was found for one minute is not used for the next, in which another price may hold."""
    book = PriceBook({})
    before, after = (datetime(2026, 11, 20, *time, tzinfo=UTC) for time in ((3, 59, 59), (4, 0, 0)))
    costs = [cost_of("deepseek", "deepseek-v4-pro", at=at, book=book).amount for at in (before, after, before)]
    assert costs == pytest.approx([1.32, 0.66, 1.32])


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "ft:gpt-4-0613:acme::abc"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:custom-model/amazon.nova-lite-v1:0/abc"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:custom-model-deployment/amazon.nova-lite-v1:0"),
    ],
)
def test_a_tuned_model_at_the_price_of_its_base_is_an_estimate(provider, model):
    """Where a table's row for the base model takes in a fine-tuned id, its price is a guess."""
    assert cost_of(provider, model).state is ESTIMATED


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("openai", "gpt-6.1-terra", "scale"),
        ("anthropic", "claude-sonnet-4-5", "priority"),
        ("groq", "openai/gpt-oss-120b", "performance"),
        ("aws.bedrock", "openai.gpt-oss-120b-1:0", "priority"),
    ],
)
def test_a_tier_without_a_price_of_its_own_is_an_estimate(provider, model, tier):
    """What was served at another tier than the standard one costs what no table says."""
    assert cost_of(provider, model, service_tier="default").state is PRICED
    assert cost_of(provider, model, service_tier=tier).state is ESTIMATED


def test_a_deployment_that_the_app_calls_tuned_is_an_estimate_until_an_alias_says_what_it_is():
    """The app's own word that a deployment is fine-tuned, or what it costs, decides how far its price is trusted."""
    tuned = PriceBook({}, fine_tuned=["support-*"])
    usage = Usage(input_tokens=1000, output_tokens=0)
    answered = {"asked": "support-v3", "book": tuned}
    assert cost_of("azure.ai.openai", "gpt-4o-mini-2024-07-18", usage, **answered).state is ESTIMATED
    named = PriceBook({"support-*": "ft:gpt-4o-mini"}, fine_tuned=["support-*"])
    cost = cost_of("azure.ai.openai", "gpt-4o-mini-2024-07-18", usage, asked="support-v3", book=named)
    assert (cost.amount, cost.state) == (pytest.approx(0.3e-3), PRICED)


def test_tiers_of_a_tuned_model_stand_above_our_own_row():
    """A batch of a tuned model has the library's batch price where it has one; else our row's, as an estimate."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    batch = cost_of("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", usage, service_tier="batch")
    assert (batch.amount, batch.state) == (pytest.approx(0.15), PRICED)
    flex = cost_of("openai", "ft:gpt-4.1-mini-2025-04-14:acme::abc", usage, service_tier="flex")
    assert (flex.amount, flex.state) == (pytest.approx(0.8), ESTIMATED)


@pytest.mark.parametrize(
    ("provider", "model", "units", "fee", "state"),
    [
        ("openai", "gpt-5-mini", {"units": {"web_searches": 2}}, 0.02, PRICED),
        ("openai", "gpt-5-mini", {"units": {"web_searches": 0}}, 0.0, PRICED),
        ("openai", "gpt-5-mini", {"units": {"web_searches_preview": 1}}, 0.01, PRICED),
        ("openai", "gpt-4o", {"units": {"web_searches_preview": 1}}, 0.025, PRICED),
        ("openai", "gpt-4o-search-preview", {"units": {"web_searches_preview": 1}}, 0.025, PRICED),
        ("openai", "gpt-5-search-api", {"units": {"web_searches": 1}}, 0.01, PRICED),
        ("openai", "gpt-4.1-mini", {"units": {"web_searches": 1}}, 0.01, ESTIMATED),
        ("openai", "gpt-5-mini", {"units": {"code_interpreter_sessions": 1}}, 0.0, ESTIMATED),
        ("openai", "gpt-4o-audio-preview", {"audio_output_tokens": 50}, 0.0, ESTIMATED),
        ("x_ai", "grok-4.3", {"units": {"social_searches": 2}}, 0.01, PRICED),
        ("anthropic", "claude-sonnet-4-5", {"units": {"web_searches": 3}}, 0.03, PRICED),
        ("groq", "openai/gpt-oss-120b", {"units": {"web_searches": 1}}, 0.0, ESTIMATED),
        ("azure.ai.openai", "gpt-4.1", {"units": {"web_searches": 1}}, 0.0, ESTIMATED),
    ],
)
def test_fees_are_those_of_what_was_used(provider, model, units, fee, state):
    """A search costs what its kind costs at its model; what has no price makes the cost an estimate, 0 does not."""
    plain = Usage(input_tokens=1000, output_tokens=100)
    used = Usage(input_tokens=1000, output_tokens=100, **units)
    cost = cost_of(provider, model, used)
    assert cost.amount == pytest.approx(cost_of(provider, model, plain).amount + fee)
    assert cost.state is state


@pytest.mark.parametrize(
    ("table", "usage", "state"),
    [
        ({"input": 1.0, "output": 2.0}, Usage(1000, 100), PRICED),
        ({"input": 1.0}, Usage(1000, 100), ESTIMATED),
        ({"input": 1.0}, Usage(1000), PRICED),
        ({"request": 0.0004}, Usage(1000, 100), PRICED),
        ({"input": 1.0, "output": 2.0}, Usage(1000, 100, cache_read_tokens=500), ESTIMATED),
        ({"input": 1.0, "output": 2.0}, Usage(1000, 100, reasoning_tokens=50), PRICED),
        ({"input": 1.0, "output": 2.0}, Usage(1000, 100, units={"web_searches": 1}), ESTIMATED),
        ({"input": 1.0, "output": 2.0, "web_search": 5}, Usage(1000, 100, units={"web_searches": 1}), PRICED),
    ],
)
def test_a_unit_without_a_price_in_the_apps_own_table_is_an_estimate(table, usage, state):
    """The app's own table prices all that it names; what was used beside it is a guess at another's price."""
    assert cost_of("llm.internal", "own", usage, book=PriceBook({"own": table})).state is state


def test_a_model_that_the_library_knows_without_prices_is_unpriced():
    """A row without a price is no price of zero, unless the model is a free one."""
    assert cost_of("cerebras", "qwen-3-coder-480b").amount is None
    assert cost_of("mistral_ai", "mistral-nemo:free").amount == 0.0


def test_an_alias_may_name_the_vendor():
    """Behind a gateway of unknown vendors an alias such as `openai/gpt-4o-mini` says whose price it has."""
    book = PriceBook({"answers": "openai/gpt-4o-mini"})
    assert cost_of("gateway.internal", "answers", book=book).amount == pytest.approx(0.15)


def test_an_alias_with_a_slip_is_refused():
    """An alias for a model that nobody knows, nearly a known one's name, is a mistake; a new model's is not."""
    with pytest.raises(PriceTableError, match="did you mean 'gpt-4o-mini'"):
        check_aliases({"prod": "gpt-4o-minni"})
    with pytest.raises(SettingsError, match="did you mean 'our-model'"):
        read_settings({"prices": {"prod": "our-modell", "our-model": {"input": 1.0}}}, {})
    check_aliases({"a": "gpt-4o-mini-2024-07-18", "b": "ft:gpt-4o-mini", "c": "our-model", "our-*": {"input": 1.0}})
    check_aliases({"a": "a-model-of-tomorrow"})


def test_the_first_model_without_a_price_is_told_with_the_setting_that_helps(caplog):
    """One line a process: which model, where, and what to write; others are in the status."""
    book = PriceBook({})
    with caplog.at_level(logging.WARNING, "ragmeter"):
        for model in ("our-model", "our-model", "another"):
            cost_of("gateway.internal", model, book=book)
        cost_of("openai", "gpt-4o", book=book)
    (told,) = (record.getMessage() for record in caplog.records)
    for said in ("'our-model'", "'gateway.internal'", "providers={", "prices={'our-model'"):
        assert said in told


def test_a_cost_that_the_provider_reports_needs_no_price(caplog):
    """Where the answer brings its cost, nobody is told to give a price."""
    with caplog.at_level(logging.WARNING, "ragmeter"):
        cost = cost_of("gateway.internal", "our-model", Usage(10, 10, reported_cost=0.1))
    assert (cost.amount, cost.state, caplog.records) == (0.1, PRICED, [])
