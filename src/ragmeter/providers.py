"""Which provider stands behind a host, in the names of the OpenTelemetry conventions."""

from __future__ import annotations

HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "openrouter.ai": "openrouter",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.x.ai": "x_ai",
    "api.z.ai": "zai",
}
"""Hosts, also as the end of a longer one, and the `gen_ai.provider.name` of each; names of our own where the
conventions have none."""


def provider_of_host(host: str) -> str:
    """The provider name of `host`, or the host itself where it is not known."""
    for known, name in HOSTS.items():
        if host == known or host.endswith("." + known):
            return name
    return host or "unknown"
