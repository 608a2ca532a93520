"""The dashboards that are shipped are those that the code makes, whole, and keep to our rules for panels."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from ragmeter import palette
from ragmeter.dashboards.boards import boards
from ragmeter.dashboards.files import files
from ragmeter.dashboards.options import OptionError, Options

from .shipped import PROJECT, ShippedQuery, dashboards, panel_queries, panels

NAMES = sorted(dashboards())
OWN_VARIABLES = ("datasource", "service", "strategy", "model", "collection", "compare")
SIX = {
    "ragmeter-overview",
    "ragmeter-context-bloat",
    "ragmeter-retrieval",
    "ragmeter-strategies",
    "ragmeter-change",
    "ragmeter-health",
}
WIDE_WINDOWS = re.compile(r"\[(\$__range|\d+[hd]|5m)\]")
"""Windows of a rate or an increase that are meant: totals of the chosen range, comparisons of hours and days."""


def test_the_shipped_files_are_what_the_code_makes():
    """Every file of dashboards/ is exactly what is generated now, and none is missing or left over."""
    made = files(Options())
    folder = PROJECT / "dashboards"
    shipped = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(shipped) == set(made)
    assert [path for path, text in made.items() if shipped[path] != text] == []


def test_there_are_six_dashboards():
    """One dashboard for each question."""
    assert set(dashboards()) == SIX


def test_the_overview_answers_in_order():
    """What do I spend, why did it change, where is the waste, what should I do: in this order, before all else."""
    rows = [panel["title"] for panel in dashboards()["ragmeter-overview"]["panels"] if panel["type"] == "row"]
    assert rows[:4] == [
        "What do I spend, and is it normal?",
        "Why did it change?",
        "Where is the waste?",
        "What should I do?",
    ]


def lost_keys(given: Any, kept: Any, path: str = "") -> list[str]:
    """The paths of everything in `given` that is not in `kept`."""
    if isinstance(given, dict):
        if not isinstance(kept, dict):
            return [path]
        return [
            lost
            for key, value in given.items()
            for lost in (lost_keys(value, kept[key], f"{path}.{key}") if key in kept else [f"{path}.{key}"])
        ]
    if isinstance(given, list):
        if not isinstance(kept, list) or len(kept) != len(given):
            return [path]
        pairs = enumerate(zip(given, kept, strict=True))
        return [lost for at, (one, other) in pairs for lost in lost_keys(one, other, f"{path}[{at}]")]
    return [] if given == kept else [path]


@pytest.mark.parametrize("name", NAMES)
def test_the_models_of_grafana_know_every_key(name):
    """A dashboard that is read into the SDK's models and written again has lost nothing: no key is misspelt."""
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(dashboards()[name]), cls=JSONEncoder))
    assert lost_keys(dashboards()[name], again) == []


def test_a_misspelt_key_is_noticed():
    """The check of keys can fail: one letter too many in a field option is found."""
    register_default_plugins()
    wrong = json.loads(json.dumps(dashboards()["ragmeter-health"]))
    panel = next(panels(wrong))
    panel["fieldConfig"]["defaults"]["unitt"] = "short"
    again = json.loads(json.dumps(Dashboard.from_json(wrong), cls=JSONEncoder))
    assert lost_keys(wrong, again) != []


@pytest.mark.parametrize("name", NAMES)
def test_the_data_source_is_the_readers_choice(name):
    """The first variable chooses the data source; every panel, target, variable and annotation uses it, none a uid."""
    dashboard = dashboards()[name]
    first = dashboard["templating"]["list"][0]
    assert (first["type"], first["query"], first["label"]) == ("datasource", "prometheus", "Data source")
    used = [panel["datasource"] for panel in panels(dashboard)]
    used += [target["datasource"] for panel in panels(dashboard) for target in panel["targets"]]
    used += [variable["datasource"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    used += [annotation["datasource"] for annotation in dashboard["annotations"]["list"]]
    assert {json.dumps(source, sort_keys=True) for source in used} == {
        json.dumps({"type": "prometheus", "uid": "${datasource}"}, sort_keys=True)
    }


@pytest.mark.parametrize("name", NAMES)
def test_variables_take_several_values_and_all(name):
    """Every variable that is asked for takes several values or all, also series without the label, and stays fresh."""
    for variable in dashboards()[name]["templating"]["list"]:
        if variable["type"] == "query":
            assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".*")
            assert variable["refresh"] == 2
            assert variable["label"]


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows(name):
    """Every panel has a title of its own in its row, a description, at least one query and a unit."""
    dashboard = dashboards()[name]
    for panel in panels(dashboard):
        assert panel["title"], panel
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        if panel["type"] == "table":
            columns = [each for each in panel["fieldConfig"]["overrides"] if units_of(each)]
            assert len(columns) == len(panel["targets"]), panel["title"]
        else:
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) >= len(titles) - 2


