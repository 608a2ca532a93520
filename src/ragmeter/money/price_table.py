"""The app's own prices: a table of models in US dollars, read from a mapping or a file and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ragmeter.domain.model import COUNTS, Count
from ragmeter.money.pricing import REQUESTS, Line, Rate, RateCard

PriceTable = Mapping[str, "Mapping[str, float | Mapping[str, float]] | str"]
"""Model name or shell pattern -> US dollars per million tokens by unit, or the name of the model it stands for.

Under `units` stand US dollars for one of whatever else is billed. The name may be a provider's or a database's, too.
"""

OTHERS = "units"
"""Where an entry has the prices of what has no name here."""


def _root(count: Count) -> Count:
    holder = next((each for each in COUNTS if each.field == count.part_of), None)
    return count if holder is None else _root(holder)


def _line(count: Count) -> Line:
    named = next((line for line in (Line.CACHE_READ, Line.CACHE_WRITE) if count.field.startswith(line)), None)
    return named or Line(_root(count).field.removesuffix(TOKENS))


TOKENS = "_tokens"

UNITS: dict[str, tuple[str, Line, float]] = {
    # A part stands before what it is a part of.
    **{each.field.removesuffix(TOKENS): (each.unit, _line(each), 1e6) for each in reversed(COUNTS)},
    "web_search": ("web_searches", Line.UNITS, 1e3),
    "file_search": ("storage_searches", Line.UNITS, 1e3),
    "request": (REQUESTS, Line.REQUEST, 1.0),
}
"""Units of a price table: the count they price, the line of the bill, and how many the price is for."""


def _held_by(field: str) -> tuple[str, ...]:
    parts = [count for count in COUNTS if count.part_of == field]
    return tuple(unit for count in parts for unit in (*_held_by(count.field), count.unit))


FEES = frozenset(count for count, line, _ in UNITS.values() if line is Line.UNITS)
"""Those that may stand among the other units as well, with the price of one."""

PARTS_OF = {count.unit: _held_by(count.field) for count in COUNTS}
"""Units, and those that count a part of them."""


class PriceTableError(ValueError):
    """A price table of the app that cannot be used; the message says which entry and what to write."""


def card_of(prices: Mapping[str, Any], row: str, *, exact: bool = True) -> RateCard:
    """A rate card from a price table's entry."""
    units = [unit for unit in UNITS if unit in prices]
    numbers = {UNITS[unit][0]: number for number, unit in enumerate(units)}
    rates = []
    for unit in units:
        count, line, per = UNITS[unit]
        within = tuple(numbers[part] for part in PARTS_OF.get(count, ()) if part in numbers)
        rates.append(Rate(count, line, prices[unit] / per, within=within))
    rates += [Rate(unit, Line.UNITS, price) for unit, price in prices.get(OTHERS, {}).items() if unit not in numbers]
    return RateCard(tuple(rates), row, exact)


def card_of_provider(table: PriceTable, provider: str, *, exact: bool) -> RateCard | None:
    """The prices that the app gives all calls of a provider or of a database, whatever their model."""
    entry = table.get(provider)
    return None if entry is None or isinstance(entry, str) else card_of(entry, f"prices[{provider!r}]", exact=exact)


def with_fees(card: RateCard, fees: RateCard | None, *, above: bool) -> RateCard:
    """`card` with the prices of units that its provider has in the app's table: `above` its own, or beside them."""
    if fees is None:
        return card
    given = {rate.unit: rate for rate in fees.rates if rate.line is Line.UNITS}
    rates = [given.get(rate.unit, rate) if above else rate for rate in card.rates]
    have = {rate.unit for rate in rates}
    return replace(card, rates=(*rates, *(rate for unit, rate in given.items() if unit not in have)))


def read_price_table(given: PriceTable | str | Path | None) -> PriceTable:
    """The app's prices from a mapping, or from a TOML or JSON file; checked, so that a wrong entry fails at once."""
    if given is None:
        return {}
    if isinstance(given, str | Path):
        given = _read_file(Path(given))
    if not isinstance(given, Mapping):
        raise PriceTableError(f"prices: expected a mapping of models or a file name, got {type(given).__name__}")
    for model, entry in given.items():
        _check_entry(model, entry)
        _check_alias(given, model)
    return dict(given)


def _check_alias(table: PriceTable, model: str) -> None:
    end = meant_by(table, model)
    entry = entry_of(table, end)
    if entry is not None and isinstance(entry[1], str) and entry[1] != end:
        raise PriceTableError(
            f"prices[{model!r}]: {end!r} stands for {entry[1]!r}, and so on in a circle; name a model"
        )


def _read_file(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PriceTableError(f"prices: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PriceTableError(f"prices: {path} is not in UTF-8 (byte {error.start})") from error
    import tomllib

    try:
        return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PriceTableError(
            f"prices: {path} is not valid {'JSON' if path.suffix == '.json' else 'TOML'}: {error}"
        ) from error


def _check_entry(model: Any, entry: Any) -> None:
    if isinstance(entry, str) and entry:
        return
    if not isinstance(entry, Mapping) or not entry:
        raise PriceTableError(
            f"prices[{model!r}]: expected US dollars per million tokens such as {{'input': 0.15, 'output': 0.6}}, "
            f"or the name of the model it stands for; got {entry!r}"
        )
    for unit, value in entry.items():
        if unit == OTHERS:
            _check_others(model, value)
        else:
            _check_unit(model, unit)
            _check_price(f"prices[{model!r}][{unit!r}]", value)


def _check_unit(model: str, unit: Any) -> None:
    if unit in UNITS:
        return
    close = get_close_matches(str(unit), (*UNITS, OTHERS), n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ";"
    raise PriceTableError(
        f"prices[{model!r}]: unknown unit {unit!r}{meant} known are {', '.join(UNITS)}, and {OTHERS!r} with a mapping "
        f"of what else is billed, such as {{'units': {{'read_units': 0.000016}}}}"
    )


def _check_others(model: str, others: Any) -> None:
    entry = f"prices[{model!r}][{OTHERS!r}]"
    if not isinstance(others, Mapping) or not others:
        raise PriceTableError(
            f"{entry}: expected US dollars for one of each unit such as {{'read_units': 0.000016}}, got {others!r}"
        )
    for unit, value in others.items():
        if not isinstance(unit, str) or not unit:
            raise PriceTableError(f"{entry}: expected the name of a unit, got {unit!r}")
        own = next((name for name, (count, _, _) in UNITS.items() if unit in (name, count)), None)
        if own is not None and unit not in FEES:
            raise PriceTableError(f"{entry}[{unit!r}]: write prices[{model!r}][{own!r}], where it has its price")
        _check_price(f"{entry}[{unit!r}]", value)


def _check_price(entry: str, value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise PriceTableError(f"{entry}: expected a number of US dollars >= 0, got {value!r}")


def entry_of(table: Mapping[str, Any], model: str) -> tuple[str, Any] | None:
    """The row for `model`: its own name, else the longest pattern that matches."""
    if model in table:
        return model, table[model]
    matching = [pattern for pattern in table if fnmatchcase(model, pattern)]
    return (best := max(matching, key=len), table[best]) if matching else None


def meant_by(table: Mapping[str, Any], model: str) -> str:
    """The model that a name stands for: an alias may be one of another alias."""
    seen = {model}
    while (entry := entry_of(table, model)) is not None and isinstance(entry[1], str) and entry[1] not in seen:
        model = entry[1]
        seen.add(model)
    return model
