"""What `ragmeter.report()` returns: the figures of this process, which show themselves in terminals and notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from ragmeter import palette
from ragmeter.domain.wording import shown
from ragmeter.measured import telling
from ragmeter.measured.collected import Counted, distributions_of, rows_of
from ragmeter.measured.figures import DISTRIBUTIONS, Amount, Figures, Retrieval, StrategySpend
from ragmeter.measured.samples import Row, Samples
from ragmeter.measured.telling import Sheet

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from ragmeter.guard import Guard

__all__ = ["Amount", "Figures", "Report", "Retrieval", "StrategySpend"]

NOT_INSTRUMENTED = "Nothing is measured: call ragmeter.instrument() first."

LINE = "border-bottom:1px solid #8886;background:none;padding:.2em .6em"
"""Half-transparent grey, which is seen on light and dark pages; all else is inherited from the notebook."""


@dataclass(frozen=True, slots=True)
class Report(Figures):
    """The figures of this process; `str()` is a table for terminals."""

    def __str__(self) -> str:
        return "\n".join(telling.in_text(self))

    def _repr_html_(self) -> str:
        """The same for notebooks, light and dark: no script, no style but on its own elements."""
        return f'<div style="max-width:60em">{"".join(_pieces(self))}</div>'


def report_of(counted: Counted, registry: CollectorRegistry | None, guard: Guard) -> Report:
    """The report of totals, and of the distributions on a page of ours.

    Elsewhere only the app's own readers have distributions, and those are not disturbed.
    """
    return Report.of(Samples.of([*rows_of(counted), *_distributions(registry, guard)]))


def _distributions(registry: CollectorRegistry | None, guard: Guard) -> tuple[Row, ...]:
    try:
        return () if registry is None else tuple(distributions_of(registry, *DISTRIBUTIONS))
    except Exception as error:
        guard.caught("reading distributions", error)
        return ()


def inactive_report() -> Report:
    """The report without `instrument()`."""
    return replace(Report.of(Samples({})), warnings=(NOT_INSTRUMENTED,))


def _pieces(report: Report) -> Iterator[str]:
    if report.is_empty:
        yield _paragraph(telling.NOTHING)
    else:
        yield f"<p><b>{escape(telling.headline(report))}</b></p>"
        yield _table(telling.by_strategy(report))
        yield _bar(report)
        yield _table(telling.by_origin(report))
        for line in (*telling.lines(report), telling.prices(report)):
            if line is not None:
                yield _paragraph(line.text, line.title)
    for warning in report.warnings:
        yield _paragraph(shown(warning), "⚠")


def _paragraph(text: str, title: str = "") -> str:
    return f"<p>{f'<b>{escape(title)}</b> ' if title else ''}{escape(text)}</p>"


def _table(sheet: Sheet) -> str:
    if not sheet.rows:
        return ""
    head = _row("th", sheet.headings)
    body = (_row("td", row, _colour(key)) for row, key in zip(sheet.rows, sheet.keys, strict=True))
    return f'<table style="border-collapse:collapse">{head}{"".join(body)}</table>'


def _row(tag: str, cells: tuple[str, ...], colour: str | None = None) -> str:
    dot = f'<span style="color:{colour}">● </span>' if colour else ""
    first, *numbers = (escape(cell) for cell in cells)
    style = f'style="{LINE};text-align'
    rest = "".join(f'<{tag} {style}:right">{number}</{tag}>' for number in numbers)
    return f'<tr style="background:none"><{tag} {style}:left">{dot}{first}</{tag}>{rest}</tr>'


def _colour(key: str) -> str | None:
    return palette.PARTS.get(key) or palette.STRATEGIES.get(key)


def _bar(report: Report) -> str:
    """The prompt by origin, as stretches of one bar."""
    stretches = "".join(
        f'<div title="{escape(telling.in_words(origin))}" '
        f'style="flex:{amount.tokens} 0 3px;background:{palette.PARTS[origin]}"></div>'
        for origin, amount in report.prompt.items()
        if amount.tokens
    )
    return f'<div style="display:flex;height:1.2em;margin:.5em 0">{stretches}</div>' if stretches else ""
