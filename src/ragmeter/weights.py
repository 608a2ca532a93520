"""How many tokens a text has, about: a linear model on classes of UTF-8 bytes. Pure, no dependency.

The weights are tokens per byte of a class, fitted to OpenAI's o200k vocabulary on documents in many languages and
tested on others: used to share out a known total, the mean error of the context's share is 1.2 points (characters
would give 7.3). As an absolute count it is an estimate, 2.5 % too low to 7 % too high on the same documents.
"""

from __future__ import annotations

CLASSES: tuple[tuple[bytes, float], ...] = (
    (bytes(range(0x61, 0x7B)), 0.204),  # lower-case letters
    (b" ", 0.070),
    (bytes(range(0x80, 0xC0)), 0.171),  # continuation bytes of everything that is not ASCII
    (bytes(range(0x41, 0x5B)), 0.250),  # upper-case letters
    (b".,_-'\"/:()`", 0.557),
    (bytes(range(0x30, 0x3A)), 0.742),  # digits
    (b"\n", 0.583),
    (bytes(byte for byte in range(0x21, 0x7F) if not chr(byte).isalnum() and byte not in b".,_-'\"/:()`"), 0.744),
    (bytes(range(0xC2, 0xCE)), 0.137),  # leads of Latin with accents and symbols
    (bytes(range(0xCE, 0xD4)), 0.103),  # Greek, Cyrillic
    (bytes(range(0xD4, 0xE0)), 0.239),  # Armenian, Hebrew, Arabic
    (b"\xe0", 0.0),  # Indic and Thai
    (b"\xe3", 0.319),  # kana
    (bytes((0xE1, 0xE2, *range(0xE4, 0xEA))), 0.364),  # Han and others of three bytes
    (bytes(range(0xEA, 0xF0)), 0.311),  # Hangul and others of three bytes
    (bytes(range(0xF0, 0xF8)), 0.944),  # four bytes: emoji
)

SAMPLE_ABOVE = 6_000
"""Characters beyond which a text is sampled: 2.9 % mean further error for a flat cost."""

SAMPLE = 1_024


MOST_REMEMBERED = 16_384
_remembered: dict[tuple[int, int], float] = {}


def weigh(text: str) -> float:
    """The approximate number of tokens of `text`.

    Remembered by hash and length, not by text: system prompts and histories come again with every call. Python's string
    hash is keyed for each process.
    """
    key = (hash(text), len(text))
    weight = _remembered.get(key)
    if weight is None:
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        weight = _remembered[key] = _weigh(text)
    return weight


def _weigh(text: str) -> float:
    if len(text) <= SAMPLE_ABOVE:
        return _weigh_all(text)
    step = (len(text) - SAMPLE) // 3
    sample = "".join(text[start : start + SAMPLE] for start in range(0, 3 * step + 1, step))
    return _weigh_all(sample) * len(text) / len(sample)


def _weigh_all(text: str) -> float:
    data = text.encode("utf-8", "surrogatepass")
    total = 0.0
    for members, weight in CLASSES:
        if not data:
            break
        rest = data.translate(None, members)
        total += weight * (len(data) - len(rest))
        data = rest
    return total


def estimate_tokens(*texts: str) -> int:
    """A whole number of tokens for texts whose true count nobody reported: always to be marked as an estimate."""
    weight = sum(weigh(text) for text in texts)
    return max(1, round(weight)) if weight else 0
