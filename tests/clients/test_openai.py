"""openai: the contract, and what only OpenAI's own client can do."""

from __future__ import annotations

from clients import chat_shapes
from contract import ClientContract

MODEL = "gpt-4o-mini"


class TestOpenAI(ClientContract):
    """The contract with apps that use the openai client."""

    library = "openai"
    client_class = "OpenAI"
    operation = "chat.completions.create"
    question = chat_shapes.question(MODEL)
    body = chat_shapes.completion(MODEL)
    events = (*chat_shapes.words(MODEL), chat_shapes.chunk(MODEL, usage=dict(chat_shapes.USAGE)))
    hollow = chat_shapes.hollow(MODEL)
    stream_error = {"error": {"message": "SENTINEL-ERROR", "type": "server_error", "code": "broken"}}
    tokens = chat_shapes.TOKENS

    def base_url(self, url):
        return f"{url}/v1"
