"""`ragmeter anatomy`: one prompt taken apart, as a picture in the terminal or a page."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ragmeter.cli.anatomy_page import page
from ragmeter.cli.brush import Brush, brush_of, cells_of
from ragmeter.cli.picture import Picture, dissect_file, excerpt, origin_in_words, rank_of
from ragmeter.cli.prompt_file import PromptFileError, read_prompt_file
from ragmeter.domain.model import Fate, Origin
from ragmeter.domain.wording import shown
from ragmeter.money.dollars import dollars

BAR_WIDTH = 24

FIGURES = 44
"""Columns that the figures of a chunk take beside its text at most."""

NARROW = 64
"""Columns below which a table goes without its bars, and the table of chunks without costs."""


def anatomy(
    file: Annotated[
        Path,
        typer.Argument(help="JSON of a request, optionally with response and chunks; - reads standard input."),
    ],
    *,
    html: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write an HTML page with the whole prompt instead.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="The provider whose prices and format apply: openai, anthropic, groq …")
    ] = None,
    exact: Annotated[
        bool | None,
        typer.Option("--exact/--weighed", help="Count tokens, or estimate them by weight. Default: count if possible."),
    ] = None,
) -> None:
    """Take one prompt apart: where its tokens come from, what they cost, which chunks the answer used.

    FILE holds the body of a request, or {"request": …, "response": …, "chunks": […]}. Nothing leaves this machine.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A prompt may hold any character, and not every output can write it.
            stream.reconfigure(errors="replace")
    screen, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        with notes.status("Loading the price table …"):
            picture = dissect_file(read_prompt_file(file, provider), exact=exact)
        if html is not None:
            _write(html, picture)
    except PromptFileError as error:
        notes.print("[red]ragmeter anatomy:[/]", Text(shown(str(error))), soft_wrap=True)
        raise typer.Exit(2) from error
    if html is None:
        screen.print(draw(picture, screen.width, brush_of(screen)))
    else:
        screen.print(Text(shown(f"Written: {html}")), soft_wrap=True)


def _write(path: Path, picture: Picture) -> None:
    try:
        path.write_text(page(picture), "utf-8")
    except OSError as error:
        raise PromptFileError(f"{path}: cannot be written: {error.strerror}") from error


def draw(picture: Picture, width: int, brush: Brush) -> Group:
    """The picture for a terminal of `width` columns."""
    metered = picture.metered
    origins = picture.origins
    cells = cells_of([tokens for tokens, _ in origins.values()], width)
    bar = Text.assemble(*(brush.bar(origin, each) for origin, each in zip(origins, cells, strict=True)))
    pieces: list[Text | Table] = [Text(picture.headline), bar, _parts_table(origins, width, brush)]
    if metered.context or picture.unsent:
        pieces += [Text(), _chunks_table(picture, width, brush), Text(), Text(picture.verdict)]
    pieces.append(Text(picture.footnote, style="dim"))
    return Group(*pieces)


def _table(width: int) -> Table:
    padding = 0 if width < NARROW else 1
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, padding), header_style="bold")


def _parts_table(origins: dict[Origin, tuple[int, float | None]], width: int, brush: Brush) -> Table:
    table = _table(width)
    table.add_column("origin", min_width=12)
    for heading in ("tokens", "share", "cost"):
        table.add_column(heading, justify="right", min_width=6)
    if width >= NARROW:
        table.add_column("")
    total = sum(tokens for tokens, _ in origins.values()) or 1
    for origin, (tokens, cost) in origins.items():
        row: list[str | Text] = [origin_in_words(origin), f"{tokens:,}", f"{tokens / total:.1%}", dollars(cost)]
        if width >= NARROW:
            row.append(brush.bar(origin, max(1, round(tokens / total * BAR_WIDTH))))
        table.add_row(*row)
    return table


def _chunks_table(picture: Picture, width: int, brush: Brush) -> Table:
    table = _table(width)
    table.add_column("rank", justify="right", min_width=4)
    table.add_column("fate", min_width=8, no_wrap=True)
    for heading in ("tokens", "cost") if width >= NARROW else ("tokens",):
        table.add_column(heading, justify="right", min_width=6, no_wrap=True)
    table.add_column("chunk", no_wrap=True, overflow="ellipsis", max_width=max(8, width - FIGURES))
    for use, text in zip(picture.metered.context, picture.texts, strict=True):
        fate = brush.fate(use.place.fate, is_cited=use.place.is_cited)
        figures = [f"{use.tokens:,}", dollars(use.cost)] if width >= NARROW else [f"{use.tokens:,}"]
        table.add_row(rank_of(use.place.chunk), fate, *figures, Text(excerpt(text)))
    for chunk in picture.unsent:
        figures = ["", ""] if width >= NARROW else [""]
        table.add_row(str(chunk.rank + 1), brush.fate(Fate.UNSENT), *figures, Text(excerpt(chunk.text)))
    return table
