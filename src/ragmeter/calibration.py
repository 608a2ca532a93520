"""What a provider makes of tool definitions, learned from its own totals.

Providers render a tool's schema in a form of their own: of OpenAI's it is known that a type declaration takes 0.61
(0.41 to 0.74) of the tokens of the compact JSON. For each model and set of tools the factor is the median of what the
reported totals leave for them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from statistics import median
from typing import TypeVar

Key = TypeVar("Key")

PRIOR_OF_OPENAI = 0.6
PRIOR = 1.0

LEAST_OBSERVED = 3
MOST_OBSERVED = 15
"""Totals from which a factor is told: fewer leave the prior, the oldest beyond go."""

LEAST_SHARE = 0.1
"""Of a prompt's weight, for its tools to be told from the error of the rest."""

BOUNDS = (0.2, 3.0)

MOST_KEYS = 1_024

FRAMING = 4
"""Tokens around each part, taken off before the rest is ascribed to the tools."""


class Calibration:
    """Factors by model and set of tools, and how a model's tokens compare to our weights where no tools are."""

    def __init__(self) -> None:
        self._factors: OrderedDict[tuple[str, int], deque[float]] = OrderedDict()
        self._scales: OrderedDict[str, deque[float]] = OrderedDict()

    def tools_factor(self, model: str, tools: int, *, is_known: bool) -> float:
        """The factor for the set of tools with the hash `tools`; `is_known` says that it is one of OpenAI's models."""
        observed = self._factors.get((model, tools), ())
        if len(observed) >= LEAST_OBSERVED:
            return median(observed)
        return PRIOR_OF_OPENAI if is_known else PRIOR

    def observe(
        self,
        model: str,
        tools: int,
        *,
        total: int,
        tools_weight: float,
        other_weight: float,
        parts: int,
        is_known: bool,
    ) -> None:
        """Learn from a total the provider has reported for texts of these weights."""
        if not tools_weight:
            if other_weight > 0 and not is_known:
                _append(self._scales, model, total / other_weight)
            return
        scale = 1.0 if is_known else self._scale(model)
        if scale is None or tools_weight < LEAST_SHARE * other_weight:
            return
        left = total / scale - other_weight - FRAMING * parts
        _append(self._factors, (model, tools), min(BOUNDS[1], max(BOUNDS[0], left / tools_weight)))

    def _scale(self, model: str) -> float | None:
        observed = self._scales.get(model, ())
        return median(observed) if len(observed) >= LEAST_OBSERVED else None


def _append(observed: OrderedDict[Key, deque[float]], key: Key, value: float) -> None:
    if key not in observed and len(observed) >= MOST_KEYS:
        observed.popitem(last=False)
    observed.setdefault(key, deque(maxlen=MOST_OBSERVED)).append(value)
