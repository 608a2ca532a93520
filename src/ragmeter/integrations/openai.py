"""openai: chat, Responses, embeddings and legacy completions, on OpenAI itself, Azure and every compatible server."""

from __future__ import annotations

from ragmeter.providers import provider_of_host
from ragmeter.shapes.generated_client import generated_client
from ragmeter.shapes.openai_routes import ROUTES


def provider_of(host: str, client_class: str) -> str:
    """The provider behind a base URL: Azure by its client class, others by host."""
    return "azure.ai.openai" if "Azure" in client_class else provider_of_host(host)


INTEGRATION = generated_client("openai", tested=("1.26", "3.57"), routes=ROUTES, provider_of=provider_of)
