"""Settings for tests with real clients: what makes them quick."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All is on the loopback without TLS: loading certificates for each client would take most of the time."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield


@pytest.fixture(scope="module", autouse=True)
def quick_collection() -> None:
    """Many tests collect garbage: what the clients' modules hold need not be looked at each time."""
    gc.collect()
    gc.freeze()
