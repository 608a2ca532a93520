"""`ragmeter plan --html`: one page that loads nothing, with the figures of the plan, for every reader and screen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from pages import ROOT
from ragmeter import palette
from ragmeter.cli import application
from ragmeter.cli.plan import plan_of
from ragmeter.cli.plan_page import page
from ragmeter.cli.scenario import read_scenario
from ragmeter.cli.scenario_layers import read_layer, read_setting
from ragmeter.planning.spread import percent
from ragmeter.planning.verdict import signed

VOID = {"meta", "br"}
CHROMIUM = shutil.which("chromium")
FEW = ("--draws", "500")
DESK = str(ROOT / "examples" / "help-desk.yaml")


class Page(HTMLParser):
    """A page as a browser reads it: its elements closed in order, texts, tables, and all that it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs), (tag, attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append((tag, attributes))
        if tag == "table":
            self.tables[attributes["aria-labelledby"]] = []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self.open.pop()
        assert opened == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1][0] if self.open else "", data))
        if {"td", "th"} & {tag for tag, _ in self.open} and "svg" not in {tag for tag, _ in self.open}:
            self.rows[-1][-1] += data

    @property
    def rows(self) -> list[list[str]]:
        return list(self.tables.values())[-1]

    def text(self, *tags: str) -> str:
        """All text, or that of some elements."""
        return " ".join(text for tag, text in self.texts if not tags or tag in tags)


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(application(), ["plan", *map(str, arguments)])


def written(folder: Path, *arguments: str) -> str:
    """The page of a plan."""
    result = run(*arguments, "--html", folder / "plan.html", *FEW)
    assert result.exit_code == 0, result.output
    assert result.output.replace("\n", "") == f"Written: {folder / 'plan.html'}"
    return (folder / "plan.html").read_text("utf-8")


def figures(*arguments: str) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(run(*arguments, "--json", *FEW).output)
    return plan


def dollars(amount: float | None) -> str:
    return "-" if amount is None else signed(amount)


@pytest.mark.parametrize("scenario", ["article", "today", DESK])
def test_the_page_is_well_formed_and_loads_nothing(scenario, tmp_path):
    """Each element is closed in order, no name stands there twice, and only links lead out of the page."""
    source = written(tmp_path, scenario)
    read = Page(source)
    names = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(names) == len(set(names))
    referred = {name for _, each in read.elements for name in each.get("aria-labelledby", "").split()}
    assert referred <= set(names)
    assert {tag for tag, attributes in read.elements if {"src", "href", "xlink:href"} & set(attributes)} <= {"a"}
    assert re.findall(r"url\(|@import|<script|<link|<img|<iframe|javascript:| on\w+=", source) == []
    outside = set(re.findall(r"https?://[^\s\"<]+", source))
    assert outside <= {attributes["href"] for tag, attributes in read.elements if tag == "a"}
    assert "default-src 'none'" in source


@pytest.mark.parametrize(
    "arguments", [("article",), (DESK,), ("today", "--set", "success={rag: 0.9, fine_tuned: 0.7}")]
)
def test_the_figures_of_the_page_are_those_of_the_plan(arguments, tmp_path):
    """Costs, break-evens, drivers and assumptions are what --json has, as they are read."""
    read, plan = Page(written(tmp_path, *arguments)), figures(*arguments)
    fields = ("cost_per_thousand", "cost_per_month", "cost_per_month_tenfold", "setup_cost", "total_cost")
    for cells, row in zip(read.tables["costs"][1:], plan["rows"], strict=True):
        assert (cells[0], cells[1].split()[1]) == (row["strategy"], row["basis"])
        assert cells[2:7] == [dollars(row[field]) for field in fields]
        assert cells[7] == f"{dollars(row['total_spread']['p10'])} to {dollars(row['total_spread']['p90'])}"
        if "success" in arguments[-1]:
            each = row["cost_per_success"]
            assert cells[8] == dollars(each and 1000 * each["p50"])
    for cells, each in zip(read.tables["even"][1:], plan["comparisons"], strict=True):
        assert cells[:2] == [each["challenger"], percent(each["cheaper"])]
        assert cells[2] == " / ".join(dollars(each["saving"][at]) for at in ("p10", "p50", "p90"))
    best = next(each for each in plan["comparisons"] if each["challenger"] == plan["verdict"]["challenger"])
    for cells, driver in zip(read.tables["drivers"][1:], best["drivers"], strict=True):
        assert cells[0] == driver["quantity"]["name"]
        assert cells[2:4] == [f"{driver['correlation']:+.2f}", dollars(driver["worth"] or None)]
    told = [each for each in plan["assumptions"] if each["source"] != "nobody says otherwise"]
    assert [row[0] for row in read.tables["assumptions"][1:]] == [each["quantity"]["name"] for each in told]
    assert plan["verdict"]["answer"] in read.text("p")
    assert plan["verdict"]["next"] in read.text("p")
    for words in (*plan["notes"], *(check["statement"] for check in plan["checks"])):
        assert words in read.text("li")


