"""Which provider a call is made to: by the client's class, by its host, by what the app says of a gateway."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import openai
import pytest
from genai_prices.data import providers as library_providers

from ragmeter.reading.providers import (
    ProviderError,
    checked_providers,
    declared_provider,
    library_id,
    provider_of_url,
    vendor_of_model,
)
from ragmeter.settings import SettingsError, read_settings
from telemetry_seen import Seen
from wire import Wire, whole

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Two years."}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
}


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("me.openai.azure.com", "azure.ai.openai"),
        ("me.services.ai.azure.com", "azure.ai.inference"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("aiplatform.eu.rep.googleapis.com", "gcp.vertex_ai"),
        ("aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("bedrock-runtime.us-west-2.amazonaws.com", "aws.bedrock"),
        ("bedrock-runtime-fips.us-east-1.amazonaws.com", "aws.bedrock"),
        ("vpce-0a1b.bedrock-runtime.us-east-1.vpce.amazonaws.com", "aws.bedrock"),
        ("bedrock-mantle.eu-west-1.api.aws", "aws.bedrock"),
        ("aws-external-anthropic.us-west-2.api.aws", "anthropic"),
        ("us-api.together.ai", "together"),
        ("api.eu.mistral.ai", "mistral_ai"),
        ("api.moonshot.cn", "moonshot_ai"),
        ("api.novita.ai", "novita"),
        ("ec2-3-4-5-6.compute.amazonaws.com", "ec2-3-4-5-6.compute.amazonaws.com"),
        ("openai-proxy", "openai-proxy"),
        ("localhost", "localhost"),
        ("", "unknown"),
    ],
)
def test_a_host_tells_its_provider(host, provider):
    """Regional hosts and private links belong to their vendor; a host that only sounds like one does not."""
    assert provider_of_url(f"https://{host}", host) == provider


def address_of(pattern):
    """An address that a pattern of the library fits, with its choices made and its classes filled in."""
    address = re.sub(r"\(\?:/\|\$\)|\(/\|\$\)", "/", pattern)
    address = re.sub(r"\(https\?://\)\?", "https://", address)
    address = re.sub(r"\(\[\^\.\]\*\\\.\)\?|\(\.\*\\\.\)\?", "me.", address)
    address = re.sub(r"\[\^/\]\+|\[a-z0-9-\]\+", "abc", address)
    while (choice := re.search(r"\((?:\?:)?([^()|]*)(\|[^()]*)?\)\??", address)) is not None:
        address = address[: choice.start()] + choice[1] + address[choice.end() :]
    return address.replace("\\", "")


@pytest.mark.parametrize("library", library_providers, ids=lambda provider: provider.id)
def test_every_pattern_of_the_price_library_names_its_provider(library):
    """An address that the library knows gets the name under which its prices are found."""
    address = address_of(library.api_pattern)
    assert re.match(library.api_pattern, address), address
    host = address.partition("://")[2].partition("/")[0]
    named = library_id(provider_of_url(address, host))
    same_address = {other.id for other in library_providers if other.api_pattern == library.api_pattern}
    assert named in same_address


def test_a_gateway_with_several_vendors_is_told_by_each_models_name():
    """`by_model` takes the vendor before the slash; a name without a known one stays the gateway's."""
    declared = checked_providers({"gateway.internal": "by_model", "other.internal": "bedrock"})
    assert declared_provider(declared, "gateway.internal", "openai/gpt-4o") == "openai"
    assert declared_provider(declared, "gateway.internal", "vertex_ai/gemini-2.5-flash") == "gcp.vertex_ai"
    assert declared_provider(declared, "gateway.internal", "our-own-model") is None
    assert declared_provider(declared, "gateway.internal", None) is None
    assert declared_provider(declared, "other.internal", "openai/gpt-4o") == "aws.bedrock"
    assert declared_provider(declared, "api.openai.com", "gpt-4o") is None
    assert vendor_of_model("meta-llama/Llama-3") is None


