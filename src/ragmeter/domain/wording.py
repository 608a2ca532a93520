"""Texts and numbers as people read them, wherever they are shown. Pure."""

from __future__ import annotations

import re

_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move the cursor, turn the direction of the text, or cannot be written in UTF-8."""


def counted(number: int, noun: str) -> str:
    """A number of things in words."""
    if number == 1:
        return f"{number:,} {noun}"
    if noun.endswith("ry"):
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}es" if noun.endswith("ch") else f"{number:,} {noun}s"


def shown(text: str) -> str:
    """A text that can only be read: a mark replaces each character that would steer a terminal or cannot be written."""
    return _UNSHOWN.sub("\ufffd", text)
