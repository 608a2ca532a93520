"""Draws the figures of a running app for a terminal of any size: what matters least goes first where room is short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ragmeter import palette
from ragmeter.cli.brush import Brush, cells_of
from ragmeter.domain.model import Origin
from ragmeter.domain.wording import counted, shown
from ragmeter.measured import telling
from ragmeter.measured.figures import Figures
from ragmeter.measured.telling import Sheet
from ragmeter.measured.watching import Sight

GAP = 2
"""Columns between two columns of a table."""

LEAST_BAR, LONGEST_BAR = 8, 30
LEAST_NAME = 8
"""Columns that are left to the name of a row at least: a longer one is cut."""

GIVEN_UP = ("failed", "cost", "queries", "spend", "share")
"""Columns that a narrow terminal goes without, in this order."""


Lines = list[list[Segment]]


class Block(NamedTuple):
    """A piece of the frame; of two, the one with the higher `rank` goes first where there is no room for both."""

    rank: int
    piece: RenderableType


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the app, fitted to the terminal it is printed in."""

    sight: Sight
    brush: Brush

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.update(height=None)
        drawn = [
            (block.rank, console.render_lines(block.piece, room, pad=False))
            for block in _blocks(self.sight, self.brush, options.max_width)
        ]
        for at, line in enumerate(_fitted(drawn, options.height)):
            if at:
                yield Segment.line()
            yield from line
        if options.height is None:
            yield Segment.line()


def _fitted(drawn: list[tuple[int, Lines]], height: int | None) -> Lines:
    """The lines of those pieces, each with its rank, that there is room for; of equal ranks the last goes first."""
    kept = list(drawn)
    while height is not None and len(kept) > 1 and sum(len(lines) for _, lines in kept) > height:
        kept.pop(max(range(len(kept)), key=lambda at: (kept[at][0], at)))
    return [line for _, lines in kept for line in lines][:height]


def _blocks(sight: Sight, brush: Brush, width: int) -> Iterator[Block]:
    figures = sight.figures
    yield Block(1, _header(sight, brush))
    if sight.trouble is not None:
        yield Block(1, Text(shown(sight.trouble), "red" if brush.has_colours else "bold"))
    if figures.is_empty:
        yield Block(2, Text(f"{telling.NOTHING} The app has made no call that has ended."))
    else:
        yield Block(0, _headline(sight, brush))
        yield from _tables(figures, brush, width)
        for line in (*telling.lines(figures), telling.prices(figures)):
            if line is not None:
                yield Block(6, Text.assemble((line.title, "bold"), " ", line.text))
    for warning in figures.warnings:
        yield Block(4, Text.assemble(("! ", "yellow" if brush.has_colours else "bold"), shown(warning)))


def _tables(figures: Figures, brush: Brush, width: int) -> Iterator[Block]:
    strategies = telling.by_strategy(figures)
    if strategies.rows:
        yield Block(9, "")
        yield Block(2, _table(strategies, width, [Text(row[0], _colour(row, brush)) for row in _keyed(strategies)]))
    prompt = telling.by_origin(figures)
    if prompt.rows:
        tokens = [amount.tokens for amount in figures.prompt.values()]
        bar = zip(figures.prompt, cells_of(tokens, width), strict=True)
        yield Block(9, "")
        yield Block(3, Text.assemble(*(brush.bar(Origin(origin), each) for origin, each in bar)))
        yield Block(5, _prompt_table(prompt, tokens, width, brush))
        yield Block(9, "")


def _keyed(sheet: Sheet) -> Iterator[tuple[str, str]]:
    return ((row[0], key) for row, key in zip(sheet.rows, sheet.keys, strict=True))


def _colour(row: tuple[str, str], brush: Brush) -> str:
    return palette.STRATEGIES.get(row[1], "") if brush.has_colours else ""


def _header(sight: Sight, brush: Brush) -> Text:
    told = ("ragmeter top", sight.source, f"read {sight.age:.0f} s ago", sight.since)
    return Text(_joined(told, brush), "dim")


def _headline(sight: Sight, brush: Brush) -> Text:
    """Money first: all of it, and at the rate of the last minutes."""
    figures = sight.figures
    told = [telling.headline(figures)]
    if sight.recent is not None:
        told.append(f"{telling.rate(sight.recent)} over the last {sight.recent.seconds or 0:.0f} s")
    if figures.warnings:
        told.append(counted(len(figures.warnings), "warning"))
    return Text(_joined(told, brush), "bold")


def _joined(told: tuple[str, ...] | list[str], brush: Brush) -> str:
    return (" - " if brush.is_ascii else " · ").join(told)


def _prompt_table(sheet: Sheet, tokens: list[int], width: int, brush: Brush) -> Table:
    """The prompt by origin: each with its mark in the bar above, and with a bar of its own where there is room."""
    names = [Text.assemble(brush.bar(Origin(key), 1), " ", name) for name, key in _keyed(sheet)]
    room = min(LONGEST_BAR, width - _width(sheet, sheet.headings) - 2 - GAP)
    if room < LEAST_BAR:
        return _table(sheet, width, names)
    longest = max(tokens) or 1
    bars = [brush.bar(Origin(key), round(each / longest * room)) for key, each in zip(sheet.keys, tokens, strict=True)]
    return _table(sheet, width, names, bars)


def _table(sheet: Sheet, width: int, names: list[Text], bars: list[Text] | None = None) -> Table:
    """A table with as many of its columns as there is room for; `names` stand in the first one."""
    kept = _kept(sheet, width)
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    table.add_column(kept[0], no_wrap=True, overflow="ellipsis")
    for heading in kept[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    if bars is not None:
        table.add_column("", no_wrap=True)
    places = [sheet.headings.index(heading) for heading in kept[1:]]
    for at, row in enumerate(sheet.rows):
        table.add_row(names[at], *(row[place] for place in places), *(() if bars is None else (bars[at],)))
    return table


def _kept(sheet: Sheet, width: int) -> tuple[str, ...]:
    kept = sheet.headings
    for heading in GIVEN_UP:
        if _width(sheet, kept) <= width:
            break
        kept = tuple(each for each in kept if each != heading)
    return kept


def _width(sheet: Sheet, headings: tuple[str, ...]) -> int:
    """Columns that a table takes with these of its columns, and with its names cut where it comes to that."""
    places = [sheet.headings.index(heading) for heading in headings]
    widths = [max(len(row[place]) for row in (sheet.headings, *sheet.rows)) for place in places]
    return sum(widths) + GAP * len(widths)
