"""How a cost grows: points of a curve measured within a bound of time, and the exponent that fits them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from math import log
from statistics import mean
from typing import Any

from benchmarks.cases import Step
from benchmarks.installed import drain, instrumented
from benchmarks.progress import say
from benchmarks.stations import Clock, Station, timed_wrappers

LEAST = 0.1
"""Microseconds below which a cost is nothing: it is a difference of two times, and may be below zero."""

OWN, KEPT = 1.05, 0.1
"""Exponents that are wanted: in the call's own size, and in what is remembered or goes on beside it."""

BARE_ROUNDS = 3
CALLER, WORKER = "caller", "worker"
STATIONS = (
    Station(WORKER, "ragmeter.worker.accounting:Accounting.handle"),
    Station(CALLER, "ragmeter:context"),
    Station(CALLER, "ragmeter:query"),
    Station(CALLER, "ragmeter.wrapping.scopes:QueryScope.__enter__"),
    Station(CALLER, "ragmeter.wrapping.scopes:QueryScope.__exit__"),
)
"""What is timed beside the wrappers."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of CPU that ragmeter adds to a call: on the caller's thread and on the worker's.

    A figure is `None` where the curve has no such thread.
    """

    caller: float | None
    worker: float | None


Rounds = Generator[Cost, None, None]
"""The costs of round after round, without an end: whoever closes it takes all back that was set up."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What is counted across, at which sizes (fewer with `--quick`), how a size is measured, the exponent wanted."""

    what: str
    sizes: Sequence[int]
    quick: Sequence[int]
    rounds: Callable[[int], Rounds]
    wanted: float = KEPT
    of: str = "a call"


@dataclass(slots=True)
class Measured:
    """The least cost at each size, as far as the time sufficed; `left_out` are the sizes for which it did not."""

    curve: Curve
    costs: dict[int, Cost] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)

    def line(self, thread: str) -> list[tuple[float, float]]:
        """The points of `caller` or `worker`."""
        points = [(float(size), getattr(cost, thread)) for size, cost in self.costs.items()]
        return [(size, max(cost, LEAST)) for size, cost in points if cost is not None]


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The slope of the logarithms by least squares: 1 where twice the size costs twice as much; `None` of one point."""
    across, up = [log(size) for size, _ in points], [log(cost) for _, cost in points]
    if len(set(across)) < 2:
        return None
    x, y = mean(across), mean(up)
    spread = sum((each - x) ** 2 for each in across)
    return sum((each - x) * (other - y) for each, other in zip(across, up, strict=True)) / spread


def last_exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """That of the two largest sizes, where a constant hides the least."""
    return exponent(points[-2:])


def measure(curve: Curve, sizes: Sequence[int], seconds: float, *, rounds: int, name: str = "") -> Measured:
    """The curve at these sizes, in about so many seconds: what has begun when they are over is brought to its end."""
    until = time.monotonic() + seconds
    measured = Measured(curve)
    for number, size in enumerate(sizes):
        left = until - time.monotonic()
        if number and left <= 0:
            measured.left_out.append(size)
            continue
        say(f"{name}: {size:,} {curve.what}")
        end = time.monotonic() + left / (len(sizes) - number)
        with _no_collector(), closing(curve.rounds(size)) as made:
            costs = list(islice(_until(made, end), rounds))
        measured.costs[size] = Cost(_least(cost.caller for cost in costs), _least(cost.worker for cost in costs))
    return measured


@contextmanager
def _no_collector() -> Iterator[None]:
    """While it lasts, Python's garbage collector rests: its runs grow with all objects of the process."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _until(made: Rounds, end: float) -> Iterator[Cost]:
    """One at least, and more until the time is over."""
    yield next(made)
    while time.monotonic() < end:
        yield next(made)


def _least(figures: Iterator[float | None]) -> float | None:
    return min((figure for figure in figures if figure is not None), default=None)


def added(step: Step, before: Step = lambda: None, *, calls: int = 1, labels: Sequence[str] = ()) -> Rounds:
    """What ragmeter adds to a step of so many calls, once `before` has set up what is remembered.

    What waits for more stays open between the rounds.
    """
    clock = Clock()
    wrappers = timed_wrappers(clock, rest=CALLER, reading=CALLER, leaves=CALLER)
    settings: dict[str, Any] = {"exact_tokens": False, "labels": list(labels), "max_label_values": 100_000}
    with clock.on(STATIONS) as missing, wrappers, instrumented(**settings):
        if missing:
            raise LookupError(f"{', '.join(missing)}: not in this build; name in growth.STATIONS what stands for it")
        before()
        step()
        drain()
        while True:
            clock.reset()
            step()
            drain()
            yield Cost(clock.microseconds(CALLER) / calls, clock.microseconds(WORKER) / calls)


def beside_bare(step: Step) -> Rounds:
    """The same for a step that ragmeter is with after its call has returned: what it takes without is taken off."""
    step()
    bare = min(_thread_time(step) for _ in range(BARE_ROUNDS))
    whole: list[int] = []
    with closing(added(lambda: whole.append(_thread_time(step)))) as costs:
        for cost in costs:
            yield Cost((whole[-1] - bare) / 1e3, cost.worker)


def _thread_time(step: Step) -> int:
    began = time.thread_time_ns()
    step()
    return time.thread_time_ns() - began
