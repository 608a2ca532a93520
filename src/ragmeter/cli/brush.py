"""What a terminal can show: colours, or patterns, or letters only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from ragmeter import palette
from ragmeter.cli.picture import fate_in_words
from ragmeter.domain.model import Fate, Origin

BLOCK = "█"
DOT = "●"


@dataclass(frozen=True, slots=True)
class Brush:
    """What an output can show: `has_colours` when it has enough of them, `is_ascii` when it has letters only."""

    has_colours: bool
    is_ascii: bool

    def bar(self, origin: Origin, cells: int) -> Text:
        """A stretch of a bar, in the origin's colour or else in its pattern."""
        glyph = palette.LETTERS[origin] if self.is_ascii else BLOCK if self.has_colours else palette.PATTERNS[origin]
        return Text(glyph * cells, palette.ORIGINS[origin] if self.has_colours else "")

    def fate(self, fate: Fate, *, is_cited: bool = False) -> Text:
        """A fate in words, behind a dot of its colour where there are any."""
        words = fate_in_words(fate, is_cited=is_cited)
        return Text.assemble((f"{DOT} ", palette.FATES[fate]), words) if self.has_colours else Text(words)


def brush_of(console: Console) -> Brush:
    """The brush for a console; sixteen colours are too few to tell seven origins apart."""
    is_ascii = console.options.ascii_only
    is_coloured = console.color_system in ("256", "truecolor") and not console.no_color
    return Brush(is_coloured and not is_ascii, is_ascii)


def cells_of(weights: Sequence[int], width: int) -> list[int]:
    """Whole cells of a bar for each weight, `width` in all; what is there at all gets one, the largest gives it."""
    total = sum(weights) or 1
    ends = [round(sum(weights[: number + 1]) * width / total) for number in range(len(weights))]
    cells = [max(end - start, 1) for start, end in zip([0, *ends], ends, strict=False)]
    for _ in range(sum(cells) - width):
        cells[cells.index(max(cells))] -= 1
    return cells
