"""Figures in words and tables of words, before anything is drawn: each way of drawing shows the same digits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ragmeter.domain import strategy
from ragmeter.domain.model import Fate, PriceState
from ragmeter.domain.wording import counted, shown
from ragmeter.measured.figures import Figures, Retrieval, StrategySpend
from ragmeter.money.dollars import dollars

UNKNOWN = "-"
"""What stands for a figure that is not known."""

OUTSIDE = "outside queries"
"""What a table calls money that was spent outside of queries."""

NOTHING = "Nothing measured yet."


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of words: its columns but the first hold numbers. `keys` say what each row is of."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A heading and what is said under it."""

    title: str
    text: str


def headline(figures: Figures) -> str:
    """Queries, failed ones, and the money for all of them."""
    failed = f" ({figures.failed:,} failed)" if figures.failed else ""
    return f"{counted(figures.queries, 'query')}{failed}, {money(figures)}"


def money(figures: Figures) -> str:
    """All that was spent, and how many calls it lacks."""
    unpriced = figures.price_states.get(PriceState.UNPRICED, 0)
    if figures.spend is None and not unpriced:
        return dollars(0.0)
    lacks = f" ({counted(unpriced, 'call')} without a price)" if unpriced and figures.spend is not None else ""
    return f"{_at_least(figures.spend, unpriced)}{lacks}"


def _at_least(cost: float | None, unpriced: int) -> str:
    """US dollars, with a plus where calls without a price come on top."""
    return f"{dollars(cost)}{'+' if unpriced and cost is not None else ''}"


def rate(figures: Figures) -> str:
    """Money an hour; a dash where it is not known."""
    return UNKNOWN if figures.spend_per_hour is None else f"{dollars(figures.spend_per_hour)} an hour"


def by_strategy(figures: Figures) -> Sheet:
    """A row for each strategy, the dearest first."""
    rows = tuple((name_of(each), *(written(each) for written in OF_STRATEGY.values())) for each in figures.strategies)
    return Sheet("", ("strategy", *OF_STRATEGY), rows, tuple(each.strategy for each in figures.strategies))


def name_of(spent: StrategySpend) -> str:
    """A strategy as it is read."""
    return OUTSIDE if spent.strategy == strategy.NONE else shown(spent.strategy)


OF_STRATEGY: Mapping[str, Callable[[StrategySpend], str]] = {
    "queries": lambda spent: f"{spent.queries:,}" if spent.queries else UNKNOWN,
    "failed": lambda spent: f"{spent.failed:,}" if spent.queries else UNKNOWN,
    "spend": lambda spent: _at_least(spent.cost, spent.unpriced),
    "1K queries": lambda spent: _at_least(spent.cost_per_1k, spent.unpriced) if spent.queries else UNKNOWN,
}
"""The columns beside a strategy, and how each is written."""


def by_origin(figures: Figures) -> Sheet:
    """A row for each origin of prompts' tokens."""
    prompt = figures.prompt
    total = sum(amount.tokens for amount in prompt.values()) or 1
    rows = tuple(
        (in_words(origin), f"{amount.tokens:,}", f"{amount.tokens / total:.1%}", dollars(amount.cost))
        for origin, amount in prompt.items()
    )
    return Sheet("prompt", ("prompt", "tokens", "share", "cost"), rows, tuple(prompt))


def in_words(part: str) -> str:
    """An origin or a part as it is read."""
    return shown(part.replace("_", " "))


def lines(figures: Figures) -> tuple[Line, ...]:
    """What needs no table: everything that is known beside the prompts."""
    return tuple(
        line for line in (_beside(figures), _retrieval(figures.retrieval), _cache(figures), _context(figures)) if line
    )


def _beside(figures: Figures) -> Line | None:
    beside = {part: amount for part, amount in figures.parts.items() if part not in figures.prompt}
    told = (
        f"{in_words(part)} {dollars(amount.cost)}" + (f" ({amount.tokens:,} tokens)" if amount.tokens else "")
        for part, amount in beside.items()
    )
    return Line("beside prompts", ", ".join(told)) if beside else None


def _retrieval(found: Retrieval) -> Line | None:
    if not found.searches:
        return None
    told = [counted(found.searches, "search"), f"{found.empty:,} found nothing"]
    told += [f"{name} {_seconds(time)}" for name, time in (("p50", found.p50), ("p95", found.p95)) if time is not None]
    return Line("retrieval", ", ".join(told))


def _seconds(time: float) -> str:
    return f"{time:.2f} s" if time >= 1 else f"{time * 1000:.1f} ms"


def _cache(figures: Figures) -> Line | None:
    if figures.cached_share is None:
        return None
    return Line("cache", f"{figures.cached_share:.1%} of the prompts' tokens were read from a cache")


def _context(figures: Figures) -> Line | None:
    """Where the context's tokens went, and what the useless ones cost."""
    total = sum(amount.tokens for amount in figures.context.values())
    if not total:
        return None
    shares = ", ".join(f"{amount.tokens / total:.1%} {fate}" for fate, amount in figures.context.items())
    has_waste = any(fate in figures.context for fate in (Fate.UNUSED, Fate.REPEATED))
    wasted = f"; {dollars(figures.wasted)} for unused and repeated" if has_waste else ""
    return Line("context", f"{shares}{wasted}")


def prices(figures: Figures) -> Line | None:
    """How far the money can be trusted."""
    told = ", ".join(f"{number:,} {state}" for state, number in figures.price_states.items())
    return Line("calls", told) if told else None


def in_one_line(figures: Figures) -> str | None:
    """What a run has cost, for its end; `None` where nothing was measured."""
    if figures.is_empty:
        return None
    told = [f"{headline(figures)}{_in_brackets(figures)}"]
    if figures.unused_share is not None:
        told.append(f"{figures.unused_share:.0%} of the context unused".replace("%", " %"))
    return f"ragmeter: {', '.join(told)}"


def _in_brackets(figures: Figures) -> str:
    """The strategies, where there is more than one."""
    told = ", ".join(_spent(each) for each in figures.strategies)
    return f" ({told})" if len(figures.strategies) > 1 else ""


def _spent(each: StrategySpend) -> str:
    return f"{name_of(each)} {_at_least(each.cost, each.unpriced)}"


def in_text(figures: Figures, width: int = 80) -> Iterator[str]:
    """All figures in lines of plain text, for any terminal."""
    from textwrap import wrap

    if figures.is_empty:
        yield NOTHING
    else:
        yield headline(figures)
        yield from (row for sheet in (by_strategy(figures), by_origin(figures)) for row in _set(sheet))
        yield ""
        told = [line for line in (*lines(figures), prices(figures)) if line]
        yield from (row for line in told for row in wrap(f"{line.title}: {line.text}", width, subsequent_indent="  "))
    for warning in figures.warnings:
        yield from ("", *wrap(shown(warning), width))


def _set(sheet: Sheet) -> Iterator[str]:
    """A table in columns, below an empty line; nothing where it has no rows."""
    if not sheet.rows:
        return
    table = (sheet.headings, *sheet.rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    yield ""
    for first, *rest in table:
        cells = (f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        yield "  ".join((f"{first:<{widths[0]}}", *cells)).rstrip()
