"""Real token counts by OpenAI's published vocabularies, with the extra `ragmeter[exact]`. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ragmeter.domain.pausing import Pause

PACKAGE = "bpe_openai"
"""It carries the vocabularies in its wheel and gives the same counts as OpenAI's own package; 75 MB installed."""

MODULE = "_bindings"
"""What counts in it, compiled. Loaded alone: the package around it keeps each vocabulary a second time and takes half a
second and 60 MB to import."""

SLICE = 16_384
"""Characters counted at once: the package keeps the interpreter to itself meanwhile, a millisecond for these."""

Counter = Callable[[str, Pause], int]
"""Counts the tokens of a text, with pauses."""


def is_installed() -> bool:
    """Whether real counts are to be had."""
    return find_spec(PACKAGE) is not None


@lru_cache(maxsize=1)
def prepare() -> Any:
    """The module that counts, without any vocabulary yet, `None` where the extra does not run. It takes a millisecond.

    For the app's own thread: what is imported on another one may be seen half made.
    """
    try:
        package = find_spec(PACKAGE)
        folders = package.submodule_search_locations if package is not None else None
        for path in (Path(folder, MODULE + suffix) for folder in folders or () for suffix in EXTENSION_SUFFIXES):
            if path.exists():
                return _load(path)
    except (ImportError, OSError, ValueError):
        pass
    return None


def _load(path: Path) -> Any:
    spec = spec_from_file_location(f"ragmeter.{MODULE}", path)
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_counter(vocabulary: str) -> Counter | None:
    """A function that counts the tokens of a text in `o200k` or `cl100k`, `None` where the extra does not run.

    The first one of each takes 20 to 50 milliseconds and 30 to 66 MB, and imports nothing.
    """
    try:
        tokenizer = prepare().tokenizer_for_encoding(f"{vocabulary}_base")
    except (AttributeError, ValueError):
        return None

    def count(text: str, pause: Pause) -> int:
        tokens = 0
        for each in _slices(text):
            tokens += tokenizer.count(each.encode("utf-8", "replace").decode("utf-8"))
            pause()
        return tokens

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