def test_the_charts_are_the_curves_of_the_plan(tmp_path):
    """The bars of a query add up to its cost, and each line has a point for each month or traffic of the plan."""
    source, plan = written(tmp_path, DESK), figures(DESK)
    read = Page(source)
    for row in plan["rows"]:
        described = dict(re.findall(r'id="stack-(\w+)-desc">([^<]*)<', source))[row["strategy"]]
        parts = dict(re.findall(r"([a-z ]+) (\$[\d.]+)", described.replace(", ", ",")))
        assert parts == {part.replace("_", " "): dollars(cost) for part, cost in row["by_part"].items()}
    lines = [each["points"].split() for tag, each in read.elements if tag == "polyline"]
    strategies, drawings = len(plan["rows"]), 2
    assert sum(len(points) == plan["months"] + 1 for points in lines) == strategies * drawings
    volumes = strategies + len(plan["comparisons"])
    assert sum(len(points) == len(plan["volumes"]) for points in lines) == volumes * drawings
    last = plan["rows"][1]["by_month"][-1]
    ends = f"RAG {dollars(last['p50'])}, {dollars(last['p10'])} to {dollars(last['p90'])}"
    assert ends in read.text("desc")
    half = plan["comparisons"][1]["volume"]["at"]["p50"]
    assert read.text("text").split().count(f"{half:,.0f}") == drawings


def test_texts_from_outside_are_text(tmp_path):
    """Markup in a title, a source, a name or a note is shown as it is, and what steers is a mark."""
    markup = "<b onclick=alert(1)>Ours</b> & \"co\" <script>alert('x')</script>"
    text = json.dumps({"title": f"{markup} \x1b[31m\u202e", "source": f"{markup} https://example.org/?a=1&b=<i>"})
    (tmp_path / "<i>ours.yaml").write_text(text, "utf-8")
    settings = ("--set", "labour_rate=80")
    source = written(tmp_path, "today", str(tmp_path / "<i>ours.yaml"), *settings)
    read = Page(source)
    assert f"{markup} \ufffd[31m\ufffd" in read.text("h1")
    assert f"{markup} " in read.text("p")
    assert {tag for tag, _ in read.elements} & {"b", "script", "i"} == set()
    assert ("a", {"href": "https://example.org/?a=1&b=", "rel": "noreferrer"}) in read.elements
    assert not {"\x1b", "\u202e"} & set(source)


@pytest.mark.parametrize("scenario", ["article", DESK])
def test_the_page_can_be_read_without_seeing_it(scenario, tmp_path):
    """One heading on top and one for each section, a header for each row and column, words for each chart."""
    read = Page(written(tmp_path, scenario))
    tags = [tag for tag, _ in read.elements]
    assert tags.count("h1") == 1
    assert tags.count("h2") + 1 == tags.count("section")
    charts = [attributes for tag, attributes in read.elements if tag == "svg"]
    assert all(each.get("aria-hidden") == "true" or each["role"] == "img" for each in charts)
    images = sum(each.get("role") == "img" for each in charts)
    assert images == sum(tag == "desc" for tag in tags)
    assert all(text.strip() for tag, text in read.texts if tag == "desc")
    rows = sum(len(table) - 1 for table in read.tables.values())
    scopes = [attributes.get("scope") for tag, attributes in read.elements if tag == "th"]
    assert scopes.count("row") == rows
    assert None not in scopes
    assert all(all(cell.strip() for cell in table[0]) for table in read.tables.values())


def variables(source: str) -> Iterator[dict[str, str]]:
    """The colours of the light and of the dark theme."""
    light, dark = re.findall(r":root \{([^}]*--page[^}]*--tone[^}]*)\}", source)
    yield from (dict(re.findall(r"--(\w+): ([^;]+);", theme)) for theme in (light, dark))


