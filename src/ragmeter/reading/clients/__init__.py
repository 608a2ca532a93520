"""One file a client, which declares one `INTEGRATION`: a file in this folder is all that makes it known."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from ragmeter.reading.clients._register import NAMES as BUILT
from ragmeter.reading.declaration import Integration


@cache
def names() -> tuple[str, ...]:
    """The names of all integrations, without loading them: those of the folder, and those the wheel was built with."""
    there = {found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_")}
    return tuple(sorted(there | set(BUILT)))


def load(name: str) -> Integration:
    """The integration called `name`."""
    integration: Integration = importlib.import_module(f"{__name__}.{name}").INTEGRATION
    return integration


def find(name: str) -> Integration | None:
    """The same, or `None` in an app that was frozen without its module."""
    try:
        return load(name)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        return None


def missing() -> tuple[str, ...]:
    """The names of the integrations whose modules are not there."""
    return tuple(name for name in names() if find(name) is None)
