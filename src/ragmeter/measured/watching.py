"""Reads a page again and again, and says what is seen: all figures, those of the last minutes, and what is wrong."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.figures import Figures
from ragmeter.measured.http import NOBODY, Access
from ragmeter.measured.page import read_samples
from ragmeter.measured.samples import Samples
from ragmeter.telemetry.otel_environment import without_secrets

RECENT = 300.0
"""Seconds over which money an hour is told."""

NOTHING = Samples({})


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of a page: all figures, and those of the last minutes, `None` before the second reading.

    `age` is in seconds; `since` says from when on it is counted; `trouble` why there is no newer reading.
    """

    source: str
    figures: Figures
    recent: Figures | None
    age: float
    since: str
    trouble: str | None


class Watching:
    """Readings of the page at `url`; `is_new` counts only what comes after the first one."""

    def __init__(
        self,
        url: str,
        *,
        access: Access = NOBODY,
        is_new: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._access = access
        self._clock = clock
        self._readings: deque[tuple[float, Samples]] = deque()
        self._trouble: str | None = None
        first = self._read()
        self._before = first if is_new else NOTHING
        self._since = f"counted since {_now()}" if is_new else "counted since the app began"
        self._readings.append((clock(), first))

    def again(self) -> None:
        """Read the page once more; where that fails, the last reading stays, with the reason."""
        try:
            samples = self._read()
        except MeasuredError as error:
            self._trouble = str(error)
            return
        self._trouble = None
        now, (_, last) = self._clock(), self._readings[-1]
        if samples.restarted_since(last):
            self._before = NOTHING
            self._since = f"counted since the app's restart, seen at {_now()}"
            self._readings.clear()
        self._readings.append((now, samples))
        while len(self._readings) > 2 and now - self._readings[1][0] >= RECENT:
            self._readings.popleft()

    def sight(self) -> Sight:
        """What is seen now."""
        (begun, first), (ended, last) = self._readings[0], self._readings[-1]
        recent = Figures.of(last.since(first), ended - begun) if ended > begun else None
        figures = Figures.of(last.since(self._before) if self._before else last)
        age = self._clock() - ended
        return Sight(without_secrets(self._url), figures, recent, age, self._since, self._trouble)

    def _read(self) -> Samples:
        samples = read_samples(self._url, self._access)
        if not samples:
            raise MeasuredError(
                f"{without_secrets(self._url)} has no metrics of ragmeter; was ragmeter.instrument() called there?"
            )
        return samples


def _now() -> str:
    return f"{datetime.now().astimezone():%H:%M:%S}"
