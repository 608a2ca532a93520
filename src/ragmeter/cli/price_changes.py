"""`ragmeter price --update FILE`: what a newer file of prices changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ragmeter.domain.model import Usage
from ragmeter.money.price_changes import PriceChange, changes_of_library, changes_of_table
from ragmeter.money.price_table import PriceTable
from ragmeter.money.price_updates import read_newer
from ragmeter.money.pricebook import PriceBook
from ragmeter.money.quotes import quotes
from ragmeter.reading.price_library import PriceLibrary


def read_changes(file: Path, prices: PriceTable, model: str | None, at: datetime) -> tuple[PriceChange, ...]:
    """What the prices of a file change at a moment; of one model alone where it is given.

    Raises `PriceTableError` when the file cannot be used, `QuoteError` for a model that nobody has a price for.
    """
    newer, before = read_newer(file), PriceBook(prices)
    if newer.library is None:
        names = newer.table if model is None else (model,)
        found = changes_of_table(before, PriceBook({**prices, **newer.table}), names, at)
    else:
        found = changes_of_library(PriceLibrary(), PriceLibrary(data=newer.library), at, model)
    changes = tuple(found)
    if model is not None and not changes:
        quotes(before, model, None, Usage(), at)
    return changes


def show_changes(screen: Console, file: Path, changes: Sequence[PriceChange]) -> None:
    """Print the changes as a table, and how a running app takes them."""
    if not changes:
        screen.print(Text(f"{file} changes no price."), soft_wrap=True)
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in ("provider", "model", "unit"):
        table.add_column(heading, overflow="fold")
    for heading in ("now", "then", "change"):
        table.add_column(heading, justify="right")
    for change in changes:
        table.add_row(change.provider, change.model, _unit(change), *_amounts(change))
    screen.print(table)
    counted = f"{len(changes):,} prices differ." if len(changes) > 1 else "One price differs."
    screen.print(
        Text(
            f"{counted} US dollars for a million tokens, or for 1,000 of what is no token.\n"
            f"A running app takes them from RAGMETER_PRICE_UPDATES={file}, or after an update of genai-prices."
        ),
        soft_wrap=True,
    )


def _unit(change: PriceChange) -> str:
    above = f" above {change.above:,}" if change.above else ""
    only = f" ({change.only})" if change.only else ""
    return change.unit.replace("_", " ").removesuffix(" tokens") + above + only


def _amounts(change: PriceChange) -> tuple[str, str, str]:
    """The price now, the price then, and by how much it changes."""
    now, then = ("-" if price is None else f"${price:,.12g}" for price in (change.before, change.after))
    if change.before is None:
        return now, then, "new"
    if change.after is None:
        return now, then, "gone"
    return now, then, f"{change.after / change.before - 1:+.0%}" if change.before else "not free"


def as_data(changes: Sequence[PriceChange]) -> list[dict[str, Any]]:
    """The changes for JSON."""
    return [asdict(change) for change in changes]
