"""Pieces of a page in HTML, in which what comes from outside is text. What they give is HTML already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from ragmeter.domain.wording import shown

ADDRESS = re.compile(r"https?://[^\s,<>\"']+")

DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")


def safe(text: str) -> str:
    """A text as HTML, in which nothing is markup and nothing steers."""
    return escape(shown(text))


def linked(text: str) -> str:
    """A text in which addresses are links that tell nobody where they were followed from."""
    pieces, end = [], 0
    for found in ADDRESS.finditer(text):
        address = safe(found[0])
        host = address.split("/")[2] or address
        pieces += [_dated(text[end : found.start()]), f'<a href="{address}" rel="noreferrer">{host}</a>']
        end = found.end()
    return "".join((*pieces, _dated(text[end:])))


def _dated(text: str) -> str:
    """A text in which days stay on one line."""
    return DATE.sub(r"<time>\g<0></time>", safe(text))


def section(name: str, heading: str, *content: str) -> str:
    """A part of a page with its heading, by which tables in it are called too."""
    inside = "\n".join(filter(None, content))
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{safe(heading)}</h2>\n{inside}\n</section>'


def table(
    name: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: Sequence[str] = (),
    lines: Sequence[str] = (),
) -> str:
    """A table of cells that are HTML, called as the section `name`.

    Columns are numbers, but the first, and those of `texts`, and those of `lines`, which have a line of their own on a
    narrow screen. There rows are cards: the roles are written out, as they would be lost.
    """
    kinds = [_kind(heading, (headings[0], *texts), lines) for heading in headings]
    head = "".join(
        f'<th scope="col" role="columnheader"{kind}>{safe(heading)}</th>'
        for heading, kind in zip(headings, kinds, strict=True)
    )
    body = "\n".join(f'<tr role="row">{_cells(headings, kinds, row)}</tr>' for row in rows)
    return (
        f'<div class="table"><table role="table" aria-labelledby="{name}">\n'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}\n</tbody></table></div>'
    )


def _kind(heading: str, texts: Sequence[str], lines: Sequence[str]) -> str:
    if heading in lines:
        return ' class="long"'
    return "" if heading in texts else ' class="number"'


def _cells(headings: Sequence[str], kinds: Sequence[str], row: Sequence[str]) -> str:
    first, *others = row
    cells = (
        f'<td role="cell" data-label="{safe(heading)}"{kind}><span>{cell}</span></td>'
        for heading, kind, cell in zip(headings[1:], kinds[1:], others, strict=True)
    )
    return f'<th scope="row" role="rowheader">{first}</th>{"".join(cells)}'


def broken(text: str) -> str:
    """A figure with what stands in brackets on a line below it."""
    return safe(text).replace(" (", "<br>(")


def legend(entries: Sequence[str]) -> str:
    """Entries that are HTML, beside each other."""
    items = "".join(f"<li>{entry}</li>" for entry in entries)
    return f'<ul class="legend soft">{items}</ul>'


def soft(text: str) -> str:
    """A paragraph that says how to read something."""
    return f'<p class="soft">{safe(text)}</p>'
