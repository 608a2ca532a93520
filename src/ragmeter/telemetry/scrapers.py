"""Who asks for a page of metrics: a database that scrapes, or a person.

A collector of Prometheus' client is not told. The headers of the request stand on the stack above it, under names that
are the same in every app: `environ` of WSGI, `scope` of ASGI, `request` of a framework, `self` of Python's own server.
Only frames that have such a name are looked into, and nothing of them is kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from email.message import Message
from types import FrameType
from typing import Any, NamedTuple

TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"
"""Header that Prometheus, VictoriaMetrics and the collectors send with each scrape, and no browser does."""

AGENT = "User-Agent"
MOST_TIMEOUT = 60.0
"""Seconds; nobody's value waits for longer, whatever a scraper says."""

DEEPEST = 200
"""Frames from the collector up to the server's."""


class Scraper(NamedTuple):
    """A database that scrapes, as far as it tells who it is, and within how many seconds it wants its answer."""

    name: str
    timeout: float


Headers = tuple[str, str, str]
"""The address of who asks, its agent, and its timeout, each "" where it is not told."""


def _of_wsgi(environ: Any) -> Headers | None:
    if not isinstance(environ, dict) or "REQUEST_METHOD" not in environ:
        return None
    names = ("REMOTE_ADDR", *(f"HTTP_{name.upper().replace('-', '_')}" for name in (AGENT, TIMEOUT)))
    address, agent, timeout = (str(environ.get(name) or "") for name in names)
    return address, agent, timeout


def _of_asgi(scope: Any) -> Headers | None:
    if not isinstance(scope, dict) or scope.get("type") != "http":
        return None
    headers = {bytes(name).lower(): bytes(value).decode("latin-1") for name, value in scope.get("headers") or ()}
    agent, timeout = (headers.get(name.lower().encode(), "") for name in (AGENT, TIMEOUT))
    return str((scope.get("client") or ("",))[0]), agent, timeout


def _of_request(request: Any) -> Headers | None:
    """A framework's request, which may have been handed to another thread; or the handler of one request."""
    headers: Any = getattr(request, "headers", None)
    if not isinstance(headers, Mapping | Message):
        return None
    client = getattr(request, "client_address", None) or getattr(request, "client", None) or ("",)
    agent, timeout = (str(headers.get(name) or "") for name in (AGENT, TIMEOUT))
    return str(client[0]), agent, timeout


SELF = "self"
"""Of methods that answer a request of Python's own server, `do_GET`; others are not looked into."""

READERS: dict[str, Callable[[Any], Headers | None]] = {
    "environ": _of_wsgi,
    "scope": _of_asgi,
    "request": _of_request,
    SELF: _of_request,
}
"""How each of the names is read."""


def scraper() -> Scraper | None:
    """Who scrapes, where the caller answers a request of a scraper."""
    # Never our own frame: it would refer to itself, and keep the app's until a collection of garbage.
    frame: FrameType | None = getattr(inspect.currentframe(), "f_back", None)
    for _ in range(DEEPEST):
        if frame is None:
            break
        if (headers := _headers(frame)) is not None:
            address, agent, timeout = headers
            return Scraper(f"{address} {agent} {timeout}", _seconds(timeout)) if timeout else None
        frame = frame.f_back
    return None


def _headers(frame: FrameType) -> Headers | None:
    """The headers of the request that a frame answers, where it has one."""
    for name, read in READERS.items():
        is_method = name == SELF and not frame.f_code.co_name.startswith("do_")
        if name in frame.f_code.co_varnames and not is_method:
            headers = read(frame.f_locals.get(name))
            if headers is not None:
                return headers
    return None


def _seconds(timeout: str) -> float:
    try:
        return min(float(timeout), MOST_TIMEOUT)
    except ValueError:
        return 0.0
