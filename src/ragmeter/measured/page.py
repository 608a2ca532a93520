"""What one process has measured, read from its `/metrics` page: as it stands, or what it grows by in a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.http import NOBODY, Access, get
from ragmeter.measured.samples import Samples
from ragmeter.measured.workload import workload
from ragmeter.planning.workload import Workload
from ragmeter.telemetry.otel_environment import without_secrets

TIMEOUT = 10.0
"""Seconds to wait for a page."""

DAY = 86_400.0
STEP = 0.25
"""Seconds between two reports of progress."""

OK = 200
RESTARTED = "The app restarted meanwhile: what it counted between the first reading and its end is lost."
GONE = "Counters of the first reading are gone, as after a restart of the app: these figures may be too small."
ONE_PROCESS = "A page shows one process: an app that runs in several answers more queries than these."


def read_samples(url: str, access: Access = NOBODY) -> Samples:
    """The figures on the `/metrics` page at `url`; `MeasuredError` when it cannot be read or is no such page."""
    from prometheus_client.parser import text_string_to_metric_families

    answer = get(url, seconds=TIMEOUT, access=access)
    shown = without_secrets(url)
    if answer.status_code != OK:
        raise MeasuredError(f"{shown} answers {answer.status_code}; is this the address of a /metrics page?")
    try:
        families = text_string_to_metric_families(answer.content.decode("utf-8"))
        return Samples.of((each.name, each.labels, each.value) for family in families for each in family.samples)
    except (ValueError, KeyError, IndexError) as error:
        raise MeasuredError(
            f"{shown} is no page of metrics; expected the address of one, such as http://127.0.0.1:9464/metrics."
        ) from error


def read_page(
    url: str,
    seconds: float,
    *,
    access: Access = NOBODY,
    progress: Callable[[float], object] = lambda _: None,
) -> Workload:
    """The workload of the process whose page is at `url`, from two readings that lie `seconds` apart.

    `progress` is called with the share of the time that has passed, from 0 to 1. `MeasuredError` when the page cannot
    be read, has no metrics of ours, or counts no query in that time.
    """
    if not 0 < seconds <= DAY:
        raise MeasuredError(f"Two readings of a page lie between no time and a day apart, got {seconds:g} s.")
    shown = without_secrets(url)
    begun, first = time.monotonic(), read_samples(url, access)
    if not first:
        raise MeasuredError(f"{shown} has no metrics of ragmeter; was ragmeter.instrument() called in that process?")
    _wait(begun, seconds, progress)
    ended, last = time.monotonic(), read_samples(url, access)
    return workload(last.since(first), (ended - begun) / DAY, shown, (ONE_PROCESS, *_of_restart(first, last)))


def _of_restart(first: Samples, last: Samples) -> Iterator[str]:
    if last.restarted_since(first):
        yield RESTARTED
    elif last.lacks(first):
        yield GONE


def _wait(begun: float, seconds: float, progress: Callable[[float], object]) -> None:
    while True:
        passed = time.monotonic() - begun
        progress(min(1.0, passed / seconds))
        if passed >= seconds:
            return
        time.sleep(min(STEP, seconds - passed))
