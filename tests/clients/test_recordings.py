"""Real exchanges through the real clients: the app sees no difference, and every figure is the provider's."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import ragmeter
from recorded import Recording, recordings
from telemetry_seen import Distribution, Seen
from wire import Wire

FIGURES = {
    "cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "audio_input_tokens": "gen_ai.usage.audio.input_tokens",
    "audio_output_tokens": "gen_ai.usage.audio.output_tokens",
    "image_input_tokens": "gen_ai.usage.image.input_tokens",
}
STATUS_OR_REASON = {("incomplete",): ("max_output_tokens",)}
"""The index has the status of a Responses answer; we report the reason for it, which stands in the body too."""

OUTPUT_PARTS = ("output", "reasoning")
KINDS = {"embeddings": "embeddings", "completions": "text_completion"}


@dataclass(frozen=True)
class Told:
    """What an app gets from a call: the answer or the chunks as plain data, and the error if it ended in one."""

    answers: tuple[Any, ...]
    error: tuple[type[BaseException], str, int | None, Any] | None


def _client(recording: Recording, url: str, *, asynchronous: bool) -> Any:
    library = importlib.import_module(recording.library)
    prefix = "Async" if asynchronous else ""
    if "/deployments/" in recording.path:
        azure = getattr(library, f"{prefix}AzureOpenAI")
        return azure(azure_endpoint=url, api_key="key", api_version="2024-10-21", max_retries=0)
    # Each of these libraries calls its client as it is called itself.
    name = next(name for name in dir(library) if name.lower() == f"{prefix}{recording.library}".lower())
    return getattr(library, name)(base_url=url, api_key="key", max_retries=0)


def _call(recording: Recording, client: Any) -> Callable[[], Any]:
    """The recorded call, ready to be made; what the installed client has no parameter for goes in `extra_body`."""
    method = client
    for name in recording.operation.split("."):
        if not hasattr(method, name):
            version = importlib.import_module(recording.library).__version__
            pytest.skip(f"{recording.library} {version} has no {recording.operation}")
        method = getattr(method, name)
    if recording.endpoint == "audio_transcription":
        return lambda: method(model="gpt-4o-transcribe", file=("question.wav", b"RIFF"))
    known = inspect.signature(method).parameters
    body = recording.body
    given = {name: value for name, value in body.items() if name in known}
    given.setdefault("model", "deployment")
    extra = {name: value for name, value in body.items() if name not in known}
    return lambda: method(**given, **({"extra_body": extra} if extra else {}))


def _plain(answer: Any) -> Any:
    with warnings.catch_warnings():
        # Old clients warn of values newer servers send.
        warnings.simplefilter("ignore")
        return type(answer), answer.model_dump() if hasattr(answer, "model_dump") else answer


def _told_error(error: Exception) -> tuple[type[BaseException], str, int | None, Any]:
    return type(error), str(error), getattr(error, "status_code", None), getattr(error, "body", None)


def _tell(recording: Recording, url: str) -> Told:
    answers: list[Any] = []
    with _client(recording, url, asynchronous=False) as client:
        call = _call(recording, client)
        try:
            result = call()
            if recording.streaming:
                answers.extend(_plain(chunk) for chunk in result)
            else:
                answers.append(_plain(result))
        except Exception as error:  # noqa: BLE001
            return Told(tuple(answers), _told_error(error))
    return Told(tuple(answers), None)


async def _tell_async(recording: Recording, url: str) -> Told:
    answers: list[Any] = []
    async with _client(recording, url, asynchronous=True) as client:
        call = _call(recording, client)
        try:
            result = await call()
            if recording.streaming:
                async for chunk in result:
                    answers.append(_plain(chunk))  # noqa: PERF401 - what came before an error counts
            else:
                answers.append(_plain(result))
        except Exception as error:  # noqa: BLE001
            return Told(tuple(answers), _told_error(error))
    return Told(tuple(answers), None)


def _cases() -> list[Any]:
    cases = []
    for recording in recordings():
        for piece in (None, 3) if recording.streaming else (None,):
            for asynchronous in (False, True):
                name = ":".join(
                    (recording.file, "async" if asynchronous else "sync", f"{piece}-bytes" if piece else "whole")
                )
                cases.append(pytest.param(recording, asynchronous, piece, id=name))
    return cases


@pytest.mark.parametrize(("recording", "asynchronous", "piece"), _cases())
def test_the_app_sees_no_difference_and_every_figure_is_the_providers(recording, asynchronous, piece, watch):
    """With ragmeter the app gets what it gets without, and span and metrics hold every figure of the body."""

    def tell(url: str) -> Told:
        return asyncio.run(_tell_async(recording, url)) if asynchronous else _tell(recording, url)

    with Wire(recording.answer(piece)) as wire:
        bare = tell(wire.url)
        seen = watch(providers={"127.0.0.1": recording.provider})
        told = tell(wire.url)
        assert told == bare
        assert wire.asked[0].body == wire.asked[1].body or recording.endpoint == "audio_transcription"
        assert wire.asked[0].path == wire.asked[1].path
    # Everything is posted then, also an embedding that still waits for its answer.
    ragmeter.uninstrument()
    # Some releases of the clients hand on an error in a stream as a chunk.
    assert (bare.error is not None) == recording.fails or (recording.fails and recording.streaming)
    if not recording.is_operation:
        assert seen.spans() == ()
        assert "ragmeter.operations" not in seen.metrics()
        return
    _check_call(recording, seen, told)
    if recording.figure("input_tokens") is None:
        _check_unreported(recording, seen, told)
    else:
        _check_span(recording, seen)
        _check_standard_metric(recording, seen)
        _check_parts(recording, seen)


def _check_call(recording: Recording, seen: Seen, told: Told) -> None:
    span = seen.span()
    assert seen.operations() == 1
    assert seen.total("ragmeter.queries") == (1 if recording.is_inference else 0)
    assert span["gen_ai.operation.name"] == KINDS.get(recording.endpoint, "chat")
    if told.error is None:
        assert "error.type" not in span
        assert span.get("gen_ai.response.model") == recording.model_response
        assert span.get("gen_ai.response.id") == recording.response_id
        assert span.get("gen_ai.response.finish_reasons", ()) == STATUS_OR_REASON.get(
            recording.finish_reasons, recording.finish_reasons
        )
        assert span.get("ragmeter.service_tier") == (recording.service_tier or None)
    else:
        kind = told.error[0]
        assert span["error.type"] == f"{kind.__module__}.{kind.__qualname__}"


def _check_span(recording: Recording, seen: Seen) -> None:
    span = seen.span()
    assert span["gen_ai.usage.input_tokens"] == recording.input_tokens
    assert span.get("gen_ai.usage.output_tokens") == recording.output_tokens
    for figure, attribute in FIGURES.items():
        assert span.get(attribute) == recording.figure(figure), attribute
    assert "ragmeter.tokens.estimated" not in span
    reported = recording.usage.get("reported_cost")
    if reported is not None:
        assert span["ragmeter.cost.amount"] == pytest.approx(reported)


def _check_standard_metric(recording: Recording, seen: Seen) -> None:
    points = {dict(key)["gen_ai.token.type"]: value for key, value in seen.metric("gen_ai.client.token.usage").items()}
    expected = {"input": Distribution(1, recording.input_tokens or 0)}
    if recording.output_tokens is not None:
        expected["output"] = Distribution(1, recording.output_tokens)
    assert points == expected


def _check_parts(recording: Recording, seen: Seen) -> None:
    tokens = seen.metric("ragmeter.tokens")
    total = sum(tokens.values())
    output = sum(seen.total("ragmeter.tokens", ragmeter_part=part) for part in OUTPUT_PARTS)
    assert output == (recording.output_tokens or 0)
    # A server may count more reasoning than output.
    reasoning = min(recording.figure("reasoning_tokens") or 0, recording.output_tokens or 0)
    assert seen.total("ragmeter.tokens", ragmeter_part="reasoning") == reasoning
    assert total - output == recording.input_tokens
    names = {"ragmeter.part", "ragmeter.token.rate"}
    rates = [{name: value for name, value in key if name in names} for key in tokens]
    for rate, figure in (("cache_read", "cached_input_tokens"), ("cache_write", "cache_write_tokens")):
        told = sum(value for key, value in tokens.items() if dict(key)["ragmeter.token.rate"] == rate)
        assert told == (recording.figure(figure) or 0), rates
    assert _cost_parts(seen) == pytest.approx(seen.span().get("ragmeter.cost.amount", 0.0))


def _cost_parts(seen: Seen) -> float:
    return float(sum(seen.metric("ragmeter.cost.usd").values()))


def _check_unreported(recording: Recording, seen: Seen, told: Told) -> None:
    span = seen.span()
    assert not [name for name in span if name.startswith("gen_ai.usage.")]
    assert seen.metric("gen_ai.client.token.usage") == {}
    if not told.answers:
        assert told.error is not None
        assert "ragmeter.tokens.estimated" not in span
        assert span["ragmeter.cost.amount"] == 0
        assert span["ragmeter.price.state"] == "priced"
    elif recording.background:
        assert span["ragmeter.price.state"] == "unpriced"
        assert "ragmeter.cost.amount" not in span
    else:
        assert span["ragmeter.tokens.estimated"] is True
        assert span["ragmeter.price.state"] in ("estimated", "unpriced")
        assert seen.total("ragmeter.tokens") > 0


def test_no_recording_is_left_out():
    """Every file of the folder is in the index and so in the test above."""
    from recorded import FOLDER

    assert {recording.file for recording in recordings()} == {
        str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*.yaml")
    }
    assert len(recordings()) > 100
