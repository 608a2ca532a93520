"""`ragmeter anatomy`: one prompt taken apart, as a picture in the terminal or a page."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ragmeter import palette
from ragmeter.anatomy.dissecting import Dissector
from ragmeter.anatomy.parts import Segment
from ragmeter.cli.prompt_file import PromptFile, PromptFileError, read_prompt_file
from ragmeter.domain import strategy
from ragmeter.domain.model import Chunk, Fate, KnownChunk, Origin
from ragmeter.ledger.metering import ContextUse, Metered, meter_inference
from ragmeter.money.dollars import dollars
from ragmeter.money.pricebook import PriceBook
from ragmeter.money.pricing import Part

BLOCK = "█"
DOT = "●"
BAR_WIDTH = 24
EXCERPT = 90
"""Characters of a chunk's beginning."""

FIGURES = 44
"""Columns that the figures of a chunk take beside its text at most."""

NARROW = 64
"""Columns below which a table goes without its bars, and the table of chunks without costs."""

_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move the cursor, turn the direction of the text, or cannot be written in UTF-8."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn of one prompt: what was measured, its stretches of text, chunks that were not sent.

    `texts` are those of the places in `metered.context`; `retrieved` counts the different chunks of the file.
    """

    metered: Metered
    segments: tuple[Segment, ...]
    unsent: tuple[Chunk, ...]
    texts: tuple[str, ...]
    retrieved: int
    is_exact: bool
    has_response: bool


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


def anatomy(
    file: Annotated[
        Path, typer.Argument(help="A request to a provider as JSON, perhaps with response and chunks; - reads it here.")
    ],
    *,
    html: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write a page with the whole prompt instead.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Whose prices and form: openai, anthropic, groq …")] = None,
    exact: Annotated[
        bool | None, typer.Option("--exact/--weighed", help="Count tokens, or weigh them; counted where it can be.")
    ] = None,
) -> None:
    """Take one prompt apart: where its tokens came from, what they cost, which chunks the answer used.

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
    from ragmeter.cli.anatomy_page import page

    try:
        path.write_text(page(picture), "utf-8")
    except OSError as error:
        raise PromptFileError(f"{path}: cannot be written: {error.strerror}") from error


def dissect_file(prompt_file: PromptFile, *, exact: bool | None = None) -> Picture:
    """Measure the prompt of a file as live calls are measured."""
    operation = prompt_file.operation
    dissector = Dissector(exact=exact is not False)
    known = dissector.remember(prompt_file.chunks)
    dissection = dissector.dissect(operation, known)
    card = None if operation.model is None else PriceBook({}, builtin=True).card(operation)
    metered = meter_inference(
        operation, dissection, card, dissector.weigher, fine_tuned=strategy.is_fine_tuned(operation.model)
    )
    sent = {use.place.chunk.key for use in metered.context}
    # Of equal chunks the one ranked best.
    by_key = {chunk.key: text for chunk, text in zip(reversed(known), reversed(prompt_file.chunks), strict=True)}
    texts = tuple(_text_of(dissection.segments, number) for number in range(len(metered.context)))
    unsent = tuple(sorted((c for key, c in by_key.items() if key not in sent), key=lambda chunk: chunk.rank))
    return Picture(
        metered, dissection.segments, unsent, texts, len(by_key), dissection.is_exact, prompt_file.has_response
    )


def _text_of(segments: Sequence[Segment], place: int) -> str:
    return " ".join(segment.text for segment in segments if segment.place == place)


def by_origin(parts: Sequence[Part]) -> dict[Origin, tuple[int, float | None]]:
    """Tokens and cost of each origin that has any, in the order of the parts, which is that of the wire."""
    result: dict[Origin, tuple[int, float | None]] = {}
    for part in parts:
        if part.part in set(Origin):
            tokens, cost = result.get(Origin(part.part), (0, None))
            known = [each for each in (cost, part.cost) if each is not None]
            result[Origin(part.part)] = (tokens + part.tokens, sum(known) if known else None)
    return result


def draw(picture: Picture, width: int, brush: Brush) -> Group:
    """The picture for a terminal of `width` columns."""
    metered = picture.metered
    origins = by_origin(metered.parts)
    cells = _cells([tokens for tokens, _ in origins.values()], width)
    bar = Text.assemble(*(brush.bar(origin, each) for origin, each in zip(origins, cells, strict=True)))
    pieces: list[Text | Table] = [Text(headline(picture)), bar, _parts_table(origins, width, brush)]
    if metered.context or picture.unsent:
        pieces += [Text(), _chunks_table(picture, width, brush), Text(), Text(verdict(picture))]
    pieces.append(Text(footnote(picture), style="dim"))
    return Group(*pieces)


