"""Draws the third option of a plan for a terminal: what a smaller k saves and takes away, collection by collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ragmeter.cli.plan_words import amount
from ragmeter.domain.wording import shown
from ragmeter.planning.right_k import Cut, Interval, RightK

MOST_COLLECTIONS = 3
MOST_CUTS, MOST_SCORE_CUTS = 8, 3
"""Rows of a table: cuts by rank and by score that keep the most, for those are chosen from."""


def right_k(found: Sequence[RightK], width: int) -> Iterator[RenderableType]:
    """A table and a verdict for each of the dearest collections, and what the figures cannot tell."""
    for each in found[:MOST_COLLECTIONS]:
        yield Text()
        if each.cuts:
            yield _table(each, is_wide=width >= 100)
        yield Text(f"{shown(each.collection)}: {each.verdict}", "bold")
    for note in dict.fromkeys(note for each in found[:MOST_COLLECTIONS] for note in each.notes):
        yield Text(shown(note), "dim")


def _table(of: RightK, *, is_wide: bool) -> Table:
    title = Text(f"A smaller k for {shown(of.collection)} (today {of.today})", "bold")
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", title=title, title_justify="left"
    )
    table.add_column("cut")
    ranges = ["in 19 of 20 cases"] if is_wide else []
    for heading in ("used chunks kept", "tokens saved", "saves by 1K queries", *ranges, "a month"):
        table.add_column(heading, justify="right")
    for cut in (*of.cuts[-MOST_CUTS:], *of.score_cuts[-MOST_SCORE_CUTS:]):
        style = "bold" if cut is of.best else ""
        table.add_row(*(Text(cell, style) for cell in _cells(cut, is_wide=is_wide)))
    return table


def _cells(cut: Cut, *, is_wide: bool) -> Iterator[str]:
    saved, a_month = cut.dollars_saved, cut.dollars_saved_a_month
    yield cut.name
    yield f"{cut.kept.value:.0%} ({100 * cut.kept.low:.0f}\u2013{cut.kept.high:.0%})"
    yield f"{cut.tokens_saved.value:,.0f}"
    yield amount(None if saved is None else saved.value)
    if is_wide:
        yield "-" if saved is None else _ends(saved)
    yield amount(None if a_month is None else a_month.value)


def _ends(saved: Interval) -> str:
    return f"{amount(saved.low)} to {amount(saved.high)}"
