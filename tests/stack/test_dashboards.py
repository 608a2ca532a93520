"""Every query of every shipped dashboard has data: over two weeks of history, from a scrape, and pushed by OTLP."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dashboards.shipped import PROJECT, ShippedQuery, annotation_queries, panel_queries, variable_queries
from ragmeter.dashboards.expressions import LAST_PART, by_last_part
from ragmeter.dashboards.recording import BUDGET, COST_RATE_1H, COST_USUAL_1H, hourly, limits, lookbacks
from ragmeter.dashboards.rule_files import rule_file
from ragmeter.dashboards.rules import Recording
from ragmeter.demo.history.incidents import LOOP
from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import label_name

from . import app, servers
from .client import PrometheusClient, QueryError
from .names import METRICS, NEEDS_A_FAULT, series_names
from .past import OPTIONS
from .servers import free_port
from .subprocesses import environment, push_variables

APP = (sys.executable, "-m", app.__name__, "--again")
APP_FOLDER = Path(__file__).parents[app.__name__.count(".")]
WITHOUT_A_PAST = "offset "
"""Mark of a query that compares with earlier days: an app that has just begun has none."""
SERIES = re.compile(r"\b(?:ragmeter|job_strategy)\w*(?::\w+)*(?=[{\[])")
HALF_A_DAY = 43_200.0
WANTS_A_FAULT = {"ragmeter-health: Without a price A"}
"""Queries that an app in which every model has a price rightly has nothing for."""
WANTS_FULL_LABELS = {"ragmeter-health: What went wrong when C"}
"""Queries that an app in which no label is full rightly has nothing for, and so the demo's history."""
WANTS_AN_HOUR = {"ragmeter-change: Traffic A"}
WANTS_A_DAY = {
    "ragmeter-overview: Projected month A",
    "ragmeter-overview: Budget share A",
}
"""Queries that an app of a minute rightly has nothing for."""


@pytest.fixture(scope="module", params=["scrape", "push"])
def live(
    request: pytest.FixtureRequest, programs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusClient]:
    """A Prometheus that has what an app exports while it is used, by each of the two ways."""
    folder = tmp_path_factory.mktemp(request.param)
    rules = written_rules(folder)
    port = free_port()
    targets = [f"127.0.0.1:{port}"] if request.param == "scrape" else []
    with servers.prometheus(folder, targets=targets, rules=rules) as url:
        client = PrometheusClient(url)
        if request.param == "scrape":
            with app_in_use(client, RAGMETER_PROMETHEUS_PORT=str(port)):
                yield client
            return
        with (
            servers.otlp_gateway(folder, prometheus_url=url) as endpoint,
            app_in_use(client, **push_variables(endpoint), OTEL_METRIC_EXPORT_INTERVAL="500"),
        ):
            yield client


def written_rules(folder: Path) -> list[Path]:
    """Our recording rules, evaluated each second instead of each minute or hour."""
    groups = (limits(OPTIONS), lookbacks(), hourly(OPTIONS))
    path = folder / "rules.yaml"
    path.write_text(rule_file([dataclasses.replace(group, interval="1s") for group in groups], OPTIONS.runbooks))
    return [path]


