"""`ragmeter top`: what a running app spends and on what, live in the terminal."""

from __future__ import annotations

import sys
import time
from io import TextIOWrapper
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ragmeter.cli.brush import brush_of
from ragmeter.cli.server_options import Password, Token, User
from ragmeter.cli.top_picture import Frame
from ragmeter.domain.wording import shown
from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.http import Access
from ragmeter.measured.watching import Watching

TICK = 1.0
"""Seconds between two frames, so that the age of a reading is seen."""


def top(
    url: Annotated[str, typer.Argument(metavar="URL", help="The /metrics page of a running app.")],
    *,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="How often the page is read.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print one frame, and end.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Count only what comes from now on.")] = False,
    user: User = None,
    password: Password = "",
    token: Token = None,
) -> None:
    """Watch what a running app spends and on what. Ctrl-C ends it.

    Where the output is no terminal, one frame is printed.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    screen, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        watching = Watching(url, access=Access(user, password, token), is_new=new)
        if once or not screen.is_terminal or screen.is_dumb_terminal:
            screen.print(_frame(watching, screen), end="")
        else:
            _watch(watching, screen, every)
    except MeasuredError as error:
        notes.print("[red]ragmeter top:[/]", Text(shown(str(error))), soft_wrap=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        # That is how it is ended.
        return


def _watch(watching: Watching, screen: Console, every: float) -> None:
    """Show a frame whenever the page is read, and each second."""
    due = time.monotonic() + every
    with Live(_frame(watching, screen), console=screen, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_frame(watching, screen), refresh=True)
            time.sleep(max(0.0, min(TICK, due - time.monotonic())))
            if time.monotonic() >= due:
                watching.again()
                due = time.monotonic() + every


def _frame(watching: Watching, screen: Console) -> Frame:
    return Frame(watching.sight(), brush_of(screen))
