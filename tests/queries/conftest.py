"""The shop app on a loopback server, and ragmeter watching it as if the server were OpenAI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shop import Shop, answer, open_shop
from wire import Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(answer) as server:
        yield server


@pytest.fixture
def shop(wire: Wire) -> Shop:
    return open_shop(wire)


@pytest.fixture
def metered(watch, shop):
    """Ragmeter with in-memory telemetry; prices as OpenAI's."""
    return watch(providers={"127.0.0.1": "openai"}, labels=["team"])
