"""together: the contract, legacy completions, embeddings and cached tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ragmeter
from clients import chat_shapes
from clients.blanks import ClientBlanks, both_kinds, finished, plain
from contract import ClientContract
from wire import whole

MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
USAGE = dict(chat_shapes.USAGE)
LAST_WORD = chat_shapes.word(MODEL, "", finish_reason="stop")


class TogetherBlanks(ClientBlanks):
    """How together is asked."""

    library = "together"
    client_class = "Together"
    operation = "chat.completions.create"
    question = chat_shapes.question(MODEL)
    body = chat_shapes.completion(MODEL)
    events = (*chat_shapes.words(MODEL)[:-1], {**LAST_WORD, "usage": USAGE})
    hollow = chat_shapes.hollow(MODEL)
    stream_error: Mapping[str, Any] = {"error": {"message": "SENTINEL-ERROR", "type": "server_error", "code": "broken"}}
    tokens = chat_shapes.TOKENS


class TestTogether(TogetherBlanks, ClientContract):
    """The contract with apps that use the together client."""


class TestOtherEndpoints(TogetherBlanks):
    """What is not chat."""

    @both_kinds
    async def test_completions_and_embeddings(self, watch, asynchronous):
        """Legacy completions and embeddings are operations of their own kind, and only the one is a query."""
        choice = {"index": 0, "text": "SENTINEL-ANSWER", "finish_reason": "stop"}
        completed = {"id": "1", "object": "text.completion", "created": 1, "model": MODEL}
        completed |= {"choices": [choice], "usage": USAGE}
        vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
        embedded = {"object": "list", "model": "BAAI/bge-large-en-v1.5", "data": [vector]}
        embedded["usage"] = {"prompt_tokens": 7, "total_tokens": 7}

        async def scenario(client: Any) -> Any:
            told = plain(await finished(client.completions.create(model=MODEL, prompt="SENTINEL-QUESTION")))
            return told, plain(await finished(client.embeddings.create(model="BAAI/bge-large-en-v1.5", input="text")))

        seen, _ = await self.compared(watch, scenario, whole(completed), whole(embedded), asynchronous=asynchronous)
        # Posts the embedding, which else waits for an answer to belong to.
        ragmeter.uninstrument()
        kinds = {dict(key)["gen_ai.operation.name"]: value for key, value in seen.metric("ragmeter.operations").items()}
        assert kinds == {"text_completion": 1, "embeddings": 1}
        assert seen.total("ragmeter.queries") == 1
        assert seen.total("ragmeter.tokens", ragmeter_part="embedding") == 7

    @both_kinds
    async def test_cached_tokens_at_the_top_of_usage(self, watch, asynchronous):
        """Together reports cached tokens beside the prompt's, not below it: they are seen as cache reads."""

        async def scenario(client: Any) -> Any:
            return plain(await self.ask(client))

        answer = whole(chat_shapes.completion(MODEL, usage={**USAGE, "cached_tokens": 16}))
        seen, _ = await self.compared(watch, scenario, answer, asynchronous=asynchronous)
        assert seen.span()["gen_ai.usage.cache_read.input_tokens"] == 16
        assert seen.total("ragmeter.tokens", ragmeter_token_rate="cache_read") == 16
        assert self.tokens_told(seen) == self.tokens
