"""Which price applies: the app's own table, then a small overlay, then genai-prices.

Looking a model up in genai-prices may take some milliseconds: the worker does it, and what comes out are plain floats
that are kept for a minute (some prices depend on the time of day).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ragmeter.model import Operation
from ragmeter.price_library import PriceLibrary, Prices, Tiers, Unit
from ragmeter.pricing import Line, Rate, RateCard
from ragmeter.providers import library_id, vendor_of_model

PriceTable = Mapping[str, "Mapping[str, float] | str"]
"""Model name or shell pattern -> US dollars per million tokens by unit, or the name of the model it stands for."""

UNITS: dict[str, tuple[str, Line, float]] = {
    "cache_write_1h": ("cache_write_1h_tokens", Line.CACHE_WRITE, 1e6),
    "cache_write": ("cache_write_tokens", Line.CACHE_WRITE, 1e6),
    "cache_read": ("cache_read_tokens", Line.CACHE_READ, 1e6),
    "audio_input": ("input_audio_tokens", Line.INPUT, 1e6),
    "audio_output": ("output_audio_tokens", Line.OUTPUT, 1e6),
    "reasoning": ("output_reasoning_tokens", Line.OUTPUT, 1e6),
    "input": ("input_tokens", Line.INPUT, 1e6),
    "output": ("output_tokens", Line.OUTPUT, 1e6),
    "web_search": ("web_searches", Line.SEARCH, 1e3),
    "file_search": ("storage_searches", Line.SEARCH, 1e3),
    "request": ("requests", Line.SEARCH, 1.0),
}
"""Units of a price table: the count they price, the line of the bill, and how many the price is for."""

PARTS_OF = {
    "cache_write_tokens": ("cache_write_1h_tokens",),
    "input_tokens": ("cache_write_1h_tokens", "cache_write_tokens", "cache_read_tokens", "input_audio_tokens"),
    "output_tokens": ("output_audio_tokens", "output_reasoning_tokens"),
}

OVERLAY_DATE = "2026-11-22"
OVERLAY: dict[str, dict[str, float]] = {
    "ft:gpt-4.1-nano*": {"input": 0.2, "output": 0.8, "cache_read": 0.05},
    "ft:gpt-4.1-mini*": {"input": 0.8, "output": 3.2, "cache_read": 0.2},
    "ft:gpt-4.1-2*": {"input": 3.0, "output": 12.0, "cache_read": 0.75},
    "ft:gpt-4.1:*": {"input": 3.0, "output": 12.0, "cache_read": 0.75},
    "ft:gpt-4o-mini*": {"input": 0.3, "output": 1.2, "cache_read": 0.15},
    "ft:gpt-4o-2*": {"input": 3.75, "output": 15.0, "cache_read": 1.875},
    "ft:gpt-4o:*": {"input": 3.75, "output": 15.0, "cache_read": 1.875},
    "ft:o4-mini*": {"input": 4.0, "output": 16.0, "cache_read": 1.0},
}
"""OpenAI's fine-tuned models that genai-prices 0.2.3 lacks, or lacks the cached rate of. Figures as listed by litellm's
price file (MIT) on `OVERLAY_DATE`; the two gpt-4o rows repeat genai-prices' input and output prices."""

STANDARD_TIERS = (None, "default", "standard", "auto", "on_demand", "performance", "standard_only")
KEEP_SECONDS = 60.0
MOST_KEPT = 4_096


class PriceTableError(ValueError):
    """A price table of the app that cannot be used; the message says which entry and what to write."""


