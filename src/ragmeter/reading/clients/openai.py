"""openai: chat, Responses, embeddings and legacy completions, on OpenAI itself, Azure and every compatible server."""

from __future__ import annotations

from ragmeter.reading.shapes.generated_client import generated_client
from ragmeter.reading.shapes.openai_routes import ROUTES

INTEGRATION = generated_client(
    "openai",
    tested=("1.26", "3.57"),
    routes=ROUTES,
    client_providers={
        "AzureOpenAI": "azure.ai.openai",
        "AsyncAzureOpenAI": "azure.ai.openai",
        "BedrockOpenAI": "aws.bedrock",
        "AsyncBedrockOpenAI": "aws.bedrock",
    },
)
