"""One file a client; the folder is the register: every module here declares one `INTEGRATION`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from ragmeter.integration import Integration


@cache
def names() -> tuple[str, ...]:
    """The names of all integrations, without loading them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> Integration:
    """The integration called `name`."""
    integration: Integration = importlib.import_module(f"{__name__}.{name}").INTEGRATION
    return integration
