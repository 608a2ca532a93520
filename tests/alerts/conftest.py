"""Fixture: promtool with the rule files as they are shipped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ragmeter.dashboards import recording
from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.rule_files import rule_file
from stack.servers import find_program

from .promtool import Promtool


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Skip where promtool is missing; fail instead when RAGMETER_REQUIRE_STACK=1, as in CI."""
    program = find_program("promtool")
    if program is not None:
        return Promtool(program)
    reason = "promtool missing: run scripts/get-prometheus"
    if os.environ.get("RAGMETER_REQUIRE_STACK") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The three rule files by name, without a budget."""
    return write_rules(tmp_path_factory.mktemp("rules"), Options())


@pytest.fixture(scope="session")
def rules_with_budget(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The three rule files with a budget of 7,200 US dollars a month, which are ten an hour."""
    return write_rules(tmp_path_factory.mktemp("budget"), Options(budget=7200))


def write_rules(folder: Path, options: Options) -> Mapping[str, Path]:
    groups = {
        "limits": (recording.limits(options),),
        "recording": (recording.lookbacks(), recording.hourly(options)),
        "alerts": alerts(),
    }
    files = {name: folder / f"{name}.yaml" for name in groups}
    for name, file in files.items():
        file.write_text(rule_file(groups[name], options.runbooks))
    return files
