"""The price library's file is read as the library itself reads it, without importing a thing."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot

from ragmeter.domain.model import Operation, OperationKind, Prompt, Request, Response, Usage
from ragmeter.money.pricebook import PriceBook
from ragmeter.money.pricing import price
from ragmeter.reading import price_data
from ragmeter.reading.price_library import PriceLibrary, url_patterns
from ragmeter.reading.price_models import Tiers

TESTS = Path(__file__).parent.parent

MOMENTS = tuple(
    datetime(2026, month, day, hour, minute, tzinfo=UTC)
    for month, day, hour, minute in ((1, 4, 0, 0), (10, 18, 23, 59), (10, 19, 0, 0), (11, 20, 2, 30), (12, 1, 16, 30))
)
CONTEXTS = (
    {},
    {"processing": "batch"},
    {"service_tier": "priority"},
    {"service_tier": "flex"},
    {"service_tier": "default"},
    {"speed": "fast"},
    {"service_tier": "priority", "speed": "fast"},
)


def plain(prices):
    """Prices of the library as ours are kept."""
    return {
        key: Tiers(float(value.base), tuple((tier.start, float(tier.price)) for tier in value.tiers))
        if hasattr(value, "base")
        else float(value)
        for key, value in vars(prices).items()
        if value is not None
    }


@pytest.mark.parametrize("provider", providers, ids=lambda provider: provider.id)
def test_each_model_has_the_librarys_prices_at_any_moment_in_any_context(provider):
    """Models of a provider come in the library's order, with its prices by date, time of day and context."""
    ours = PriceLibrary().provider(provider.id)
    assert ours is not None
    models = list(ours.models)
    assert [model.id for model in models] == [model.id for model in provider.models]
    for model, theirs in zip(models, provider.models, strict=True):
        for at in MOMENTS:
            for context in CONTEXTS:
                expected = plain(theirs.get_prices(at, context)) if theirs.prices else {}
                assert model.prices_at(at, context) == expected, (model.id, at, context)


@pytest.mark.parametrize("provider", providers, ids=lambda provider: provider.id)
def test_a_name_means_the_model_that_it_means_to_the_library(provider):
    """Ids, dated, prefixed, upper-case and unknown names are matched alike, also by fall-backs."""
    library, snapshot = PriceLibrary(), get_snapshot()
    chance = random.Random(provider.id)
    known = [model.id for each in (provider, *providers[:3]) for model in each.models]
    names = {*chance.sample(known, min(40, len(known))), "no-such-model", "", "gpt-5.2-20251211", "claude-x-20259999"}
    for name in [changed for each in names for changed in (each, each.upper(), f"eu.{each}", f"{each}-20251211")]:
        try:
            asked, model = snapshot.find_provider_model(name, None, provider.id, None)
        except LookupError:
            assert library.find(provider.id, name) is None, name
            continue
        found = library.find(provider.id, name)
        assert found is not None, name
        assert (found.model.id, found.provider == provider.id) == (model.id, model in asked.models), name


def test_amounts_equal_the_librarys_own_for_every_model_it_prices_by_tokens():
    """For plain, cached and long prompts of each model, our floats give what the library calculates."""
    book, at = PriceBook({}), datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    compared = 0
    for provider in providers:
        for model in provider.models:
            request = Request(OperationKind.CHAT, provider.id, model=model.id)
            started = int(at.timestamp() * 1e9)
            card = book.card(Operation(request, Response(model=model.id), Prompt(), started=started, duration=1.0))
            counts = {"input_tokens": 300_100, "output_tokens": 900, "cache_read_tokens": 250_000}
            try:
                expected = calc_price(
                    LibraryUsage(**counts), model.id, provider_id=provider.id, genai_request_timestamp=at
                )
            except (LookupError, ValueError):
                continue
            if expected.total_price and card is not None:
                compared += 1
                assert price(Usage(**counts), card).amount == pytest.approx(float(expected.total_price), rel=1e-9)
    assert compared > 1_000