@contextmanager
def app_in_use(client: PrometheusClient, **variables: str) -> Iterator[None]:
    """The app, from when its counters have grown between two collections, until the block ends."""
    process = subprocess.Popen(
        APP, cwd=APP_FOLDER, env=environment(**variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3):
            process.stdin.write("again\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
            before = counted(client)
            client.wait_for(lambda known, least=before: counted(known) > least, what="more queries")
        client.wait_for(is_recorded, what="recorded series that have grown")
        yield
        process.stdin.close()
    assert process.returncode == 0


def is_recorded(client: PrometheusClient) -> bool:
    """Whether the limits are there, and every hourly series has grown: at its first evaluation it may be 0."""
    grown = (client.query(f"sum({rule.record}) > 0") for rule in hourly(OPTIONS).rules if isinstance(rule, Recording))
    return bool(client.query(BUDGET.record)) and all(grown)


def counted(client: PrometheusClient) -> float:
    """How many queries Prometheus knows of."""
    return sum(sample.value for sample in client.query("sum(ragmeter_queries_total)"))


def problems(
    client: PrometheusClient, queries: Sequence[ShippedQuery], *, now: float | None = None, **filling: str
) -> list[str]:
    """What Prometheus has against each query: its own words, a warning, or that there is no data.

    They are asked at the time `now`, which is the time it is unless given.
    """
    found = []
    for query in queries:
        try:
            # A graph of days puts each sum at the day's beginning: it is asked for what is still to come.
            at = (now or time.time()) - (HALF_A_DAY if "offset -" in query.expression else 0.0)
            answer = client.ask(query.filled(**filling), at=at)
        except QueryError as error:
            found.append(f"{query}: {error}")
            continue
        if answer.notices:
            found.append(f"{query}: {answer.notices}")
        if not query.stands_in and not any(math.isfinite(sample.value) for sample in answer.samples):
            found.append(f"{query} is empty: {query.filled(**filling)}")
    return found


def test_every_query_has_data_over_two_weeks_of_history(past):
    """Every panel and variable has data in the demo's history, whatever it is compared with; annotations are valid."""
    end = past.period.end.timestamp()
    wanted = [query for query in panel_queries() if str(query) not in WANTS_FULL_LABELS]
    for compare in ("1d", "7d"):
        assert problems(past.client, wanted, now=end, rate="8m", window="24h", compare=compare) == []
    assert problems(past.client, variable_queries(), now=end, rate="8m", window="24h") == []


@pytest.mark.parametrize(
    "page", [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_the_promql_of_every_page_has_data(past, page):
    """What README and documentation show in PromQL can be pasted into a Prometheus and has an answer."""
    blocks = re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    for expression in (line for line in lines if line and not line.startswith("#")):
        assert past.client.query(expression, at=past.period.end.timestamp()), expression


def test_annotations_show_the_alerts_that_fired(past):
    """Every annotation draws what fired at its time: it has the first incident of the history, and its labels."""
    first = past.fired[0]
    for query in annotation_queries():
        found = past.client.query_range(query.filled(rate="8m", window="24h"), first.start, first.end, 60)
        assert [series.labels["alertname"] for series in found] == [first.alert]


def test_every_query_has_data_from_a_running_app(live):
    """Every panel and variable has data from the real metrics of an app, by scrape and by push alike."""
    now = [
        query
        for query in (*panel_queries(), *variable_queries())
        if WITHOUT_A_PAST not in query.expression.replace("offset -", "").replace("offset 1h", "")
        and str(query) not in WANTS_A_FAULT | WANTS_FULL_LABELS | WANTS_AN_HOUR | WANTS_A_DAY
    ]
    assert len(now) > 100
    assert problems(live, now, rate="1m", window="5m") == []


def test_every_metric_that_is_asked_for_exists(live):
    """No query names a series that an app does not have, also where 0 stands in for what never happened."""
    asked = {name for query in panel_queries() for name in SERIES.findall(query.expression)}
    faults = {name for metric in NEEDS_A_FAULT for name in series_names(metric)}
    assert len(asked) > 30
    # What is usual is known after six hours.
    assert asked - faults - {COST_USUAL_1H} - live.metric_names() == set()


def test_a_renamed_metric_is_noticed(live):
    """The check can fail: with one metric renamed, and with one label renamed, it names the queries that are empty."""
    query = next(query for query in panel_queries() if str(query) == "ragmeter-overview: In this range A")
    for old, new in (("ragmeter_cost_usd", "ragmeter_costs_usd"), ('ragmeter_strategy=~"$strategy"', 'strategy="rag"')):
        renamed = dataclasses.replace(query, expression=query.expression.replace(old, new))
        assert renamed != query
        assert len(problems(live, [renamed], rate="1m", window="5m")) == 1


def test_parts_of_the_change_sum_to_it(past):
    """The four drivers on `Why did it change?` add up to the change in cost, by day and by week."""
    by_name = {str(query): query for query in panel_queries()}
    change, split = (by_name[f"ragmeter-change: {name} A"] for name in ("Change", "What the change comes from"))
    now = past.period.end.timestamp()
    for compare in ("1d", "7d"):
        filling = {"rate": "8m", "window": "6h", "compare": compare}
        (whole,) = past.client.query(change.filled(**filling), at=now)
        parts = past.client.query(split.filled(**filling), at=now)
        assert len(parts) == 4
        assert sum(part.value for part in parts) == pytest.approx(whole.value, rel=1e-6)


@pytest.mark.parametrize(
    ("window", "compare", "is_another_time"),
    [("6h", "1d", True), ("24h", "1d", True), ("2d", "1d", False), ("2d", "7d", True), ("13d", "7d", False)],
)
def test_only_another_time_is_compared_with(past, window, compare, is_another_time):
    """`Why did it change?` shows no change where the range reaches into the one before, in no panel and no column."""
    compared = [
        query
        for query in panel_queries()
        if query.dashboard == "ragmeter-change" and "$compare" in query.expression and "$__range" in query.expression
    ]
    # The column `Now` takes only names from the time before.
    before = [query for query in compared if not re.fullmatch("By .+ A", query.place)]
    assert len(before) > 10
    for query in before:
        filled = query.filled(rate="8m", window=window, compare=compare)
        assert bool(past.client.query(filled, at=past.period.end.timestamp())) == is_another_time, query


def test_what_is_unusual_is_seen(past):
    """`Against the usual` is about one in an ordinary hour, and far above it while a client is in a loop."""
    query = next(query for query in panel_queries() if str(query) == "ragmeter-overview: Against the usual A")
    loop = next(each for each in past.planted if each.name == LOOP)

    def asked(at):
        (value,) = past.client.query(query.filled(rate="8m", window="24h"), at=at.timestamp())
        return value.value

    assert 0.6 < asked(loop.start) < 1.4
    assert asked(loop.end) > 1.3 * asked(loop.start)


def test_a_monday_is_no_surprise(programs, tmp_path):
    """After a weekend `Against the usual` compares with the Monday before: other days alone would make it unusual."""
    query = next(query for query in panel_queries() if str(query) == "ragmeter-overview: Against the usual A")
    monday, labels = 1_796_040_000, 'job="shop",ragmeter_strategy="rag"'
    written = tmp_path / "recorded.om"
    written.write_text(
        f"{COST_RATE_1H}{{{labels}}} 0.9 {monday - 7 * 86_400}\n{COST_RATE_1H}{{{labels}}} 1.0 {monday}\n"
        f"{COST_USUAL_1H}{{{labels}}} 0.5 {monday}\n# EOF\n"
    )
    servers.load_history(written, tmp_path / "data")
    with servers.prometheus(tmp_path, data=tmp_path / "data") as url:
        (shown,) = PrometheusClient(url).query(query.filled(rate="8m", window="24h"), at=monday)
    assert shown.value == pytest.approx(1.0 / 0.9)


def test_what_to_do_would_save_all_waste(past):
    """The steps under `What should I do?` together save what is wasted, and each names its strategy."""
    by_name = {str(query): query.filled(rate="8m", window="24h") for query in panel_queries()}
    now = past.period.end.timestamp()
    steps = past.client.query(by_name["ragmeter-overview: What would be worth it A"], at=now)
    wasted = past.client.query(by_name["ragmeter-overview: Waste per day A"], at=now)
    assert sum(step.value for step in steps) == pytest.approx(30 * sum(each.value for each in wasted))
    assert {(step.labels["ragmeter_strategy"], step.labels["what_to_do"]) for step in steps} == {
        (strategy, what)
        for strategy in ("rag", "fine_tuned_rag")
        for what in ("send fewer chunks", "send each chunk once")
    }


def test_embedding_documents_makes_no_call_longer(past):
    """`Tokens per call` is what providers reported of model calls, also in the hour of the nightly ingestion."""
    by_name = {str(query): query for query in panel_queries()}
    shown = by_name["ragmeter-change: Tokens per call A"].filled(rate="8m", window="6h")
    # The independent measure: the standard metric, by kind of operation.
    usage, chat = "gen_ai_client_token_usage", 'gen_ai_operation_name="chat"'
    tokens = f"sum(increase({usage}_sum{{{chat}}}[1h]))"
    calls = f'sum(increase({usage}_count{{{chat},gen_ai_token_type="input"}}[1h]))'
    night = past.period.end.replace(hour=3, minute=0).timestamp() - 86_400
    embedded = past.client.query('sum(increase(ragmeter_tokens_total{ragmeter_part="ingestion"}[1h]))', at=night)
    reported = past.client.query(f"{tokens} / {calls}", at=night)
    (value,) = past.client.query(shown, at=night)
    assert embedded[0].value > 10_000
    assert value.value == pytest.approx(reported[0].value, rel=0.03)


def test_ingestion_stands_apart(past):
    """In the hour of the nightly ingestion its money and that of answering are all money, and retrieval has none."""
    by_name = {str(query): query for query in panel_queries()}
    night = past.period.end.replace(hour=3, minute=0).timestamp() - 86_400

    def asked(name):
        return past.client.query(by_name[name].filled(rate="1h", window="6h"), at=night)

    answering, ingestion = (asked(f"ragmeter-overview: Answering and ingestion {each}")[0].value for each in "AB")
    (whole,) = past.client.query("sum(increase(ragmeter_cost_usd_total[1h]))", at=night)
    assert answering + ingestion == pytest.approx(whole.value, rel=0.03)
    assert 24 * ingestion == pytest.approx(sum(each.value for each in asked("ragmeter-retrieval: Ingestion A")))
    assert ingestion > 0
    retrieval = asked("ragmeter-retrieval: Embedding, searching, reranking A")
    assert "ingestion" not in {each.labels["ragmeter_part"] for each in retrieval}


def test_units_stand_beside_their_money(live):
    """The searches of a model are counted and cost what the app's price says, on each dashboard that has them."""
    by_name = {str(query): query for query in panel_queries()}
    for board in ("overview", "retrieval"):
        queries = (by_name[f"ragmeter-{board}: Units beside tokens {each}"] for each in "AB")
        counted, cost = (live.query(query.filled(rate="1m", window="5m")) for query in queries)
        (labels,) = {tuple(sorted(each.labels.items())) for each in (*counted, *cost)}
        assert dict(labels) == {
            "gen_ai_provider_name": "openai",
            "ragmeter_part": "search",
            "ragmeter_unit": "web_searches",
        }
        assert counted[0].value > 0
        price = app.PRICES[app.BASE]["web_search"] / 1e3
        assert cost[0].value == pytest.approx(counted[0].value * price, rel=0.1)


def test_two_errors_of_one_name_are_one_line(past):
    """Exceptions that differ in their package only are added up, and not refused as the same series twice."""
    errors = " or ".join(
        f'label_replace(vector({value}), "error_type", "{name}", "", "")'
        for value, name in ((1, "TimeoutError"), (2, "redis.exceptions.TimeoutError"), (4, "OSError"))
    )
    found = past.client.by_label(by_last_part(errors, "error_type", ()), LAST_PART)
    assert found == {"TimeoutError": 3, "OSError": 4}


@pytest.mark.parametrize("label", [semconv.STRATEGY, semconv.RESPONSE_MODEL, semconv.DB_COLLECTION])
def test_what_a_variable_chooses_has_its_label(live, label):
    """A variable narrows exactly those of our metrics that have its label."""
    ours = [metric for metric in METRICS if metric.name.startswith("ragmeter.") and metric not in NEEDS_A_FAULT]
    having = {
        metric.name
        for metric in ours
        for name in [next(iter(sorted(series_names(metric))))]
        if live.query(f'{name}{{{label_name(label)}!=""}}')
    }
    assert {metric.name for metric in ours if label in metric.labels} == having
