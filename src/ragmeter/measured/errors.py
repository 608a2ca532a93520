"""Why nothing could be read."""

from __future__ import annotations


class MeasuredError(RuntimeError):
    """What an app has measured cannot be read; the message says why and what to do, in one sentence or two."""
