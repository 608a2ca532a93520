"""`python -m benchmarks [--rounds N] [--peers] [--long] [--output FILE] [--case NAME]`, `… profile CASE`, `… curves`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import curves, profiling
from benchmarks.cases import CASES
from benchmarks.configurations import installed_peers
from benchmarks.progress import say
from benchmarks.runner import Round, Runner
from benchmarks.single import measure
from benchmarks.table import page

ALWAYS = ("small chat",)
"""Cases the others are compared with."""


EPILOG = "`profile small|rag|search` shows where a call's time goes, `curves` how its cost grows; both take --help."
COMMANDS = {"profile": profiling.main, "curves": curves.main}


def main() -> None:
    """Run what was asked for."""
    command = COMMANDS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if command is None:
        compare()
    else:
        command(sys.argv[2:])


def compare() -> None:
    """Run what was asked for against the floor, and print the page or write it."""
    asked = argparse.ArgumentParser(
        prog="python -m benchmarks", description="What ragmeter costs, against the floor.", epilog=EPILOG
    )
    asked.add_argument("--rounds", type=int, default=25, help="interleaved rounds of each case (25)")
    asked.add_argument("--case", choices=CASES, action="append", help="only this case; may be repeated")
    asked.add_argument("--peers", action="store_true", help="also the peers that are installed, on the small chat")
    asked.add_argument("--long", action="store_true", help="memory over 100,000 calls instead of 5,000")
    asked.add_argument("--output", type=Path, help="write the page here")
    given = asked.parse_args()
    cases = list(dict.fromkeys((*ALWAYS, *(given.case or CASES))))
    peers = installed_peers() if given.peers else []
    results = {case: run(case, given.rounds, peers if case in ALWAYS else []) for case in cases}
    say("starting up, price, memory")
    singles = None if given.case else measure(100_000 if given.long else 5_000)
    written = page(results, singles)
    if given.output is None:
        print(written)
    else:
        given.output.write_text(written, encoding="utf-8")


def run(case: str, rounds: int, peers: list[str]) -> dict[str, list[Round]]:
    """Rounds of one case in every configuration, interleaved."""
    runners = {name: Runner(name) for name in ("bare", "floor", "ragmeter", *peers)}
    results: dict[str, list[Round]] = {name: [] for name in runners}
    for number in range(rounds):
        say(f"{case}: round {number + 1} of {rounds}")
        for name, runner in runners.items():
            taken = runner.round(case)
            if taken is not None:
                results[name].append(taken)
    for runner in runners.values():
        runner.close()
    return results


if __name__ == "__main__":
    main()
