"""anthropic: Messages, plain, streamed and beta, on Anthropic itself, Bedrock, Vertex and Foundry."""

from __future__ import annotations

from ragmeter.domain.model import OperationKind
from ragmeter.reading.shapes.anthropic_messages import MESSAGES
from ragmeter.reading.shapes.generated_client import Route, generated_client

INTEGRATION = generated_client(
    "anthropic",
    tested=("0.25", "2.14"),
    routes=(Route("/messages", OperationKind.CHAT, MESSAGES),),
    client_providers={
        "AnthropicBedrock": "aws.bedrock",
        "AsyncAnthropicBedrock": "aws.bedrock",
        "AnthropicBedrockMantle": "aws.bedrock",
        "AsyncAnthropicBedrockMantle": "aws.bedrock",
        "AnthropicVertex": "gcp.vertex_ai",
        "AsyncAnthropicVertex": "gcp.vertex_ai",
        "AnthropicFoundry": "azure.ai.inference",
        "AsyncAnthropicFoundry": "azure.ai.inference",
        # Run by Anthropic on another's premises: its own models and prices.
        "AnthropicAWS": "anthropic",
        "AsyncAnthropicAWS": "anthropic",
        "AnthropicGoogleCloud": "anthropic",
        "AsyncAnthropicGoogleCloud": "anthropic",
    },
    # Since 1.14 the library starts a span of its own for each call, which would stand beside ours.
    silences=("anthropic._base_client:start_api_call_span",),
)
