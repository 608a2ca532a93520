"""The data files of genai-prices, of the installed package or of a wheel, read without importing them.

Importing them brings in an HTTP client and pydantic, and an app that looks for one of them in `sys.modules` finds it
half-made while another thread imports it. So nothing is imported here: `instrument()` takes in the file's bytes, and
the worker evaluates the models of the providers that are asked, one small piece after the other.
"""

from __future__ import annotations

import datetime
import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from ragmeter.domain.pausing import Pause, without_pause
from ragmeter.reading.price_models import FirstDay, Model, Prices, Provider, Tiers, TimeOfDay, Unit, Variant, When

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
class PriceData:
    """The data file: the text of each provider by id, or `whole` providers where there is no text to take apart."""

    patterns: tuple[tuple[re.Pattern[str], str], ...]
    pieces: Mapping[str, bytes]
    whole: Mapping[str, Provider]
    units: Mapping[str, Unit]


@cache
def installed() -> PriceData:
    """That of the installed package; read once: the first call is `instrument()`'s, on the app's own thread."""
    spec, units_spec = _spec("data"), _spec("data_units")
    if spec is None or units_spec is None:
        logger.warning(
            "ragmeter: the price list of the package genai-prices is not installed with this app. Only costs that a "
            "provider reports, and the prices given with prices=, are known. If the app was frozen into one file, "
            "include the module genai_prices.data."
        )
        return PriceData((), {}, {}, {})
    text = Path(spec.origin).read_bytes() if spec.origin and Path(spec.origin).is_file() else b""
    return price_data(text, lambda: _code_of(spec), _code_of(units_spec))


def price_data(text: bytes, whole: Callable[[], CodeType], units: CodeType, pause: Pause = without_pause) -> PriceData:
    """What the text of the data module says; where it is laid out in another way, all of it is evaluated as `whole`.

    An app frozen into one file has the compiled module alone. `units` is the module of the units.
    """
    pieces = _pieces(text)
    pause()
    if pieces:
        return PriceData(_patterns(pieces), pieces, {}, _units(units))
    providers = {provider.id: provider for provider in names_of(whole())["providers"]}
    patterns = tuple((re.compile(each.url), each.id) for each in providers.values())
    return PriceData(patterns, {}, providers, _units(units))


def _code_of(spec: ModuleSpec) -> CodeType:
    code: CodeType = spec.loader.get_code(spec.name)  # type: ignore[union-attr]
    return code


def _units(code: CodeType) -> dict[str, Unit]:
    """The units by price key."""
    named = names_of(code)["unit_data"].items()
    return {unit.get("price_key", name): Unit(name, unit["per"], unit["dimensions"]) for name, unit in named}


def _patterns(pieces: Mapping[str, bytes]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The pattern of the URLs of each provider that has one, and its id."""
    found = ((PATTERN.search(piece), provider_id) for provider_id, piece in pieces.items())
    return tuple(
        (re.compile(evaluated(pattern[1])), provider_id) for pattern, provider_id in found if pattern is not None
    )


def _pieces(text: bytes) -> dict[str, bytes]:
    """The text of each provider, without its brackets, by id."""
    pieces = {}
    for piece in text.split(PROVIDER)[1:]:
        found = ID.search(piece)
        if found is None:
            return {}
        pieces[evaluated(found[1])] = piece[: piece.rindex(PROVIDER_END)]
    return pieces


def _spec(module: str) -> ModuleSpec | None:
    """Where a module of the library lies, found without importing the package around it; `None` where it is not."""
    package = find_spec(PACKAGE)
    folders = None if package is None else package.submodule_search_locations
    if folders is None:
        return None
    found = (finder.find_spec(f"{PACKAGE}.{module}", folders) for finder in sys.meta_path)
    return next((spec for spec in found if spec is not None and spec.loader is not None), None)


def evaluated(text: bytes) -> Any:
    """What a piece of the data file says."""
    return eval(text.strip().rstrip(b","), {"__builtins__": {}, **NAMES})  # noqa: S307 as an import would run it


def names_of(code: CodeType) -> dict[str, Any]:
    """The names that a data module defines, without a trace in `sys.modules`: what it imports is `NAMES`."""
    modules = {"datetime": datetime}
    builtins = {
        "__import__": lambda name, *_: modules.get(name, SimpleNamespace(**NAMES, Any=Any)),
        "list": list,
        "dict": dict,
        "str": str,
    }
    names: dict[str, Any] = {"__builtins__": builtins, "__name__": PACKAGE}
    exec(code, names)  # noqa: S102 as an import would run it
    return names


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
