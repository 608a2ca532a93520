"""openai: the contract, and what only OpenAI's own client can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openai
import pytest

import ragmeter
from clients import chat_shapes
from clients.blanks import ClientBlanks, both_kinds, chunks_of, each_of, entering, finished, plain
from contract import ClientContract
from wire import Answer, Asked, Wire, events, whole

MODEL = "gpt-4o-mini"
USAGE_CHUNK = chat_shapes.chunk(MODEL, usage=dict(chat_shapes.USAGE))
HOSTS = {
    "api.openai.com": "openai",
    "mine.openai.azure.com": "azure.ai.openai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "x_ai",
    "openrouter.ai": "openrouter",
    "llm.example.test": "llm.example.test",
}


class OpenAIBlanks(ClientBlanks):
    """How openai is asked."""

    library = "openai"
    client_class = "OpenAI"
    operation = "chat.completions.create"
    question = chat_shapes.question(MODEL)
    body = chat_shapes.completion(MODEL)
    events = (*chat_shapes.words(MODEL), USAGE_CHUNK)
    hollow = chat_shapes.hollow(MODEL)
    stream_error: Mapping[str, Any] = {"error": {"message": "SENTINEL-ERROR", "type": "server_error", "code": "broken"}}
    tokens = chat_shapes.TOKENS

    def base_url(self, url: str) -> str:
        return f"{url}/v1"


class TestOpenAI(OpenAIBlanks, ClientContract):
    """The contract with apps that use the openai client."""


def server_without_usage(asked: Asked) -> Answer:
    """A server that reports usage in a stream only when it is asked to, as OpenAI does."""
    options = asked.body.get("stream_options") or {}
    extra = (USAGE_CHUNK,) if options.get("include_usage") else ()
    return events((*chat_shapes.words(MODEL), *extra))


class TestStreamUsage(OpenAIBlanks):
    """Streams whose usage has to be asked for."""

    @both_kinds
    async def test_a_stream_without_usage_is_estimated(self, watch, asynchronous):
        """Tokens nobody reported are estimated and said to be so; the standard names stay empty."""

        async def scenario(client: Any) -> Any:
            return await chunks_of(await self.ask(client, stream=True))

        seen, _ = await self.compared(watch, scenario, server_without_usage, asynchronous=asynchronous)
        span = seen.span()
        assert span["ragmeter.tokens.estimated"] is True
        assert span["ragmeter.price.state"] == "estimated"
        assert not [name for name in span if name.startswith("gen_ai.usage.")]
        assert seen.metric("gen_ai.client.token.usage") == {}
        assert 5 < seen.total("ragmeter.tokens") < 100

    @both_kinds
    @pytest.mark.parametrize("place", ["argument", "extra_body"])
    async def test_usage_is_asked_for_and_hidden(self, watch, asynchronous, place):
        """With `stream_usage=True` the request asks for usage, and the app does not see the chunk it comes in."""
        given = {"stream_options": {"include_obfuscation": False}}
        options = given if place == "argument" else {"extra_body": given}
        with Wire(server_without_usage) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            bare = await chunks_of(await self.ask(client, stream=True, **options))
            seen = self.watched(watch, stream_usage=True)
            told = await chunks_of(await self.ask(client, stream=True, **options))
            await finished(client.close())
            assert wire.asked[1].body == {
                **wire.asked[0].body,
                "stream_options": {"include_obfuscation": False, "include_usage": True},
            }
        assert told == bare
        assert self.tokens_told(seen) == self.tokens
        assert "ragmeter.tokens.estimated" not in seen.span()

    @both_kinds
    @pytest.mark.parametrize("wanted", [True, False])
    @pytest.mark.parametrize("place", ["argument", "extra_body"])
    async def test_what_the_app_said_about_usage_holds(self, watch, asynchronous, wanted, place):
        """An app that asked for usage itself sees the chunk; one that refused it is not overruled."""
        given = {"stream_options": {"include_usage": wanted}}
        options = given if place == "argument" else {"extra_body": given}

        async def scenario(client: Any) -> Any:
            return await chunks_of(await self.ask(client, stream=True, **options))

        _, told = await self.compared(
            watch, scenario, server_without_usage, asynchronous=asynchronous, stream_usage=True
        )
        assert (told[-1][1]["usage"] is not None) == wanted

    @both_kinds
    async def test_a_server_that_ignores_the_wish_is_estimated(self, watch, asynchronous):
        """A server that gives no usage though it is asked loses no chunk of its stream."""
        with Wire(events(chat_shapes.words(MODEL))) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            bare = await chunks_of(await self.ask(client, stream=True))
            seen = self.watched(watch, stream_usage=True)
            told = await chunks_of(await self.ask(client, stream=True))
            await finished(client.close())
        assert told == bare
        assert seen.span()["ragmeter.tokens.estimated"] is True


class TestOnTop(OpenAIBlanks):
    """What the library builds on a request is still that one request."""

    def completions(self, client: Any, name: str) -> Any:
        """`parse` or `stream`, where this release has them."""
        for resource in (
            client.chat.completions,
            client.beta.chat.completions if hasattr(client.beta, "chat") else None,
        ):
            if hasattr(resource, name):
                return getattr(resource, name)
        return pytest.skip(f"openai {openai.__version__} has no chat.completions.{name}")

    @both_kinds
    async def test_parse_is_one_operation(self, watch, asynchronous):
        """`.parse()` sits on `create` and is one operation."""

        async def scenario(client: Any) -> Any:
            return plain(await finished(self.completions(client, "parse")(**self.question)))

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    async def test_parse_that_raises_is_charged(self, watch, asynchronous):
        """`.parse()` raises where the answer was cut short, which is billed all the same: its tokens are counted."""
        whole_answer = chat_shapes.completion(MODEL)
        cut = {**whole_answer, "choices": [{**whole_answer["choices"][0], "finish_reason": "length"}]}

        async def scenario(client: Any) -> Any:
            return await finished(self.completions(client, "parse")(**self.question))

        seen, told = await self.compared(watch, scenario, whole(cut), asynchronous=asynchronous)
        assert told[0] is openai.LengthFinishReasonError
        assert seen.operations() == 1
        assert seen.span()["error.type"] == "openai.LengthFinishReasonError"
        assert self.tokens_told(seen) == self.tokens
        assert seen.span()["ragmeter.cost.amount"] > 0

    @both_kinds
    @pytest.mark.parametrize("leave", [False, True], ids=["exhausted", "left"])
    async def test_the_stream_helper_is_one_operation(self, watch, asynchronous, leave):
        """`.stream()` gives the same events, read to the end or left, and is one operation."""

        async def scenario(client: Any) -> Any:
            told = []
            async with entering(self.completions(client, "stream")(**self.question)) as helper:
                async for event in each_of(helper):
                    told.append(event.type)
                    if leave:
                        break
            return told

        seen, told = await self.compared(watch, scenario, self.stream(), asynchronous=asynchronous)
        assert told
        assert seen.operations() == 1
        assert seen.total("ragmeter.queries") == 1
        assert ("ragmeter.tokens.estimated" in seen.span()) == leave

    @both_kinds
    async def test_the_low_level_post_is_recorded(self, watch, asynchronous):
        """A request made past the resources, with `client.post`, is recorded as well."""

        async def scenario(client: Any) -> Any:
            return await finished(client.post("/chat/completions", cast_to=object, body=dict(self.question)))

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous)
        assert seen.operations() == 1
        assert self.tokens_told(seen) == self.tokens

    @both_kinds
    async def test_what_is_no_operation_passes(self, watch, asynchronous):
        """Listing models and moderating text is no operation."""
        moderation = {"id": "m", "model": "omni", "results": []}

        async def scenario(client: Any) -> Any:
            moderated = plain(await finished(client.moderations.create(input="text")))
            return moderated, plain(await finished(client.models.retrieve("m")))

        model = {"id": "m", "object": "model", "created": 1, "owned_by": "me"}
        seen, _ = await self.compared(watch, scenario, whole(moderation), whole(model), asynchronous=asynchronous)
        assert seen.spans() == ()
        assert "ragmeter.operations" not in seen.metrics()


def response(**more: Any) -> dict[str, Any]:
    """A whole answer of the Responses API."""
    text = {"type": "output_text", "text": "SENTINEL-ANSWER", "annotations": []}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": MODEL,
        "status": "completed",
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 40,
            "input_tokens_details": {"cached_tokens": 16},
            "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 49,
        },
        **more,
    }


class TestOtherEndpoints(OpenAIBlanks):
    """Responses, embeddings, legacy completions."""

    @both_kinds
    @pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
    async def test_responses(self, watch, asynchronous, streams):
        """The Responses API is an inference, whole and as a stream, with cached and reasoning tokens."""
        if not hasattr(openai.OpenAI, "responses") and "responses" not in openai.OpenAI.__annotations__:
            pytest.skip(f"openai {openai.__version__} has no Responses API")
        delta = {"type": "response.output_text.delta", "delta": "SENTINEL", "item_id": "msg_1", "output_index": 0}
        stream = (
            {"type": "response.created", "response": response(status="in_progress", output=[], usage=None)},
            {**delta, "content_index": 0, "sequence_number": 1},
            {"type": "response.completed", "response": response(), "sequence_number": 2},
        )

        async def scenario(client: Any) -> Any:
            asked = {"model": MODEL, "instructions": "SENTINEL-SYSTEM", "input": "SENTINEL-QUESTION"}
            result = await finished(client.responses.create(**asked, **({"stream": True} if streams else {})))
            return await chunks_of(result) if streams else plain(result)

        answer = events(stream, done=False, named=True) if streams else whole(response())
        seen, _ = await self.compared(watch, scenario, answer, asynchronous=asynchronous)
        span = seen.span()
        assert span["gen_ai.usage.cache_read.input_tokens"] == 16
        assert span["gen_ai.usage.reasoning.output_tokens"] == 4
        assert seen.total("ragmeter.tokens", ragmeter_token_rate="cache_read") == 16
        assert seen.total("ragmeter.tokens", ragmeter_part="reasoning") == 4
        assert seen.total("ragmeter.tokens", ragmeter_part="system") > 0
        assert self.tokens_told(seen) == self.tokens
        assert seen.total("ragmeter.queries") == 1

    @both_kinds
    async def test_embeddings(self, watch, asynchronous):
        """An embedding is an operation with a cost but no query; the query it belongs to is the answer's."""
        vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
        usage = {"prompt_tokens": 1_000, "total_tokens": 1_000}
        embedded = {"object": "list", "model": "text-embedding-3-small", "data": [vector], "usage": usage}

        async def scenario(client: Any) -> Any:
            asked = {"model": "text-embedding-3-small", "input": "SENTINEL-QUESTION: what is it?"}
            vectors = plain(await finished(client.embeddings.create(**asked)))
            return vectors, plain(await self.ask(client))

        seen, _ = await self.compared(watch, scenario, whole(embedded), self.whole(), asynchronous=asynchronous)
        assert seen.total("ragmeter.operations", gen_ai_operation_name="embeddings") == 1
        assert seen.total("ragmeter.tokens", ragmeter_part="embedding") == 1_000
        # Two cents for a million tokens.
        assert seen.total("ragmeter.cost.usd", ragmeter_part="embedding") == pytest.approx(1_000 * 0.02e-6)
        assert seen.total("ragmeter.queries") == 1
        assert sum(value.count for value in seen.metric("ragmeter.prompt.tokens").values()) == 1

    @both_kinds
    @pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
    async def test_legacy_completions(self, watch, asynchronous, streams):
        """A legacy completion is a text completion, and its prompt the question."""
        choice = {"index": 0, "text": "SENTINEL-ANSWER", "finish_reason": "stop", "logprobs": None}
        body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "gpt-3.5-turbo-instruct"}
        body |= {"choices": [choice], "usage": dict(chat_shapes.USAGE)}

        async def scenario(client: Any) -> Any:
            asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "SENTINEL-QUESTION"}
            result = await finished(client.completions.create(**asked, **({"stream": True} if streams else {})))
            return await chunks_of(result) if streams else plain(result)

        answer = events([body]) if streams else whole(body)
        seen, _ = await self.compared(watch, scenario, answer, asynchronous=asynchronous)
        assert seen.span()["gen_ai.operation.name"] == "text_completion"
        assert seen.total("ragmeter.tokens", ragmeter_part="question") == self.tokens[0]
        assert self.tokens_told(seen) == self.tokens


