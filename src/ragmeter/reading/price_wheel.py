"""The prices of a wheel of genai-prices that is not installed: a newer one, read from its file."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from ragmeter.domain.pausing import Pause, without_pause
from ragmeter.reading.price_data import NAMES, PACKAGE, PriceData, price_data
from ragmeter.reading.price_library import PriceLibrary

CALLED = re.compile(rb"[A-Z]\w*(?=\()")
"""Classes that a piece of the data file makes something of."""

UNREADABLE = (
    BadZipFile,
    zlib.error,
    re.error,
    LookupError,
    SyntaxError,
    TypeError,
    NameError,
    AttributeError,
    ValueError,
    ArithmeticError,
    EOFError,
    RuntimeError,
)
"""What goes wrong with a file that is broken, encrypted or packed in another way, and with data of another kind."""


KNOWN = frozenset(name.encode() for name in NAMES)


class PriceWheelError(ValueError):
    """A file that is no wheel of genai-prices; the message says what to give."""


def read_wheel(path: Path, pause: Pause = without_pause) -> PriceData:
    """The prices in a wheel; raises `PriceWheelError` when it has none that can be read.

    Its data is evaluated as an import would, with nothing but the names of the price list at hand.
    """
    try:
        with ZipFile(path) as wheel:
            text, units = (wheel.read(f"{PACKAGE}/{module}.py") for module in ("data", "data_units"))
        pause()
        code = compile(units, "data_units.py", "exec")
        pause()
        data = price_data(text, lambda: compile(text, "data.py", "exec"), code, pause)
        _try(data, pause)
    except OSError as error:
        raise PriceWheelError(f"cannot read {path}: {error.strerror}") from error
    except UNREADABLE as error:
        raise PriceWheelError(
            f"{path} is not a wheel of genai-prices that can be read ({type(error).__name__}: {error}); "
            "get one with: pip download --no-deps genai-prices"
        ) from error
    if not data.patterns:
        raise PriceWheelError(f"{path} has no prices; get a wheel with: pip download --no-deps genai-prices")
    return data


def _try(data: PriceData, pause: Pause) -> None:
    """Evaluate each provider and its first model, for the rest is read when it is asked for, and must not fail then."""
    library = PriceLibrary(pause, data)
    for provider_id in library.provider_ids():
        pause()
        if unknown := {*CALLED.findall(data.pieces.get(provider_id, b""))} - KNOWN:
            raise NameError(f"{provider_id} has {min(unknown).decode()}, which is not known here")
        provider = library.provider(provider_id)
        if provider is not None:
            next(iter(provider.models), None)
