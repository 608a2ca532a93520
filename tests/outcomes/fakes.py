"""Fake clients in the place of real ones: an integration of a module of these tests among those of the package."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ragmeter.reading import clients
from ragmeter.reading.declaration import Integration


@dataclass
class Put:
    """What was put among the integrations, to be taken back."""

    name: str
    before: tuple[str, ...]

    def take_back(self) -> None:
        clients.BUILT = self.before
        clients.names.cache_clear()
        sys.modules.pop(f"{clients.__name__}.{self.name}", None)


def put(name: str, integration: Integration) -> Put:
    """Let `ragmeter.instrument()` find an integration under this name."""
    module: Any = ModuleType(f"{clients.__name__}.{name}")
    module.INTEGRATION = integration
    sys.modules[module.__name__] = module
    put_in = Put(name, clients.BUILT)
    clients.BUILT = (*clients.BUILT, name)
    clients.names.cache_clear()
    return put_in


def put_module(name: str) -> Put:
    """The same for a module that declares its `INTEGRATION`."""
    return put(name, importlib.import_module(name).INTEGRATION)
