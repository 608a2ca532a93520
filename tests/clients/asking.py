"""One question to a made-up provider through a real client, and what ragmeter has reported of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anthropic
import openai

from clients import chat_shapes
from telemetry_seen import Seen
from wire import Answer, Wire, events, whole

MODEL = "gpt-4o-mini"


def chat(
    watch: Callable[..., Seen],
    *answers: Any,
    provider: str = "openai",
    model: str = MODEL,
    question: str | None = None,
    extra_body: Mapping[str, Any] | None = None,
    streams: bool | None = None,
    **settings: Any,
) -> Seen:
    """Ask for a chat completion: one answer is a whole body unless it `streams`, several are the chunks of a stream."""
    seen = watch(providers={"127.0.0.1": provider}, **settings)
    asked = chat_shapes.question(model)
    if question is not None:
        asked["messages"] = [{"role": "user", "content": question}]
    streams = len(answers) > 1 if streams is None else streams
    with Wire(_answer(*answers)) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="key", max_retries=0)
        result = client.chat.completions.create(**asked, stream=streams, extra_body=extra_body)
        if streams:
            list(result)
        client.close()
    return seen


def respond(watch: Callable[..., Seen], *answers: Any, provider: str = "openai", **settings: Any) -> Seen:
    """Ask the Responses API, by the low-level `post`, which every release has; several answers are a stream."""
    seen = watch(providers={"127.0.0.1": provider}, **settings)
    streams = len(answers) > 1
    body = {"model": "gpt-5-mini", "input": "SENTINEL-QUESTION", "stream": streams}
    more = {"stream": True, "stream_cls": openai.Stream[object]} if streams else {}
    with Wire(events(answers, named=True, done=False) if streams else _answer(*answers)) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="key", max_retries=0)
        result = client.post("/responses", cast_to=object, body=body, **more)
        if streams:
            list(result)
        client.close()
    return seen


def embed(watch: Callable[..., Seen], body: Any, text: Any = "SENTINEL-QUESTION", **settings: Any) -> Seen:
    """Ask for an embedding."""
    seen = watch(providers={"127.0.0.1": "openai"}, **settings)
    with Wire(_answer(body)) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="key", max_retries=0)
        client.embeddings.create(model="text-embedding-3-small", input=text, encoding_format="float")
        client.close()
    return seen


def message(watch: Callable[..., Seen], *answers: Any, model: str = "claude-haiku-4-5", **settings: Any) -> Seen:
    """Ask for a message: one answer is a whole body, several are the events of a stream."""
    seen = watch(providers={"127.0.0.1": "anthropic"}, **settings)
    streams = len(answers) > 1
    answer = events(answers, named=True, done=False) if streams else _answer(*answers)
    with Wire(answer) as wire:
        client = anthropic.Anthropic(base_url=wire.url, api_key="key", max_retries=0)
        asked = [{"role": "user", "content": "SENTINEL-QUESTION: what is it?"}]
        result = client.messages.create(model=model, max_tokens=99, messages=asked, stream=streams)
        if streams:
            list(result)
        client.close()
    return seen


def _answer(*answers: Any) -> Answer:
    if len(answers) > 1:
        return events(answers)
    (answer,) = answers
    return answer if isinstance(answer, Answer) else whole(answer)