def units_of(override: dict[str, Any]) -> list[str]:
    return [each["value"] for each in override["properties"] if each["id"] == "unit"]


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_and_panels_do_not_overlap(name):
    """Panel ids and the references of a panel's queries are unique; no two panels share a cell of the grid."""
    dashboard = dashboards()[name]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels(dashboard):
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    overlapping = [(one, other) for one, other in itertools.combinations(places, 2) if overlap(one, other)]
    assert overlapping == []


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_full(name):
    """The panels of each line fill the whole width: no ragged edge."""
    lines: dict[int, int] = {}
    for panel in panels(dashboards()[name]):
        place = panel["gridPos"]
        lines[place["y"]] = lines.get(place["y"], 0) + place["w"]
    assert {y: width for y, width in lines.items() if width != 24} == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_dashboard_is_not_edited_in_place(name):
    """Dashboards are read-only, link to each other with time and variables, and have a uid and a tag of ours."""
    dashboard = dashboards()[name]
    assert dashboard["editable"] is False
    assert dashboard["uid"] == name
    assert dashboard["tags"] == ["ragmeter"]
    link = dashboard["links"][0]
    assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == (
        "dashboards",
        ["ragmeter"],
        True,
        True,
    )


@pytest.mark.parametrize("query", panel_queries(), ids=str)
def test_every_query_keeps_to_the_rules(query: ShippedQuery):
    """PromQL that parses; counters only inside rate or increase; no joins on scrape labels, no vendor's labels."""
    filled = query.filled(rate="5m", window="6h")
    promql_parser.parse(filled)
    assert "without" not in query.expression
    assert "telemetry_sdk" not in query.expression
    for window in re.findall(r"(?:rate|increase)\((?:[^()\[]|\([^()]*\))*(\[[^\]]+\])", query.expression):
        assert window == "[$__rate_interval]" or WIDE_WINDOWS.fullmatch(window), window
    bare = re.sub(
        r"(?:rate|increase|sum_over_time|count_over_time|last_over_time)\([a-z_:]+[^\[]*\[[^\]]+\](?: offset [^)]+)?\)",
        "",
        query.expression,
    )
    # A recorded series has colons in its name, and is no counter.
    bare = re.sub(r"\w+:\w+:\w+", "", bare)
    assert "_total" not in bare, bare
    assert "_bucket" not in bare, bare


@pytest.mark.parametrize("name", NAMES)
def test_one_colour_means_one_thing(name):
    """A series that bears the name of a strategy, an origin or a fate has its colour from the palette."""
    meanings = {
        **palette.STRATEGIES,
        **palette.PARTS,
        **{fate.value: colour for fate, colour in palette.FATES.items()},
    }
    for panel in panels(dashboards()[name]):
        for override in panel["fieldConfig"]["overrides"]:
            for each in override["properties"]:
                if each["id"] == "color" and override["matcher"]["options"] in meanings:
                    assert each["value"]["fixedColor"] == meanings[override["matcher"]["options"]]


@pytest.mark.parametrize("name", NAMES)
def test_small_money_is_not_written_as_none(name):
    """No amount has a fixed number of places: Grafana gives each the figures that count, so $0.003 is not $0.00."""
    for panel in panels(dashboards()[name]):
        defaults, overrides = panel["fieldConfig"]["defaults"], panel["fieldConfig"]["overrides"]
        fields = [defaults, *({each["id"]: each["value"] for each in override["properties"]} for override in overrides)]
        assert not [field for field in fields if field.get("unit") == "currencyUSD" and "decimals" in field]


