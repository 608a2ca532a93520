"""Recorded series for a time that has passed: what our rules would have written had they been there.

`promtool tsdb create-blocks-from rules` does the same with a block for every two hours of every rule: thousands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ragmeter.dashboards.rules import Group, Recording

from . import servers
from .client import PrometheusClient
from .replay import pieces, seconds


def backfill_rules(groups: Sequence[Group], *, folder: Path, data: Path, start: float, end: float) -> None:
    """Write into `data` what the recording rules of `groups` make of what it holds between two times."""
    rules = [(rule, seconds(group.interval)) for group in groups for rule in group.rules if isinstance(rule, Recording)]
    recorded = {rule.record for rule, _ in rules}
    first = [(rule, step) for rule, step in rules if not recorded & names_in(rule.expression)]
    second = [(rule, step) for rule, step in rules if recorded & names_in(rule.expression)]
    for part in (first, second):
        with servers.prometheus(folder, data=data) as url:
            client = PrometheusClient(url)
            written = folder / "recorded.om"
            with written.open("w") as file:
                for rule, step in part:
                    file.writelines(samples(rule, client, pieces(start, end, step), step))
                file.write("# EOF\n")
        servers.load_history(written, data)


def names_in(expression: str) -> frozenset[str]:
    """The words of an expression, among them the names of its series."""
    return frozenset(re.findall(r"[a-zA-Z_][\w:]*", expression))


def samples(
    rule: Recording, client: PrometheusClient, times: Iterable[tuple[float, float]], step: float
) -> Iterator[str]:
    """The lines of one rule's series; every series stands together, as the format wants it."""
    points: dict[str, list[str]] = {}
    for at, until in times:
        for series in client.query_range(rule.expression, at, until, step):
            pairs = (f'{name}="{value}"' for name, value in series.labels.items() if name != "__name__")
            name = f"{rule.record}{{{','.join(pairs)}}}"
            points.setdefault(name, []).extend(f"{name} {value} {moment}\n" for moment, value in series.points)
    yield f"# TYPE {rule.record} gauge\n"
    for lines in points.values():
        yield from lines
