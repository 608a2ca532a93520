"""Answers as no provider should send them: recorded ones with something odd in some place, told by a seed."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, -0.5, 3.7, 2**53, 10**20, -(10**20), 1e300, float("nan"), float("inf"), float("-inf")),
    *("", "x", "12", "n/a", "\ud800", "x" * 5_000, [], {}, [None], [1, 2], [[]], {"a": 1}, {"text": "x"}, [{}]),
)
"""What is put in some place of an answer."""


def mutated(value: Any, random: Random) -> Any:
    """A copy with one to three places that are odd, gone, doubled or somewhere else."""
    holder = {"answer": copy.deepcopy(value)}
    for _ in range(random.randint(1, 3)):
        if places := _places(holder):
            _change(random, *random.choice(places))
    return holder.get("answer")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a structure, as what holds it and where; usage several times, for it is what counts."""
    found: list[tuple[Any, Any]] = []
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        inner = _places(value[key])
        weight = 6 if key in ("usage", "model", "service_tier") else 1
        found += [(value, key)] * weight + inner * weight
    return found


def _change(random: Random, holder: Any, key: Any) -> None:
    if isinstance(holder, list) and key >= len(holder):
        return
    if isinstance(holder, dict) and key not in holder:
        return
    what = random.random()
    if what < 0.7:
        holder[key] = copy.deepcopy(random.choice(ODD))
    elif what < 0.8:
        del holder[key]
    elif what < 0.9:
        holder[key] = [holder[key]] * 2
    else:
        holder[key] = {"value": holder[key]}
