"""The pages about names and settings are complete, and say nothing that is not there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from ragmeter.money.pricebook import read_price_table
from ragmeter.naming import semconv
from ragmeter.settings import VARIABLES, Settings

DOCS = Path(__file__).parents[1] / "docs"
TELEMETRY = (DOCS / "telemetry.md").read_text(encoding="utf-8")
SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")
METRICS = {
    metric.name: metric
    for group in (semconv.TOTALS, semconv.DISTRIBUTIONS, semconv.RELEASED, semconv.LATEST, semconv.LATEST_TOTALS)
    for metric in group
}
ATTRIBUTES = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_on_the_page(name):
    """Whoever looks for a metric finds it in the documentation, ours with its unit."""
    assert f"`{name}`" in TELEMETRY
    if name.startswith("ragmeter."):
        row = next(line for line in TELEMETRY.splitlines() if line.startswith(f"| `{name}`"))
        assert f"`{METRICS[name].unit}`" in row


def test_every_name_on_the_page_exists():
    """The page names no metric and no attribute that the code does not write."""
    named = set(re.findall(r"`((?:ragmeter|gen_ai|db|error)\.[a-z_.]+)`", TELEMETRY))
    assert named - set(METRICS) - ATTRIBUTES <= {"ragmeter.label", "ragmeter.query"}


@pytest.mark.parametrize("setting", list(Settings.__slots__))
def test_every_setting_is_on_the_page(setting):
    """Each setting stands on the page with its environment variable."""
    assert f"`{setting}`" in SETTINGS
    assert f"`{VARIABLES[setting]}`" in SETTINGS


def test_the_defaults_on_the_page_are_those_of_the_settings():
    """The default that the page gives a setting is the one it has, where that is a number, a name or a switch."""
    rows = [line.split("|")[1:4] for line in SETTINGS.splitlines() if line.startswith("| `")]
    shown = {
        name.strip("`"): default
        for names, _, defaults in rows[: len(Settings.__slots__)]
        for name, default in zip(names.strip().split(", "), defaults.strip().split(", "), strict=False)
    }
    plain = {
        name: value for name in Settings.__slots__ if isinstance(value := getattr(Settings(), name), bool | int | str)
    }
    assert len(plain) > 6
    words = {"NO_CONTENT": "false"}
    assert {name: words.get(shown[name], shown[name]) for name in plain} == {
        name: str(value).lower() for name, value in plain.items()
    }


def test_the_price_file_on_the_page_can_be_used():
    """The price table shown is one that is accepted."""
    (shown,) = re.findall(r"```toml\n(.*?)```", SETTINGS, re.DOTALL)
    assert set(read_price_table(tomllib.loads(shown))) == {"prod-answers", "our-finetune-*", "self-hosted"}