@pytest.mark.parametrize("name", NAMES)
def test_the_axis_of_a_graph_of_zeros_is_short(name):
    """Every axis has an end that is near, or 1: without one Grafana draws zeros on an axis up to 100, or 10,000 %."""
    for panel in panels(dashboards()[name]):
        if panel["type"] in ("timeseries", "barchart"):
            assert 0 < panel["fieldConfig"]["defaults"]["custom"]["axisSoftMax"] <= 1, panel["title"]


def test_the_most_wasteful_have_a_name_without_labels():
    """Where no labels are declared, the rows of the most wasteful are strategies."""
    (panel,) = (
        panel
        for panel in panels(boards(Options(labels=()))["ragmeter-context-bloat"])
        if panel["title"] == "The most wasteful"
    )
    organized = panel["transformations"][-1]["options"]
    assert organized["renameByName"]["ragmeter_strategy"] == "Strategy"
    assert all("by (ragmeter_strategy)" in target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("name", NAMES)
def test_graphs_have_a_legend(name):
    """Every graph shows which line is which, with figures."""
    for panel in panels(dashboards()[name]):
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"] is True
            assert panel["options"]["legend"]["calcs"]


@pytest.mark.parametrize("labels", [(), ("tenant",), ("cost.center", "squad")], ids=["none", "one", "two"])
def test_the_labels_of_the_app_are_what_one_filters_by(labels):
    """Labels that a user declares become variables and groups of every dashboard; without any, they are whole too."""
    made = files(Options(labels=labels))
    names = [label.replace(".", "_") for label in labels]
    for board in SIX:
        text = made[f"grafana/{board}.json"]
        assert "$team" not in text
        assert [name for name in names if f"${name}" not in text] == []
        variables = [variable["name"] for variable in json.loads(text)["templating"]["list"]]
        assert [name for name in variables if name not in OWN_VARIABLES] == names
    assert all(f"by ({name})" in made["grafana/ragmeter-overview.json"] for name in names)
    assert all(name in made["prometheus/ragmeter-recording.yaml"] for name in names)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 7])
def test_rows_are_full_however_many_labels_there_are(number):
    """With any number of labels the panels of each line fill the width, and none overlaps another."""
    for board in boards(Options(labels=tuple(f"label_{at}" for at in range(number)))).values():
        lines: dict[int, int] = {}
        for panel in panels(board):
            lines[panel["gridPos"]["y"]] = lines.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]
        assert {y: width for y, width in lines.items() if width != 24} == {}
        places = [panel["gridPos"] for panel in board["panels"]]
        assert not any(overlap(one, other) for one, other in itertools.combinations(places, 2))


@pytest.mark.parametrize(
    "label", ["job", "le", "compare", "Time", "without", "ragmeter.strategy", "__name__", "1st", "a b"]
)
def test_a_label_that_cannot_be_one_is_refused(label):
    """A label that is a variable of ours, or a label of Prometheus or of ours, is refused by its name."""
    with pytest.raises(OptionError, match=re.escape(repr(label))):
        Options(labels=(label,))


@pytest.mark.parametrize("labels", [("cost.center", "cost_center"), ("Team", "team"), ("team", "team")])
def test_two_labels_of_one_name_are_refused(labels):
    """Labels that would be one in Prometheus, or look like one on a page, are refused."""
    with pytest.raises(OptionError, match="keep one"):
        Options(labels=labels)


def test_the_budget_is_written_to_the_cent():
    """A budget of any size is what the limit says; one that is none is refused."""
    assert "vector(1234567.89)" in files(Options(budget=1_234_567.89))["prometheus/ragmeter-limits.yaml"]
    for budget in (-1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="US dollars a month"):
            Options(budget=budget)


@pytest.mark.parametrize(
    "runbooks", ["", "docs/runbooks.md", "https://x/{{ $value }}", "https://a b", "javascript:x", "https://a#b"]
)
def test_runbooks_are_an_address(runbooks):
    """What alerts link to is a web address, and no template that Prometheus would fill in."""
    with pytest.raises(OptionError, match="a page's address"):
        Options(runbooks=runbooks)
