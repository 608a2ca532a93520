"""Where a benchmark is, on standard error: its results alone go to standard output."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Show what is being done, in the place of what was shown before."""
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:<70}", end=end, file=sys.stderr, flush=True)
