"""Runs a case in one configuration, in a process of its own: patches are global, and rounds are interleaved.

As a program it reads names of cases from standard input, one a line, runs one round of each and answers with a line
of JSON. It ends with its input.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from benchmarks.cases import CASES, Step, take_out_the_client
from benchmarks.configurations import CONFIGURATIONS

NETWORK = 0.002
"""Seconds to sleep after each step, in every configuration: as in an app, the worker runs while a call waits for its
answer. Sleeping is no CPU time, and only that is measured."""


@dataclass(frozen=True, slots=True)
class Round:
    """Microseconds of CPU time a call in one round: on the caller's thread, and of the whole process."""

    caller: float
    process: float


class Runner:
    """A process that runs rounds of one configuration."""

    def __init__(self, configuration: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.runner", configuration],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def round(self, case: str) -> Round | None:
        """One round of `case`; `None` when the configuration cannot run it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{case}\n")
        self._process.stdin.flush()
        # Libraries print what they like to standard output: ours is the line that begins with a mark.
        for line in self._process.stdout:
            if line.startswith("round "):
                return Round(**json.loads(line.removeprefix("round ")))
        return None

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def main(name: str) -> None:
    """Answer rounds until the input ends."""
    take_out_the_client()
    configuration = CONFIGURATIONS[name]()
    steps: dict[str, Step] = {}
    for line in sys.stdin:
        case = CASES[line.strip()]
        if case.name not in steps:
            steps[case.name] = configuration.around(case.make())
            for _ in range(3):
                steps[case.name]()
            configuration.settle()
        step = steps[case.name]
        gc.collect()
        process, caller = time.process_time_ns(), time.thread_time_ns()
        for _ in range(case.steps):
            step()
            time.sleep(NETWORK)
        caller_end = time.thread_time_ns()
        configuration.settle()
        process_end = time.process_time_ns()
        per = case.steps * case.calls * 1000
        taken = Round((caller_end - caller) / per, (process_end - process) / per)
        print("round", json.dumps(asdict(taken)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
