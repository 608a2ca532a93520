"""The page about plans: its commands run, and show what the page shows."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from typer.testing import CliRunner

from pages import ROOT, blocks, commands
from ragmeter.cli import application

PAGE = ROOT / "docs" / "plan.md"
ALONE = sorted(
    {each for each in commands(PAGE) if each.startswith("ragmeter plan ") and "http" not in each and "…" not in each}
)


def run(command: str, *more: str) -> str:
    """What a command of the page writes."""
    result = CliRunner(env={"COLUMNS": "110"}).invoke(application(), [*command.split()[1:], *more])
    assert result.exit_code == 0, (command, result.output)
    return "\n".join(line.rstrip() for line in result.output.splitlines())


@pytest.mark.parametrize("command", ALONE)
def test_a_command_of_the_page_runs(command, monkeypatch):
    """Each command that needs no server does what it says."""
    monkeypatch.chdir(ROOT)
    run(command, *(() if "--list" in command else ("--draws", "200")))


def test_the_worked_example_comes_out_as_it_is_shown(monkeypatch):
    """The outputs on the page are what the commands above them write, to the last character."""
    monkeypatch.chdir(ROOT)
    shown = [block for block in blocks(PAGE, "") if "queries a day" in block]
    asked = [each for each in ALONE if "help-desk" in each]
    assert len(shown) == len(asked) == 2
    for command, block in zip(asked, shown, strict=True):
        assert block.strip() in run(command)


def test_the_scenario_of_the_page_is_one(tmp_path):
    """It is read, and all that it says is planned with."""
    (text,) = blocks(PAGE, "yaml")
    (tmp_path / "ours.yaml").write_text(text, "utf-8")
    plan = json.loads(run(f"ragmeter plan {tmp_path / 'ours.yaml'}", "--draws", "200", "--json"))
    assert plan["title"] == yaml.safe_load(text)["title"]
    assert plan["verdict"]["answer"].startswith("At 980 queries a day over 12 months")
    assert all(row["cost_per_thousand"] for row in plan["rows"])
    assert not any(note.startswith("Not counted") and "hosting" in note for note in plan["notes"])


def test_the_figures_of_the_page_are_those_of_the_plan():
    """What the page says of the article's table and the claim is what the scenario finds."""
    found = " ".join(run("ragmeter plan article", "--draws", "200").split())
    text = " ".join(PAGE.read_text("utf-8").split())
    low, high = re.findall(r"it takes \$([\d.]+) to \$([\d.]+) for 1,000 queries", found)[0]
    assert f"with {low} to {high} dollars for 1,000 queries beside the tokens" in text
    times = re.findall(r"at 100,000 queries a day; ([\d.]+) times", found)[0]
    assert f"does not follow from it: there it is {times} times" in text
