"""`ragmeter export`: what was measured as a file for other tools; today FOCUS, for those of FinOps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import fsum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from ragmeter.cli.server_options import Length, OptionError, Password, Select, Since, Token, Until, User, span_of
from ragmeter.focus import charges, columns, files, rows
from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.hours import Hours, hours_of, last_hours, whole_hours
from ragmeter.measured.http import Access
from ragmeter.measured.times import TimeRange
from ragmeter.money.dollars import dollars

app = typer.Typer(no_args_is_help=True, help="What was measured, as a file for other tools.")


@app.callback()
def _group() -> None:
    """Keep `focus` a command of its own: a group of one command would be that command."""


@dataclass(slots=True)
class Written:
    """What was written, to be told."""

    rows: int = 0
    costs: list[float] = field(default_factory=list)
    tokens: float = 0.0
    unpriced: int = 0

    def add(self, found: Sequence[charges.Charge]) -> None:
        """Count the charges of one hour."""
        self.rows += len(found)
        self.costs += [each.cost for each in found if each.cost is not None]
        self.tokens += sum(each.tokens or 0.0 for each in found)
        self.unpriced += sum(each.cost is None for each in found)


@app.command()
def focus(
    *,
    prometheus: Annotated[str, typer.Option(metavar="URL", help="The Prometheus-compatible server to read.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, .csv or .parquet.")],
    span: Length = "1d",
    since: Since = None,
    until: Until = None,
    select: Select = "",
    sub_account: Annotated[
        str | None, typer.Option(metavar="LABEL", help="The label of your app that is the sub account, such as team.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="A label of your app that becomes a tag; repeatable.")
    ] = None,
    billing_account: Annotated[
        str, typer.Option(metavar="ID", help="The billing account that the rows name.")
    ] = rows.UNKNOWN_ACCOUNT,
    user: User = None,
    password: Password = "",
    token: Token = None,
) -> None:
    """Write hourly rows of FOCUS: one for each meter, provider, model, strategy and origin of a prompt's text.

    Whole hours in UTC. The rows are an estimate beside the invoice: BilledCost is 0, our figure stands in ListCost,
    ContractedCost and EffectiveCost.
    """
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    labels = tuple(dict.fromkeys((*([sub_account] if sub_account else ()), *(tag or ()))))
    try:
        files.check(output)
        hours = hours_of(
            prometheus,
            _hours(span, since, until),
            charges.METRICS,
            labels=labels,
            access=Access(user, password, token),
            matchers=select,
        )
        written = _write(hours, output, rows.Account(billing_account, sub_account), labels, notes)
    except (MeasuredError, OptionError, files.FileError, OSError) as error:
        notes.print("[red]ragmeter export focus:[/]", Text(str(error)))
        raise typer.Exit(2) from error
    _tell(hours, written, output)


def _hours(length: str, since: str | None, until: str | None) -> TimeRange:
    span = span_of(length, since, until)
    return last_hours(span) if since is None else whole_hours(span)


def _write(hours: Hours, output: Path, account: rows.Account, labels: Sequence[str], notes: Console) -> Written:
    written = Written()
    with _progress(notes, f"Reading {hours.source.span}") as progress, files.written(output) as write:
        for hour in hours.read(progress):
            found = charges.charges(hour, labels)
            write([rows.row(each, account) for each in found])
            written.add(found)
    return written


@contextmanager
def _progress(notes: Console, title: str) -> Iterator[Callable[[float], None]]:
    bars = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*bars, console=notes, transient=True) as progress:
        bar = progress.add_task(title, total=1.0)
        yield lambda share: progress.update(bar, completed=share)


def _tell(hours: Hours, written: Written, output: Path) -> None:
    screen = Console(highlight=False, soft_wrap=True)
    screen.print(
        Text(
            f"{output}: {written.rows:,} rows of FOCUS {columns.VERSION}, {hours.source.span}: "
            f"{written.tokens:,.0f} tokens, {dollars(fsum(written.costs))}."
        )
    )
    if written.unpriced:
        screen.print(Text(f"{written.unpriced:,} rows have no price: their costs are null, not 0."))
    for note in hours.notes:
        screen.print(Text(note))