def luminance(colour: str, tone: float = 1.0) -> float:
    """Relative luminance (WCAG 2.2) of a colour, made lighter or darker as CSS does."""
    digits = colour.lstrip("#")
    digits = "".join(2 * each for each in digits) if len(digits) == 3 else digits
    values = [min(1.0, tone * int(digits[at : at + 2], 16) / 255) for at in (0, 2, 4)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_both_themes_can_be_read(tmp_path):
    """Texts have a contrast of 4.5 to what they stand on, lines of strategies one of 2.9: light and dark."""
    source = written(tmp_path, "today")
    assert "@media (prefers-color-scheme: dark)" in source
    themes = list(variables(source))
    assert themes[0]["page"] != themes[1]["page"]
    for theme in themes:
        for ground in ("page", "card"):
            for text in ("ink", "soft", "link", "good", "bad"):
                assert contrast(luminance(theme[text]), luminance(theme[ground])) >= 4.5, (text, ground)
        for name in ("base", "rag", "fine_tuned", "fine_tuned_rag"):
            line = luminance(palette.STRATEGIES[name], float(theme["tone"]))
            assert contrast(line, luminance(theme["page"])) >= 2.9, name


def test_a_plan_with_gaps_has_a_page(tmp_path):
    """With no traffic, with strategies of no price, or where nothing costs anything, no chart of it is drawn."""
    free = "prices={rag: {input: 0, output: 0}, fine_tuned: {input: 0, output: 0}}"
    read = Page(written(tmp_path, "today", "--set", free, "--set", "retrieval={query_cost: 0, infrastructure: 0}"))
    assert read.tables["costs"][1][2] == "$0.00"
    alone = "traffic: {base: {tokens: {question: 50, output: 100}}}\nprices: {base: {input: 1, output: 2}}\n"
    (tmp_path / "alone.yaml").write_text(alone, "utf-8")
    read = Page(written(tmp_path, str(tmp_path / "alone.yaml")))
    assert [row[1].split()[-1] for row in read.tables["costs"][1:]] == ["assumed", "unknown", "unknown", "unknown"]
    assert "months" not in {attributes.get("id") for _, attributes in read.elements}
    assert "even" not in read.tables


@pytest.mark.parametrize("name", ["no folder/page.html", "."])
def test_a_page_that_cannot_be_written_is_told(name, tmp_path, monkeypatch):
    """The file and the reason; exit code 2."""
    monkeypatch.chdir(tmp_path)
    result = run("article", "--html", name, *FEW)
    assert result.exit_code == 2
    assert f"ragmeter plan: {name}: cannot be written: " in result.stderr


def test_a_long_horizon_and_huge_traffic_have_a_page(tmp_path):
    """Labels of axes are never too many, whatever the figures."""
    source = written(tmp_path, "today", "--horizon", "60", "--set", "queries_per_day=1e12")
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", source)
    assert len(labels) < 120
    assert all(len(label) <= 20 for label in labels)


@settings(max_examples=10, deadline=None)
@given(
    traffic=st.just(0.0) | st.floats(1e-15, 1e12),
    price=st.just(0.0) | st.floats(1e-15, 1e6),
    infrastructure=st.tuples(st.floats(1e-9, 1e3), st.floats(1e3, 1e12)),
    months=st.integers(1, 60),
)
def test_every_point_of_a_chart_has_a_place(traffic, price, infrastructure, months):
    """Whatever a plan costs, each chart is drawn of numbers, and none lies outside of it."""
    low, high = infrastructure
    said = [f"queries_per_day={traffic}", f"prices.rag.input={price}", f"retrieval.infrastructure=[{low}, {high}]"]
    layers = [read_layer("today"), *map(read_setting, (*said, f"horizon={months}"))]
    source = page(plan_of(read_scenario(layers), draws=100, seed=1))
    assert re.findall(r"\b(?:nan|inf|None)\b", source.partition("<body>")[2]) == []
    for width, height, drawn in re.findall(r'viewBox="0 0 (\d+) (\d+)"(.*?)</svg>', source, re.DOTALL):
        points = [pair.split(",") for line in re.findall(r' points="([^"]*)"', drawn) for pair in line.split()]
        assert all(0 <= float(x) <= float(width) and 0 <= float(y) <= float(height) for x, y in points)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_complains_of_nothing(tmp_path):
    """Nothing stands in the console of a browser that opens the page, where one is at hand."""
    written(tmp_path, DESK)
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom")
    command = [str(CHROMIUM), *options, f"--user-data-dir={tmp_path / 'browser'}", (tmp_path / "plan.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "At 3,200 queries a day" in done.stdout
    assert "CONSOLE" not in done.stderr
