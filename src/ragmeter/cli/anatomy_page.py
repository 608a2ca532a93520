"""The page of `ragmeter anatomy --html`: the bar, the figures, and the prompt itself in the colours of its origins."""

from __future__ import annotations

from html import escape
from string import Template

from ragmeter import palette
from ragmeter.cli.picture import Picture, excerpt, fate_in_words, origin_in_words, rank_of
from ragmeter.domain.model import Fate, Origin
from ragmeter.domain.wording import counted, shown
from ragmeter.ledger.metering import ContextUse
from ragmeter.money.dollars import dollars

LONG = 1_500
"""Characters from which on a stretch of the prompt is folded up."""

BEGINNING = 500
"""Characters of a folded stretch that are seen."""

PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Anatomy of a prompt</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
p, .text { overflow-wrap: anywhere; }
.bar { display: flex; height: 2.6rem; border-radius: 6px; overflow: hidden; margin: 1rem 0; }
.bar div { min-width: 3px; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884; }
td.fate { white-space: nowrap; }
td.text { min-width: 8rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.dot { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .5em; }
.legend > span { white-space: nowrap; margin-right: 1.2rem; }
.prompt { font: 13px/1.5 ui-monospace, monospace; }
.prompt > div { display: grid; grid-template-columns: 11rem minmax(0, 1fr); border-left: 6px solid; }
.prompt > div::before { content: attr(data-label); padding: .1rem .6rem; font: 12px/1.6 system-ui, sans-serif; }
.prompt .text { padding: .1rem .4rem; white-space: pre-wrap; unicode-bidi: plaintext; }
summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::after { content: attr(data-more); font: 12px system-ui, sans-serif; text-decoration: underline; }
details[open] summary::after { content: none; }
.note { opacity: .75; }
@media (max-width: 40rem) { .prompt > div { display: block; } }
</style>
</head>
<body>
<h1>Anatomy of a prompt</h1>
<p>$headline</p>
<div class="bar" role="img" aria-label="Input tokens by origin">$bar</div>
<table><tr><th>origin<th class="number">tokens<th class="number">share<th class="number">cost</tr>$parts</table>
$chunks
<p class="note">$footnote</p>
<h2>The prompt</h2>
<p class="legend">$legend</p>
<div class="prompt">$prompt</div>
</body>
</html>
"""
)


def page(picture: Picture) -> str:
    """The whole page; everything that comes from the prompt is escaped, nothing is loaded from anywhere."""
    origins = picture.origins
    total = sum(tokens for tokens, _ in origins.values()) or 1
    return PAGE.substitute(
        headline=_safe(picture.headline),
        bar="".join(_slice(origin, tokens, total) for origin, (tokens, _) in origins.items()),
        parts="".join(_part(origin, tokens, cost, total) for origin, (tokens, cost) in origins.items()),
        chunks=_chunks(picture),
        footnote=_safe(picture.footnote),
        legend=_legend(picture),
        prompt="".join(_stretch(picture, number) for number in range(len(picture.segments))),
    )


def _safe(text: str) -> str:
    return escape(shown(text))


def _dot(colour: str) -> str:
    return f'<span class="dot" style="background: {colour}"></span>'


def _slice(origin: Origin, tokens: int, total: int) -> str:
    title = f"{origin_in_words(origin)}: {tokens:,} tokens, {tokens / total:.1%}"
    return f'<div style="flex: {tokens}; background: {palette.ORIGINS[origin]}" title="{title}"></div>'


def _part(origin: Origin, tokens: int, cost: float | None, total: int) -> str:
    return (
        f"<tr><td>{_dot(palette.ORIGINS[origin])}{origin_in_words(origin)}"
        f'<td class="number">{tokens:,}<td class="number">{tokens / total:.1%}<td class="number">{dollars(cost)}</tr>\n'
    )


def _chunks(picture: Picture) -> str:
    if not picture.metered.context and not picture.unsent:
        return ""
    rows = [_sent(use, text) for use, text in zip(picture.metered.context, picture.texts, strict=True)]
    rows += [_chunk(str(chunk.rank + 1), _fate(Fate.UNSENT), ("", ""), chunk.text) for chunk in picture.unsent]
    head = '<tr><th>rank<th>fate<th class="number">tokens<th class="number">cost<th>chunk</tr>'
    return f"<h2>The context</h2>\n<p>{_safe(picture.verdict)}</p>\n<table>{head}\n{''.join(rows)}</table>"


def _sent(use: ContextUse, text: str) -> str:
    fate = _fate(use.place.fate, is_cited=use.place.is_cited)
    return _chunk(rank_of(use.place.chunk), fate, (f"{use.tokens:,}", dollars(use.cost)), text)


def _fate(fate: Fate, *, is_cited: bool = False) -> str:
    return f"{_dot(palette.FATES[fate])}{fate_in_words(fate, is_cited=is_cited)}"


def _chunk(rank: str, fate: str, figures: tuple[str, str], text: str) -> str:
    numbers = "".join(f'<td class="number">{figure}' for figure in figures)
    return f'<tr><td>{rank}<td class="fate">{fate}{numbers}<td class="text">{_safe(excerpt(text))}</tr>\n'


def _look(picture: Picture, number: int) -> tuple[str, str]:
    """The colour of a stretch and what it is in words: its origin, or of a chunk the fate."""
    segment = picture.segments[number]
    if segment.place is None:
        return palette.ORIGINS[segment.origin], origin_in_words(segment.origin)
    fate = picture.metered.context[segment.place].place.fate
    return palette.FATES[fate], f"{fate.value} chunk"


def _legend(picture: Picture) -> str:
    looks = dict.fromkeys(_look(picture, number) for number in range(len(picture.segments)))
    return "\n".join(f"<span>{_dot(colour)}{words}</span>" for colour, words in looks)


def _stretch(picture: Picture, number: int) -> str:
    segment = picture.segments[number]
    colour, label = _look(picture, number)
    # Chunks stand out from the text around them.
    strength = "1a" if segment.place is None else "44"
    if segment.place is not None and (rank := rank_of(picture.metered.context[segment.place].place.chunk)):
        label = f"{label} {rank}"
    style = f"border-color: {colour}; background: {colour}{strength}"
    return f'<div style="{style}" data-label="{label}">{_folded(segment.text)}</div>\n'


def _folded(text: str) -> str:
    """A text as it is; of a long one only the beginning is seen until one asks for the rest."""
    if len(text) <= LONG:
        return f'<div class="text">{_safe(text)}</div>'
    beginning, rest = _safe(text[:BEGINNING]), _safe(text[BEGINNING:])
    more = f" … {counted(len(text) - BEGINNING, 'more character')}"
    return f'<details class="text"><summary data-more="{more}">{beginning}</summary>{rest}</details>'
