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


LONG_TEXT = 262_144
"""Characters that are hashed in one go, two milliseconds at the most."""


def hash_of(text: str, pause: Pause) -> int:
    """A hash of a text that is long at times, keyed for each process as Python's own is."""
    if len(text) <= LONG_TEXT:
        return hash(text)
    hashes: list[int] = []
    for start, end in blocks(len(text), LONG_TEXT):
        hashes.append(hash(text[start:end]))
        pause()
    return hash(tuple(hashes))
