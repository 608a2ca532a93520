"""What a provider makes of tool definitions, learned from its own totals.

Providers render a tool's schema in a form of their own and may add a prompt of theirs to it. For each model and set of
tools the factor is the median of what the reported totals leave for them; until enough are known, a prior.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from ragmeter.facts import Fact, read

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPrompt(Fact):
    """The tokens of the prompt that a provider adds to any tools, for models whose name a pattern fits in full."""

    models: str
    tokens: int


TOOL_PROMPTS = read("tool_prompts", ToolPrompt)

LEAST_OBSERVED = 3
MOST_OBSERVED = 15
"""Totals from which a factor is told: fewer leave the prior, the oldest beyond go."""

LEAST_SHARE = 0.5
LEAST_SHARE_OF_EXACT = 0.05
"""Weight of the tools to that of the rest, for them to be told from the error of the rest: weights are some percent
off, real counts are not."""

BOUNDS = (0.2, 30.0)
"""Factors of recorded calls: from 0.4 for OpenAI's models to 20 for a single small tool of others."""

MOST_KEYS = 1_024

FRAMING = 4
"""Tokens around each fragment, taken off before the rest is ascribed to the tools."""


class Calibration:
    """Factors by model and set of tools, and how a model's tokens compare to our weights where no tools are."""

    def __init__(self) -> None:
        self._factors: OrderedDict[tuple[str, int], deque[float]] = OrderedDict()
        self._scales: OrderedDict[str, deque[float]] = OrderedDict()

    def tools_factor(self, model: str, tools: int, weight: float, declared: float | None) -> float:
        """The factor for tools with the hash `tools` whose texts weigh `weight`, as declarations `declared`."""
        observed = self._factors.get((model, tools), ())
        if len(observed) >= LEAST_OBSERVED:
            return _median(observed)
        if weight <= 0:
            return 1.0
        if declared is not None:
            return declared / weight
        return (weight + _tokens_added(model)) / weight

    def observe(
        self,
        model: str,
        tools: int,
        *,
        total: int,
        tools_weight: float,
        other_weight: float,
        fragments: int,
        is_known: bool,
        is_exact: bool,
    ) -> None:
        """Learn from a total the provider has reported for `fragments` texts of these weights."""
        if not tools_weight:
            if other_weight > 0 and not is_known:
                _append(self._scales, model, total / other_weight)
            return
        scale = 1.0 if is_known else self._scale(model)
        if scale is None or tools_weight < (LEAST_SHARE_OF_EXACT if is_exact else LEAST_SHARE) * other_weight:
            return
        left = total / scale - other_weight - FRAMING * fragments
        _append(self._factors, (model, tools), min(BOUNDS[1], max(BOUNDS[0], left / tools_weight)))

    def _scale(self, model: str) -> float | None:
        observed = self._scales.get(model, ())
        return _median(observed) if len(observed) >= LEAST_OBSERVED else None


def _median(observed: Collection[float]) -> float:
    """The median; the standard library's comes with six milliseconds of imports."""
    ordered = sorted(observed)
    half = len(ordered) // 2
    return (ordered[half] + ordered[~half]) / 2


def _tokens_added(model: str) -> int:
    return next((row.tokens for row in TOOL_PROMPTS if re.fullmatch(row.models, model)), 0)


def _append(observed: OrderedDict[Key, deque[float]], key: Key, value: float) -> None:
    if key not in observed and len(observed) >= MOST_KEYS:
        observed.popitem(last=False)
    observed.setdefault(key, deque(maxlen=MOST_OBSERVED)).append(value)
