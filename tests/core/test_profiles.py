"""Each profile has the standard metrics of its generation, all of them and no others, with the same figures."""

from __future__ import annotations

import openai
import pytest
from qdrant_client import QdrantClient
from qdrant_client.models import Distance, VectorParams

from clients import chat_shapes
from ragmeter.naming.metric import Profile
from ragmeter.naming.semconv import metrics_of
from wire import Wire, events, whole

MODEL = "gpt-4o-mini"
USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 7,
    "total_tokens": 27,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


@pytest.mark.parametrize("profile", ["released", "latest", "both"])
def test_a_profile_has_all_its_metrics(watch, profile):
    """A streamed call, a refused one and a search make every standard metric of the profile that was chosen."""
    seen = watch(profile=profile)
    last = chat_shapes.chunk(MODEL, choices=[], usage=USAGE)
    refused = whole({"error": {"message": "no"}}, 400)
    question = {"model": MODEL, "messages": [{"role": "user", "content": "What?"}]}
    with Wire(events([*chat_shapes.words(MODEL), last]), refused) as wire:
        client = openai.OpenAI(base_url=wire.url, api_key="key", max_retries=0)
        assert list(client.chat.completions.create(**question, stream=True))
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**question)
    database = QdrantClient(":memory:")
    database.create_collection("shop", vectors_config=VectorParams(size=2, distance=Distance.COSINE))
    if hasattr(database, "query_points"):
        database.query_points("shop", query=[1.0, 0.0])
    else:
        database.search("shop", [1.0, 0.0])
    chosen = (Profile.RELEASED, Profile.LATEST) if profile == "both" else (Profile(profile),)
    wanted = {metric.name for metric in metrics_of(*chosen)}
    if profile == "latest":
        # There it is of embeddings, which were not made.
        wanted.remove("gen_ai.client.operation.duration")
    standard = {name for name, points in seen.metrics().items() if points and not name.startswith("ragmeter.")}
    assert standard == wanted
    if Profile.RELEASED in chosen:
        assert [seen.metric("gen_ai.client.token.usage")[key].total for key in sorted_by_type(seen)] == [20, 7]
    if Profile.LATEST in chosen:
        for kind, tokens in (("input", 20), ("output", 7)):
            assert seen.total(f"gen_ai.client.inference.usage.{kind}_tokens", gen_ai_token_modality="text") == tokens
            (size,) = seen.metric(f"gen_ai.client.inference.operation.{kind}_tokens").values()
            assert (size.count, size.total) == (1, tokens)
        assert seen.count("gen_ai.client.inference.duration") == 2
        assert seen.total("gen_ai.client.inference.usage.cache_read.input_tokens") == 4
        assert seen.total("gen_ai.client.inference.usage.reasoning.output_tokens") == 3


def test_the_newest_conventions_tell_speech_and_pictures_from_text(watch):
    """The modalities of input and output sum to what the provider has counted; a port is a number as everywhere."""
    usage = {
        **USAGE,
        "prompt_tokens_details": {"audio_tokens": 8, "image_tokens": 3},
        "completion_tokens_details": {"audio_tokens": 7},
    }
    seen = watch(profile="both")
    with Wire(whole({**chat_shapes.completion(MODEL), "usage": usage})) as wire:
        client = openai.OpenAI(base_url=wire.url, api_key="key", max_retries=0)
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "What?"}])
        port = int(wire.url.rpartition(":")[2])
    assert by_modality(seen, "input") == {"text": 9, "audio": 8, "image": 3}
    assert by_modality(seen, "output") == {"audio": 7}
    names = [name for name in seen.metrics() if name.startswith("gen_ai.")]
    assert {dict(key)["server.port"] for name in names for key in seen.metric(name)} == {port}


def by_modality(seen, kind):
    """Tokens of inferences by their modality."""
    points = seen.metric(f"gen_ai.client.inference.usage.{kind}_tokens")
    return {dict(key)["gen_ai.token.modality"]: tokens for key, tokens in points.items()}


def sorted_by_type(seen):
    """The label sets of the tokens that were reported, input before output."""
    return sorted(seen.metric("gen_ai.client.token.usage"), key=lambda key: dict(key)["gen_ai.token.type"])