class TestWhoIsAsked(OpenAIBlanks):
    """Provider, model and tier: what the price depends on."""

    @both_kinds
    async def test_azure(self, watch, asynchronous):
        """A deployment on Azure has Azure's name, and the price of the model that answered."""
        made = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        seen = watch()
        with Wire(whole(chat_shapes.completion("gpt-4o-mini-2024-07-18"))) as wire:
            client = made(azure_endpoint=wire.url, api_key="key", api_version="2024-10-21", azure_deployment="mine")
            await finished(client.chat.completions.create(**{**self.question, "model": "my-deployment"}))
            await finished(client.close())
            assert "/deployments/mine/" in wire.asked[0].path
        span = seen.span()
        assert span["gen_ai.provider.name"] == "azure.ai.openai"
        assert span["gen_ai.request.model"] == "my-deployment"
        assert span["gen_ai.response.model"] == "gpt-4o-mini-2024-07-18"
        assert span["ragmeter.price.state"] == "priced"

    @pytest.mark.parametrize(("host", "provider"), HOSTS.items())
    def test_the_host_tells_the_provider(self, watch, monkeypatch, host, provider):
        """The host of the base URL becomes the provider: spans, metrics and price go by it."""
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        seen = watch()
        with Wire(self.whole()) as wire:
            # Whatever the host, the request goes to the loopback server, which stands as a proxy.
            monkeypatch.setenv("HTTP_PROXY", wire.url)
            monkeypatch.setenv("http_proxy", wire.url)
            client = openai.OpenAI(base_url=f"http://{host}/v1", api_key="key", max_retries=0)
            client.chat.completions.create(**self.question)
            client.close()
            assert wire.asked[0].path.startswith(f"http://{host}/")
        span = seen.span()
        assert span["gen_ai.provider.name"] == provider
        assert (span["server.address"], span["server.port"]) == (host, 80)
        assert seen.total("ragmeter.operations", gen_ai_provider_name=provider) == 1

    def test_a_gateway_can_be_given_a_provider(self, watch):
        """The provider behind a gateway is what `providers` says; a model nobody knows has no price."""
        prices = {}
        for providers in ({"127.0.0.1": "openai"}, {}):
            seen = watch(providers=providers)
            with Wire(whole(chat_shapes.completion("some-model-of-mine"))) as wire:
                client = self.client(wire.url)
                client.chat.completions.create(**{**self.question, "model": "some-model-of-mine"})
                client.close()
            prices[seen.span()["gen_ai.provider.name"]] = seen.span()["ragmeter.price.state"]
            assert "ragmeter.cost.amount" not in seen.span()
            ragmeter.uninstrument()
        assert prices == {"openai": "unpriced", "127.0.0.1": "unpriced"}

    def test_the_served_tier_is_priced(self, watch):
        """The tier that served the call, not the one asked for, is on the span and sets the price."""
        costs = {}
        for tier in ("default", "flex", "priority"):
            body = chat_shapes.completion("gpt-5-mini", service_tier=tier)
            seen = watch(providers={"127.0.0.1": "openai"})
            with Wire(whole(body)) as wire:
                client = self.client(wire.url)
                client.chat.completions.create(
                    **{**self.question, "model": "gpt-5-mini"}, extra_body={"service_tier": "auto"}
                )
                client.close()
            assert seen.span()["ragmeter.service_tier"] == tier
            costs[tier] = seen.span()["ragmeter.cost.amount"]
            ragmeter.uninstrument()
        # As OpenAI's price list has it: flex is half of the standard price, priority more.
        assert costs["flex"] == pytest.approx(costs["default"] / 2)
        assert costs["priority"] > costs["default"]
