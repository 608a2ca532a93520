"""The pages about names and settings are complete, and say nothing that is not there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ragmeter.money.pricebook import read_price_table
from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import metric_name
from ragmeter.settings import TABLE, Setting

DOCS = Path(__file__).parents[1] / "docs"
TELEMETRY = (DOCS / "telemetry.md").read_text(encoding="utf-8")
SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")
DESIGN = (DOCS / "design.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
    "contracts"
]
ATTRIBUTES = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}


def line_of(metric):
    """The line of a metric on the page, made from its declaration."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | `{metric_name(metric)}` | `{metric.unit}` | {metric.description} | {labels} |"


def test_the_tables_of_metrics_are_what_is_declared():
    """Each metric has its line, with its name in Prometheus, unit, meaning and labels; there is no other line."""
    rows = {line for line in TELEMETRY.splitlines() if re.match(r"\| `(ragmeter|gen_ai|db)\.", line)}
    declared = {line_of(metric) for metric in semconv.METRICS}
    missing = "\n".join(sorted(declared - rows))
    assert rows == declared, f"docs/telemetry.md lacks these lines:\n{missing}"


def test_every_name_on_the_page_exists():
    """The page names no metric and no attribute that the code does not write."""
    named = set(re.findall(r"`((?:ragmeter|gen_ai|db|error)\.[a-z_.]+)`", TELEMETRY))
    assert named - {metric.name for metric in semconv.METRICS} - ATTRIBUTES <= {"ragmeter.label", "ragmeter.query"}


def test_the_table_of_settings_is_that_of_the_code():
    """The page has each setting with its variables, default and meaning, in the code's words and order."""
    table = SETTINGS[SETTINGS.index("| argument |") :].partition("\n\n")[0]
    assert table.splitlines()[2:] == [row_of(name, setting) for name, setting in TABLE.items()]


def row_of(name: str, setting: Setting) -> str:
    variables = ", else ".join(f"`{variable}`" for variable in setting.variables)
    return " ".join(f"| `{name}` | {variables} | {setting.shown} | {setting.meaning} |".split())


def test_the_price_file_on_the_page_can_be_used():
    """The price table shown is one that is accepted."""
    (shown,) = re.findall(r"```toml\n(.*?)```", SETTINGS, re.DOTALL)
    assert set(read_price_table(tomllib.loads(shown))) == {"prod-answers", "our-finetune-*", "self-hosted", "pinecone"}


def test_the_house_is_drawn_as_its_contract_has_it():
    """The drawing of the house has the rooms of the layers' contract, row by row, from top to bottom."""
    (layers,) = (contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
    drawn = [re.split(" {2,}", line.strip())[:-1] for line in DESIGN.splitlines() if re.match(r"  [a-z]", line)]
    assert [[room.removesuffix(".py") for room in row] for row in drawn[: len(layers)]] == [
        [room.removeprefix("ragmeter.") for room in layer.split(" : ")] for layer in layers
    ]
