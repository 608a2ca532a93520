"""The results as a Markdown page: medians over interleaved rounds, as ratios to the floor, beside their targets."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from benchmarks import anatomy, handling, slices
from benchmarks.cases import CASES
from benchmarks.runner import Round
from benchmarks.single import Singles

LIBRARIES = (
    "ragmeter",
    "opentelemetry-sdk",
    "openai",
    "chromadb",
    "qdrant-client",
    "wrapt",
    "genai-prices",
    "opentelemetry-instrumentation-genai-openai",
    "opentelemetry-instrumentation-openai",
    "openinference-instrumentation-openai",
    "openlit",
)
CALLER_TARGET = "≤ 0.4"
PROCESS_TARGETS = {
    "small chat": "≤ 1.3",
    "40 kB RAG prompt, 20 chunks verbatim": "≤ 4",
    "40 kB RAG prompt, 20 chunks reformatted": "≤ 15",
}
CLOSER = """Two commands look closer at the build at hand. `python -m benchmarks profile small`, `rag` or `search` shows where the time of a call goes,
station by station, on the worker and on the caller's thread. `python -m benchmarks curves` measures the cost against the size of the prompt, chunks
remembered, live queries, waiting searches, label sets, pieces of a stream, turns and threads, and prints the exponent of each: 1 means that twice
the size costs twice as much. The plots in `docs/images/curves`, such as [the pieces of a stream](../docs/images/curves/pieces.svg) and
[the chunks remembered](../docs/images/curves/remembered.svg), are written by `python -m benchmarks curves --plots docs/images/curves`."""
"""What else can be asked of the benchmarks."""

Results = Mapping[str, Mapping[str, Sequence[Round]]]
"""Case -> configuration -> rounds, in the order in which they were run."""


def added(results: Results, case: str, configuration: str, what: str) -> float:
    """Microseconds a call that a configuration adds to the bare work: the median of the differences round by round."""
    rounds = zip(results[case][configuration], results[case]["bare"], strict=False)
    return float(statistics.median(getattr(mine, what) - getattr(bare, what) for mine, bare in rounds))


def page(results: Results, singles: Singles | None) -> str:
    """The whole page."""
    count = min(len(rounds) for by_name in results.values() for rounds in by_name.values() if rounds)
    parts = [_head(count), _ratios(results), _streams(results), _peers(results)]
    if singles is not None:
        parts += [anatomy.table(), slices.table(), handling.table(), _singles(singles)]
    return "\n\n".join(part for part in (*parts, CLOSER) if part) + "\n"


def _head(rounds: int) -> str:
    versions = ", ".join(f"{name} {found}" for name in LIBRARIES if (found := _version(name)))
    return f"""# Benchmarks

{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}. {versions}.

Written by `python -m benchmarks --output benchmarks/RESULTS.md`. Each configuration runs in a process of its own; {rounds} rounds are
interleaved between them, so that the machine's changing speed hits all alike, and what a configuration adds is the median of the
differences to the bare work, round by round. *Caller's thread* is the CPU time of the thread that makes the call, *process* that of all
threads until everything is accounted for. The *floor* is what any tool on the OpenTelemetry SDK must spend: one span with 15 attributes
and six histogram points with five attributes. What openai's own client does below the wrapped function is taken out: it takes ten times as
long as what is measured, and varies more. The databases are embedded and real. After each call all configurations sleep 2 ms, as an app waits for its
answer. The machine is shared and noisy: read figures as ±20 %."""


def _ratios(results: Results) -> str:
    lines = [
        "| work | floor adds, µs a call | ragmeter, caller's thread, µs | × floor | target | ragmeter, process, µs | × floor | target |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    base = added(results, "small chat", "floor", "process")
    for case in results:
        caller, process = (added(results, case, "ragmeter", what) for what in ("caller", "process"))
        lines.append(
            f"| {case} | {base:.0f} | {caller:.0f} | {caller / base:.2f} | {CALLER_TARGET} "
            f"| {process:.0f} | {process / base:.2f} | {PROCESS_TARGETS.get(case, '')} |"
        )
    return "\n".join(lines) + (
        "\n\nThe floor is that of the small chat: one operation. A RAG prompt is two operations, a search and an inference, outside of any\nscope, with an answer of a hundred words."
    )


def _streams(results: Results) -> str:
    name = "stream of 200 chunks"
    if name not in results:
        return ""
    per = CASES[name].units
    # What a whole call costs is taken off, so that only what each chunk adds is left.
    whole = added(results, "small chat", "ragmeter", "caller")
    mine = (added(results, name, "ragmeter", "caller") - whole) / per
    everything = (
        added(results, name, "ragmeter", "process") - added(results, "small chat", "ragmeter", "process")
    ) / per
    return f"A chunk of a stream costs {mine:.2f} µs on the caller's thread (target ≤ 3) and {everything:.2f} µs of the process in all."


def _peers(results: Results) -> str:
    rounds = results["small chat"]
    peers = [name for name, taken in rounds.items() if taken and name not in ("bare", "floor", "ragmeter")]
    if not peers:
        return ""
    base = added(results, "small chat", "floor", "process")
    lines = [
        "Small chat, released peers on the same work:",
        "",
        "| tool | caller's thread, × floor | process, × floor |",
        "| --- | ---: | ---: |",
    ]
    for name in ("ragmeter", *peers):
        caller, process = (added(results, "small chat", name, what) / base for what in ("caller", "process"))
        lines.append(f"| {name} | {caller:.2f} | {process:.2f} |")
    return "\n".join(lines)


def _singles(singles: Singles) -> str:
    return f"""| what | measured | target |
| --- | ---: | ---: |
| `instrument()` in a fresh process, over the SDK's import of {singles.sdk_seconds:.2f} s | {singles.start_seconds:.2f} s | ≤ 0.15 s |
| modules it imports / of clients and price tables | {singles.modules} / {singles.clients} | – / 0 |
| a price, once resolved | {singles.price_microseconds:.1f} µs | < 2 µs |
| memory after `instrument()` | {singles.memory_start:.1f} MiB | ≤ 30 MiB |
| memory of the first 200 calls (loads the price table) | {singles.memory_first_calls:.1f} MiB | |
| growth over {singles.calls:,} further calls with 1,000 distinct 40 kB prompts of 20,000 distinct chunks | {singles.memory_growth:.1f} MiB | ≤ 40 MiB over 100,000 |
| an event loop's timers are late at the most, ten prompts of 7 MB in the queue, beyond {singles.late_alone:.0f} ms of the app alone | {singles.late - singles.late_alone:+.0f} ms | ≤ 20 ms |"""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
