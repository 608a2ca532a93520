"""`ragmeter demo --history`: write two weeks of a made-up shop's metrics for Prometheus, and say how to load them.

The file also has what our hourly recording rules would have recorded, so that panels over a month have a past.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from ragmeter.measured.times import FIRST_YEAR, LAST_YEAR, duration, in_utc, moment

if TYPE_CHECKING:
    from ragmeter.demo.history.generation import Period
    from ragmeter.demo.history.incidents import Incident

DEFAULT_OUTPUT = Path("history.om")
DEFAULT_EVERY = "2m"
LONGEST = timedelta(days=60)
LEAST_EVERY, MOST_EVERY = timedelta(seconds=15), timedelta(minutes=4)
"""Prometheus treats a series as gone when it had no sample for five minutes."""

MADE_UP = (
    "Made up: no program ran. Single queries were drawn at random and counted as ragmeter counts those of a program."
)


def write_history(length: str, output: Path | None, every: str | None, end: str | None, json_file: Path | None) -> None:
    """Write the history that the options of `ragmeter demo` ask for, and its incidents to `json_file`.

    Bad options end the command with an error that names them.
    """
    target = output or DEFAULT_OUTPUT
    wanted, step = _length(length), _step(every or DEFAULT_EVERY)
    if wanted < 2 * step:
        raise typer.BadParameter("it must be at least two steps of --every.", param_hint="--history")
    _check_files(target, json_file)
    until = _moment(end)
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    if find_spec("numpy") is None:
        notes.print("[red]Error:[/]", Text("The history needs numpy: pip install 'ragmeter[demo]'"))
        raise typer.Exit(1)
    from ragmeter.demo.history.generation import Period, rounded_down

    _write_files(Period(wanted, rounded_down(until, step), step), target, json_file, notes)


def _check_files(target: Path, json_file: Path | None) -> None:
    """Refuse files that cannot be written, before the minutes that the history takes."""
    _check_file(target, "--output")
    if json_file is not None:
        _check_file(json_file, "--json")
        if json_file.resolve() == target.resolve():
            raise typer.BadParameter("it is the file of the history.", param_hint="--json")


def _check_file(path: Path, hint: str) -> None:
    if not path.resolve().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}.", param_hint=hint)
    if path.exists() and not path.is_file():
        # A device would be replaced by a file.
        raise typer.BadParameter(f"{path} is not a file that can be replaced.", param_hint=hint)


def _write_files(period: Period, target: Path, json_file: Path | None, notes: Console) -> None:
    try:
        planted = _write(period, target, notes)
        if json_file is not None:
            json_file.write_text(json.dumps([_plain(each) for each in planted], indent=2) + "\n", "utf-8")
    except OSError as error:
        notes.print("[red]Error:[/]", Text(f"The history could not be written: {error}"))
        raise typer.Exit(1) from error
    _tell(period, target, planted)


def _write(period: Period, target: Path, notes: Console) -> tuple[Incident, ...]:
    from ragmeter.demo.history.generation import flows, generate
    from ragmeter.demo.history.openmetrics import write
    from ragmeter.demo.history.recorded import recorded

    with _progress(notes) as start:
        history = generate(period, advance=start("Making up queries", sum(1 for _ in flows(period))))
        # Under another name until it is complete: half a history would load without a complaint.
        part = target.with_name(f"{target.name}.part")
        with part.open("w", encoding="utf-8") as file:
            recorded(history, file)
            write(history, file, advance=start("Writing series", len(history.lines)))
        part.replace(target)
    return history.incidents


@contextmanager
def _progress(notes: Console) -> Iterator[Callable[[str, int], Callable[[], None]]]:
    """Bars on the screen: call with a title and the number of steps, and call what that gives after each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes) as progress:

        def start(title: str, total: int) -> Callable[[], None]:
            bar = progress.add_task(title, total=total)
            return lambda: progress.advance(bar)

        yield start


def _tell(period: Period, target: Path, planted: tuple[Incident, ...]) -> None:
    """Say what was written, how it is loaded, and what is to be seen in it."""
    from ragmeter.demo.history.loading import load_command

    screen = Console(highlight=False, soft_wrap=True)
    size = target.stat().st_size / 1e6
    screen.print(f"\nFrom {period.start:%Y-%m-%d %H:%M} to {period.end:%Y-%m-%d %H:%M} UTC, {size:,.0f} MB. {MADE_UP}")
    screen.print("\nLoad it while no Prometheus runs on the data folder, then start Prometheus there:", style="bold")
    screen.print(Text(" ".join(load_command(period.length, target, "DATA_FOLDER"))))
    seconds = int(period.every.total_seconds())
    screen.print(f"\nIn Grafana, set the data source's scrape interval to {seconds}s: rates need two samples.")
    _tell_incidents(screen, planted)


def _tell_incidents(screen: Console, planted: tuple[Incident, ...]) -> None:
    if not planted:
        screen.print("\nIncidents: none. The first one is planted a week after the start.")
        return
    screen.print("\nIncidents (UTC):", style="bold")
    for each in planted:
        where = f"{each.strategy}, {each.collection}" if each.collection else each.strategy
        until = f"{each.end:%H:%M}" if each.end.date() == each.start.date() else f"{each.end:%Y-%m-%d %H:%M}"
        screen.print(Text(f"{each.start:%Y-%m-%d %H:%M} to {until}  {each.name} ({where}): {each.alert}"))


def _plain(incident: Incident) -> dict[str, str]:
    return {
        "name": incident.name,
        "start": incident.start.isoformat(),
        "end": incident.end.isoformat(),
        "alert": incident.alert,
        "strategy": incident.strategy,
        "collection": incident.collection,
    }


def _length(text: str) -> timedelta:
    found = duration(text)
    if found is None or not timedelta(0) < found <= LONGEST:
        raise typer.BadParameter(f"write a time such as 14d or 36h, at most {LONGEST.days}d.", param_hint="--history")
    return found


def _step(text: str) -> timedelta:
    found = duration(text)
    if found is None or not LEAST_EVERY <= found <= MOST_EVERY:
        raise typer.BadParameter(
            f"write a time such as 30s or 2m, from {LEAST_EVERY.seconds}s to {MOST_EVERY.seconds // 60}m: Prometheus "
            "forgets a series after five minutes without a sample.",
            param_hint="--every",
        )
    return found


def _moment(text: str | None) -> datetime:
    """A time as people write it by ISO 8601, in UTC where it does not say; now where there is none."""
    if text is None:
        return datetime.now(UTC)
    found = moment(text)
    if found is None:
        raise typer.BadParameter(
            f"write a time such as 2026-05-01T12:00Z, in the years {FIRST_YEAR} to {LAST_YEAR}; got {text!r}.",
            param_hint="--end",
        )
    return in_utc(found)