def test_every_provider_of_the_library_has_its_pattern():
    """The patterns of URLs are those of the library, in its order."""
    found = [(pattern.pattern, provider_id) for pattern, provider_id in url_patterns()]
    assert found == [(provider.api_pattern, provider.id) for provider in providers]


def test_a_library_without_its_text_is_read_from_the_compiled_module(monkeypatch):
    """In an app frozen into one file there is no source: the compiled module gives the same prices."""
    price_data.installed.cache_clear()
    monkeypatch.setattr(price_data, "_pieces", lambda _: {})
    try:
        library = PriceLibrary()
    finally:
        monkeypatch.undo()
        price_data.installed.cache_clear()
    text = PriceLibrary()
    for provider in providers:
        whole, pieces = library.provider(provider.id), text.provider(provider.id)
        assert [(model.id, model.prices, model.variants) for model in whole.models] == [
            (model.id, model.prices, model.variants) for model in pieces.models
        ]


APP = """
import sys, threading
sys.path.insert(0, {tests!r})
from telemetry_seen import Seen
from wire import Wire, whole
import openai, ragmeter

seen, imported = Seen(), []

class Listening:
    def find_spec(self, name, path=None, target=None):
        imported.append((threading.current_thread().name, name))

sys.meta_path.insert(0, Listening())
answer = {{
    "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini-2024-07-18",
    "choices": [{{"index": 0, "finish_reason": "stop", "message": {{"role": "assistant", "content": "hi"}}}}],
    "usage": {{"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}},
}}
ragmeter.instrument(
    tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider,
    providers={{"127.0.0.1": "openai"}},
)
with Wire(whole(answer)) as wire:
    client = openai.OpenAI(base_url=wire.url, api_key="k", max_retries=0)
    for _ in range(3):
        client.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": "Hello?"}}])
        assert ragmeter.flush(10)
assert seen.total("ragmeter.cost.usd") > 0, "unpriced"
print("ours:", [name for thread, name in imported if thread.startswith("ragmeter")])
print("library:", [name for name in sys.modules if name.startswith("genai_prices")])
"""


def test_no_module_is_imported_on_a_thread_of_ours():
    """While a real client's calls are priced, our thread imports nothing, and the price library never appears."""
    script = textwrap.dedent(APP).format(tests=str(TESTS))
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert re.findall(r"^(\w+): (.*)$", ran.stdout, re.MULTILINE) == [("ours", "[]"), ("library", "[]")]


WITHOUT = """
import logging, sys
from pathlib import Path
logging.basicConfig(format="said: %(message)s")
import ragmeter.runtime
from ragmeter.reading.price_library import PriceLibrary, url_patterns

sys.path[:] = [place for place in sys.path if not (Path(place) / "genai_prices").exists()]
assert PriceLibrary().find("openai", "gpt-4o") is None
assert url_patterns() == ()
"""


def test_an_app_without_the_price_library_is_told_and_runs():
    """Where the library was left out, as when an app is frozen, prices are unknown, and one line says so."""
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("said: ragmeter: the price list of the package genai-prices is not installed") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_models_are_read_knows_them_all():
    """A fork comes from any thread, also in the middle of a look-up of the worker's: no model is lost in the child."""
    expected = [model.id for model in PriceLibrary().provider("openai").models]
    forked = []

    def fork_in_the_middle(frame, event, _):
        if event != "call" or frame.f_globals.get("__name__") != price_data.__name__:
            return
        if "fork" not in forked and frame.f_back.f_code.co_qualname == "Models.__iter__":
            forked.append("fork")
            child = os.fork()
            if child == 0:
                sys.setprofile(None)
                os._exit([model.id for model in models] != expected)
            forked.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    models = PriceLibrary().provider("openai").models
    sys.setprofile(fork_in_the_middle)
    try:
        assert [model.id for model in models] == expected
    finally:
        sys.setprofile(None)
    assert forked == ["fork", 0]
