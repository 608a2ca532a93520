"""`python -m benchmarks.planning`: what a plan of 20,000 draws takes, beside the closed form of the same sums.

Time is the median of some rounds, memory the most that was allocated during one plan and the largest size of the whole
process, which holds Python, numpy and the price table besides.
"""

from __future__ import annotations

import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from statistics import median

from ragmeter.cli.plan import plan_of
from ragmeter.cli.scenario import Scenario, read_scenario
from ragmeter.cli.scenario_layers import read_layer, read_setting
from ragmeter.planning import closed_form
from ragmeter.planning.bills import bill, middles
from ragmeter.planning.strategies import unit_costs
from ragmeter.planning.uncertainty import DRAWS

ROUNDS = 9
UNSURE = (
    "growth.traffic=[0, 0.06]",
    "growth.context=[0, 0.03]",
    "queries_per_day=[5000, 20000]",
    "success.rag=[0.8, 0.9]",
)
"""Ranges besides those of the scenario, so that hardly anything is known."""

MONTHS = (12, 60)
KIBI, MEBI = 2**10, 2**20


def scenario(months: int) -> Scenario:
    """The shipped scenario of today, with almost all of it unsure."""
    return read_scenario([read_layer("today"), *map(read_setting, (*UNSURE, f"horizon={months}"))])


def by_formula(said: Scenario) -> Callable[[], float]:
    """The totals of all strategies by the closed form, once."""

    def work() -> float:
        values = middles(said.assumptions)
        costs = unit_costs(said.workload, said.assumptions)
        bills = (bill(name, cost.terms, ()) for name, cost in costs.items())
        return sum(float(closed_form.total(each, values, said.months)[0]) for each in bills)

    return work


def milliseconds(work: Callable[[], object]) -> float:
    """The median time of some work, after it was done once."""
    work()
    taken = []
    for _ in range(ROUNDS):
        before = time.perf_counter()
        work()
        taken.append(time.perf_counter() - before)
    return median(taken) * 1e3


def peak(work: Callable[[], object]) -> float:
    """The most that some work has allocated at a time, in MiB."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1] / MEBI
    tracemalloc.stop()
    return most


def resident() -> float:
    """The largest size of this process so far, in MiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (MEBI if sys.platform == "darwin" else KIBI)


def main() -> None:
    """Print the table."""
    print("| plan | time, ms | target | allocated at most, MiB | process at most, MiB | target |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for months in MONTHS:
        said = scenario(months)

        def draws(said: Scenario = said) -> object:
            return plan_of(said, draws=DRAWS, seed=1)

        taken, allocated = milliseconds(draws), peak(draws)
        print(
            f"| {DRAWS:,} draws, {months} months | {taken:.0f} | < 1,000 | {allocated:.0f} | {resident():.0f} | < 200 |"
        )
        print(f"| closed form, {months} months | {milliseconds(by_formula(said)):.1f} | | | | |")


if __name__ == "__main__":
    main()
