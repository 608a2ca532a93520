"""together: the contract."""

from __future__ import annotations

from clients import chat_shapes
from contract import ClientContract

MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo"


class TestTogether(ClientContract):
    """The contract with apps that use the together client."""

    library = "together"
    client_class = "Together"
    operation = "chat.completions.create"
    question = chat_shapes.question(MODEL)
    body = chat_shapes.completion(MODEL)
    events = (
        *chat_shapes.words(MODEL)[:-1],
        {**chat_shapes.word(MODEL, "", finish_reason="stop"), "usage": dict(chat_shapes.USAGE)},
    )
    hollow = chat_shapes.hollow(MODEL)
    stream_error = {"error": {"message": "SENTINEL-ERROR", "type": "server_error", "code": "broken"}}
    tokens = chat_shapes.TOKENS
