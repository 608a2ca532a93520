"""What comes from outside passes here before it enters a total, a span or a label: numbers, amounts and names. Pure.

A provider's answer is not to be trusted: one count of 10**20 ends an app's metric export, a negative one makes a
counter fall, a list where a name belongs breaks every table it is looked up in.
"""

from __future__ import annotations

from typing import Any

MOST = 2**53
"""The first whole number that a float, as which metrics travel, can no longer tell from its neighbour."""

LONGEST_NAME = 200
"""Characters of a name that are kept: model ids and collections are shorter, ARNs of Bedrock reach 150."""


def whole(value: Any) -> int | None:
    """`value` as a count: a finite number from 0 to below 2**53, its fraction cut off; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A comparison with NaN is false.
    return int(value) if 0 <= value < MOST else None


def amount(value: Any) -> float | None:
    """`value` as an amount that may have a fraction: finite, from 0 to below 2**53; `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < MOST else None


def name(value: Any) -> str | None:
    """`value` as a name: text that every exporter can encode, cut to 200 characters; `None` for what is no text."""
    if not isinstance(value, str):
        return None
    return text(value if len(value) <= LONGEST_NAME else value[:LONGEST_NAME])


def text(value: str) -> str:
    """`value` as every exporter can encode it: a lone half of a surrogate pair becomes `?`."""
    # Most texts are ASCII: one look at each.
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
