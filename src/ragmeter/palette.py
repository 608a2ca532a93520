"""One colour for each origin, fate, strategy and driver of a bill, wherever drawn; told apart by the colour-blind too.

Searched for with simulated deuteranopia, protanopia and tritanopia (matrices of Machado, Oliveira and Fernandes, 2009):
any two origins are at least 23 apart in CIELAB, any two parts of a bill 16, any two fates 24, any two strategies 42,
any two drivers 40, and each colour has a contrast of at least 2.2 to white and of 3 to black. Where colours are
missing, patterns stand for them.
"""

from __future__ import annotations

from ragmeter.domain import strategy
from ragmeter.domain.model import Fate, Origin

ORIGINS: dict[Origin, str] = {
    Origin.TOOLS: "#934db0",
    Origin.SYSTEM: "#3b49cf",
    Origin.HISTORY: "#666468",
    Origin.CONTEXT: "#db8206",
    Origin.TOOL_RESULTS: "#12b6c4",
    Origin.QUESTION: "#1d7a33",
    Origin.OTHER: "#b5a98f",
}

PARTS: dict[str, str] = {
    **{origin.value: colour for origin, colour in ORIGINS.items()},
    "output": "#f0489c",
    "reasoning": "#7800fc",
    "embedding": "#90b460",
    "search": "#9090fc",
    "rerank": "#d80c30",
    "ingestion": "#993684",
}
"""Everything that money is spent on: the origins of a prompt's tokens, and what is no prompt."""

FATES: dict[Fate, str] = {
    Fate.USED: "#10705f",
    Fate.UNUSED: "#a83208",
    Fate.REPEATED: "#a945f0",
    Fate.UNSENT: "#9a9caa",
    Fate.UNKNOWN: "#cf9616",
}

STRATEGIES: dict[str, str] = {
    strategy.BASE: "#1fbbf8",
    strategy.RAG: "#5540da",
    strategy.FINE_TUNED: "#e2a320",
    strategy.FINE_TUNED_RAG: "#ae0a7b",
    strategy.NONE: "#a7b27e",
}

DRIVERS: dict[str, str] = {
    "traffic": "#25c0b4",
    "calls per query": "#4b54a6",
    "tokens per call": "#bb063a",
    "money per token": "#a1ba00",
}
"""What drives a bill. It is drawn beside strategies, and looks like none of them."""

PATTERNS: dict[Origin, str] = {
    Origin.TOOLS: "▚",
    Origin.SYSTEM: "▓",
    Origin.HISTORY: "░",
    Origin.CONTEXT: "█",
    Origin.TOOL_RESULTS: "▞",
    Origin.QUESTION: "▒",
    Origin.OTHER: "·",
}

LETTERS: dict[Origin, str] = {
    Origin.TOOLS: "T",
    Origin.SYSTEM: "S",
    Origin.HISTORY: "H",
    Origin.CONTEXT: "C",
    Origin.TOOL_RESULTS: "R",
    Origin.QUESTION: "Q",
    Origin.OTHER: "O",
}
"""For outputs that have letters only."""
