"""The client libraries generated from one template: openai, anthropic, groq, together.

All of them send every call through `<package>._base_client:SyncAPIClient.request` or its asynchronous twin, with
retries inside, and share the kinds of results: a model, a stream, or a raw response with an `http_response`. Prompt and
answer are read from the bytes that went over the wire: what was sent and what came, whatever the app does meanwhile.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ragmeter.domain import gate
from ragmeter.domain.by_identity import ByIdentity
from ragmeter.domain.model import OperationKind, Request, Response
from ragmeter.reading.declaration import (
    Call,
    Complete,
    Integration,
    Outcome,
    Reader,
    Reading,
    Receiving,
    Resumption,
    Sending,
    Silence,
    Streamed,
    Target,
    Unread,
)
from ragmeter.reading.leaves import leaves_of
from ragmeter.reading.providers import provider_of_url
from ragmeter.reading.shapes.json_bodies import parsed
from ragmeter.reading.shapes.parameters import read_parameters

LONGEST_PARSED = 1024 * 1024
"""Bytes of a body that is parsed; of a longer one the leaves of its objects are taken, whose number does not grow with
the length of the texts."""

MOST_ESCAPES = 65_536
"""Backslashes of a body that is parsed: with more of them in one text it takes six milliseconds in one call."""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint that is an operation: the end of its path, its kind, its reader."""

    path: str
    kind: OperationKind
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

    The provider is told by the client's base URL, unless its class is one that `client_providers` names, or descended
    from one; `silences` are functions that would record the same call again.
    """
    routes = tuple(replace(route, reader=_over_the_wire(route.reader)) for route in routes)

    def read(call: Call) -> Reading | None:
        return read_call(call, routes, client_providers)

    return Integration(
        name=package,
        module=package,
        distribution=package,
        tested=tested,
        targets=(
            Target(f"{package}._base_client:SyncAPIClient.request", read, outcome, is_wired=True, asked=options_of),
            Target(f"{package}._base_client:AsyncAPIClient.request", read, outcome, is_wired=True, asked=options_of),
            Sending(f"{package}._base_client:BaseClient._build_request", sent_body),
            Receiving(f"{package}._base_client:SyncAPIClient._process_response", received_body),
            Receiving(f"{package}._base_client:AsyncAPIClient._process_response", received_body),
            Resumption(f"{package}._streaming:Stream.__init__", carrier_of, outcome),
            Resumption(f"{package}._streaming:AsyncStream.__init__", carrier_of, outcome),
            *(Silence(path) for path in silences),
        ),
    )


def options_of(call: Call) -> object:
    """The options of `request(cast_to, options, …)`, which are made anew for each request."""
    return call.argument(1, "options")


def read_call(call: Call, routes: tuple[Route, ...], client_providers: Mapping[str, str]) -> Reading | None:
    """Read a call of `request(cast_to, options, …)`; `None` where its path is no operation."""
    options = call.argument(1, "options")
    route = _route_of(options, routes)
    if route is None:
        return None
    # What the app gives as `extra_body` is merged over the rest when the request is built.
    body = {**options.json_data, **(getattr(options, "extra_json", None) or {})}
    server = _server_of(call.instance, client_providers)
    streams = body.get("stream") is True
    model = body.get("model")
    return Reading(
        Request(
            kind=route.kind,
            provider=server.provider,
            model=model if isinstance(model, str) else None,
            streams=streams,
            server_address=server.address,
            server_port=server.port,
            service_tier=gate.name(body.get("service_tier")),
            speed=gate.name(body.get("speed")),
        ),
        route.reader,
        _with_usage if streams and route.usage_on_request and not _asks_for_usage(body) else None,
    )


def _route_of(options: Any, routes: tuple[Route, ...]) -> Route | None:
    if options.method.lower() != "post" or not isinstance(options.json_data, dict):
        return None
    path = options.url.partition("?")[0].rstrip("/")
    for route in routes:
        if path.endswith(route.path):
            return route
    return None


def sent_body(call: Call, request: Any) -> object:
    """The body of what `_build_request(options, …)` has made; `None` for what is no operation: a file, a model list."""
    options = call.argument(0, "options")
    if options.method.lower() != "post" or not isinstance(options.json_data, dict):
        return None
    # There is no public way to ask for a body without an error where it is a stream.
    content = getattr(request, "_content", None)
    if isinstance(content, bytes) and _is_quickly_parsed(content):
        return content
    return leaves_of({**options.json_data, **(getattr(options, "extra_json", None) or {})})


def _is_quickly_parsed(content: bytes) -> bool:
    # Counting takes a fraction of a millisecond, but is the app's.
    return len(content) <= LONGEST_PARSED // 4 or (
        len(content) <= LONGEST_PARSED and content.count(b"\\") <= MOST_ESCAPES
    )


def received_body(call: Call) -> object:
    """The body that `_process_response(response=…, options=…)` is given; `None` where it is not read, or very long."""
    if call.keywords["options"].method.lower() != "post":
        return None
    content = _body_of(call.keywords["response"])
    return content if content is not None and len(content) <= LONGEST_PARSED else None


class Events(tuple[Any, ...]):
    """What the events of a stream say whose body was read as a whole."""

    __slots__ = ()


def _over_the_wire(reader: Reader) -> Reader:
    """The same reader, of what goes over the wire instead of objects."""

    def response(decoded: Any) -> Response:
        if isinstance(decoded, Events) and reader.pieces is not None:
            return reader.pieces(Response(), decoded)
        return reader.response(decoded)

    return replace(reader, response=response, parameters=read_parameters, decode=json_of)


def json_of(taken: Any) -> Any:
    """What a body or an event says: its JSON parsed, leaves as they are; nothing for a text that is no JSON."""
    if not isinstance(taken, bytes | str):
        return taken
    try:
        return parsed(taken)
    except (ValueError, RecursionError):
        return _events_in(taken) if isinstance(taken, bytes) else {}


def _events_in(body: bytes) -> Any:
    lines = [line.removeprefix(b"data:").decode(errors="replace") for line in body.splitlines() if line[:5] == b"data:"]
    return Events(map(json_of, lines)) if lines else {}


@dataclass(frozen=True, slots=True)
class _Server:
    """Where a client sends its requests; `url` is the client's own object, by which a change is seen."""

    url: Any
    provider: str
    address: str | None
    port: int


