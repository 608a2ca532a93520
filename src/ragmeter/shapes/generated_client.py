"""The client libraries generated from one template: openai, anthropic, groq, together.

All of them send every call through `<package>._base_client:SyncAPIClient.request` or its asynchronous twin, with
retries inside, and share the kinds of results: a model, a stream, or a raw response with an `http_response`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ragmeter.integration import (
    Call,
    Complete,
    Integration,
    Outcome,
    Reader,
    Reading,
    Resumption,
    Silence,
    Streamed,
    Target,
    Unread,
)
from ragmeter.model import OperationKind, Request
from ragmeter.providers import provider_of_host
from ragmeter.shapes.fields import items, size_of

PARAMETERS = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "max_tokens", "seed")
UNSET_TYPES = ("Omit", "NotGiven")
"""Types whose instances stand for arguments the app did not give (anthropic 2 leaves them in the body)."""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint that is an operation: the end of its path, its kind, the body keys of its prompt, its reader."""

    path: str
    kind: OperationKind
    prompt_keys: tuple[str, ...]
    reader: Reader
    usage_on_request: bool = False


def generated_client(
    package: str,
    *,
    tested: tuple[str, str],
    routes: tuple[Route, ...],
    client_providers: Mapping[str, str] = MappingProxyType({}),
    silences: tuple[str, ...] = (),
) -> Integration:
    """The integration of a client library made from the template.

    The provider is told by the host of the client's base URL, unless the name of its class contains a key of
    `client_providers` ("Azure" in "AsyncAzureOpenAI"); `silences` are functions that would record the same call again.
    """

    def read(call: Call) -> Reading | None:
        return read_call(call, routes, client_providers)

    return Integration(
        name=package,
        distribution=package,
        tested=tested,
        targets=(
            Target(f"{package}._base_client:SyncAPIClient.request", read, outcome),
            Target(f"{package}._base_client:AsyncAPIClient.request", read, outcome),
            Resumption(f"{package}._streaming:Stream.__init__", carrier_of, outcome),
            Resumption(f"{package}._streaming:AsyncStream.__init__", carrier_of, outcome),
            *(Silence(path) for path in silences),
        ),
    )


def read_call(call: Call, routes: tuple[Route, ...], client_providers: Mapping[str, str]) -> Reading | None:
    """Read a call of `request(cast_to, options, …)`; `None` where its path is no operation."""
    options = call.argument(1, "options")
    if options.method.lower() != "post":
        return None
    path = options.url.partition("?")[0].rstrip("/")
    route = next((route for route in routes if path.endswith(route.path)), None)
    body = options.json_data
    if route is None or not isinstance(body, Mapping):
        return None
    base = urlsplit(str(call.instance.base_url))
    held = {key: _held(body[key]) for key in route.prompt_keys if key in body and _is_set(body[key])}
    streams = body.get("stream") is True
    return Reading(
        Request(
            kind=route.kind,
            system=_provider(base.hostname or "", type(call.instance).__name__, client_providers),
            model=_text(body.get("model")),
            streams=streams,
            server_address=base.hostname,
            server_port=base.port or (80 if base.scheme == "http" else 443),
            parameters=_parameters(body),
            held=held,
            size=sum(size_of(value) for value in held.values()),
        ),
        route.reader,
        _with_usage if streams and route.usage_on_request and not _asks_for_usage(body) else None,
    )


def outcome(result: Any) -> Outcome:
    """Which of the template's kinds of result this is."""
    if hasattr(result, "_iterator") and hasattr(result, "response"):
        return Streamed(result, "_iterator", result.response)
    http_response = getattr(result, "http_response", None)
    if http_response is None:
        return Complete(result)
    if http_response.is_closed:
        return Complete(_Body(http_response))
    return Unread(http_response, lambda: _Body(http_response) if hasattr(http_response, "_content") else None)


def carrier_of(stream: Any) -> Any:
    """The response on which an unread call travels until a stream is made of it."""
    return stream.response


class _Body:
    """The body of a raw response, parsed when its first field is read: off the caller's thread."""

    def __init__(self, http_response: Any) -> None:
        self._http_response = http_response
        self._fields: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._fields is None:
            parsed = self._http_response.json()
            self._fields = parsed if isinstance(parsed, dict) else {}
        return self._fields.get(name)


def _provider(host: str, client_class: str, client_providers: Mapping[str, str]) -> str:
    for name, provider in client_providers.items():
        if name in client_class:
            return provider
    return provider_of_host(host)


def _held(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_set(value: Any) -> bool:
    return value is not None and type(value).__name__ not in UNSET_TYPES


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _parameters(body: Mapping[str, Any]) -> dict[str, str | int | float | bool | tuple[str, ...]]:
    found: dict[str, str | int | float | bool | tuple[str, ...]] = {}
    for name in PARAMETERS:
        value = body.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
    tokens = body.get("max_completion_tokens", body.get("max_output_tokens"))
    if isinstance(tokens, int):
        found["max_tokens"] = tokens
    stop = body.get("stop", body.get("stop_sequences"))
    if isinstance(stop, str):
        found["stop_sequences"] = (stop,)
    elif texts := tuple(text for text in items(stop) if isinstance(text, str)):
        found["stop_sequences"] = texts
    return found


def _asks_for_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, Mapping) and "include_usage" in options


def _with_usage(call: Call) -> Call:
    options = copy.copy(call.argument(1, "options"))
    given = options.json_data.get("stream_options")
    stream_options = {**(given if isinstance(given, Mapping) else {}), "include_usage": True}
    options.json_data = {**options.json_data, "stream_options": stream_options}
    if len(call.arguments) > 1:
        return Call(call.instance, (call.arguments[0], options, *call.arguments[2:]), call.keywords)
    return Call(call.instance, call.arguments, {**call.keywords, "options": options})
