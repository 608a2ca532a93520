"""The words of a text, so normalised that a template's numbering, quoting, escaping or re-wrapping leaves them equal.

ASCII letters and digits make words in lower case, everything else in ASCII separates; other scripts make words of
letters, except that each Chinese, Japanese, Korean or Thai character is a word of its own. Escapes of JSON and HTML
count as what they stand for. Pure.
"""

from __future__ import annotations

import os
import re
import secrets
from array import array
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import islice, repeat
from typing import TypeAlias

GRAM = 4
"""Consecutive words that are compared as one: fewer occur by chance, more break at every edit."""

SALT = secrets.token_hex(8) if os.environ.get("PYTHONHASHSEED", "random") != "random" else ""
"""Python keys its hash of texts for each process; where that key is set from outside, this replaces it."""

SLICE = 1_024
"""Characters that are made into words at once, with a pause after them, in which the app may have the interpreter."""

FILL = "\0"
"""Stands in a normal text where an escape was longer than the letter it stood for."""

MOST_IN_SET = 1_000
MOST_IN_SETS = 50_000
"""Hashes that are kept as a set, of one text and of all together: the garbage collector goes through young sets, and a
million hashes would take it tens of milliseconds."""

Hashes: TypeAlias = "AbstractSet[int] | array[int]"
"""Hashes, each once."""

_SINGLE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(f"[{_SINGLE}]|[a-z0-9][a-z0-9{FILL}]*")
_IS_SINGLE = re.compile(f"[{_SINGLE}]")
_FOREIGN = re.compile(f"[^\x00-\x7f{_SINGLE}]+")
# Not from every backslash of a long row of them: that would take quadratic time.
_UNICODE_ESCAPE = re.compile(r"(?<!\\)\\+u([0-9a-fA-F]{4})")
_BLANK_ESCAPE = re.compile(r"(?<!\\)\\+[nrt]|&(?:quot|amp|lt|gt|apos|nbsp|#x?[0-9a-fA-F]{1,5});")


class _Folding(dict[int, str]):
    """Letters outside of ASCII as one of its letters, which is as good for comparing; all else as a blank."""

    def __missing__(self, code: int) -> str:
        letter = chr(code)
        folded = self[code] = chr(97 + ord(letter.lower()[0]) % 26) if letter.isalnum() else " "
        return folded


_FOLDING = _Folding()
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(1, 128)} | {0: FILL}


def normal(text: str) -> str:
    """`text` in the same length, with nothing left in it but words and blanks."""
    if "\\" in text:
        if "\\u" in text:
            text = _UNICODE_ESCAPE.sub(_character, text)
        text = _BLANK_ESCAPE.sub(_blank, text)
    elif "&" in text:
        text = _BLANK_ESCAPE.sub(_blank, text)
    if not text.isascii():
        text = _FOREIGN.sub(_folded, text)
    return text.translate(_ASCII)


def words(normal_text: str) -> list[str]:
    """The words of a normal text in order."""
    if normal_text.isascii() and FILL not in normal_text:
        return normal_text.split()
    found = _WORD.findall(normal_text)
    return [word.replace(FILL, "") for word in found] if FILL in normal_text else found


def slices_of(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A stretch of a text cut into slices, at blanks where there are any."""
    while end - start > SLICE:
        cut = text.find(" ", start + SLICE, start + SLICE + 64)
        cut = start + SLICE if cut < 0 else min(cut, end)
        yield start, cut
        start = cut
    yield start, end


def word_span(normal_text: str, index: int) -> tuple[int, int]:
    """Where the word number `index` of a normal text starts and ends, in characters."""
    if normal_text.isascii() and FILL not in normal_text:
        # The rest after so many words tells where the next one begins: faster than matching all of them.
        rest = normal_text.lstrip() if index == 0 else normal_text.split(None, index)[index]
        start = len(normal_text) - len(rest)
        return start, start + len(rest.split(None, 1)[0])
    return next(islice(_WORD.finditer(normal_text), index, None)).span()


def grams(found: list[str], partition: str = "") -> list[int]:
    """The hashes of all runs of four words, one for each start; of all words together where there are fewer.

    Texts of different partitions have no hash in common.
    """
    # One text, of which Python remembers the hash.
    seed = f"{SALT}/{partition}"
    if len(found) < GRAM:
        return [hash((seed, *found))] if found else []
    return list(map(hash, zip(repeat(seed), found, found[1:], found[2:], found[3:], strict=False)))


def compact(hashes: Hashes, count: int = 1) -> Hashes:
    """Hashes of one of `count` texts as they are kept."""
    is_few = len(hashes) <= MOST_IN_SET and len(hashes) * count <= MOST_IN_SETS
    # From a list it is made in half the time.
    return hashes if is_few or isinstance(hashes, array) else array("q", list(hashes))


def _character(match: re.Match[str]) -> str:
    letter = chr(int(match[1], 16))
    joins = letter.isalnum() and not _IS_SINGLE.match(letter)
    return letter + (FILL if joins else " ") * (len(match[0]) - 1)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _folded(match: re.Match[str]) -> str:
    return match[0].translate(_FOLDING)
