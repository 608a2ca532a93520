"""One colour for each origin and each fate, wherever they are drawn; told apart with the usual colour blindness too."""

from __future__ import annotations

from ragmeter.model import Fate, Origin

ORIGINS: dict[Origin, str] = {
    Origin.TOOLS: "#8c6bb1",
    Origin.SYSTEM: "#4c78a8",
    Origin.HISTORY: "#9d9da1",
    Origin.CONTEXT: "#f58518",
    Origin.TOOL_RESULTS: "#72b7b2",
    Origin.QUESTION: "#54a24b",
    Origin.OTHER: "#d6d6d9",
}

FATES: dict[Fate, str] = {
    Fate.USED: "#2e8b57",
    Fate.UNUSED: "#e45756",
    Fate.REPEATED: "#b279a2",
    Fate.UNSENT: "#9d9da1",
    Fate.UNKNOWN: "#eeca3b",
}
