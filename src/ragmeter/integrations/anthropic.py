"""anthropic: Messages, plain, streamed and beta, on Anthropic itself, Bedrock and Vertex."""

from __future__ import annotations

from ragmeter.model import OperationKind
from ragmeter.providers import provider_of_host
from ragmeter.shapes.anthropic_messages import MESSAGES
from ragmeter.shapes.generated_client import Route, generated_client


def provider_of(host: str, client_class: str) -> str:
    """The provider behind a base URL: the clouds by their client class, others by host."""
    if "Bedrock" in client_class:
        return "aws.bedrock"
    return "gcp.vertex_ai" if "Vertex" in client_class else provider_of_host(host)


INTEGRATION = generated_client(
    "anthropic",
    tested=("0.25", "2.14"),
    routes=(Route("/messages", OperationKind.CHAT, ("tools", "system", "messages"), MESSAGES),),
    provider_of=provider_of,
    # Since 1.14 the library starts a span of its own for each call, which would stand beside ours.
    silences=("anthropic._base_client:start_api_call_span",),
)
