"""groq: the contract, and usage under a name of its own."""

from __future__ import annotations

from clients import chat_shapes
from contract import ClientContract

MODEL = "llama-3.1-8b-instant"


class TestGroq(ClientContract):
    """The contract with apps that use the groq client."""

    library = "groq"
    client_class = "Groq"
    operation = "chat.completions.create"
    question = chat_shapes.question(MODEL)
    body = chat_shapes.completion(MODEL)
    events = (
        *chat_shapes.words(MODEL)[:-1],
        {
            **chat_shapes.word(MODEL, "", finish_reason="stop"),
            "x_groq": {"id": "req_1", "usage": dict(chat_shapes.USAGE)},
        },
    )
    hollow = chat_shapes.hollow(MODEL)
    stream_error = {"error": {"message": "SENTINEL-ERROR", "type": "server_error", "code": "broken"}}
    tokens = chat_shapes.TOKENS
