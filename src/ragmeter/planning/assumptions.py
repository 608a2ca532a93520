"""What a plan takes for granted: a value for each quantity, given or by a dated default. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache

from ragmeter import facts
from ragmeter.planning.quantities import QUANTITIES, Quantity
from ragmeter.planning.ranges import Range, RangeError, middle, read_range


class AssumptionError(ValueError):
    """An assumption that cannot be used: `path` names it, the message says what to write."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumptionRow(facts.Fact):
    """A default with its source, `published` on a day where that is known.

    `mistaken` is a range that is often written in its place, for the reason in `why` a wrong one.
    """

    assumption: str
    low: float
    high: float
    published: str = ""
    mistaken: Sequence[float] = ()
    why: str = ""


@cache
def default_rows() -> Mapping[str, AssumptionRow]:
    """The dated defaults by the path of their quantity."""
    return {row.assumption: row for row in ROWS}


ROWS = facts.read("assumptions", AssumptionRow)


@dataclass(frozen=True, slots=True)
class Assumption:
    """One quantity as the plan uses it; `source` is where it comes from: a scenario, a price table, a dated default."""

    quantity: Quantity
    range: Range
    source: str

    @property
    def middle(self) -> float:
        """The median of its range."""
        return middle(self.range, self.quantity.scale)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """All that a plan assumes, by path; `built` are the components whose set-up is paid already.

    Without `built` those count as built that were seen at work. `compared_to` is the strategy that others are held
    against; without it the one that answers most queries.
    """

    values: Mapping[str, Assumption] = field(default_factory=dict)
    built: tuple[str, ...] | None = None
    compared_to: str | None = None

    def has(self, path: str) -> bool:
        """Whether there is a value for a path."""
        return path in self.values


NOBODY = "nobody says otherwise"


GIVEN = "given"


def assume(
    given: Mapping[str, object],
    sources: Mapping[str, str] | None = None,
    *,
    built: tuple[str, ...] | None = None,
    compared_to: str | None = None,
) -> Assumptions:
    """Assumptions from values by path (a number, or a pair of numbers from the 5 % to the 95 % quantile).

    What is not given has its dated default, else counts for nothing. `sources` says by path where a value comes from.
    Raises `AssumptionError` for a path that is none and a value that cannot be.
    """
    named = sources or {}
    values = {path: _read(path, value, named.get(path, GIVEN)) for path, value in given.items()}
    return Assumptions({**_defaults(), **values}, built, compared_to)


def _read(path: str, value: object, source: str) -> Assumption:
    quantity = quantity_at(path)
    try:
        return Assumption(quantity, read_range(value, quantity.scale), source)
    except RangeError as error:
        what = f"{quantity.meaning} ({quantity.unit})"
        raise AssumptionError(path, f"{error}; write {what} as one number or as [low, high]") from None


def quantity_at(path: str) -> Quantity:
    """The quantity at a path. Raises `AssumptionError` where there is none."""
    if (quantity := QUANTITIES.get(path)) is not None:
        return quantity
    if within := [name for name in QUANTITIES if name.startswith(f"{path}.")]:
        raise AssumptionError(path, f"there stand several below it; write them by name, such as {within[0]}")
    close = get_close_matches(path, QUANTITIES, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}?" if close else "`ragmeter plan --list` names all that there is"
    raise AssumptionError(path, f"there is no such assumption; {hint}")


def _defaults() -> dict[str, Assumption]:
    neutral = {
        name: Assumption(quantity, Range(quantity.neutral, quantity.neutral), NOBODY)
        for name, quantity in QUANTITIES.items()
        if quantity.neutral is not None
    }
    dated = {
        name: Assumption(QUANTITIES[name], Range(row.low, row.high), _source(row))
        for name, row in default_rows().items()
    }
    return {**neutral, **dated}


def _source(row: AssumptionRow) -> str:
    """Where a default is from, with the source's own date where it has one, and the day on which it was read."""
    published = f" of {row.published}" if row.published else ""
    return f"{row.source}{published}, read {row.date}"


def doubtful(assumptions: Assumptions) -> tuple[str, ...]:
    """A sentence for each range that is often written by mistake and stands there."""
    return tuple(
        f"{name} is [{row.mistaken[0]:,.0f}, {row.mistaken[1]:,.0f}]: {row.why}. Without them it is "
        f"[{row.low:,.0f}, {row.high:,.0f}]."
        for name, row in default_rows().items()
        if row.mistaken and name in assumptions.values and _is(assumptions.values[name].range, row.mistaken)
    )


def _is(range_: Range, ends: Sequence[float]) -> bool:
    return (range_.low, range_.high) == (ends[0], ends[-1])


def not_counted(assumptions: Assumptions) -> tuple[str, ...]:
    """What the plan leaves out because nobody said what it costs."""
    return tuple(
        quantity.left_out
        for name, quantity in QUANTITIES.items()
        if quantity.left_out and assumptions.values[name].source == NOBODY
    )
