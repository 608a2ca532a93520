"""Frameworks that trace their models themselves: one span and one standard point a call, and all of what is ours."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from opentelemetry import trace

from clients import chat_shapes
from clients.blanks import plain
from telemetry_seen import Seen
from wire import Wire, whole

MODEL = "gpt-4o-mini"
THEIRS = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": MODEL}


def ask(seen: Seen, attributes: dict[str, Any], *, ended: bool = False) -> Any:
    """Ask a model inside a framework's span with these attributes."""
    tracer = seen.tracer_provider.get_tracer("a.framework")
    with Wire(whole(chat_shapes.completion(MODEL))) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="key", max_retries=0)
        with tracer.start_as_current_span("theirs", attributes=attributes) as span:
            if ended:
                span.end()
            answer = plain(client.chat.completions.create(**chat_shapes.question(MODEL)))
        client.close()
    return answer


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"gen_ai.operation.name": "generate_content"},
        {"gen_ai.request.model": f"openai/{MODEL}"},
        {"gen_ai.provider.name": "of.its.own"},
    ],
    ids=str,
)
def test_where_a_framework_has_a_span_of_the_call_we_make_none(watch, more):
    """Its span and its metrics stand for the call; tokens, money and queries are counted as ever."""
    seen = watch(providers={"127.0.0.1": "openai"})
    ask(seen, {**THEIRS, **more})
    assert [span.name for span in seen.spans()] == ["theirs"]
    assert not [name for name in seen.metrics() if name.startswith("gen_ai.")]
    assert seen.total("ragmeter.operations") == seen.total("ragmeter.queries") == 1
    assert seen.total("ragmeter.tokens") == sum(chat_shapes.TOKENS)
    assert seen.total("ragmeter.cost.usd") > 0


@pytest.mark.parametrize(
    "more",
    [
        {"gen_ai.operation.name": "invoke_agent"},
        {"gen_ai.operation.name": "embeddings"},
        {"gen_ai.request.model": "gpt-4o"},
    ],
    ids=str,
)
def test_where_it_has_a_span_of_something_else_we_make_ours(watch, more):
    """The span of an agent, or of another model's call, stands for no call of this model."""
    seen = watch(providers={"127.0.0.1": "openai"})
    ask(seen, {**THEIRS, **more})
    assert [span.name for span in seen.spans()] == ["theirs", f"chat {MODEL}"]
    assert seen.operations() == 1


def test_a_span_that_has_ended_stands_for_nothing(watch):
    """A span that is current though it has ended records no call any more."""
    seen = watch(providers={"127.0.0.1": "openai"})
    ask(seen, THEIRS, ended=True)
    assert seen.operations() == 1


def test_our_own_span_is_no_frameworks(watch):
    """A call of its own inside a call of ours, of the same model, has its own span."""
    seen = watch(providers={"127.0.0.1": "openai"})
    with Wire(whole(chat_shapes.completion(MODEL))) as wire:
        inner, outer = (openai.OpenAI(base_url=f"{wire.url}/v1", api_key="key", max_retries=0) for _ in range(2))
        send = outer._client.send

        def guarded(*arguments: Any, **keywords: Any) -> Any:
            assert trace.get_current_span().attributes["gen_ai.request.model"] == MODEL
            inner.chat.completions.create(**chat_shapes.question(MODEL))
            return send(*arguments, **keywords)

        outer._client.send = guarded
        outer.chat.completions.create(**chat_shapes.question(MODEL))
        inner.close()
        outer.close()
    assert seen.operations() == len(seen.spans()) == 2


async def test_pydantic_ai_that_traces_itself_is_counted_once(watch):
    """With `Agent.instrument_all()` of the real framework there is one `chat` span, its own, and our counts."""
    pydantic_ai = pytest.importorskip("pydantic_ai")
    from pydantic_ai.models.instrumented import InstrumentationSettings
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    seen = watch(providers={"127.0.0.1": "openai"})
    settings = InstrumentationSettings(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
    pydantic_ai.Agent.instrument_all(settings)
    try:
        with Wire(whole(chat_shapes.completion(MODEL))) as wire:
            provider = OpenAIProvider(base_url=f"{wire.url}/v1", api_key="key")
            agent = pydantic_ai.Agent(OpenAIChatModel(MODEL, provider=provider))
            await agent.run("What is it?")
    finally:
        pydantic_ai.Agent.instrument_all(False)
    chats = [span for span in seen.spans() if (span.attributes or {}).get("gen_ai.operation.name") == "chat"]
    assert len(chats) == 1
    assert chats[0].instrumentation_scope.name == "pydantic-ai"
    assert seen.total("ragmeter.operations") == seen.total("ragmeter.queries") == 1
    assert seen.total("ragmeter.tokens") == sum(chat_shapes.TOKENS)
    points = seen.metric("gen_ai.client.token.usage")
    assert sum(value.total for value in points.values()) == sum(chat_shapes.TOKENS)
