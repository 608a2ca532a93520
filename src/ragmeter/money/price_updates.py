"""Newer prices than the installed ones: a file of them, which a running app looks at again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ragmeter.domain.pausing import Pause, without_pause
from ragmeter.money.price_table import PriceTable, PriceTableError, read_price_table
from ragmeter.reading.price_data import PriceData

logger = logging.getLogger("ragmeter")

SECONDS_BETWEEN = 60.0
"""How often a running app looks at the file, in seconds."""


@dataclass(frozen=True, slots=True)
class NewerPrices:
    """What a file of prices has: a table of models as `prices` takes it, or all that genai-prices has in a wheel."""

    table: PriceTable = field(default_factory=dict)
    library: PriceData | None = None


def read_newer(path: Path, pause: Pause = without_pause) -> NewerPrices:
    """The prices of a TOML or JSON file, or of a wheel of genai-prices; raises `PriceTableError` when it has none."""
    if path.suffix != ".whl":
        return NewerPrices(read_price_table(path))
    from ragmeter.reading.price_wheel import PriceWheelError, read_wheel

    try:
        return NewerPrices(library=read_wheel(path, pause))
    except PriceWheelError as error:
        raise PriceTableError(f"prices: {error}") from error


class PriceUpdates:
    """A file of newer prices, looked at once a minute; a file that cannot be used leaves the rates as they were.

    It is made on the app's own thread, which reads the file first and raises `PriceTableError` where that fails, and so
    imports all that reading takes. `pause` is called between the pieces that are read.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic, pause: Pause = without_pause) -> None:
        self._path = path
        self._clock = clock
        self._pause = pause
        self._seen = _state_of(path)
        self._due = clock() + SECONDS_BETWEEN
        self.newer = read_newer(path, pause)

    def refresh(self) -> bool:
        """Whether the file has other prices than before, which are in `newer` then."""
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + SECONDS_BETWEEN
        seen = _state_of(self._path)
        if seen is None or seen == self._seen:
            return False
        self._seen = seen
        try:
            self.newer = read_newer(self._path, self._pause)
        except PriceTableError as error:
            logger.warning("ragmeter: the new file of prices cannot be used, so the old prices stay: %s", error)
            return False
        logger.info("ragmeter: read newer prices from %s", self._path)
        return True


def _state_of(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file: its time, length and place; `None` while it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