@pytest.mark.parametrize(("wrong", "right"), [("opnai", "openai"), ("antropic", "anthropic"), ("by-model", "by_model")])
def test_a_slip_in_a_providers_name_is_refused_with_what_was_meant(wrong, right):
    """A name that is nearly a known one is a mistake, which would leave every call unpriced."""
    with pytest.raises(ProviderError, match=f"did you mean '{right}'"):
        checked_providers({"gateway.internal": wrong})
    with pytest.raises(SettingsError, match=f"RAGMETER_PROVIDERS: .*did you mean '{right}'"):
        read_settings({}, {"RAGMETER_PROVIDERS": f"gateway.internal={wrong}"})


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com.elsewhere.example/v1",
        "https://api.cohere.com.example",
        "https://gateway.example/x.googleapis.com/v1",
        "http://localhost/x.openai.azure.com",
    ],
)
def test_a_host_that_only_looks_like_a_providers_is_not_the_providers(url):
    """What begins like a known host, or has one in its path, has no provider's prices."""
    host = urlsplit(url).hostname
    assert provider_of_url(url, host) == host


@pytest.mark.parametrize(
    "written",
    ["gw.example", "GW.Example", "gw.example.", " gw.example ", "gw.example:8443", "https://gw.example/v1"],
)
def test_a_host_may_be_written_as_a_person_would(written):
    """Capitals, a dot at the end, a port, a whole URL: all name the host that the client asks."""
    declared = checked_providers({written: "openai"})
    assert declared_provider(declared, "gw.example", "gpt-4o", 8443) == "openai"


def test_two_servers_on_one_host_are_told_by_their_ports():
    """A host with a port stands above the host alone; IPv6 addresses may have brackets or none."""
    declared = checked_providers(
        {"localhost": "groq", "localhost:8000": "openai", "::1": "x_ai", "[::1]:81": "together"}
    )
    places = (("localhost", 8000), ("localhost", 8001), ("::1", 80), ("::1", 81))
    found = [declared_provider(declared, host, "m", port) for host, port in places]
    assert found == ["openai", "groq", "x_ai", "together"]


@pytest.mark.parametrize("wrong", ["", "http://", "gateway.example:port"])
def test_what_is_no_host_is_refused(wrong):
    """A place that no client can have asked would never hold."""
    with pytest.raises(ProviderError, match="is not a host"):
        checked_providers({wrong: "openai"})


def test_a_provider_of_the_apps_own_may_have_any_name():
    """What is like no known name is the app's own provider."""
    assert checked_providers({"llm.internal": "our-cluster"}) == {"llm.internal": "our-cluster"}


class Unhashable(openai.OpenAI):
    def __eq__(self, other):
        return self is other

    __hash__ = None


class Company(openai.AzureOpenAI):
    pass


class AzureLike(openai.OpenAI):
    pass


def ask(client):
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "How long?"}])


@pytest.fixture
def seen():
    import ragmeter

    seen = Seen()
    ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
    yield seen
    ragmeter.uninstrument()


def test_the_provider_follows_the_line_of_descent_of_a_client(seen):
    """A class of the app's own made from AzureOpenAI is Azure's; one that is only called so is not."""
    with Wire(whole(ANSWER)) as wire:
        ask(Company(azure_endpoint=wire.url, api_key="k", api_version="2024-10-21"))
        ask(AzureLike(base_url=wire.url, api_key="k"))
    found = [dict(span.attributes)["gen_ai.provider.name"] for span in seen.spans()]
    assert found == ["azure.ai.openai", "127.0.0.1"]


def test_a_client_that_cannot_be_hashed_is_metered(seen):
    """A client whose class compares by value is counted like any other, each time."""
    with Wire(whole(ANSWER)) as wire:
        client = Unhashable(base_url=wire.url, api_key="k")
        ask(client)
        ask(client)
    assert seen.total("ragmeter.operations") == 2
