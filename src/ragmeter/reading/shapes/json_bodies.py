"""The JSON of a body; of a long one element by element, because one call of Python's parser keeps the interpreter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from ragmeter.domain.pausing import pause_of_thread

AT_ONCE = 65_536
"""Characters that are parsed in one call: half a millisecond in ordinary bodies, four in the worst."""

PIECE = 8_192
"""Characters of a list of numbers, each of which takes long, that are parsed in one call."""

PAUSED = 2_048
"""Characters after which there is a pause: hundreds of elements where these are short."""

DEEPEST = 2
"""Levels that are gone through element by element, which takes ten times as long: a body, and the lists in it."""

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")
_NUMBERS = re.compile(r"\[[ \t\n\r]*[-0-9]")

Held = TypeVar("Held", dict[str, Any], list[Any])


def parsed(body: bytes | str) -> Any:
    """What a body says; of a long one in slices on a thread that is `pausing`. `JSONDecodeError` where it is none."""
    if len(body) <= AT_ONCE:
        return json.loads(body)
    text = body if isinstance(body, str) else body.decode(json.detect_encoding(body), "surrogatepass")
    pause_of_thread()
    value = _Body(text).value()
    pause_of_thread()
    return value


class _Body:
    """A long text of JSON, and how far it was read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._paused = 0

    def value(self) -> Any:
        """What all of it says."""
        self._skip_blanks()
        value = self._value(DEEPEST)
        self._skip_blanks()
        if self._at < len(self._text):
            raise self._refusal()
        return value

    def _value(self, depth: int) -> Any:
        if self._at - self._paused >= PAUSED:
            self._paused = self._at
            pause_of_thread()
        opening = self._text[self._at : self._at + 1]
        if depth and opening == "{":
            return self._held({}, "}", lambda result: self._member(result, depth - 1))
        numbers = self._numbers() if opening == "[" else None
        if numbers is not None:
            return numbers
        if depth and opening == "[":
            return self._held([], "]", lambda result: result.append(self._value(depth - 1)))
        value, self._at = _DECODER.raw_decode(self._text, self._at)
        return value

    def _held(self, result: Held, closing: str, read: Callable[[Held], None]) -> Held:
        """What an object or a list holds, one member or element after the other."""
        self._at += 1
        self._skip_blanks()
        while result or not self._text.startswith(closing, self._at):
            read(result)
            self._skip_blanks()
            if not self._text.startswith(",", self._at):
                break
            self._skip(",")
        self._skip(closing)
        return result

    def _member(self, result: dict[str, Any], depth: int) -> None:
        if not self._text.startswith('"', self._at):
            raise self._refusal()
        name, self._at = _DECODER.raw_decode(self._text, self._at)
        self._skip_blanks()
        self._skip(":")
        result[name] = self._value(depth)

    def _numbers(self) -> list[Any] | None:
        """The elements of a long list of numbers, which is cut up at its commas; `None` for any other list."""
        end = self._text.find("]", self._at)
        if end - self._at <= PIECE or not _NUMBERS.match(self._text, self._at):
            return None
        if any(self._text.find(other, self._at + 1, end) >= 0 for other in '"[{'):
            return None
        result: list[Any] = []
        start = self._at + 1
        while start <= end:
            comma = self._text.find(",", start + PIECE, end)
            stop = end if comma < 0 else comma
            numbers = json.loads(f"[{self._text[start:stop]}]")
            if not numbers:
                raise self._refusal()
            result += numbers
            start = stop + 1
            pause_of_thread()
        self._at = end + 1
        return result

    def _skip(self, expected: str) -> None:
        if not self._text.startswith(expected, self._at):
            raise self._refusal()
        self._at += 1
        self._skip_blanks()

    def _refusal(self) -> json.JSONDecodeError:
        return json.JSONDecodeError("No JSON", self._text, self._at)

    def _skip_blanks(self) -> None:
        blanks = _BLANKS.match(self._text, self._at)
        self._at = self._at if blanks is None else blanks.end()
