"""One colour for each origin and each fate, wherever they are drawn; told apart with the usual colour blindness too.

Searched for with simulated deuteranopia, protanopia and tritanopia (matrices of Machado, Oliveira and Fernandes, 2009):
any two origins are at least 23 apart in CIELAB, any two fates 24, and each colour has a contrast of at least 2.3 to
white and of 3 to black. Where colours are missing, patterns stand for them.
"""

from __future__ import annotations

from ragmeter.model import Fate, Origin

ORIGINS: dict[Origin, str] = {
    Origin.TOOLS: "#934db0",
    Origin.SYSTEM: "#3b49cf",
    Origin.HISTORY: "#666468",
    Origin.CONTEXT: "#db8206",
    Origin.TOOL_RESULTS: "#12b6c4",
    Origin.QUESTION: "#1d7a33",
    Origin.OTHER: "#b5a98f",
}

FATES: dict[Fate, str] = {
    Fate.USED: "#10705f",
    Fate.UNUSED: "#a83208",
    Fate.REPEATED: "#a945f0",
    Fate.UNSENT: "#9a9caa",
    Fate.UNKNOWN: "#cf9616",
}

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
