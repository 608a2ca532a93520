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
    for each in dearest(found):
        yield Text()
        if each.cuts:
            yield _table(each, is_wide=width >= 100)
        yield Text(f"{shown(each.collection)}: {each.verdict}", "bold")
    yield from (Text(shown(note), "dim") for note in notes(found))


def dearest(found: Sequence[RightK]) -> Sequence[RightK]:
    """The collections that are shown."""
    return found[:MOST_COLLECTIONS]


def notes(found: Sequence[RightK]) -> tuple[str, ...]:
    """What the figures of the collections that are shown cannot tell, each once."""
    return tuple(dict.fromkeys(note for each in dearest(found) for note in each.notes))


def title(of: RightK) -> str:
    """What stands above the table of a collection."""
    return f"A smaller k for {of.collection} (today {of.today})"


def headings(*, is_wide: bool) -> tuple[str, ...]:
    """What stands above the figures of `cells`."""
    ranges = ("in 19 of 20 cases",) if is_wide else ()
    return ("cut", "used chunks kept", "tokens saved", "saves by 1K queries", *ranges, "a month")


def rows(of: RightK) -> tuple[Cut, ...]:
    """The cuts that are shown."""
    return (*of.cuts[-MOST_CUTS:], *of.score_cuts[-MOST_SCORE_CUTS:])


def _table(of: RightK, *, is_wide: bool) -> Table:
    name = Text(shown(title(of)), "bold")
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", title=name, title_justify="left"
    )
    for number, heading in enumerate(headings(is_wide=is_wide)):
        table.add_column(heading, justify="right" if number else "left")
    for cut in rows(of):
        style = "bold" if cut is of.best else ""
        table.add_row(*(Text(cell, style) for cell in cells(cut, is_wide=is_wide)))
    return table


def cells(cut: Cut, *, is_wide: bool) -> Iterator[str]:
    """The name of a cut and its figures, with their intervals where there is room."""
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
