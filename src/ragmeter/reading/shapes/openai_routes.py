"""The endpoints of OpenAI's API, shared by every client and server that speaks it."""

from __future__ import annotations

from ragmeter.domain.model import OperationKind
from ragmeter.reading.shapes.generated_client import Route
from ragmeter.reading.shapes.openai_chat import CHAT, TEXT_COMPLETION
from ragmeter.reading.shapes.openai_embeddings import EMBEDDINGS
from ragmeter.reading.shapes.openai_responses import RESPONSES

ROUTES = (
    Route("/chat/completions", OperationKind.CHAT, CHAT, usage_on_request=True),
    Route("/responses", OperationKind.CHAT, RESPONSES),
    Route("/responses/compact", OperationKind.CHAT, RESPONSES),
    Route("/embeddings", OperationKind.EMBEDDINGS, EMBEDDINGS),
    Route("/completions", OperationKind.TEXT_COMPLETION, TEXT_COMPLETION, usage_on_request=True),
)
"""Matched by the end of the path, in this order: `/chat/completions` stands before `/completions`."""
