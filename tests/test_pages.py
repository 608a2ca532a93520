"""What README, docs and the other pages say can be checked: commands, queries, links, versions and counts are true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import typer
from typer.testing import CliRunner

from dashboards.shipped import dashboards
from pages import PAGES, ROOT, blocks, commands, promql
from ragmeter.cli import application
from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.rules import Alert
from ragmeter.naming import semconv
from ragmeter.naming.metric import Profile
from ragmeter.naming.prometheus_names import label_name, metric_name
from ragmeter.reading import clients

EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
COMMANDS = sorted({(str(page.relative_to(ROOT)), command) for page in PAGES for command in commands(page)})
QUERIES = [(page.name, query) for page in PAGES for query in promql(page)]
SERIES = {
    f"{metric_name(metric)}{ending}"
    for metric in semconv.metrics_of(Profile.OWN)
    for ending in (("_bucket", "_sum", "_count") if metric.buckets else ("",))
}
LABELS = {label_name(value) for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
README_TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def option_names(command: str) -> set[str]:
    """The options that a `ragmeter` command takes; fails where there is no such command."""
    found: Any = typer.main.get_command(application())
    for word in command.split()[1:]:
        if not hasattr(found, "commands"):
            break
        assert word in found.commands, f"there is no command {word}"
        found = found.commands[word]
    return {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {command}" for page, command in COMMANDS])
def test_a_command_exists_with_its_options(page, command):
    """What a page shows for the shell is there: programs of ours with their options, scripts, extras."""
    program, *words = command.split()
    if program.startswith("scripts/"):
        assert (ROOT / program).stat().st_mode & 0o111
        command = " ".join(("ragmeter demo", *words))
    if program in ("ragmeter", "scripts/demo"):
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= option_names(command)
    elif words and program.startswith("scripts/"):
        pytest.fail(f"{program} takes no arguments of ours")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_extras_can_be_installed(page):
    """Every extra that a page names is one of the package."""
    named = re.findall(r"(?:ragmeter|'\.)\[([\w,-]+)\]", page.read_text(encoding="utf-8"))
    assert {name for each in named for name in each.split(",")} <= EXTRAS


def test_the_commands_that_need_nothing_else_run(tmp_path, monkeypatch):
    """Commands that read and write files only are run as they are shown."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    alone = {command for _, command in COMMANDS if re.match(r"ragmeter (anatomy \S+\.|dashboards export rag)", command)}
    assert len(alone) >= 3
    for command in sorted(alone):
        again = ["--force"] if "export" in command else []
        result = CliRunner().invoke(application(), [*command.split()[1:], *again])
        assert result.exit_code == 0, (command, result.output)


@pytest.mark.parametrize(("page", "query"), QUERIES)
def test_a_query_is_promql_over_our_own_names(page, query):
    """Each query of a page is PromQL, and asks for series and labels that ragmeter writes."""
    promql_parser.parse(query)
    named = set(re.findall(r"\b(?:ragmeter|gen_ai|db)_\w+", query))
    assert named <= SERIES | LABELS
    assert named & SERIES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every link into the clone leads to a file that is there, and to a heading of it."""
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", clients.names())
def test_versions_are_those_that_were_tested(name):
    """The README's table of clients has every integration with the range that warnings go by; the changelog too."""
    integration = clients.load(name)
    found = re.findall(rf"\b{integration.distribution}(?: \|)? (\d+\.\d+) ?\W ?(\d+\.\d+)", README_TEXT + CHANGELOG)
    assert found
    assert set(found) == {integration.tested}


def test_the_pages_of_dashboards_count_right():
    """There are as many dashboards, queries, alerts and incidents as the pages say, each with its row."""
    page = (ROOT / "docs" / "dashboards.md").read_text(encoding="utf-8")
    count = NUMBERS[len(dashboards())]
    for text in (page, README_TEXT):
        assert re.search(rf"\b{count} (?:Grafana )?dashboards", text, re.IGNORECASE)
    titles = [board["title"].removeprefix("ragmeter: ") for board in dashboards().values()]
    assert sorted(titles) == sorted(re.findall(r"^\| ([\w ?]+) \| [^|]*\? \|", page, re.MULTILINE))
    rules = [rule.name for group in alerts() for rule in group.rules if isinstance(rule, Alert)]
    assert sorted(rules) == sorted(named_alerts(page))


def named_alerts(page: str) -> list[str]:
    """The alerts of the table on the page: a row may name several that begin alike."""
    rows = re.findall(r"^\| (Ragmeter[\w, ]+) \| .* \| (?:page|warning|info)", page, re.MULTILINE)
    found = []
    for first, *others in (row.split(", ") for row in rows):
        words = re.findall(r"[A-Z][a-z]+", first)
        stem = "".join(words[:2])
        found += [first, *(f"{stem}{other.removeprefix('Budget')}" for other in others)]
    return found


def test_the_picture_on_the_page_is_what_the_command_draws():
    """The anatomy shown on the page is that of the example, but for today's prices."""
    pytest.importorskip("bpe_openai")
    shown = next(block for block in blocks(ROOT / "docs" / "anatomy.md", "") if "input tokens" in block)
    command = ["anatomy", str(ROOT / "examples" / "prompt.json"), "--exact"]
    drawn = CliRunner(env={"COLUMNS": "100"}).invoke(application(), command).output
    assert without_prices(shown) == without_prices(drawn)


def without_prices(text: str) -> list[str]:
    return [re.sub(r"\$[\d.]+", "$", line).rstrip() for line in text.splitlines() if line.strip()]
