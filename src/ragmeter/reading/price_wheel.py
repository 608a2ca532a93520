"""The prices of a wheel of genai-prices that is not installed: a newer one, read from its file."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile, ZipFile

from ragmeter.reading.price_data import PACKAGE, PriceData, price_data
from ragmeter.reading.price_library import PriceLibrary


class PriceWheelError(ValueError):
    """A file that is no wheel of genai-prices; the message says what to give."""


def read_wheel(path: Path) -> PriceData:
    """The prices in a wheel; raises `PriceWheelError` when it has none that can be read.

    Its data is evaluated as an import would, with nothing but the names of the price list at hand.
    """
    try:
        with ZipFile(path) as wheel:
            text, units = (wheel.read(f"{PACKAGE}/{module}.py") for module in ("data", "data_units"))
        data = price_data(text, lambda: compile(text, "data.py", "exec"), compile(units, "data_units.py", "exec"))
        _try(PriceLibrary(data=data))
    except OSError as error:
        raise PriceWheelError(f"cannot read {path}: {error.strerror}") from error
    except (BadZipFile, LookupError, SyntaxError, TypeError, NameError, AttributeError, ValueError) as error:
        raise PriceWheelError(
            f"{path} is not a wheel of genai-prices that can be read ({type(error).__name__}: {error}); "
            "get one with: pip download --no-deps genai-prices"
        ) from error
    if not data.patterns:
        raise PriceWheelError(f"{path} has no prices; get a wheel with: pip download --no-deps genai-prices")
    return data


def _try(library: PriceLibrary) -> None:
    """Evaluate each provider and its first model, for the rest is read when it is asked for, and must not fail then."""
    for provider_id in library.provider_ids():
        provider = library.provider(provider_id)
        if provider is not None:
            next(iter(provider.models), None)
