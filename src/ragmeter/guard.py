"""Our mistakes never reach the app: caught here, logged once a station, counted; loud in tests."""

from __future__ import annotations

import logging
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger("ragmeter")

LOUD_VARIABLE = "RAGMETER_LOUD"
"""Environment variable under which our errors are raised instead of swallowed: for our own tests."""


class Guard:
    """Takes the errors of our own code; `counts` holds how many came from each station.

    `overflowed` counts the operations for which the worker's queue was full.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.overflowed = 0
        self.loud = os.environ.get(LOUD_VARIABLE, "") not in ("", "0")

    def clear(self) -> None:
        """In a forked child: what went wrong so far went wrong in the parent."""
        self.counts.clear()
        self.overflowed = 0

    def caught(self, station: str, error: Exception) -> None:
        """Count `error`, log it the first time it comes from `station`, and raise it when loud.

        The log line names the exception's type and where it arose, not its message: that may hold a prompt.
        """
        if self.loud:
            raise error
        self.counts[station] += 1
        if self.counts[station] == 1:
            # A handler of the app's own may raise, and this is its call's thread.
            with suppress(Exception):
                logger.warning(
                    "ragmeter failed in %s (%s at %s); the app's call is not affected, its metrics may lack this part. "
                    "Further failures at this place are only counted.",
                    station,
                    type(error).__name__,
                    _origin(error),
                )


def _origin(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "unknown line"
    return f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"
