"""Times as people write them: a length, a moment, and a range of time. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ragmeter.measured.errors import MeasuredError

UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
FIRST_YEAR, LAST_YEAR = 2000, 2100
FORM = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start` to `end`, both in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.start:{FORM}} to {self.end:{FORM}}"


def duration(text: str) -> timedelta | None:
    """A time such as `14d`, `90m` or `1h30m`; `None` where it is none."""
    if not re.fullmatch(r"(\d{1,6}[smhdw])+", text):
        return None
    return sum((int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text)), timedelta())


def moment(text: str) -> datetime | None:
    """A time as people write it by ISO 8601, with or without a time zone; `None` where it is none, or far off."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if FIRST_YEAR <= found.year <= LAST_YEAR else None


def in_utc(time: datetime) -> datetime:
    """The same moment in UTC, which it is in where it does not say."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def last(length: str, now: datetime) -> TimeRange:
    """The time of a length, such as `14d`, that ends now; `MeasuredError` where it is none, or a century."""
    found = duration(length)
    if not found or found > timedelta(days=36_500):
        raise MeasuredError(f"Expected a length of time such as 14d, 36h or 90m, got {length!r}.")
    return TimeRange(in_utc(now) - found, in_utc(now))


def between(start: str, end: str) -> TimeRange:
    """The time between two moments by ISO 8601, both with a time zone or both without one (in UTC then).

    `MeasuredError` where one cannot be read, where only one has a time zone, or where the start is not before the end.
    """
    first, final = _moment(start), _moment(end)
    if (first.tzinfo is None) != (final.tzinfo is None):
        raise MeasuredError(
            f"Only one of {start} and {end} has a time zone: write both with one, or both without one for UTC."
        )
    if not first < final:
        raise MeasuredError(f"The range from {start} to {end} is empty: its start must lie before its end.")
    return TimeRange(in_utc(first), in_utc(final))


def _moment(text: str) -> datetime:
    found = moment(text)
    if found is None:
        raise MeasuredError(
            f"Expected a time such as 2026-05-01T12:00Z, in the years {FIRST_YEAR} to {LAST_YEAR}, got {text!r}."
        )
    return found
