"""Where the time of a call goes, station by station: `python -m benchmarks profile small|rag|search`.

On the worker and on the thread of the caller, microseconds of CPU time of the build at hand. Of some batches the
quickest is shown, so that its rows add up. `rest` is what no station has taken; beside the wrappers it is of the caller's
thread that part which Python takes to call them, some microsecond, that is in no row.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ragmeter
from benchmarks.cases import CASES
from benchmarks.installed import PATIENCE, instrumented, without_the_client
from benchmarks.progress import say
from benchmarks.stations import Clock, Station, timed_wrappers

PROFILED = {
    "small": "small chat",
    "rag": "40 kB RAG prompt, 20 chunks verbatim",
    "search": "qdrant query",
}
"""The cases by the name they are asked for. A call of `rag` is two: a search and an inference."""

REST = "rest"
WRAPPERS, LEAVES, READING = "rest of the wrappers", "taking request and answer", "reading the call"

WORKER = (
    Station("histogram points", "ragmeter.telemetry.metrics:Telemetry._observe"),
    Station("totals", "ragmeter.telemetry.totals:Totals.add"),
    Station("naming the points", "ragmeter.telemetry.metrics:Telemetry.count_operation"),
    Station("ledger and posting", "ragmeter.ledger.ledger:Ledger.add"),
    Station("ledger and posting", "ragmeter.ledger.ledger:Ledger.end"),
    Station("ledger and posting", "ragmeter.ledger.ledger:Ledger.settle"),
    Station("ledger and posting", "ragmeter.telemetry.metrics:Telemetry.count_query"),
    Station("prompt: locating the chunks", "ragmeter.anatomy.finding:ChunkFinder.locate"),
    Station("prompt: judging the answer", "ragmeter.anatomy.dissecting:Dissector._judge"),
    Station("prompt: the rest of taking it apart", "ragmeter.anatomy.dissecting:Dissector.dissect"),
    Station("remembering chunks", "ragmeter.anatomy.dissecting:Dissector.remember"),
    Station("finding a price", "ragmeter.money.pricebook:PriceBook.card"),
    Station("finding a price", "ragmeter.money.pricebook:PriceBook.is_fine_tuned"),
    Station("metering", "ragmeter.worker.accounting:meter_inference"),
    Station("metering", "ragmeter.worker.accounting:meter_other"),
    Station("reading", "ragmeter.worker.accounting:Accounting._operation"),
    Station("span end", "ragmeter.worker.accounting:Accounting._end_span"),
    Station(REST, "ragmeter.worker.accounting:Accounting.handle"),
)
CALLER = (
    Station("start_span of the SDK", "opentelemetry.sdk.trace:Tracer.start_span"),
    Station("span's attributes and context", "ragmeter.telemetry.spans:Tracing.start_span"),
    Station("finding the query", "ragmeter.wrapping.scopes:Scopes.enter"),
    Station("making the observation", "ragmeter.wrapping.observation:Observation.__init__"),
    Station("context in and out", "ragmeter.wrapping.observation:Observation.enter"),
    Station("context in and out", "ragmeter.wrapping.observation:Observation.leave"),
    Station("hand-over", "ragmeter.wrapping.observation:Observation._hand_over"),
    Station("hand-over", "ragmeter.runtime:Runtime._submit"),
    Station(LEAVES, "ragmeter.wrapping.observation:Observation.returned"),
)
WORKER_ROWS = tuple(dict.fromkeys(station.row for station in WORKER))
CALLER_ROWS = (*dict.fromkeys(station.row for station in CALLER), READING, WRAPPERS)

Rows = Mapping[str, float]
"""Microseconds a call by row."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The quickest batch on the worker and on the caller's thread, and the stations that were not found."""

    worker: Rows
    caller: Rows
    missing: Sequence[str] = ()


def profile(asked: str, *, batches: int = 12, steps: int | None = None) -> Profile:
    """Run batches of a case, as many calls each as `steps` says or the case."""
    case, clock = CASES[PROFILED[asked]], Clock()
    count = steps or case.steps
    taken: list[tuple[Rows, Rows]] = []
    wrappers = timed_wrappers(clock, rest=WRAPPERS, reading=READING, leaves=LEAVES)
    with without_the_client(), clock.on((*WORKER, *CALLER)) as missing, wrappers, instrumented():
        step = case.make()
        _batch(step, min(count, 5))
        for number in range(batches):
            say(f"{case.name}: batch {number + 1} of {batches}")
            clock.reset()
            _batch(step, count)
            taken.append((_rows(clock, WORKER_ROWS, count), _rows(clock, CALLER_ROWS, count)))
    worker, caller = zip(*taken, strict=True)
    return Profile(min(worker, key=_total), min(caller, key=_total), missing)


def _batch(step: Callable[[], None], count: int) -> None:
    gc.collect()
    for _ in range(count):
        step()
    ragmeter.flush(PATIENCE)


def _rows(clock: Clock, rows: Sequence[str], count: int) -> Rows:
    return {row: clock.microseconds(row) / count for row in rows}


def _total(rows: Rows) -> float:
    return sum(rows.values())


def table(title: str, found: Profile) -> str:
    """Both threads' rows, the largest first, and their total."""
    lines = [f"{title}: microseconds of CPU a call, the quickest batch"]
    for thread, rows in (("on the worker", found.worker), ("on the caller's thread", found.caller)):
        total = _total(rows)
        lines += ["", f"| {thread} | µs | share |", "| --- | ---: | ---: |"]
        ordered = sorted(rows, key=lambda row: (row in (REST, WRAPPERS), -rows[row]))
        lines += [f"| {row} | {rows[row]:,.1f} | {rows[row] / (total or 1):.0%} |" for row in ordered]
        lines.append(f"| **total** | **{total:,.1f}** | |")
    if found.missing:
        lines += ["", f"In rest, because this build has no such function: {', '.join(found.missing)}."]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Print the table of each case that is asked for."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks profile", description="Where the time of a call goes.")
    asked.add_argument("case", choices=PROFILED, nargs="+", help="what is called")
    asked.add_argument("--batches", type=int, default=12, help="batches, of which the quickest is shown (12)")
    asked.add_argument("--steps", type=int, help="calls of a batch (as many as the case says)")
    given = asked.parse_args(arguments)
    if given.batches < 1 or (given.steps is not None and given.steps < 1):
        asked.error("--batches and --steps must be at least 1")
    for name in given.case:
        print(table(PROFILED[name], profile(name, batches=given.batches, steps=given.steps)), end="\n\n", flush=True)
