"""Settings for tests with fake clients: what makes them quick."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_collection() -> None:
    """Many tests collect garbage: what the imported modules hold need not be looked at each time."""
    gc.collect()
    gc.freeze()
