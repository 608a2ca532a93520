"""One file a client, which declares one `INTEGRATION`; the register of them is here."""

from __future__ import annotations

import importlib

from ragmeter.reading.declaration import Integration

# Written out, not read from the folder: in an app that is frozen into one file there is no folder.
NAMES = ("anthropic", "chromadb", "groq", "haystack", "langchain", "llama_index", "openai", "qdrant", "together")


def names() -> tuple[str, ...]:
    """The names of all integrations, without loading them."""
    return NAMES


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


def _imports_for_freezers() -> None:
    """Never called: tools that freeze an app take in the modules whose imports they find in its code."""
    from ragmeter.reading.clients import (  # noqa: F401
        anthropic,
        chromadb,
        groq,
        haystack,
        langchain,
        llama_index,
        openai,
        qdrant,
        together,
    )
