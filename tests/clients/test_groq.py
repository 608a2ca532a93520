"""groq: the contract, and usage under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients import chat_shapes
from clients.blanks import ClientBlanks, both_kinds, chunks_of
from contract import ClientContract
from wire import events

MODEL = "llama-3.1-8b-instant"
USAGE = dict(chat_shapes.USAGE)
LAST_WORD = chat_shapes.word(MODEL, "", finish_reason="stop")


class GroqBlanks(ClientBlanks):
    """How groq is asked."""

    library = "groq"
    client_class = "Groq"
    operation = "chat.completions.create"
    question = chat_shapes.question(MODEL)
    body = chat_shapes.completion(MODEL)
    events = (*chat_shapes.words(MODEL)[:-1], {**LAST_WORD, "x_groq": {"id": "req_1", "usage": USAGE}})
    hollow = chat_shapes.hollow(MODEL)
    stream_error: Mapping[str, Any] = {"error": {"message": "SENTINEL-ERROR", "type": "server_error", "code": "broken"}}
    tokens = chat_shapes.TOKENS


class TestGroq(GroqBlanks, ClientContract):
    """The contract with apps that use the groq client."""


class TestUsage(GroqBlanks):
    """Usage in the two places where groq puts it."""

    @both_kinds
    async def test_usage_in_a_chunk_of_its_own(self, watch, asynchronous):
        """An app that asks for usage as with OpenAI gets it in an extra chunk; it is counted once, not twice."""

        async def scenario(client: Any) -> Any:
            return await chunks_of(await self.ask(client, stream=True))

        both = events((*self.events, chat_shapes.chunk(MODEL, usage=USAGE)))
        seen, _ = await self.compared(watch, scenario, both, asynchronous=asynchronous)
        assert self.tokens_told(seen) == self.tokens
        assert seen.total("ragmeter.tokens") == sum(self.tokens)