class PriceBook:
    """Finds the rate card of an operation; not thread-safe, used under the worker's lock.

    It is made on the caller's thread, which reads the price library's file; `pause` is called wherever a look-up may
    give the interpreter away.
    """

    def __init__(self, prices: PriceTable, *, builtin: bool = True, pause: Callable[[], None] = lambda: None) -> None:
        self._prices = prices
        self._library = PriceLibrary(pause) if builtin else None
        self._kept: dict[tuple[str | None, ...], tuple[float, RateCard | None]] = {}

    def card(self, operation: Operation, *, load: bool = True) -> RateCard | None:
        """The prices of `operation`, `None` when none is known. Without `load` only what is already resolved."""
        response, request = operation.response, operation.request
        key = (request.system, response.model, request.model, response.service_tier, response.speed)
        kept = self._kept.get(key)
        now = time.monotonic()
        if kept is not None and (kept[0] > now or not load):
            return kept[1]
        if not load:
            return None
        card = self._resolve(operation)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (now + KEEP_SECONDS, card)
        return card

    def canonical(self, model: str | None) -> str | None:
        """The model that a name stands for by the app's aliases; the name itself where it is none."""
        entry = None if model is None else _entry(self._prices, model)
        return entry[1] if entry is not None and isinstance(entry[1], str) else model

    def _resolve(self, operation: Operation) -> RateCard | None:
        names = [name for name in (operation.response.model, operation.request.model) if name]
        for name in names:
            entry = _entry(self._prices, name)
            if entry is not None and not isinstance(entry[1], str):
                return card_of(entry[1], f"prices[{entry[0]!r}]")
        if self._library is None:
            return None
        for provider, name in self._meanings(operation.request.system, names):
            entry = _entry(OVERLAY, name)
            if entry is not None and not isinstance(entry[1], str):
                tier = operation.response.service_tier
                return card_of(entry[1], f"overlay of {OVERLAY_DATE}: {entry[0]}", exact=tier in STANDARD_TIERS)
            card = _library_card(self._library, operation, provider, name)
            if card is not None:
                return card
        return None

    def _meanings(self, system: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        """What to look for, in order: ids of providers in the library and names of models there."""
        provider = library_id(system)
        for name in names:
            # An alias says what a deployment is; the name in the response may be the deployment's own.
            alias = self.canonical(name)
            if alias and alias != name:
                yield provider, alias
                if (vendor := vendor_of_model(alias)) is not None:
                    yield library_id(vendor[0]), vendor[1]
        for name in names:
            yield provider, name
            vendor = vendor_of_model(name)
            if vendor is not None and library_id(vendor[0]) == provider:
                yield provider, vendor[1]


def card_of(prices: Mapping[str, float], row: str, *, exact: bool = True) -> RateCard:
    """A rate card from a price table's entry."""
    units = [unit for unit in UNITS if unit in prices]
    numbers = {UNITS[unit][0]: number for number, unit in enumerate(units)}
    rates = []
    for unit in units:
        count, line, per = UNITS[unit]
        within = tuple(numbers[part] for part in PARTS_OF.get(count, ()) if part in numbers)
        rates.append(Rate(count, line, prices[unit] / per, within=within))
    return RateCard(tuple(rates), row, exact)


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
    return dict(given)


def _read_file(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PriceTableError(f"prices: cannot read {path}: {error.strerror}") from error
    import tomllib

    try:
        return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
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
        if unit not in UNITS:
            raise PriceTableError(f"prices[{model!r}]: unknown unit {unit!r}; known are {', '.join(UNITS)}")
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise PriceTableError(f"prices[{model!r}][{unit!r}]: expected a number of US dollars >= 0, got {value!r}")


def _entry(table: Mapping[str, Any], model: str) -> tuple[str, Any] | None:
    """The row for `model`: its own name, else the longest pattern that matches."""
    if model in table:
        return model, table[model]
    matching = [pattern for pattern in table if fnmatchcase(model, pattern)]
    return (best := max(matching, key=len), table[best]) if matching else None


def _library_card(library: PriceLibrary, operation: Operation, provider_id: str, name: str) -> RateCard | None:
    response = operation.response
    found = library.find(provider_id, name)
    if found is None:
        return None
    # A model found at another provider has that provider's standard price only.
    wanted = _price_context(response.service_tier, response.speed)
    context = wanted if found.provider == provider_id else {}
    at = datetime.fromtimestamp(operation.started / 1e9, tz=UTC)
    known = found.model.variants_at(at, context)
    covered = all(any(key in variant.context for variant in known) for key in wanted)
    prices = found.model.prices_at(at, context)
    return _compiled(prices, library.units(), f"genai-prices: {provider_id}/{found.model.id}", exact=covered)


def _price_context(tier: str | None, speed: str | None) -> dict[str, str]:
    context: dict[str, str] = {}
    if tier == "batch":
        context["processing"] = "batch"
    elif tier not in STANDARD_TIERS and tier is not None:
        context["service_tier"] = tier
    if speed not in (None, "standard"):
        context["speed"] = speed
    return context


def _compiled(prices: Prices, units: Mapping[str, Unit], row: str, *, exact: bool) -> RateCard:
    """Rates for one of each unit: a unit is part of another when its dimensions contain the other's."""
    priced = [(units[key], value) for key, value in prices.items() if key in units]
    priced.sort(key=lambda item: (-len(item[0].dimensions), item[0].name))
    rates = []
    for unit, value in priced:
        within = tuple(
            number
            for number, (other, _) in enumerate(priced)
            if other is not unit and unit.dimensions.items() <= other.dimensions.items()
        )
        base, tiers = (value.base, value.tiers) if isinstance(value, Tiers) else (value, ())
        per_one = tuple((start, each / unit.per) for start, each in tiers)
        rates.append(Rate(unit.name, _line(unit.dimensions), base / unit.per, per_one, within))
    return RateCard(tuple(rates), row, exact)


def _line(dimensions: Mapping[str, str]) -> Line:
    direction, kind = dimensions.get("direction"), dimensions.get("token_type", "")
    if direction == "output":
        return Line.OUTPUT
    if direction != "input":
        return Line.SEARCH
    return {"cache_read": Line.CACHE_READ, "cache_write": Line.CACHE_WRITE}.get(kind, Line.INPUT)
