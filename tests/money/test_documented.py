"""Answers as the providers document them, at the prices that their own pages give: right to 0.5 %, or not `priced`.

Each case has the shape of a real answer, US dollars per million tokens as read on 2026-11-29, and where they stand.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
import pytest

OPENAI = "https://developers.openai.com/api/docs/pricing"
ANTHROPIC = "https://platform.claude.com/docs/en/about-claude/pricing"


@dataclass(frozen=True)
class Documented:
    """One answer: where it comes from, what it says, and what its parts cost by the provider's page.

    `bill` are pairs of a count and US dollars per million of it, `fees` are US dollars; `exact` says that the state
    must be `priced`, not that it may be an estimate.
    """

    name: str
    base_url: str
    model: str
    usage: dict[str, Any]
    bill: tuple[tuple[int, float], ...]
    source: str
    fees: float = 0.0
    kind: str = "chat"
    more: dict[str, Any] = field(default_factory=dict)
    exact: bool = True
    asked: str | None = None

    @property
    def cost(self) -> float:
        return sum(count * each for count, each in self.bill) / 1e6 + self.fees


def chat_usage(prompt, completion, cached=None, **more):
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    return (
        {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion} | details | more
    )


CASES = (
    Documented(
        "a cached prompt",
        "https://api.openai.com/v1",
        "gpt-4o-2024-08-06",
        chat_usage(2006, 300, 1920, completion_tokens_details={"reasoning_tokens": 0, "audio_tokens": 0}),
        ((86, 2.5), (1920, 1.25), (300, 10.0)),
        f"{OPENAI} and https://developers.openai.com/api/docs/guides/prompt-caching",
        more={"service_tier": "default"},
    ),
    Documented(
        "reasoning at the flex tier",
        "https://api.openai.com/v1",
        "gpt-5-mini-2025-08-07",
        chat_usage(1000, 2000, 0, completion_tokens_details={"reasoning_tokens": 1600}),
        ((1000, 0.125), (2000, 1.0)),
        f"{OPENAI} (flex)",
        more={"service_tier": "flex"},
    ),
    Documented(
        "the priority tier",
        "https://api.openai.com/v1",
        "gpt-5-2025-08-07",
        chat_usage(4000, 500, 1024),
        ((2976, 2.5), (1024, 0.25), (500, 20.0)),
        f"{OPENAI} (priority)",
        more={"service_tier": "priority"},
    ),
    Documented(
        "regional processing",
        "https://eu.api.openai.com/v1",
        "gpt-5.4-2026-03-05",
        chat_usage(1000, 100, 0),
        ((1000, 2.75), (100, 16.5)),
        "https://developers.openai.com/api/docs/guides/data-residency (10% for models from 2026-03-05 on)",
    ),
    Documented(
        "regional processing of an older model",
        "https://eu.api.openai.com/v1",
        "gpt-4o-mini-2024-07-18",
        chat_usage(1000, 100, 0),
        ((1000, 0.15), (100, 0.6)),
        "https://developers.openai.com/api/docs/guides/data-residency (10% for models from 2026-03-05 on)",
    ),
    Documented(
        "a long prompt",
        "https://api.openai.com/v1",
        "gpt-6-luna",
        chat_usage(300_000, 1000, 0),
        ((300_000, 0.2), (1000, 0.75)),
        "https://developers.openai.com/api/docs/models/gpt-6-luna (over 272K: 2x input, 1.5x output)",
    ),
    Documented(
        "a fine-tuned model",
        "https://api.openai.com/v1",
        "ft:gpt-4o-mini-2024-07-18:acme:support:9xyz",
        chat_usage(1000, 100, 0),
        ((1000, 0.3), (100, 1.2)),
        f"{OPENAI} (fine-tuning)",
    ),
    Documented(
        "speech in and out",
        "https://api.openai.com/v1",
        "gpt-4o-audio-preview-2025-06-03",
        chat_usage(
            1000,
            200,
            prompt_tokens_details={"audio_tokens": 600, "cached_tokens": 0, "text_tokens": 400},
            completion_tokens_details={"audio_tokens": 150, "text_tokens": 50},
        ),
        ((400, 2.5), (600, 40.0), (50, 10.0), (150, 80.0)),
        f"{OPENAI} (audio tokens)",
        exact=False,
    ),
    Documented(
        "a search model",
        "https://api.openai.com/v1",
        "gpt-4o-search-preview-2025-03-11",
        chat_usage(12, 400, 0),
        ((12, 2.5), (400, 10.0)),
        f"{OPENAI} (web search preview, non-reasoning models: $25 a thousand calls)",
        fees=0.025,
    ),
    Documented(
        "one search of an answer that also opens a page",
        "https://api.openai.com/v1",
        "gpt-5-mini-2025-08-07",
        {
            "input_tokens": 8000,
            "output_tokens": 500,
            "total_tokens": 8500,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 320},
        },
        ((8000, 0.25), (500, 2.0)),
        f"{OPENAI} (web search: $10 a thousand calls)",
        fees=0.01,
        kind="response",
        more={
            "output": [
                {
                    "type": "web_search_call",
                    "id": f"ws_{number}",
                    "status": "completed",
                    "action": action,
                }
                for number, action in enumerate(
                    ({"type": "search", "query": "kettle"}, {"type": "open_page", "url": "https://shop.example"})
                )
            ]
        },
    ),
    Documented(
        "embeddings",
        "https://api.openai.com/v1",
        "text-embedding-3-small",
        {"prompt_tokens": 5000, "total_tokens": 5000},
        ((5000, 0.02),),
        OPENAI,
        kind="embeddings",
    ),
    Documented(
        "a deployment on Azure",
        "https://shop.openai.azure.com/openai/v1",
        "gpt-4o-2024-08-06",
        chat_usage(2006, 300, 1920),
        ((86, 2.5), (1920, 1.25), (300, 10.0)),
        "https://azure.microsoft.com/pricing/details/cognitive-services/openai-service/ (global)",
        asked="prod-answers",
    ),
    Documented(
        "cache writes of two lifetimes",
        "https://api.anthropic.com",
        "claude-sonnet-4-5-20250929",
        {
            "input_tokens": 200,
            "cache_creation_input_tokens": 3000,
            "cache_read_input_tokens": 5000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
            "output_tokens": 400,
            "service_tier": "standard",
        },
        ((200, 3.0), (1000, 3.75), (2000, 6.0), (5000, 0.3), (400, 15.0)),
        ANTHROPIC,
        kind="message",
    ),
    Documented(
        "inference in the USA alone",
        "https://api.anthropic.com",
        "claude-opus-4-6",
        {"input_tokens": 25, "output_tokens": 150, "inference_geo": "us"},
        ((25, 5.5), (150, 27.5)),
        "https://platform.claude.com/docs/en/manage-claude/data-residency (1.1x)",
        kind="message",
    ),
    Documented(
        "the fast mode",
        "https://api.anthropic.com",
        "claude-opus-5",
        {"input_tokens": 1000, "output_tokens": 500, "speed": "fast"},
        ((1000, 10.0), (500, 50.0)),
        f"{ANTHROPIC}#fast-mode-pricing",
        kind="message",
    ),
    Documented(
        "searches of Claude",
        "https://api.anthropic.com",
        "claude-sonnet-4-5-20250929",
        {"input_tokens": 6039, "output_tokens": 931, "server_tool_use": {"web_search_requests": 1}},
        ((6039, 3.0), (931, 15.0)),
        f"{ANTHROPIC}#web-search-tool ($10 a thousand)",
        fees=0.01,
        kind="message",
    ),
    Documented(
        "a long prompt of Claude",
        "https://api.anthropic.com",
        "claude-sonnet-4-5-20250929",
        {"input_tokens": 250_000, "output_tokens": 1000},
        ((250_000, 6.0), (1000, 22.5)),
        f"{ANTHROPIC}#long-context-pricing",
        kind="message",
    ),
    Documented(
        "thoughts that only the total shows",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        "gemini-2.5-flash",
        {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 3100},
        ((1000, 0.3), (2100, 2.5)),
        "https://ai.google.dev/gemini-api/docs/pricing (output including thinking)",
        exact=False,
    ),
    Documented(
        "a region of Vertex AI",
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/openapi",
        "google/gemini-2.5-flash",
        chat_usage(1000, 200),
        ((1000, 0.3), (200, 2.5)),
        "https://cloud.google.com/vertex-ai/generative-ai/pricing",
    ),
    Documented(
        "an open model on Bedrock",
        "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1",
        "openai.gpt-oss-120b-1:0",
        chat_usage(1000, 200),
        ((1000, 0.15), (200, 0.6)),
        "https://aws.amazon.com/bedrock/pricing (us-west-2)",
    ),
    Documented(
        "inference in the USA at Together",
        "https://us-api.together.ai/v1",
        "zai-org/GLM-5.3",
        chat_usage(1000, 200, 400),
        ((600, 1.75), (400, 0.325), (200, 5.5)),
        "https://docs.together.ai/docs/serverless/geo-specific-inference (1.25x)",
    ),
    Documented(
        "an open model at Groq",
        "https://api.groq.com/openai/v1",
        "openai/gpt-oss-120b",
        chat_usage(1000, 200, queue_time=0.05, prompt_time=0.01, completion_time=0.4, total_time=0.41),
        ((1000, 0.15), (200, 0.6)),
        "https://console.groq.com/docs/models",
        more={"service_tier": "on_demand"},
    ),
    Documented(
        "regional inference at Mistral",
        "https://api.eu.mistral.ai/v1",
        "mistral-large-2512",
        chat_usage(1000, 200),
        ((1000, 0.55), (200, 1.65)),
        "https://docs.mistral.ai/studio/regional-inference (1.1x)",
    ),
    Documented(
        "the bill in an answer of xAI",
        "https://api.x.ai/v1",
        "grok-4.3",
        chat_usage(
            199,
            1,
            163,
            completion_tokens_details={"reasoning_tokens": 0},
            num_sources_used=0,
            cost_in_usd_ticks=37_756_000,
        ),
        (),
        "https://docs.x.ai/developers/cost-tracking (a dollar is 10^10 ticks)",
        fees=0.0037756,
    ),
    Documented(
        "the bill in an answer of Perplexity",
        "https://api.perplexity.ai",
        "sonar-pro",
        chat_usage(
            7,
            149,
            search_context_size="low",
            cost={
                "input_tokens_cost": 0.00002,
                "output_tokens_cost": 0.0022,
                "request_cost": 0.006,
                "total_cost": 0.00822,
            },
        ),
        (),
        "https://docs.perplexity.ai/docs/getting-started/pricing",
        fees=0.00822,
    ),
    Documented(
        "the bill in an answer of OpenRouter",
        "https://openrouter.ai/api/v1",
        "anthropic/claude-sonnet-4.5",
        chat_usage(43, 51, 0, cost=0.000894, cost_details={"upstream_inference_cost": None}),
        (),
        "https://openrouter.ai/docs/cookbook/administration/usage-accounting",
        fees=0.000894,
    ),
)


def body_of(case: Documented) -> dict[str, Any]:
    """The answer as it goes over the wire."""
    common = {"id": "a1", "model": case.model, "usage": case.usage} | case.more
    if case.kind == "message":
        content = [{"type": "text", "text": "Two years."}]
        return common | {"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn"}
    if case.kind == "embeddings":
        return common | {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}]}
    if case.kind == "response":
        said = {"type": "output_text", "text": "Two years.", "annotations": []}
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [said]}
        output = [*case.more.get("output", ()), message]
        return common | {"object": "response", "created_at": 1, "status": "completed", "output": output, "tools": []}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Two years."}}
    return common | {"object": "chat.completion", "created": 1, "choices": [choice]}


def ask(case: Documented) -> None:
    """Ask through the provider's own client library, with the answer in place of the network."""
    library = anthropic if case.kind == "message" else openai
    # The HTTP library that this version of the client uses.
    http = importlib.import_module(library.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
    http_client = http.Client(transport=http.MockTransport(lambda _: http.Response(200, json=body_of(case))))
    model, question = case.asked or case.model, [{"role": "user", "content": "How long does the warranty last?"}]
    if library is anthropic:
        client = anthropic.Anthropic(base_url=case.base_url, api_key="k", http_client=http_client)
        client.messages.create(model=model, max_tokens=1000, messages=question)
        return
    client = openai.OpenAI(base_url=case.base_url, api_key="k", http_client=http_client)
    if case.kind == "embeddings":
        client.embeddings.create(model=model, input="The warranty", encoding_format="float")
    elif case.kind == "response":
        client.responses.create(model=model, input="How long does the warranty last?")
    else:
        client.chat.completions.create(model=model, messages=question)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_documented_answer_has_its_documented_price(watch, case):
    """The cost on the span and on the metric is the page's to 0.5 %, or it is not called `priced`."""
    seen = watch()
    ask(case)
    span = seen.span()
    amount, state = span.get("ragmeter.cost.amount"), span["ragmeter.price.state"]
    assert sum(seen.metric("ragmeter.cost.usd").values()) == pytest.approx(amount, rel=1e-12)
    if case.exact:
        assert state == "priced"
    if state == "priced":
        assert amount == pytest.approx(case.cost, rel=0.005)
