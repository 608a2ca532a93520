"""Which provider stands behind a host, in the names of the OpenTelemetry conventions.

Our own tables, `facts/hosts.json` and `facts/provider_names.json`, come first, then the URL patterns of genai-prices. A
host that neither knows is its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from urllib.parse import urlsplit

from ragmeter.facts import Fact, read
from ragmeter.reading.price_library import provider_ids, url_patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRow(Fact):
    """A host, also as the end of a longer one, or a pattern of whole hosts with a region in them, and its provider."""

    provider: str
    host: str = ""
    pattern: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow(Fact):
    """A provider in the conventions' words, its id in genai-prices where it differs, and what else it is called.

    `asked_first` says that the model that was asked for tells more about its price than the one that is answered.
    """

    provider: str
    library_id: str | None = None
    other_names: Sequence[str] = ()
    asked_first: bool = False


_HOST_ROWS = read("hosts", HostRow)
_PROVIDER_ROWS = read("provider_names", ProviderRow)

HOSTS = {row.host: row.provider for row in _HOST_ROWS if row.host}
"""Hosts, also as the end of a longer one, and the `gen_ai.provider.name` of each; names of our own where the
conventions have none."""

REGIONAL_HOSTS = tuple((row.pattern, row.provider) for row in _HOST_ROWS if row.pattern)
"""Patterns of whole hosts with a region in them, and the provider of each."""

LIBRARY_IDS = {row.provider: row.library_id for row in _PROVIDER_ROWS if row.library_id is not None}
"""Provider names of the conventions -> provider ids of genai-prices, where they differ."""

OTHER_NAMES = {name: row.provider for row in _PROVIDER_ROWS for name in row.other_names}
"""What gateways, frameworks and people call providers besides."""

_ASKED_FIRST = frozenset(row.library_id or row.provider for row in _PROVIDER_ROWS if row.asked_first)

BY_MODEL = "by_model"
"""What `providers` says of a gateway with several vendors behind it: each model's name begins with its vendor's, and a
slash (`openai/gpt-4o`)."""

SCHEME = re.compile(r"^\(?https\??://(\)\?)?")
"""How the library's patterns begin."""

CLOSE = 0.75
"""Likeness, by `difflib`, from which an unknown name is taken for a slip of the pen."""


class ProviderError(ValueError):
    """A provider's name that cannot be meant; the message says which would do."""


def provider_of_url(url: str, host: str) -> str:
    """The provider name of a URL on `host`, or the host itself where neither is known."""
    for known, name in HOSTS.items():
        if host == known or host.endswith("." + known):
            return name
    for pattern, name in REGIONAL_HOSTS:
        if re.fullmatch(pattern, host):
            return name
    address = f"https://{host}"
    for library_pattern, library_id in url_patterns():
        if _is_of(library_pattern, address, urlsplit(url).path):
            return names_of_library_ids()[library_id]
    return host or "unknown"


def _is_of(pattern: re.Pattern[str], address: str, path: str) -> bool:
    """Whether a pattern of genai-prices, which has no end, means this host: not one that begins so, nor a path."""
    if (found := pattern.match(address)) is not None:
        rest = address[found.end() :]
        # Some end with a dot: any top level follows.
        return not rest or (address[found.end() - 1] == "." and "." not in rest)
    has_path = "/" in SCHEME.sub("", pattern.pattern)
    return has_path and pattern.match(address + path) is not None


def library_id(name: str) -> str:
    """The id by which genai-prices knows a provider."""
    return LIBRARY_IDS.get(name, name)


def is_asked_first(name: str) -> bool:
    """Whether the model that a provider was asked for tells more about its price than the one that it answers."""
    return library_id(name) in _ASKED_FIRST


def provider_named(name: str) -> str | None:
    """The provider that someone calls so, in the conventions' words; `None` where no provider is known by it."""
    name = name.strip().lower()
    if name in _known():
        return name
    return OTHER_NAMES.get(name.replace("-", "_")) or names_of_library_ids().get(name)


def vendor_of_model(model: str | None) -> tuple[str, str] | None:
    """The provider whose name stands before the slash in a model's name, and the rest of it."""
    vendor, slash, rest = (model or "").partition("/")
    provider = provider_named(vendor) if slash and rest else None
    return None if provider is None else (provider, rest)


def declared_provider(
    declared: Mapping[str, str], host: str | None, model: str | None, port: int | None = None
) -> str | None:
    """The provider that the app's `providers` say stands behind a host, for this model; `None` where they do not.

    A host with its port (`localhost:8000`) stands above the host alone.
    """
    if not declared:
        return None
    provider = declared.get(f"{host}:{port}") or declared.get(host or "")
    if provider != BY_MODEL:
        return provider
    vendor = vendor_of_model(model)
    return None if vendor is None else vendor[0]


def known_providers() -> tuple[str, ...]:
    """The names that `providers` may use for what is known: the conventions', those of genai-prices, and ours."""
    return tuple(sorted({*_known(), *OTHER_NAMES, *provider_ids(), BY_MODEL}))


def checked_providers(given: Mapping[str, str]) -> dict[str, str]:
    """The app's `providers` in the conventions' names, by host as clients name it, or by host and port.

    A name that is nearly a known one is refused as a mistake; any other is a provider of the app's own, whose models
    `prices` has.
    """
    return {_server(host): _checked(host, name) for host, name in given.items()}


def _server(given: str) -> str:
    """The host, with its port where that is given, of what may be written as a URL or in capitals."""
    text = given.strip()
    # An IPv6 address without brackets, as a client's host has it.
    is_bare = text.count(":") > 1 and "[" not in text and "//" not in text
    try:
        parts = urlsplit(text if "//" in text else f"//[{text}]" if is_bare else f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise ProviderError(f"{given!r} is not a host; write one such as 'gateway.example', or 'localhost:8000'")
    host = host.rstrip(".")
    return host if port is None else f"{host}:{port}"


def _checked(host: str, name: str) -> str:
    known = name if name == BY_MODEL else provider_named(name)
    if known is not None:
        return known
    if close := get_close_matches(name.lower(), known_providers(), n=1, cutoff=CLOSE):
        raise ProviderError(f"no provider is called {name!r} (of {host}); did you mean {close[0]!r}?")
    return name


@cache
def _known() -> frozenset[str]:
    return frozenset((*HOSTS.values(), *LIBRARY_IDS, *names_of_library_ids().values()))


@cache
def names_of_library_ids() -> Mapping[str, str]:
    """Names for the ids of genai-prices: the conventions' where they have one, else the id itself."""
    # Of several providers with one id the first gives it its name.
    names = {library: name for name, library in reversed(LIBRARY_IDS.items())}
    return {each: names.get(each, each) for each in provider_ids()}
