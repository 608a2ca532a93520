"""Writes a scenario as promtool's unit tests and runs them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

STEP = 2
"""Minutes between two samples: two of them are in every window of five."""


@dataclass(frozen=True)
class Firing:
    """What must fire at a minute: the labels and texts of each, `severity` and `runbook_url` included."""

    minute: int
    alert: str
    expected: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Query:
    """What an expression must give at a minute: values by the text of their labels, `{}` for none."""

    minute: int
    expression: str
    expected: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """Whether all that was asked is so, and what promtool says when it is not."""

    passed: bool
    output: str


@dataclass(frozen=True)
class Promtool:
    """The program."""

    program: Path

    def check(self, files: Iterable[Path]) -> Outcome:
        return self._run("check", "rules", "--lint=all", "--lint-fatal", *map(str, files))

    def test(
        self,
        folder: Path,
        rules: Iterable[Path],
        series: Mapping[str, str],
        *,
        firing: Iterable[Firing] = (),
        queries: Iterable[Query] = (),
        every: int = 1,
    ) -> Outcome:
        """Play `series` through the rules and ask.

        All rules are evaluated `every` so many minutes: promtool does not heed the intervals of groups.
        """
        test = {
            "interval": f"{STEP}m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [
                {"eval_time": f"{each.minute}m", "alertname": each.alert, "exp_alerts": list(each.expected)}
                for each in firing
            ],
            "promql_expr_test": [
                {
                    "eval_time": f"{each.minute}m",
                    "expr": each.expression,
                    "exp_samples": [{"labels": labels, "value": value} for labels, value in each.expected.items()],
                }
                for each in queries
            ],
        }
        files = list(rules)
        content = {
            "rule_files": [str(file) for file in files],
            "evaluation_interval": f"{every}m",
            # Without an order groups are evaluated in a random one, and alerts see values that are up to a step old.
            "group_eval_order": [group["name"] for file in files for group in _groups(file)],
            "tests": [test],
        }
        file = folder / "tests.yaml"
        file.write_text(yaml.dump(content, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), width=1_000_000))
        return self._run("test", "rules", str(file))

    def _run(self, *arguments: str) -> Outcome:
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False)
        return Outcome(done.returncode == 0, f"{done.stdout}\n{done.stderr}")


def _groups(file: Path) -> Sequence[Mapping[str, Any]]:
    return yaml.safe_load(file.read_text())["groups"]