_servers: ByIdentity[_Server] = ByIdentity()


def _server_of(client: Any, client_providers: Mapping[str, str]) -> _Server:
    url = client.base_url
    known = _servers.get(client)
    if known is not None and known.url is url:
        return known
    base = urlsplit(str(url))
    # A dot at the end says that the name is whole, and is no part of it.
    host = (base.hostname or "").rstrip(".")
    provider = _provider(client, host, str(url), client_providers)
    port = base.port or (80 if base.scheme == "http" else 443)
    server = _Server(url, provider, host or None, port)
    # A class with slots and without room for references is looked at anew each time.
    with suppress(TypeError):
        _servers.put(client, server)
    return server


def outcome(result: Any) -> Outcome:
    """Which of the template's kinds of result this is."""
    result_class = type(result)
    kind = _kinds.get(result_class) or _learn(result_class)
    if kind == "stream":
        return Streamed(result, "_iterator", result.response, "_iter_events", _data_of)
    if kind == "whole":
        return Complete(result)
    http_response = result.http_response
    if http_response.is_closed:
        return Complete(_body_of(http_response))
    return Unread(http_response, _body_of)


def _body_of(http_response: Any) -> bytes | None:
    content = getattr(http_response, "_content", None)
    return content if isinstance(content, bytes) else None


def _data_of(event: Any) -> object:
    return event.data


_kinds: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
"""Kinds by class of result: asking an answer's model for attributes it lacks is slow. Apps make classes for one call,
which end with it."""


def _learn(result_class: type) -> str:
    if hasattr(result_class, "__stream__"):
        kind = "stream"
    else:
        kind = "raw" if hasattr(result_class, "http_request") and hasattr(result_class, "parse") else "whole"
    return _kinds.setdefault(result_class, kind)


def carrier_of(stream: Any) -> Any:
    """The response on which an unread call travels until a stream is made of it."""
    return stream.response


def _provider(client: Any, host: str, url: str, client_providers: Mapping[str, str]) -> str:
    """By the library's class that the client is descended from, whatever the app calls its own; else by its URL."""
    for each in type(client).__mro__:
        if provider := client_providers.get(each.__name__):
            return provider
    return provider_of_url(url, host)


def _asks_for_usage(body: Mapping[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, Mapping) and "include_usage" in options


def _with_usage(call: Call) -> Call:
    options = copy.copy(call.argument(1, "options"))
    extra = getattr(options, "extra_json", None) or {}
    holder = "extra_json" if "stream_options" in extra else "json_data"
    body = getattr(options, holder)
    given = body.get("stream_options")
    stream_options = {**(given if isinstance(given, Mapping) else {}), "include_usage": True}
    setattr(options, holder, {**body, "stream_options": stream_options})
    if len(call.arguments) > 1:
        return Call(call.instance, (call.arguments[0], options, *call.arguments[2:]), call.keywords)
    return Call(call.instance, call.arguments, {**call.keywords, "options": options})
