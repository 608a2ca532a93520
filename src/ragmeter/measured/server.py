"""What an app has measured in a time, read from a Prometheus-compatible server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.growth import Source, grown, windows
from ragmeter.measured.http import NOBODY, Access
from ragmeter.measured.prometheus_api import PrometheusApi
from ragmeter.measured.samples import Row, Samples
from ragmeter.measured.times import TimeRange
from ragmeter.measured.workload import METRICS, workload
from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import metric_name
from ragmeter.planning.workload import Workload

ALWAYS_THERE = (metric_name(semconv.QUERIES), metric_name(semconv.QUEUED))
"""Series that tell that an app was measured: the second is there before the first query."""

DAY = 86_400.0
LOOK_BACK = timedelta(days=400)
"""How far back metrics are looked for when a range has none."""

HOUR = 3600.0


def read_server(
    url: str,
    span: TimeRange,
    *,
    access: Access = NOBODY,
    matchers: str = "",
    progress: Callable[[float], object] = lambda _: None,
) -> Workload:
    """The workload of all processes whose metrics the server at `url` has for a time.

    `url` is the address below which `/api/v1/query` is found. `matchers` choose series by labels, such as
    `job="shop"`. Growth is that of the samples, to the last count; queries a day are those of the time between the
    first and the last sample. `progress` is called with the share of the work that is done, from 0 to 1.
    `MeasuredError` when the server cannot be read, has no metrics of ours, or none for that time.
    """
    source = Source(PrometheusApi(url, access), span, matchers)
    progress(0.0)
    covered = covered_by(source)
    rows: list[Row] = []
    for done, metric in enumerate(METRICS, start=1):
        rows += grown(source, metric)
        progress(done / len(METRICS))
    notes = (*_of_coverage(covered, span), *of_restarts(source))
    return workload(Samples.of(rows), covered.days, source.api.shown, notes)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The time from the first to the last sample, and how many hours of it have none."""

    span: TimeRange
    hours_without: float

    @property
    def days(self) -> float:
        """How long it is."""
        return self.span.length.total_seconds() / DAY


def covered_by(source: Source) -> Coverage:
    """Which part of the time there are samples of; `MeasuredError` where there are none."""
    cut = windows(source.span)
    ends = [cut.at(time) for time, _ in _present(source, cut.ends[0], cut.end, cut.step)]
    if not ends:
        raise _nothing(source)
    first, last = min(ends), max(ends)
    start, _ = _sampled(source, cut.ends[first], cut.length)
    _, end = _sampled(source, cut.ends[last], cut.length)
    missing = last - first + 1 - len(set(ends))
    return Coverage(TimeRange(start, end), missing * cut.step / HOUR)


def _present(source: Source, start: float, end: float, step: float) -> tuple[tuple[float, float], ...]:
    """How many series there were in each stretch of `step` seconds, by its end; of those that have any."""
    counts = (f"count(present_over_time({source.selector(name)}[{round(step * 1000)}ms]))" for name in ALWAYS_THERE)
    found = source.api.between(" or ".join(counts), start, end, step)
    return tuple(point for each in found for point in each.points)


def _sampled(source: Source, end: float, length: str) -> tuple[datetime, datetime]:
    """The times of the first and the last sample in a window that has some."""
    times = [
        time
        for name in ALWAYS_THERE
        for series in source.api.at(f"{source.selector(name)}[{length}]", end)
        for time, _ in series.points
    ]
    return datetime.fromtimestamp(min(times), UTC), datetime.fromtimestamp(max(times), UTC)


def _nothing(source: Source) -> MeasuredError:
    """Why there is nothing in the time: it lies beside the metrics, or there are none at all."""
    shown, now = source.api.shown, datetime.now(UTC)
    chosen = f" with {source.matchers}" if source.matchers else ""
    days = [time for time, _ in _present(source, (now - LOOK_BACK).timestamp(), now.timestamp(), DAY)]
    if not days:
        return MeasuredError(
            f"{shown} has no metrics of ragmeter{chosen}: is the app measured, and does this server scrape its "
            "/metrics page or take what it pushes?"
        )
    (first, _), (_, last) = (_sampled(source, time, f"{DAY:.0f}s") for time in (min(days), max(days)))
    there = TimeRange(first, last)
    return MeasuredError(
        f"{shown} has metrics of ragmeter{chosen} from {there}, none from {source.span}: choose a range within."
    )


def _of_coverage(covered: Coverage, asked: TimeRange) -> Iterator[str]:
    days = asked.length.total_seconds() / DAY
    yield (
        f"There are samples of {covered.days:.2f} of the {days:.2f} days asked for, {covered.span}; queries a day are "
        "those of that time."
    )
    if covered.hours_without:
        yield (
            f"For {covered.hours_without:.1f} hours of it there are none: either the app did not run, and answered "
            "nothing, or it was not scraped; choose a range without them if it was neither."
        )


def of_restarts(source: Source) -> Iterator[str]:
    """What there is to say of counters that began anew."""
    queries = source.selector(metric_name(semconv.QUERIES))
    for each in source.api.at(f"max(resets({queries}[{source.whole}])) > 0", source.end):
        yield (
            f"Counters began anew {each.points[0][1]:.0f} times, as after a restart: what a process counted after its "
            "last sample is lost."
        )
