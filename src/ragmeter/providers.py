"""Which provider stands behind a host, in the names of the OpenTelemetry conventions.

Our own table comes first, then the URL patterns of genai-prices. A host that neither knows is its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from urllib.parse import urlsplit

from ragmeter.reading.price_library import provider_ids, url_patterns

HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "api.anthropic.com": "anthropic",
    # Claude as Anthropic itself runs it, billed through Google: models and prices are Anthropic's.
    "claude.googleapis.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cloudflare.com": "cloudflare",
    "cloud.databricks.com": "databricks",
    "gcp.databricks.com": "databricks",
    "azuredatabricks.net": "databricks",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.groq.com": "groq",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "openrouter.ai": "openrouter",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.x.ai": "x_ai",
    "api.z.ai": "zai",
}
"""Hosts, also as the end of a longer one, and the `gen_ai.provider.name` of each; names of our own where the
conventions have none."""

REGIONAL_HOSTS = (
    (r"[a-z0-9-]+-aiplatform\.googleapis\.com|aiplatform\.[a-z]+\.rep\.googleapis\.com", "gcp.vertex_ai"),
    (r"(.+\.)?bedrock-(runtime|mantle)(-fips)?\.[a-z0-9-]+\.(api\.aws|(vpce\.)?amazonaws\.com(\.cn)?)", "aws.bedrock"),
    (r"aws-external-anthropic\.[a-z0-9-]+\.api\.aws", "anthropic"),
    (r"[a-z]+-api\.together\.(ai|xyz)", "together"),
    (r"api\.[a-z]+\.mistral\.ai", "mistral_ai"),
    (r"[a-z0-9-]+\.api\.x\.ai", "x_ai"),
)
"""Patterns of whole hosts with a place in them, as the vendors' own clients and documentation write them on 2026-11-29.
The platform of Claude that Anthropic runs on AWS has Anthropic's models and prices."""

LIBRARY_IDS = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
"""Provider names of the conventions -> provider ids of genai-prices, where they differ."""

OTHER_NAMES = {
    "amazon": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "azure_openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "fireworks_ai": "fireworks",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "mistralai": "mistral_ai",
    "together_ai": "together",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""What gateways, frameworks and people call providers besides."""

BY_MODEL = "by_model"
"""What `providers` says of a gateway with several vendors behind it: each model's name begins with its vendor's, and a
slash (`openai/gpt-4o`)."""

SCHEME = re.compile(r"^\(?https\??://(\)\?)?")
"""How the library's patterns begin."""

CLOSE = 0.75
"""Likeness, by `difflib`, from which an unknown name is taken for a slip of the pen."""


class ProviderError(ValueError):
    """A provider's name that cannot be meant; the message says which would do."""


def provider_of_host(host: str) -> str:
    """The provider name of `host`, or the host itself where it is not known."""
    return provider_of_url(f"https://{host}", host)


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
            return _names_of_library_ids()[library_id]
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


def provider_named(name: str) -> str | None:
    """The provider that someone calls so, in the conventions' words; `None` where no provider is known by it."""
    name = name.strip().lower()
    if name in _known():
        return name
    return OTHER_NAMES.get(name.replace("-", "_")) or _names_of_library_ids().get(name)


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
    return {_place(host): _checked(host, name) for host, name in given.items()}


def _place(given: str) -> str:
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
        raise ProviderError(f"{given!r} is no host; write one such as 'gateway.example', or 'localhost:8000'")
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
    return frozenset((*HOSTS.values(), *LIBRARY_IDS, *_names_of_library_ids().values()))


@cache
def _names_of_library_ids() -> Mapping[str, str]:
    """Names for the ids of genai-prices: the conventions' where they have one, else the id itself."""
    names = {library: name for name, library in LIBRARY_IDS.items()}
    names["azure"] = "azure.ai.openai"
    return {each: names.get(each, each) for each in provider_ids()}
