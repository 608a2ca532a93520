"""Real token counts by OpenAI's published vocabularies, with the extra `ragmeter[exact]`. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

PACKAGE = "bpe_openai"
"""It carries the vocabularies in its wheel and gives the same counts as OpenAI's own package; 75 MB installed."""

SLICE = 16_384
"""Characters counted at once: the package keeps the interpreter to itself meanwhile, a millisecond for these."""


def is_installed() -> bool:
    """Whether real counts are to be had."""
    return find_spec(PACKAGE) is not None


def load_counter(vocabulary: str) -> Callable[[str], int] | None:
    """A function that counts the tokens of a text in `o200k` or `cl100k`, `None` where the extra does not run.

    The first one takes half a second and 150 MB.
    """
    try:
        import bpe_openai

        encoding = bpe_openai.get_encoding(f"{vocabulary}_base")
    except (ImportError, OSError):
        return None

    def count(text: str) -> int:
        text = text.encode("utf-8", "replace").decode("utf-8")
        return sum(len(encoding.encode_ordinary(each)) for each in _slices(text))

    return count


def _slices(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > SLICE:
        # A token does not go on over a blank line; a blank at least begins a new one.
        end = max(text.rfind("\n", start, start + SLICE), text.rfind(" ", start + SLICE // 2, start + SLICE))
        end = start + SLICE if end <= start else end
        yield text[start:end]
        start = end
    yield text[start:]
