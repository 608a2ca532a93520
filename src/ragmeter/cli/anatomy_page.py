"""The page of `ragmeter anatomy --html`: the bar, the figures, and the prompt itself in the colours of its origins."""

from __future__ import annotations

from html import escape
from string import Template

from ragmeter import palette
from ragmeter.cli.anatomy import Picture, by_origin, dollars, excerpt, footnote, headline, rank_of, verdict
from ragmeter.model import Fate, Origin

PAGE = Template(
    """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Anatomy of a prompt</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
.bar { display: flex; height: 2.6rem; border-radius: 6px; overflow: hidden; margin: 1rem 0; }
.bar div { min-width: 3px; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884; }
td.fate { white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.dot { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .5em; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, monospace; }
pre span { border-left: 4px solid; padding-left: .4rem; display: block; }
.note { opacity: .7; }
</style>
<h1>Anatomy of a prompt</h1>
<p>$headline</p>
<div class="bar" role="img" aria-label="Input tokens by origin">$bar</div>
<table><tr><th>origin<th class="number">tokens<th class="number">share<th class="number">cost</tr>$parts</table>
$chunks
<p class="note">$footnote</p>
<h2>The prompt</h2>
<pre>$prompt</pre>
</html>
"""
)


def page(picture: Picture) -> str:
    """The whole page; everything that comes from the prompt is escaped, nothing is loaded from anywhere."""
    origins = by_origin(picture.metered.parts)
    total = sum(tokens for tokens, _ in origins.values()) or 1
    return PAGE.substitute(
        headline=escape(headline(picture)),
        bar="".join(_slice(origin, tokens, total) for origin, (tokens, _) in origins.items()),
        parts="".join(_part(origin, tokens, cost, total) for origin, (tokens, cost) in origins.items()),
        chunks=_chunks(picture),
        footnote=escape(footnote(picture)),
        prompt="".join(_stretch(picture, number) for number in range(len(picture.segments))),
    )


def _slice(origin: Origin, tokens: int, total: int) -> str:
    title = f"{origin.value}: {tokens:,} tokens, {tokens / total:.1%}"
    return f'<div style="flex: {tokens}; background: {palette.ORIGINS[origin]}" title="{title}"></div>'


def _part(origin: Origin, tokens: int, cost: float | None, total: int) -> str:
    return (
        f'<tr><td><span class="dot" style="background: {palette.ORIGINS[origin]}"></span>'
        f'{origin.value.replace("_", " ")}<td class="number">{tokens:,}<td class="number">{tokens / total:.1%}'
        f'<td class="number">{dollars(cost)}</tr>'
    )


def _chunks(picture: Picture) -> str:
    if not picture.metered.context and not picture.unsent:
        return ""
    rows = [
        _chunk(rank_of(use.place.chunk), use.place.fate, text, f"{use.tokens:,}", dollars(use.cost))
        for use, text in zip(picture.metered.context, picture.texts, strict=True)
    ]
    rows += [_chunk(str(chunk.rank + 1), Fate.UNSENT, chunk.text, "", "") for chunk in picture.unsent]
    head = '<tr><th>rank<th>fate<th class="number">tokens<th class="number">cost<th>chunk</tr>'
    return f"<h2>The context</h2><p>{escape(verdict(picture))}</p><table>{head}{''.join(rows)}</table>"


def _chunk(rank: str, fate: Fate, text: str, tokens: str, cost: str) -> str:
    dot = f'<span class="dot" style="background: {palette.FATES[fate]}"></span>'
    return (
        f'<tr><td>{rank}<td class="fate">{dot}{fate.value}'
        f'<td class="number">{tokens}<td class="number">{cost}<td>{escape(excerpt(text))}</tr>'
    )


def _stretch(picture: Picture, number: int) -> str:
    segment = picture.segments[number]
    title = segment.origin.value
    colour = palette.ORIGINS[segment.origin]
    if segment.place is not None:
        fate = picture.metered.context[segment.place].place.fate
        title, colour = f"context, {fate.value}", palette.FATES[fate]
    return f'<span style="border-color: {colour}; background: {colour}22" title="{title}">{escape(segment.text)}</span>'
