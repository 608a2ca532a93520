"""Long work in slices: whoever waits for the interpreter may have it between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Pause = Callable[[], None]
"""Called between slices of the work, none of which is to take longer than some milliseconds whatever the text is."""

BLOCK = 4_096
"""Things that are handled in one go where each takes a fraction of a microsecond."""


def without_pause() -> None:
    """The pause of those who have the interpreter to themselves: commands, tests."""


def blocks(length: int, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Starts and ends of the slices of something of this length."""
    for start in range(0, length, size):
        yield start, min(start + size, length)
