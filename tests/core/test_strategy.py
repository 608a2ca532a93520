"""Strategies are told from the model and the prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmeter.domain.strategy import STRATEGIES, derive, highest, is_fine_tuned


@pytest.mark.parametrize(
    "model",
    [
        "ft:gpt-4o-2024-08-06:acme::abc",
        "gpt-4o-mini-2024-07-18.ft-0e1f2a3b",
        "tunedModels/my-model-abc123",
        "arn:aws:bedrock:us-east-1:1:custom-model/anthropic.claude",
        "arn:aws:bedrock:us-east-1:1:imported-model/abc",
        "accounts/acme/models/support-llama",
        "llama-3-8b-lora-support",
        "llama-3-8b-support-ft",
    ],
)
def test_ids_of_fine_tuned_models_are_known(model):
    """The providers' ids of fine-tuned models are told apart without configuration."""
    assert is_fine_tuned(model)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "claude-sonnet-4-5",
        "llama-3.3-70b",
        "gift-model",
        "explorer-1",
        "accounts/fireworks/models/glm-5",
        "",
        None,
    ],
)
def test_other_ids_are_not_fine_tuned(model):
    """A plain model is not taken for a fine-tuned one."""
    assert not is_fine_tuned(model)


def test_the_app_can_name_its_fine_tuned_models():
    """A deployment whose id says nothing is fine-tuned when the app lists it."""
    assert is_fine_tuned("support-v3", ["support-*"])


@given(st.lists(st.sampled_from(STRATEGIES), min_size=1))
def test_a_querys_strategy_is_at_least_that_of_each_inference(used):
    """What any inference of a query used, the query used."""
    whole = highest(used)
    for one in used:
        assert highest([whole, one]) == whole


def test_the_four_strategies():
    """Fine-tuned or not, retrieved or not."""
    table = {derive(fine_tuned=tuned, retrieved=retrieved) for tuned in (True, False) for retrieved in (True, False)}
    assert table == set(STRATEGIES)
