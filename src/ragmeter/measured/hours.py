"""What an app's counters have grown by in each hour of a time, read from a Prometheus-compatible server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.growth import Source, Windows, by_window, last_before
from ragmeter.measured.http import NOBODY, Access
from ragmeter.measured.prometheus_api import PrometheusApi
from ragmeter.measured.samples import Labels, Row, Samples
from ragmeter.measured.server import covered_by, of_restarts
from ragmeter.measured.times import TimeRange
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import label_name, metric_name

HOUR = timedelta(hours=1)
AT_ONCE = 24
"""Hours that are asked for at once: a day of a large app is some megabytes."""

LOOK_BACK = timedelta(days=1)
"""How far before the first hour the last value of a series is looked for."""

Progress = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Hour:
    """What counters have grown by in the hour that begins at `start`, in UTC."""

    start: datetime
    grown: Samples


@dataclass(frozen=True, slots=True)
class Hours:
    """The whole hours of a time on a server, with what there is to say of them; reading them takes a while."""

    source: Source
    metrics: tuple[Metric, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]

    def read(self, progress: Progress = lambda _: None) -> Iterator[Hour]:
        """Each hour in turn; `progress` is called with the share of the work that is done, from 0 to 1.

        What has grown since the last sample before the first hour, of up to a day ago, is growth of the first hour.
        """
        first, number = self.source.span.start, round(self.source.span.length / HOUR)
        lasts = {name: last_before(self.source, name, first, LOOK_BACK) for name in map(metric_name, self.metrics)}
        for done in range(0, number, AT_ONCE):
            progress(done / number)
            yield from self._stretch(first + done * HOUR, min(AT_ONCE, number - done), lasts)
        progress(1.0)

    def _stretch(self, start: datetime, number: int, lasts: Mapping[str, dict[Labels, float]]) -> Iterator[Hour]:
        """Some hours, from the `lasts` values of all series on, which are brought up to date."""
        cut = Windows((start + number * HOUR).timestamp(), HOUR.total_seconds(), number)
        rows: dict[int, list[Row]] = {at: [] for at in range(number)}
        for metric in self.metrics:
            name = metric_name(metric)
            kept = frozenset((*map(label_name, metric.labels), *self.labels))
            for at, found in by_window(self.source, name, cut, lasts[name]).items():
                rows[at] += _rows(name, kept, found)
        for at, grown in rows.items():
            yield Hour(start + at * HOUR, Samples.of(grown))


def _rows(name: str, kept: frozenset[str], found: Mapping[Labels, float]) -> Iterator[Row]:
    for labels, amount in found.items():
        yield name, {key: value for key, value in labels if key in kept}, amount


def hours_of(
    url: str,
    span: TimeRange,
    metrics: Sequence[Metric],
    *,
    labels: Iterable[str] = (),
    access: Access = NOBODY,
    matchers: str = "",
) -> Hours:
    """The hours of a time that begins and ends with one, by the counters' own labels and those `labels` of the app.

    `MeasuredError` when the server cannot be read, has no metrics of ours, none for that time, or none with a label.
    """
    names = tuple(map(label_name, labels))
    source = Source(PrometheusApi(url, access), span, matchers)
    covered = covered_by(source)
    for name in names:
        _check_label(source, name)
    notes = (f"There are samples from {covered.span}.", *of_restarts(source))
    return Hours(source, tuple(metrics), names, notes)


def _check_label(source: Source, name: str) -> None:
    matchers = ", ".join(filter(None, (source.matchers, f'{name}!=""')))
    labelled = Source(source.api, source.span, matchers).selector(metric_name(semconv.OPERATIONS))
    if not source.api.at(f"count(last_over_time({labelled}[{source.whole}]))", source.end):
        raise MeasuredError(
            f"No call of that time has the label {name}: an app declares its labels with "
            f'ragmeter.instrument(labels=["{name}"]).'
        )


def last_hours(length: TimeRange) -> TimeRange:
    """The whole hours of a time that ends now: the hour that has begun is left out. `MeasuredError` if none is left."""
    start, end = (_begun(each) for each in (length.start, length.end))
    if start == end:
        raise MeasuredError("That range has no whole hour: write at least --range 1h.")
    return TimeRange(start, end)


def whole_hours(span: TimeRange) -> TimeRange:
    """A time that begins and ends with an hour in UTC; `MeasuredError` for any other."""
    for each in (span.start, span.end):
        if each != _begun(each):
            raise MeasuredError(
                f"Rows are of whole hours in UTC, and {each:%Y-%m-%dT%H:%M:%SZ} is within one: write "
                f"{_begun(each):%Y-%m-%dT%H:%MZ} or {_begun(each) + HOUR:%Y-%m-%dT%H:%MZ}."
            )
    return span


def _begun(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
