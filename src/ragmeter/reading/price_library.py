"""The prices of genai-prices, read from its data file without importing it.

Importing it brings in an HTTP client and pydantic, and an app that looks for one of them in `sys.modules` finds it
half-made while another thread imports it. So nothing is imported here: `instrument()` takes in the file's bytes, and
the worker evaluates the models of the providers that are asked, one small piece after the other. Which model a name
means, and which prices hold at a moment, follows genai-prices 0.2.
"""

from __future__ import annotations

import datetime
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Never run: here the tools that freeze an app into one file find that it needs these.
    import genai_prices.data
    import genai_prices.data_units  # noqa: F401 the same name once more

logger = logging.getLogger("ragmeter")

PACKAGE = "genai_prices"

PROVIDER = b"\n    Provider("
MODELS = b"\n        models=[\n"
MODEL = b"\n            ModelInfo("
MODELS_END = b"\n        ],"
"""How the data file, which a program writes, begins each provider, its models, each of them, and ends them."""

PROVIDER_END = b"\n    )"

ID = re.compile(rb"^        id=(.*),$", re.MULTILINE)
MODEL_ID = re.compile(rb"^ {16}id=(.*),$", re.MULTILINE)
PATTERN = re.compile(rb"^        api_pattern=(.*),$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Tiers:
    """A price by the length of the input: that of the last start which is exceeded holds for all of it."""

    base: float
    tiers: tuple[tuple[int, float], ...]


Prices = Mapping[str, "float | Tiers"]
"""US dollars by the library's price key."""


@dataclass(frozen=True, slots=True)
class FirstDay:
    """The day, in UTC, from which a price holds."""

    start_date: datetime.date

    def holds(self, at: datetime.datetime) -> bool:
        """Whether the price holds at this moment of UTC."""
        return at.date() >= self.start_date


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """The time of each day, in UTC, in which a price holds; it may go over midnight."""

    start: datetime.time
    end: datetime.time

    def holds(self, at: datetime.datetime) -> bool:
        """Whether the price holds at this moment of UTC."""
        now = at.time()
        if self.end < self.start:
            return now >= self.start or now < self.end
        return self.start <= now < self.end


When = FirstDay | TimeOfDay | None


@dataclass(frozen=True, slots=True)
class Variant:
    """Prices that stand in place of the standard ones where a request's context has all of `context`."""

    context: Mapping[str, str]
    prices: Prices
    when: When


@dataclass(frozen=True, slots=True)
class Model:
    """A model: whether a name in lower case means it, and its prices, of which the last that holds counts."""

    id: str
    is_match: Callable[[str], bool]
    prices: tuple[tuple[When, Prices], ...]
    variants: tuple[Variant, ...]

    def prices_at(self, at: datetime.datetime, context: Mapping[str, str]) -> Prices:
        """The prices at a moment of UTC, with those of the first fitting variant in place of the standard ones."""
        holding = [prices for when, prices in self.prices if when is None or when.holds(at)]
        if not holding and not self.prices:
            return {}
        found = dict(holding[-1] if holding else self.prices[0][1])
        for variant in reversed(self.variants_at(at, context)):
            found.update(variant.prices)
        return found

    def variants_at(self, at: datetime.datetime, context: Mapping[str, str]) -> tuple[Variant, ...]:
        """The variants that fit a request's context at a moment of UTC."""
        return tuple(
            variant
            for variant in self.variants
            if variant.context.items() <= context.items() and (variant.when is None or variant.when.holds(at))
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: the pattern of its URLs, its own models, and the providers whose models it offers as well."""

    id: str
    url: str
    models: Iterable[Model]
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A model and the id of the provider whose table has it, which may be one that another falls back to."""

    model: Model
    provider: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that is charged: its name, how many the price is for, and what it counts, by dimension."""

    name: str
    per: int
    dimensions: Mapping[str, str]


class Models:
    """The models of one provider in their order, each evaluated when it is first reached."""

    def __init__(self, pieces: list[bytes], pause: Callable[[], None]) -> None:
        self._pieces = pieces[::-1]
        self._pause = pause
        self._models: list[Model] = []

    def __iter__(self) -> Iterator[Model]:
        yield from self._models
        while self._pieces:
            model: Model = _value(self._pieces[-1])
            self._models.append(model)
            # Last of all: a child that is forked meanwhile has the model in the one place or in the other.
            self._pieces.pop()
            self._pause()
            yield model


class PriceLibrary:
    """The providers and models of the data file; `pause` is called between the pieces that are evaluated."""

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self._data = _data()
        self._pause = pause
        self._providers: dict[str, Provider] = {}

    def provider(self, provider_id: str) -> Provider | None:
        """The provider of this id of the library."""
        known = self._providers.get(provider_id) or self._read(provider_id)
        if known is not None:
            # Hosts of all kinds are asked for here: what is no provider is not remembered.
            self._providers[provider_id] = known
        return known

    def find(self, provider_id: str, name: str) -> Found | None:
        """The model that a name means at a provider; a date without dashes also stands for one with them."""
        provider = self.provider(provider_id)
        if provider is None:
            return None
        name = name.lower()
        found = self._match(provider, name)
        if found is None and (dashed := _dashed(name)) != name:
            found = self._match(provider, dashed)
        return found

    def mentions(self, name: str) -> bool:
        """Whether a name may be that of a model here: it stands in the file, or one of its models is meant by it."""
        text = name.lower().encode()
        if any(text in piece for piece in self._data.pieces.values()):
            return True
        return any(self.find(provider_id, name) for _, provider_id in self._data.patterns)

    def model_ids(self) -> frozenset[str]:
        """The ids of all models."""
        texts = {_value(found) for piece in self._data.pieces.values() for found in MODEL_ID.findall(piece)}
        return frozenset((*texts, *(model.id for each in self._data.whole.values() for model in each.models)))

    def units(self) -> Mapping[str, Unit]:
        """The units by price key."""
        return self._data.units

    def _match(self, provider: Provider, name: str) -> Found | None:
        for provider_id in (provider.id, *provider.fallbacks):
            each = self.provider(provider_id)
            model = None if each is None else next((model for model in each.models if model.is_match(name)), None)
            if model is not None:
                return Found(model, provider_id)
        return None

    def _read(self, provider_id: str) -> Provider | None:
        piece = self._data.pieces.get(provider_id)
        if piece is None:
            return self._data.whole.get(provider_id)
        head, _, models = piece.partition(MODELS)
        provider: Provider = _value(b"Provider(" + head + b")")
        if not models:
            return provider
        # The line end before the first model is a part of what begins the list.
        pieces = (b"\n" + models.rpartition(MODELS_END)[0]).split(MODEL)[1:]
        return replace(provider, models=Models([b"ModelInfo(" + each for each in pieces], self._pause))


def url_patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The pattern of each provider's URLs and its id, in the library's order."""
    return _data().patterns


def provider_ids() -> tuple[str, ...]:
    """The ids of the library's providers."""
    return tuple(provider_id for _, provider_id in _data().patterns)


@dataclass(frozen=True, slots=True)
class _Data:
    """The data file: the text of each provider by id, or `whole` providers where there is no text to take apart."""

    patterns: tuple[tuple[re.Pattern[str], str], ...]
    pieces: Mapping[str, bytes]
    whole: Mapping[str, Provider]
    units: Mapping[str, Unit]


@cache
def _data() -> _Data:
    """Read once; the first call is `instrument()`'s, on the app's own thread."""
    spec, units_spec = _spec("data"), _spec("data_units")
    if spec is None or units_spec is None:
        logger.warning(
            "ragmeter: the price list of the package genai-prices is not installed with this app, so that only costs "
            "that a provider reports, and those of prices=, are known. An app frozen into one file needs its module "
            "genai_prices.data."
        )
        return _Data((), {}, {}, {})
    units = _units(units_spec)
    pieces = _pieces(Path(spec.origin).read_bytes()) if spec.origin and Path(spec.origin).is_file() else {}
    if pieces:
        return _Data(_patterns(pieces), pieces, {}, units)
    # An app frozen into one file has the compiled module alone; and a file may be laid out in another way.
    whole = {provider.id: provider for provider in _evaluated(spec)["providers"]}
    return _Data(tuple((re.compile(each.url), each.id) for each in whole.values()), {}, whole, units)


def _units(spec: ModuleSpec) -> dict[str, Unit]:
    """The units by price key."""
    named = _evaluated(spec)["unit_data"].items()
    return {unit.get("price_key", name): Unit(name, unit["per"], unit["dimensions"]) for name, unit in named}


def _patterns(pieces: Mapping[str, bytes]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The pattern of the URLs of each provider that has one, and its id."""
    found = ((PATTERN.search(piece), provider_id) for provider_id, piece in pieces.items())
    return tuple((re.compile(_value(pattern[1])), provider_id) for pattern, provider_id in found if pattern is not None)


def _pieces(text: bytes) -> dict[str, bytes]:
    """The text of each provider, without its brackets, by id."""
    pieces = {}
    for piece in text.split(PROVIDER)[1:]:
        found = ID.search(piece)
        if found is None:
            return {}
        pieces[_value(found[1])] = piece[: piece.rindex(PROVIDER_END)]
    return pieces


def _spec(module: str) -> ModuleSpec | None:
    """Where a module of the library lies, found without importing the package around it; `None` where it is not."""
    package = find_spec(PACKAGE)
    places = None if package is None else package.submodule_search_locations
    if places is None:
        return None
    found = (finder.find_spec(f"{PACKAGE}.{module}", places) for finder in sys.meta_path)
    return next((spec for spec in found if spec is not None and spec.loader is not None), None)


def _value(text: bytes) -> Any:
    """What a piece of the data file says."""
    return eval(text.strip().rstrip(b","), {"__builtins__": {}, **NAMES})  # noqa: S307 as an import would run it


def _evaluated(spec: ModuleSpec) -> dict[str, Any]:
    """The names that a data module defines, without a trace in `sys.modules`: what it imports is `NAMES`."""
    code: CodeType = spec.loader.get_code(spec.name)  # type: ignore[union-attr]
    modules = {"datetime": datetime}
    builtins = {
        "__import__": lambda name, *_: modules.get(name, SimpleNamespace(**NAMES, Any=Any)),
        "list": list,
        "dict": dict,
        "str": str,
    }
    names: dict[str, Any] = {"__builtins__": builtins, "__name__": spec.name}
    exec(code, names)  # noqa: S102 as an import would run it
    return names


_COMPACT_DATE = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _dashed(name: str) -> str:
    """A name with its date as `2025-12-11` where it was `20251211`, as gateways write it."""

    def write(found: re.Match[str]) -> str:
        year, month, day = (int(found[index]) for index in (2, 3, 4))
        try:
            datetime.date(year, month, day)
        except ValueError:
            return found[0]
        return f"-{year:04d}-{month:02d}-{day:02d}"

    return _COMPACT_DATE.sub(write, name)


def _in_utc(given: datetime.time) -> datetime.time:
    if given.tzinfo is None:
        return given
    return datetime.datetime.combine(datetime.date(1970, 1, 1), given).astimezone(datetime.UTC).time()


def _provider(**given: Any) -> Provider:
    return Provider(
        given["id"], given["api_pattern"], given.get("models", ()), tuple(given.get("fallback_model_providers") or ())
    )


def _model(**given: Any) -> Model:
    prices = given.get("prices") or ()
    standard: tuple[tuple[When, Prices], ...] = ((None, prices),) if isinstance(prices, Mapping) else tuple(prices)
    return Model(given["id"], given["match"], standard, tuple(given.get("price_variants") or ()))


NAMES: Mapping[str, Any] = {
    "datetime": datetime,
    "Decimal": float,
    "Provider": _provider,
    "ModelInfo": _model,
    "ModelPrice": lambda **given: {key: price for key, price in given.items() if price is not None},
    "ConditionalPrice": lambda constraint=None, *, prices: (constraint, prices),
    "PriceVariant": lambda when, prices, constraint=None: Variant(when, prices, constraint),
    "StartDateConstraint": FirstDay,
    "TimeOfDateConstraint": lambda start_time, end_time: TimeOfDay(_in_utc(start_time), _in_utc(end_time)),
    "TieredPrices": lambda base, tiers: Tiers(base, tuple(sorted(tiers))),
    "Tier": lambda start, price: (start, price),
    "ClauseStartsWith": lambda starts_with: lambda name: name.startswith(starts_with.lower()),
    "ClauseEndsWith": lambda ends_with: lambda name: name.endswith(ends_with.lower()),
    "ClauseContains": lambda contains: lambda name: contains.lower() in name,
    "ClauseEquals": lambda equals: lambda name: name == equals.lower(),
    "ClauseRegex": lambda regex: lambda name: re.search(regex, name) is not None,
    "ClauseOr": lambda or_: lambda name: any(clause(name) for clause in or_),
    "ClauseAnd": lambda and_: lambda name: all(clause(name) for clause in and_),
    # How usage is read from answers is ours to know.
    **dict.fromkeys(("UsageExtractor", "UsageExtractorMapping", "ArrayMatch"), lambda *_, **__: None),
}
"""What the data file calls its classes, as plain values and functions of a name."""
