"""Alerts and the page that they link to belong together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.boards import boards
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.recording import LIMITS
from ragmeter.dashboards.rules import Alert

RUNBOOKS = (Path(__file__).parents[2] / "docs" / "runbooks.md").read_text()
RULES = [rule for group in alerts() for rule in group.rules if isinstance(rule, Alert)]


def sections() -> dict[str, str]:
    """The text of each section by the anchor that GitHub makes of its heading."""
    parts = re.split(r"^## (.+)$", RUNBOOKS, flags=re.MULTILINE)[1:]
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"): text
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_each_alert_has_its_section_and_each_section_its_alert():
    """An alert's link leads to a section of its own, and no section is of an alert that is gone."""
    assert sorted(rule.runbook for rule in RULES) == sorted(sections())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_section_says_how_soon_where_to_look_and_what_to_do(rule: Alert):
    """A section begins with the alert's severity and tells all that someone who was woken needs."""
    text = sections()[rule.runbook]
    assert text.strip().lower().startswith(f"{rule.severity.value}.")
    for step in ("Look at", "Usual causes", "Do", "Tune"):
        assert f"**{step}**" in text


def test_sections_name_dashboards_and_limits_that_exist():
    """What stands in italics is a dashboard, what a section tunes is a limit, and each limit is named."""
    titles = {board["title"].removeprefix("ragmeter: ") for board in boards(Options()).values()}
    looked_at = "\n".join(re.findall(r"\*\*Look at\*\*(.*?)\n- \*\*", RUNBOOKS, flags=re.DOTALL))
    assert set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", looked_at)) <= titles
    tuned = "\n".join(re.findall(r"\*\*Tune\*\*(.*)", RUNBOOKS))
    assert set(re.findall(r"`(\w+)`", tuned)) == {limit.name for limit in LIMITS}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_alert_is_tuned_by_the_limits_it_reads(rule: Alert):
    """A section names the alert's own limit: the one that its expression compares with."""
    read = [name for name in re.findall(r"ragmeter:limit:(\w+)", rule.expression) if not name.startswith("least_")]
    assert set(read) <= set(re.findall(r"`(\w+)`", sections()[rule.runbook]))
