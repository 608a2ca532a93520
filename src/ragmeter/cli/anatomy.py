"""`ragmeter anatomy`: one prompt taken apart, as a picture in the terminal or a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ragmeter import palette, strategy, tokenizers
from ragmeter.anatomy import Segment
from ragmeter.dissecting import Dissector
from ragmeter.metering import Metered, meter_inference
from ragmeter.model import Chunk, Fate, KnownChunk, Origin
from ragmeter.pricebook import PriceBook
from ragmeter.pricing import Part
from ragmeter.prompt_file import PromptFile, PromptFileError, read_prompt_file

BLOCK = "█"
BAR_WIDTH = 24
EXCERPT = 44
FIGURES = 48
"""Columns that the figures of a chunk take beside its text."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn of one prompt: what was measured, its stretches of text, chunks that were not sent."""

    metered: Metered
    segments: tuple[Segment, ...]
    unsent: tuple[Chunk, ...]
    texts: tuple[str, ...]
    is_exact: bool
    has_response: bool


def anatomy(
    file: Annotated[Path, typer.Argument(help="A request to a provider as JSON, perhaps with response and chunks.")],
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
    screen, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        with notes.status("Loading the price table …"):
            picture = dissect_file(read_prompt_file(file, provider), exact=exact)
    except PromptFileError as error:
        notes.print(f"[red]ragmeter anatomy:[/] {error}", soft_wrap=True)
        raise typer.Exit(2) from error
    if html is None:
        screen.print(draw(picture, screen.width))
        return
    from ragmeter.cli.anatomy_page import page

    html.write_text(page(picture), "utf-8")
    screen.print(f"Written: {html}", soft_wrap=True)


def dissect_file(prompt_file: PromptFile, *, exact: bool | None = None) -> Picture:
    """Measure the prompt of a file as live calls are measured."""
    operation = prompt_file.operation
    dissector = Dissector(exact=tokenizers.is_installed() if exact is None else exact)
    known = dissector.remember(prompt_file.chunks)
    dissection = dissector.dissect(operation, known)
    card = None if operation.model is None else PriceBook({}, builtin=True).card(operation)
    metered = meter_inference(
        operation, dissection, card, dissector.weigher, fine_tuned=strategy.is_fine_tuned(operation.model)
    )
    sent = {use.place.chunk.key for use in metered.context}
    by_key = {(hash(chunk.text), len(chunk.text)): chunk for chunk in prompt_file.chunks}
    texts = tuple(_text_of(dissection.segments, number) for number in range(len(metered.context)))
    unsent = tuple(chunk for key, chunk in by_key.items() if key not in sent)
    return Picture(metered, dissection.segments, unsent, texts, dissection.is_exact, prompt_file.has_response)


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


def draw(picture: Picture, width: int) -> Group:
    """The picture for a terminal of `width` columns."""
    metered = picture.metered
    origins = by_origin(metered.parts)
    total = sum(tokens for tokens, _ in origins.values())
    bar = Text()
    for origin, cells in zip(origins, _cells([tokens for tokens, _ in origins.values()], width), strict=True):
        bar.append(BLOCK * cells, style=palette.ORIGINS[origin])
    pieces: list[Text | Table] = [Text(headline(picture)), bar, _parts_table(origins, total)]
    if metered.context or picture.unsent:
        pieces += [_chunks_table(picture, width), Text(verdict(picture))]
    pieces.append(Text(footnote(picture), style="dim"))
    return Group(*pieces)


def headline(picture: Picture) -> str:
    """Model, tokens, money and strategy in a line."""
    metered = picture.metered
    usage = metered.usage
    tokens = "no tokens" if usage is None else f"{usage.input_tokens or 0:,} input tokens"
    answer = f", {usage.output_tokens:,} output tokens" if usage is not None and usage.output_tokens else ""
    cost = dollars(metered.cost.amount)
    return f"{metered.operation.model or 'unknown model'} · {tokens}{answer} · {cost} · {metered.strategy}"


def verdict(picture: Picture) -> str:
    """What the context bought, in a sentence."""
    uses = picture.metered.context
    context = picture.metered.context_tokens
    share = context / ((picture.metered.usage.input_tokens or 0) if picture.metered.usage else 1) if context else 0
    told = f"{context:,} tokens of context, {share:.0%} of the input"
    used = [use for use in uses if use.place.fate is Fate.USED]
    if any(use.place.fate is not Fate.UNKNOWN for use in uses) and picture.has_response:
        tokens = sum(use.tokens for use in used)
        share = tokens / context if context else 0.0
        told += f"; the answer used {len(used)} of {len(uses)} chunks, {share:.0%} of these tokens"
    ranks = [use.place.chunk.rank for use in used if use.place.chunk.rank is not None]
    retrieved = len(uses) + len(picture.unsent)
    if ranks and max(ranks) + 1 < retrieved:
        told += f"; the first {max(ranks) + 1} of {retrieved} would have done"
    question = picture.metered.question_tokens
    if question and picture.metered.usage is not None:
        told += f"; {(picture.metered.usage.input_tokens or 0) / question:,.0f} tokens for each of the question"
    return told + "."


def footnote(picture: Picture) -> str:
    """How far the figures can be trusted."""
    counted = "counted with the model's own vocabulary" if picture.is_exact else "weighed, a point off on average"
    total = (
        "the total is an estimate too, as no response is given"
        if picture.metered.estimated
        else "the total is the provider's"
    )
    price = picture.metered.cost.row or "no price known"
    return f"Parts {counted}; {total}. Price: {price} ({picture.metered.cost.state.value})."


def dollars(amount: float | None) -> str:
    """An amount as people read it: small ones with two figures that count."""
    if amount is None:
        return "unpriced"
    places = 2 if amount >= 1 or amount <= 0 else 1 - floor(log10(amount))
    return f"${amount:,.{places}f}"


def _cells(weights: Sequence[int], width: int) -> list[int]:
    """Whole cells of a bar for each weight; what is there at all gets one."""
    total = sum(weights) or 1
    ends = [round(sum(weights[: number + 1]) * width / total) for number in range(len(weights))]
    starts = [0, *ends[:-1]]
    return [max(1 if weight else 0, end - start) for weight, start, end in zip(weights, starts, ends, strict=True)]


def _parts_table(origins: dict[Origin, tuple[int, float | None]], total: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("origin", min_width=12)
    for heading in ("tokens", "share", "cost"):
        table.add_column(heading, justify="right", min_width=6)
    table.add_column("")
    for origin, (tokens, cost) in origins.items():
        share = tokens / total if total else 0.0
        bar = Text(BLOCK * max(1, round(share * BAR_WIDTH)), style=palette.ORIGINS[origin])
        table.add_row(origin.value.replace("_", " "), f"{tokens:,}", f"{share:.1%}", dollars(cost), bar)
    return table


def _chunks_table(picture: Picture, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right", min_width=4)
    table.add_column("fate", min_width=8)
    for heading in ("tokens", "cost"):
        table.add_column(heading, justify="right", min_width=6)
    table.add_column("chunk", no_wrap=True, overflow="ellipsis", max_width=max(1, min(EXCERPT, width - FIGURES)))
    for use, text in zip(picture.metered.context, picture.texts, strict=True):
        fate = Text(use.place.fate.value + (" · cited" if use.place.is_cited else ""), palette.FATES[use.place.fate])
        table.add_row(rank_of(use.place.chunk), fate, f"{use.tokens:,}", dollars(use.cost), Text(excerpt(text)))
    for chunk in picture.unsent:
        fate = Text(Fate.UNSENT.value, palette.FATES[Fate.UNSENT])
        table.add_row(str(chunk.rank + 1), fate, "", "", Text(excerpt(chunk.text)))
    return table


def rank_of(chunk: KnownChunk) -> str:
    """A chunk's rank from 1; nothing for a document that was not retrieved."""
    return "" if chunk.rank is None else str(chunk.rank + 1)


def excerpt(text: str) -> str:
    """The beginning of a text in one line; where it was cut it says so."""
    beginning = " ".join(text[: 2 * EXCERPT].split())
    return beginning if len(text) <= 2 * EXCERPT else f"{beginning} …"