def headline(picture: Picture) -> str:
    """Model, tokens, money and strategy in a line."""
    metered = picture.metered
    usage = metered.usage
    tokens = "no tokens" if usage is None else f"{usage.input_tokens or 0:,} input tokens"
    answer = f", {usage.output_tokens:,} output tokens" if usage is not None and usage.output_tokens else ""
    cost = dollars(metered.cost.amount)
    return f"{excerpt(metered.operation.model or 'unknown model')} · {tokens}{answer} · {cost} · {metered.strategy}"


def verdict(picture: Picture) -> str:
    """What the context bought, in a sentence."""
    metered, uses = picture.metered, picture.metered.context
    if not uses:
        return f"None of the {counted(picture.retrieved, 'retrieved chunk')} stands in the prompt."
    total = sum(part.tokens for part in metered.parts if part.part in set(Origin))
    told = [
        f"{counted(metered.context_tokens, 'token')} of context, {_share(metered.context_tokens, total)} of the input"
    ]
    used = [use for use in uses if use.place.fate is Fate.USED]
    if picture.has_response and any(use.place.fate in (Fate.USED, Fate.UNUSED) for use in uses):
        share = _share(sum(use.tokens for use in used), metered.context_tokens)
        told.append(f"the answer used {len(used)} of {counted(len(uses), 'chunk')}, {share} of these tokens")
    if enough := _enough(used, picture.retrieved):
        told.append(f"the first {enough} would have done")
    if metered.question_tokens:
        told.append(f"{counted(round(total / metered.question_tokens), 'token')} for each of the question")
    return "; ".join(told) + "."


def _enough(used: Sequence[ContextUse], retrieved: int) -> str:
    """How many of the chunks, best first, hold all that were used; nothing when it takes all of them."""
    needed = max((use.place.chunk.rank + 1 for use in used if use.place.chunk.rank is not None), default=0)
    if not 0 < needed < retrieved:
        return ""
    return f"of {retrieved}" if needed == 1 else f"{needed} of {retrieved}"


def _share(tokens: int, total: int) -> str:
    return f"{tokens / total if total else 0.0:.0%}"


def counted(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def footnote(picture: Picture) -> str:
    """How far the figures can be trusted."""
    parts = "counted with the model's own vocabulary" if picture.is_exact else "weighed, a point off on average"
    missing = "the response has no usage" if picture.has_response else "no response is given"
    total = (
        f"the total is an estimate too, as {missing}" if picture.metered.estimated else "the total is the provider's"
    )
    price = picture.metered.cost.row or "no price known"
    return f"Parts {parts}; {total}. Price: {price} ({picture.metered.cost.state.value})."


def fate_in_words(fate: Fate, *, is_cited: bool) -> str:
    """A fate, and whether the answer names the chunk."""
    return f"{fate.value} · cited" if is_cited else fate.value


def _cells(weights: Sequence[int], width: int) -> list[int]:
    """Whole cells of a bar for each weight, `width` in all; what is there at all gets one, the largest gives it."""
    total = sum(weights) or 1
    ends = [round(sum(weights[: number + 1]) * width / total) for number in range(len(weights))]
    cells = [max(end - start, 1) for start, end in zip([0, *ends], ends, strict=False)]
    for _ in range(sum(cells) - width):
        cells[cells.index(max(cells))] -= 1
    return cells


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


def origin_in_words(origin: Origin) -> str:
    """An origin as it is read."""
    return origin.value.replace("_", " ")


def rank_of(chunk: KnownChunk) -> str:
    """A chunk's rank from 1; nothing for a document that was not retrieved."""
    return "" if chunk.rank is None else str(chunk.rank + 1)


def excerpt(text: str) -> str:
    """The beginning of a text in one line, to the end of a word where there are blanks; where it was cut it says so."""
    line = shown(" ".join(text[: 4 * EXCERPT].split()))
    if len(line) <= EXCERPT:
        return line
    end = line.rfind(" ", EXCERPT - 20, EXCERPT)
    return f"{line[: end if end > 0 else EXCERPT]} …"


def shown(text: str) -> str:
    """A text that does nothing but be read: what would steer a terminal or cannot be written is a mark."""
    return _UNSHOWN.sub("\ufffd", text)
