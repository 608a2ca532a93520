"""What a scenario says is planned with, and each mistake is named with its place and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmeter.cli.list_prices import prices_of
from ragmeter.cli.plan import plan_of
from ragmeter.cli.scenario import Scenario, read_scenario
from ragmeter.cli.scenario_layers import SHIPPED, ScenarioError, read_layer, read_setting, shipped
from ragmeter.domain.strategy import STRATEGIES
from ragmeter.planning.ranges import Range

GOOD = """
title: Ours
horizon: 24
queries_per_day: [800, 1200]
compared_to: rag
built: [retrieval]
days: 14
traffic:
  rag:
    queries: 14000
    tokens: {question: 50, context: [1000, 4000], output: 300}
    cost: {question: 0.0001, context: 0.005, output: 0.003}
    cost_deviation: 0.002
    cached_share: 0.1
prices:
  fine_tuned: {model: "openai/ft:gpt-4.1-mini:own", cache_read: 0.1}
retrieval: {infrastructure: 400}
success: {rag: 0.9, fine_tuned: [0.7, 0.85]}
growth: {traffic: 0.05}
expected: {rag: 8}
claims:
  - {cheaper: fine_tuned, than: rag, times: [2, 10], queries_per_day: 1000}
"""


def read(folder: Path, text: str, *settings: str) -> Scenario:
    (folder / "ours.yaml").write_text(text, "utf-8")
    return read_scenario([read_layer(str(folder / "ours.yaml")), *map(read_setting, settings)])


def test_a_scenario_is_read_as_it_is_written(tmp_path):
    """Traffic, assumptions, prices, claims and expectations of a file are those of the plan."""
    said = read(tmp_path, GOOD)
    traffic, values = said.workload.strategies["rag"], said.assumptions.values
    assert (said.title, said.months, said.workload.days) == ("Ours", 24, 14)
    assert (said.assumptions.compared_to, said.assumptions.built) == ("rag", ("retrieval",))
    assert (traffic.queries, traffic.cost_deviation, traffic.cached_share) == (14_000, 0.002, 0.1)
    assert traffic.tokens == pytest.approx({"question": 50, "context": 2_000, "output": 300})
    assert traffic.cost_per_query == pytest.approx(0.0081)
    assert values["traffic.rag.tokens.context"].range == Range(1_000, 4_000)
    assert values["queries_per_day"].range == Range(800, 1_200)
    assert values["retrieval.infrastructure"].range == Range(400, 400)
    assert values["success.fine_tuned"].range == Range(0.7, 0.85)
    assert [each.strategy for each in said.expectations] == ["rag"]
    assert (said.claims[0].least, said.claims[0].most) == (2, 10)


def test_a_model_has_its_list_price_and_what_is_written_beside_it(tmp_path):
    """Rates come from the price tables with their row as source; one that is written counts above them."""
    values = read(tmp_path, GOOD).assumptions.values
    table = prices_of("openai", "ft:gpt-4.1-mini:own")
    assert values["prices.fine_tuned.input"].range.low == pytest.approx(table["input"].dollars)
    assert "ft:gpt-4.1-mini" in values["prices.fine_tuned.input"].source
    assert values["prices.fine_tuned.cache_read"].range == Range(0.1, 0.1)
    assert values["prices.fine_tuned.cache_read"].source.endswith("ours.yaml")


def test_what_nobody_writes_has_a_dated_default(tmp_path):
    """Its range, its source, the day of that and the day on which it was read are known."""
    labour = read(tmp_path, GOOD).assumptions.values["labour_rate"]
    assert labour.range == Range(50, 100)
    assert labour.source == "https://pecollective.com/blog/rag-vs-fine-tuning-cost of 2026-02-15, read 2026-11-30"


def test_later_layers_count(tmp_path):
    """Files and settings are laid one over the other, entry by entry."""
    (tmp_path / "more.yaml").write_text("retrieval: {labour: 50}\nlabour_rate: 90\n", "utf-8")
    (tmp_path / "ours.yaml").write_text(GOOD, "utf-8")
    layers = [read_layer(str(tmp_path / name)) for name in ("ours.yaml", "more.yaml")]
    settings = ["labour_rate=[60, 120]", "traffic.rag.tokens.context=900", "horizon=6"]
    said = read_scenario([*layers, *map(read_setting, settings)])
    values = said.assumptions.values
    assert values["labour_rate"].range == Range(60, 120)
    assert values["retrieval.labour"].range == Range(50, 50)
    assert values["retrieval.infrastructure"].range == Range(400, 400)
    assert said.workload.strategies["rag"].tokens["context"] == 900
    assert said.months == 6


def test_another_model_replaces_the_prices_below_it(tmp_path):
    """A model that is set replaces the prices of the file, and not only those that it has."""
    text = GOOD.replace('{model: "openai/ft:gpt-4.1-mini:own", cache_read: 0.1}', "{input: 1, output: 2, request: 3}")
    said = read(tmp_path, text, "prices.fine_tuned.model=openai/ft:gpt-4.1-nano:own")
    assert said.assumptions.values["prices.fine_tuned.input"].range.low == pytest.approx(0.2)
    assert said.assumptions.values["prices.fine_tuned.request"].range == Range(0, 0)


@pytest.mark.parametrize("name", ["article", "today"])
def test_the_shipped_scenarios_are_found_by_name(name):
    """With and without the ending of a file, and listed with their titles."""
    assert read_layer(name).content == read_layer(f"{name}.yaml").content
    assert set(shipped()) == {path.stem for path in SHIPPED.glob("*.yaml")} == {"article", "today"}


def test_the_prices_of_today_are_those_of_the_table():
    """The shipped scenario of today names models and no price: its rates are what calls are priced with."""
    values = read_scenario([read_layer("today")]).assumptions.values
    for strategy, model in (("rag", "gpt-4.1"), ("fine_tuned", "ft:gpt-4.1-mini:own")):
        for unit, price in prices_of("openai", model).items():
            assert values[f"prices.{strategy}.{unit}"].range.low == price.dollars
            assert values[f"prices.{strategy}.{unit}"].source == price.source
    assert "input:" not in (SHIPPED / "today.yaml").read_text("utf-8")


ONE_OF = f"write one of {', '.join(STRATEGIES)}"

WRONG = {
    "horizon: soon": "horizon: 'soon' cannot stand there; write months to look ahead, from 1 to 60",
    "horizon: 0": "horizon: 0 cannot stand there; write months to look ahead, from 1 to 60",
    "horizon: 1.5": "horizon: 1.5 cannot stand there; write months to look ahead, from 1 to 60",
    "horizn: 12": "horizn: there is no such entry; did you mean horizon?",
    "labor_rate: 50": "labor_rate: there is no such entry; did you mean labour_rate?",
    "labour_rate: cheap": (
        "labour_rate: 'cheap' is neither a number nor a range [low, high]; write what an hour of an engineer costs (US "
        "dollars an hour) as one number or as [low, high]"
    ),
    "labour_rate:": (
        "labour_rate: None is neither a number nor a range [low, high]; write what an hour of an engineer costs (US "
        "dollars an hour) as one number or as [low, high]"
    ),
    "retrieval: {infrastructure: [850, 150]}": (
        "retrieval.infrastructure: the range [850, 150] begins above its end; write what database and servers of "
        "retrieval cost, without tokens (US dollars a month) as one number or as [low, high]"
    ),
    "retrieval: {infrastructur: 5}": (
        "retrieval.infrastructur: there is no such assumption; did you mean retrieval.infrastructure?"
    ),
    "retrieval: 5": ("retrieval: there stand several below it; write them by name, such as retrieval.infrastructure"),
    "success: {rag: 90}": (
        "success.rag: 90 is not above 0 and up to 1; write which share of the queries rag answers well (share) as one "
        "number or as [low, high]"
    ),
    "success: {rag: 0}": (
        "success.rag: 0 is not above 0 and up to 1; write which share of the queries rag answers well (share) as one "
        "number or as [low, high]"
    ),
    "compared_to: finetuned": f"compared_to: 'finetuned' cannot stand there; {ONE_OF}",
    "built: retrieval": (
        "built: 'retrieval' cannot stand there; write what is there already: [], [retrieval], [fine_tuning] or "
        "[retrieval, fine_tuning]"
    ),
    "built: [index]": (
        "built.0: 'index' cannot stand there; write what is there already: [], [retrieval], [fine_tuning] or "
        "[retrieval, fine_tuning]"
    ),
    "traffic: {ragg: {}}": f"traffic.ragg: there is no such entry; write an entry for any of {', '.join(STRATEGIES)}",
    "traffic: {rag: 5}": f"traffic.rag: 5 cannot stand there; write an entry for any of {', '.join(STRATEGIES)}",
    "traffic: {rag: {token: {}}}": "traffic.rag.token: there is no such entry; did you mean tokens?",
    "traffic: {rag: {tokens: {contxt: 5}}}": (
        "traffic.rag.tokens.contxt: there is no such assumption; did you mean traffic.rag.tokens.context?"
    ),
    "traffic: {rag: {tokens: {context: many}}}": (
        "traffic.rag.tokens.context: 'many' is neither a number nor a range [low, high]; write the context tokens of a "
        "query with rag as one number or as [low, high]"
    ),
    "traffic: {rag: {queries: -1}}": (
        "traffic.rag.queries: -1 cannot stand there; write how many queries were looked at, or leave it out where none "
        "was"
    ),
    "traffic: {rag: {cost: {contxt: 1}}}": (
        "traffic.rag.cost.contxt: there is no such entry; write US dollars of a query by part, such as {context: 0.007}"
    ),
    "traffic: {rag: {cached_share: 30}}": (
        "traffic.rag.cached_share: 30 cannot stand there; write the share of input tokens that a cache gave"
    ),
    "prices: {rag: {model: gpt-4.1}}": (
        "prices.rag.model: 'gpt-4.1' names no model; write provider/model, such as openai/gpt-4.1"
    ),
    "prices: {rag: {model: openai/gpt-none}}": (
        "prices.rag.model: no price is known for openai/gpt-none; write prices.rag.input and prices.rag.output "
        "(dollars per million tokens) in its place"
    ),
    "prices: {rag: {model: 5}}": "prices.rag.model: 5 names no model; write provider/model, such as openai/gpt-4.1",
    "prices: {ragg: {model: openai/gpt-4.1}}": (
        "prices.ragg.input: there is no such assumption; did you mean prices.rag.input?"
    ),
    "prices: {rag: {input: -3}}": (
        "prices.rag.input: -3 is not 0 or more; write the price of a million input tokens with rag (US dollars per "
        "million tokens) as one number or as [low, high]"
    ),
    "expected: {rag: much}": (
        "expected.rag: 'much' cannot stand there; write dollars for 1,000 queries by strategy, such as {rag: 41}"
    ),
    "claims: [{cheaper: fine_tuned, than: rag, times: [10, 50]}]": (
        "claims.0.queries_per_day: is missing; write at how many queries a day"
    ),
    "claims: [{cheaper: fine_tuned, than: rag, times: 10, queries_per_day: 5}]": (
        "claims.0.times: 10 cannot stand there; write how many times cheaper, as [least, most] above 0"
    ),
    "claims: [{cheaper: tuned, than: rag, times: [1, 2], queries_per_day: 5}]": (
        f"claims.0.cheaper: 'tuned' cannot stand there; {ONE_OF}"
    ),
    "growth: {traffic: -2}": (
        "growth.traffic: -2 is not -1 or more, up to 10; write by which share traffic grows in a month: 0.05 for 5 % "
        "(a month) as one number or as [low, high]"
    ),
    "- a list": "expected entries such as `queries_per_day: 10000`, one a line",
    "5": "expected entries such as `queries_per_day: 10000`, one a line",
    "": "expected entries such as `queries_per_day: 10000`, one a line",
    "days: 2026-02-30": "it is not valid YAML: day is out of range for month",
    "title: \0": "it is not valid YAML: special characters are not allowed",
    "[" * 5_000: "its entries lie too deep in one another",
    "queries_per_day: 1e300": (
        "queries_per_day: 1e+300 is too large to be summed up; write how many queries come in a day (queries) as one "
        "number or as [low, high]"
    ),
    "a: [": "line 1, column 5: it is not valid YAML: expected the node content, but found '<stream end>'",
    "labour_rate: 5\nlabour_rate: 6": "line 2, column 1: it is not valid YAML: 'labour_rate' stands there twice",
    "[a, b]: 5": "line 1, column 1: it is not valid YAML: ['a', 'b'] is no name of an entry",
    "claims: [{cheaper: base, than: rag, times: [0, 5], queries_per_day: 1}]": (
        "claims.0.times: [0, 5] cannot stand there; write how many times cheaper, as [least, most] above 0"
    ),
    "claims: [{cheaper: base, than: rag, times: [5, 2], queries_per_day: 1}]": (
        "claims.0.times: [5, 2] cannot stand there; write how many times cheaper, as [least, most] above 0"
    ),
    "expected: {rag: .nan}": (
        "expected.rag: nan cannot stand there; write dollars for 1,000 queries by strategy, such as {rag: 41}"
    ),
    "traffic: {rag: {queries_per_day: .inf}}": (
        "traffic.rag.queries_per_day: inf cannot stand there; write how many queries of it come in a day"
    ),
    "traffic: {rag: {cost: {context: -1}}}": (
        "traffic.rag.cost.context: -1 cannot stand there; write US dollars of a query by part, such as {context: 0.007}"
    ),
    "traffic: {rag: {cost_per_query: 0.002, cost: {context: 0.007}}}": (
        "traffic.rag.cost_per_query: 0.002 is less than its parts in `cost`; write their sum, 0.007, or more"
    ),
    "1: 5": "line 1, column 1: it is not valid YAML: 1 is no name of an entry",
}


@pytest.mark.parametrize(("text", "says"), WRONG.items(), ids=[text[:40] for text in WRONG])
def test_what_is_wrong_is_named_with_its_place_and_what_to_write(tmp_path, text, says):
    """One sentence: the file, the path in it, what is wrong, and what would do."""
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'ours.yaml'}: {says}"


def test_a_mistake_is_told_of_the_layer_that_makes_it(tmp_path):
    """Where a setting is wrong, it is named, and not the file below it."""
    with pytest.raises(ScenarioError, match=r"^--set labour_rate=much: labour_rate: 'much' is neither"):
        read(tmp_path, GOOD, "labour_rate=much")
    with pytest.raises(ScenarioError, match=r"ours.yaml: horizon: 'soon' cannot stand there"):
        read(tmp_path, "horizon: soon", "labour_rate=90")


def test_a_number_may_be_written_with_an_exponent(tmp_path):
    """1e5 is a number, as everywhere but in YAML 1.1."""
    assert read(tmp_path, "queries_per_day: 1e5\ntitle: e5").assumptions.values["queries_per_day"].range.low == 1e5


@pytest.mark.parametrize("text", ["labour_rate", "=5", "", ".=5", "success..rag=0.5"])
def test_a_setting_without_a_value_is_told(text):
    """A setting is a path, an equals sign and a value."""
    with pytest.raises(ScenarioError) as caught:
        read_setting(text)
    assert str(caught.value) == f"--set {text}: write path=value, such as --set labour_rate=80"


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    """Missing, a folder, or no text: the reason, and which scenarios there are."""
    with pytest.raises(ScenarioError) as caught:
        read_layer(str(tmp_path / "none.yaml"))
    assert str(caught.value) == (
        f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory; scenarios that are shipped: "
        "article, today"
    )
    with pytest.raises(ScenarioError, match="cannot be read: Is a directory"):
        read_layer(str(tmp_path))
    (tmp_path / "bytes.yaml").write_bytes(b"title: \xff")
    with pytest.raises(ScenarioError, match=r"it is not in UTF-8 \(byte 7\)"):
        read_layer(str(tmp_path / "bytes.yaml"))


def test_queries_and_days_say_how_many_come_in_a_day(tmp_path):
    """Without queries_per_day they are divided; without days queries_per_day counts as it is written."""
    seen = "queries: 2800, cost_per_query: 0.01, cost_deviation: 0.01"
    assert read(tmp_path, f"days: 14\ntraffic: {{rag: {{{seen}}}}}").workload.queries_per_day == 200
    plan = plan_of(read(tmp_path, f"traffic: {{rag: {{{seen}, queries_per_day: 150}}}}"), draws=200, seed=1)
    assert plan.queries_per_day == 150
