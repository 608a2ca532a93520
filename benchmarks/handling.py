"""A whole record of each slow kind, from the body that was sent to its totals: `python -m benchmarks.handling [KIND …]`.

With `--json` a line of JSON for each kind, which the page of results is written from.

The calls go through openai's client. What the app notices is measured beside it: how late another thread's timer is
while the worker handles the record, and while it does nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any

from benchmarks.cases import _answer, _chat, take_out_the_client
from benchmarks.configurations import _providers
from benchmarks.slices import COLLECTOR, RUNS, Kind, Watch, kinds
from ragmeter.domain.model import Role
from ragmeter.worker.accounting import Accounting
from ragmeter.worker.queue import Pacing
from ragmeter.wrapping.records import Item

MODEL = "gpt-4o-mini"
TICK = 0.001


class Pace(Watch):
    """The watch as a pause of the real worker: the app may have the interpreter."""

    def __init__(self) -> None:
        super().__init__()
        self._pacing = Pacing()

    def resume(self) -> None:
        """Go on after what was no work."""
        self._last, self._collected = time.thread_time(), COLLECTOR.seconds

    def __call__(self) -> None:
        super().__call__()
        self._pacing()


@dataclass(frozen=True, slots=True)
class Handled:
    """CPU seconds of a record on the worker, and of Python's garbage collector among them; its longest slices, `own` without
    the collector; how late a timer was beside it and alone."""

    seconds: float
    collected: float
    longest: float
    own: float
    late: float
    alone: float


class Timer:
    """A thread of the app that sleeps for a millisecond again and again."""

    def __init__(self) -> None:
        self._late: list[float] = []
        threading.Thread(target=self._tick, daemon=True).start()

    def latest(self) -> float:
        """The most it was late since it was asked last."""
        late, self._late = self._late, []
        return max(late, default=0.0)

    def _tick(self) -> None:
        while True:
            before = time.perf_counter()
            time.sleep(TICK)
            self._late.append(time.perf_counter() - before - TICK)


class Stand:
    """A process with ragmeter in it, whose worker is watched."""

    def __init__(self) -> None:
        import ragmeter
        from ragmeter import runtime

        self._pace = Pace()
        self._seconds = self._collected = 0.0
        handle = Accounting.handle

        def watched(accounting: Accounting, item: Item) -> None:
            started, collected = time.thread_time(), COLLECTOR.seconds
            self._pace.resume()
            handle(accounting, item)
            self._pace()
            self._seconds += time.thread_time() - started
            self._collected += COLLECTOR.seconds - collected

        take_out_the_client()
        self._ragmeter = ragmeter
        vars(runtime)["Pacing"] = lambda: self._pace
        setattr(Accounting, "handle", watched)  # noqa: B010 - a type checker would not have it otherwise
        tracer_provider, meter_provider = _providers()
        ragmeter.instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)
        self._timer = Timer()
        # Loads the price table.
        self.handle(Kind(["A chunk of a text that is long enough."], ["A chunk of a text that is long enough."]))

    def handle(self, kind: Kind) -> Handled:
        """Send the prompt of a kind and wait until it is accounted for."""
        create = _chat(MODEL, _answer(300_000, kind.answer))
        with self._ragmeter.query():
            self._ragmeter.context(list(kind.chunks))
            self._ragmeter.flush()
            time.sleep(0.3)
            self._timer.latest()
            time.sleep(0.3)
            alone = self._timer.latest()
            create(model=MODEL, **_body(kind))
            self._pace.start()
            self._seconds = self._collected = 0.0
            self._timer.latest()
            self._ragmeter.flush()
        self._ragmeter.flush()
        longest, own = self._pace.longest, self._pace.own
        return Handled(self._seconds, self._collected, longest, own, self._timer.latest(), alone)


def _body(kind: Kind) -> dict[str, Any]:
    question = {"role": "user", "content": "What was closed, and for how long?"}
    if kind.role is Role.TOOLS:
        tools = [{"type": "function", "function": {"name": "f", "description": text}} for text in kind.parts]
        return {"messages": [question], "tools": tools}
    return {"messages": [*({"role": kind.role.value, "content": text} for text in kind.parts), question]}


def _marked(kind: Kind, number: int) -> Kind:
    """The kind as nobody has sent it yet: what is known is not searched again."""
    first, *others = kind.parts
    return Kind(kind.chunks, [f"{first} {number}", *(f"{number}{text}" for text in others)], kind.answer, kind.role)


def least(stand: Stand, kind: Kind) -> Handled:
    """The least of some runs, figure by figure."""
    runs = [astuple(stand.handle(_marked(kind, number))) for number in range(RUNS)]
    return Handled(*map(min, zip(*runs, strict=True)))


HEAD = [
    "| what | CPU, s | of it the collector, ms | longest slice, ms | with the collector | timer late, ms | alone |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
]


def row(name: str, taken: Handled) -> str:
    figures = (taken.collected, taken.own, taken.longest, taken.late, taken.alone)
    return f"| {name} | {taken.seconds:.2f} | " + " | ".join(f"{each * 1e3:.1f}" for each in figures) + " |"


def results(*asked: str) -> Iterator[tuple[str, Handled]]:
    """Each kind that is asked for, all of them where none is."""
    stand = Stand()
    for name, make in kinds().items():
        if not asked or any(each in name for each in asked):
            yield name, least(stand, make())


def table(most: int = 10) -> str:
    """The kinds with the longest slices, measured in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.handling", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {name: Handled(*figures) for name, figures in map(json.loads, done.stdout.splitlines())}
    longest = sorted(found, key=lambda name: -found[name].own)
    rows = "\n".join([*HEAD, *(row(name, found[name]) for name in longest[:most])])
    slowest, collected = (max(found, key=lambda name: getattr(found[name], what)) for what in ("seconds", "longest"))
    return f"""Whole records of the same {len(found)} kinds through the real worker, from the body that was sent to the totals, tokens counted where the
extra is there, and how late another thread's timer was meanwhile and with an idle worker; the longest slices first. Of three
runs the least: a run of the garbage collector over all objects of the process, which falls into some of them, is not in it. The most CPU
takes {slowest}, {found[slowest].seconds:.2f} s; with a run of the garbage collector the longest slice is {found[collected].longest * 1e3:.1f} ms ({collected}).

{rows}"""


def main() -> None:
    """A row for each kind that is asked for."""
    asked = [each for each in sys.argv[1:] if each != "--json"]
    as_json = "--json" in sys.argv
    if not as_json:
        print("\n".join(HEAD))
    for name, taken in results(*asked):
        print(json.dumps([name, astuple(taken)]) if as_json else row(name, taken), flush=True)


if __name__ == "__main__":
    main()
