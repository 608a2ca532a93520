"""What an exception of a client says about its call: its name, and whether anything was made that costs."""

from __future__ import annotations

TIMEOUTS = frozenset((408, 499, 504, 524))
"""Statuses of a proxy or a server that waited no longer for an answer, which may have been made."""

FILTERED = "content_filter"
"""The code of a prompt that was read and not answered: Azure charges for it
(https://learn.microsoft.com/azure/ai-foundry/openai/how-to/manage-costs)."""

LOST = ("ReadError", "RemoteProtocolError")
"""What the clients' HTTP library raises when a request was sent and the connection broke."""


def error_type_of(error: BaseException) -> str:
    """The name under which an exception is counted: its class with module, built-in ones bare."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def is_refusal(error: BaseException) -> bool:
    """Whether an exception says that nothing was made: an HTTP error status, or no connection.

    A time-out does not, wherever it was; nor a connection lost before the answer, nor a filter that read the prompt.
    """
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return status >= 400 and status not in TIMEOUTS and getattr(error, "code", None) != FILTERED
    return type(error).__name__.endswith("ConnectionError") and type(error.__cause__).__name__ not in LOST
