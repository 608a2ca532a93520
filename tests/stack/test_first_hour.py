"""The first hour of an app is true on every panel of every dashboard, or the panel says from when on it will be.

After two minutes, twenty and seventy, of an app that grows evenly: every figure can be worked out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.samples import Sample

from dashboards.shipped import panel_queries
from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.rules import Alert

from .app import TEAMS
from .shown import Shown, shown
from .young_app import SCRAPE, Clock, Young, one_run, unlabelled, young_app

AGES = (2, 20, 70)
"""Minutes."""
SCRAPED = 7
"""Seconds from the last sample until somebody looks."""
CLOSE = 0.08
"""What Prometheus puts on to the ends of a window, of two minutes: half a step in the most."""


def seconds_of(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp())


CLOCKS = {
    "an hour recorded in its second minute": Clock(seconds_of(2026, 5, 20, 14, 5), 1),
    "begun with a month, and without labels": Clock(seconds_of(2026, 6, 1, 0, 3), 50, from_zero=False),
}
NOT_LABELLED = "begun with a month, and without labels"

COMPARISON = "no comparable time before this one"
SHORTER = "no data at this resolution: a shorter range may have some"
TO_COME = {
    "change: Cost before": COMPARISON,
    "change: Change": COMPARISON,
    "change: Change in percent": COMPARISON,
    "change: What the change comes from": COMPARISON,
    "change: Hour by hour": COMPARISON,
    "change: Change in tokens per call": COMPARISON,
    "change: Change in cost per 1,000 calls": COMPARISON,
    "context-bloat: Week over week": COMPARISON,
    "overview: What the change comes from": COMPARISON,
    "overview: Which strategy changed": COMPARISON,
    "health: Without a price": "no call without a price",
}
"""What an app of seventy minutes cannot have, and what stands there."""
HOURS = "from the first full hour on"
OF_WHOLE_HOURS = {
    "change: Traffic": HOURS,
    "change: Calls per query": HOURS,
    "change: Tokens per call": HOURS,
    "change: Money per million tokens": HOURS,
}
TRUE_ZEROS = {
    "health: Waiting",
    "health: Without anatomy",
    "health: Internal failures",
    "health: Counted as other",
    "health: Untested clients",
    "health: Queue",
    "health: Queries outside of any scope",
    "health: What went wrong when",
    "overview: Unpriced",
    "overview: Estimated",
    "retrieval: Failed searches",
    "retrieval: Scores of the best chunk",
    "context-bloat: Stale, never sent, cited",
}
"""Panels that rightly show a zero: nothing went wrong, all has a price, no score was as low, each chunk was sent."""
ZEROS_OF_SOME = {
    "overview: Side by side": {"base", "rag", "fine_tuned", "fine_tuned_rag"},
    "overview: Failed queries": {"rag", "fine_tuned", "fine_tuned_rag"},
    "strategies: For 1,000 queries": {"rag", "fine_tuned", "fine_tuned_rag"},
    "strategies: Context tokens per query": {"base", "fine_tuned"},
    "strategies: Failed of 1,000 queries": {"rag", "fine_tuned", "fine_tuned_rag"},
    "context-bloat: Context share": {"base", "fine_tuned"},
    "context-bloat: Read from the provider's cache": {"fine_tuned", "fine_tuned_rag"},
    "retrieval: By database and collection": {"birds", "empty", "missing"},
    "retrieval: Chunks of a search": {"empty"},
    "retrieval: Empty searches": {"birds"},
}
"""Strategies without context, failures or cached tokens, and collections that are never empty or always."""


@dataclass(frozen=True)
class Page:
    """Everything that is shown of an app of some minutes."""

    young: Young
    age: int
    panels: Mapping[str, Shown]

    @property
    def seconds(self) -> int:
        return 60 * self.age + SCRAPED

    def grown(self, name: str, **labels: str) -> float:
        """What a metric has grown by until now."""
        return self.young.counted(name, **labels) * self.seconds / SCRAPE


@pytest.fixture(scope="module")
def run(programs: None) -> tuple[Sample, ...]:
    return one_run()


@pytest.fixture(scope="module", params=CLOCKS, ids=str)
def pages(
    request: pytest.FixtureRequest, run: tuple[Sample, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[int, Page]]:
    """What is shown of an app at each age."""
    counted = unlabelled(run, ("team", "feature")) if request.param == NOT_LABELLED else run
    with young_app(tmp_path_factory.mktemp("young"), counted, CLOCKS[request.param]) as young:
        yield {
            age: Page(
                young,
                age,
                {str(panel): panel for panel in shown(young.client, young.clock.start + 60 * age + SCRAPED)},
            )
            for age in AGES
        }


@pytest.mark.parametrize("age", AGES)
def test_no_zero_is_false(pages: Mapping[int, Page], age: int) -> None:
    """No panel shows a zero but of what has not happened."""
    for name, panel in pages[age].panels.items():
        zeros = {
            sample.labels.get("ragmeter_strategy") or sample.labels.get("db_collection_name")
            for values in panel.values.values()
            for sample in values
            if sample.value == 0
        }
        assert name in TRUE_ZEROS or zeros <= ZEROS_OF_SOME.get(name, set()), name


@pytest.mark.parametrize("age", AGES)
def test_what_is_empty_says_why(pages: Mapping[int, Page], age: int) -> None:
    """A panel is empty where there is nothing to be known yet, and the words in its place are true."""
    empty = {name: panel.instead for name, panel in pages[age].panels.items() if panel.is_empty}
    if age == AGES[0]:
        # A week has a point every ten minutes: there may have been none.
        empty = {name: said for name, said in empty.items() if said != SHORTER}
    assert TO_COME.items() <= empty.items() <= (TO_COME | OF_WHOLE_HOURS).items()


@pytest.mark.parametrize("age", AGES)
def test_what_needs_a_day_says_from_when_on(pages: Mapping[int, Page], age: int) -> None:
    """A projection of the month is there a day after the first hour, and until then the panel says when that is."""
    page = pages[age]
    for name in ("Projected month", "Budget share"):
        panel = page.panels[f"overview: {name}"]
        assert panel.values["A"] == ()
        hours = (panel.figure("B") / 1000 - page.young.clock.start) / 3600
        # As long as there is no recorded hour, one is counted on within an hour.
        assert 23 <= hours < 25.1
    assert page.panels["overview: Budget share"].values["C"] == ()


@pytest.mark.parametrize("age", AGES)
def test_what_somebody_has_not_spent_is_zero(pages: Mapping[int, Page], age: int) -> None:
    """A choice that has cost nothing has a month of $0 once an hour is recorded: nothing is missing.

    Before it says that no call had a price, which is so.
    """
    page = pages[age]
    at = page.young.clock.start + page.seconds
    queries = [query for query in panel_queries() if query.place.startswith("Month so far")]
    amount, *instead = (
        replace(query, expression=query.expression.replace('"$model"', '"nobody"')).filled(rate="60s", window="24h")
        for query in queries
    )
    client, is_recorded = page.young.client, age >= page.young.clock.hour_recorded
    assert [sample.value for sample in client.query(amount, at=at)] == [0.0] * is_recorded
    assert [len(client.query(expression, at=at)) for expression in instead] == [0, not is_recorded]


def test_an_app_without_prices_is_told_apart(run: tuple[Sample, ...], tmp_path: Path) -> None:
    """Where no call has a price, figures of money say so, and not that the recording rules are missing."""
    counted = tuple(sample for sample in run if "cost" not in sample.name)
    with young_app(tmp_path, counted, next(iter(CLOCKS.values()))) as young:
        panels = {str(panel): panel for panel in shown(young.client, young.clock.start + 60 * AGES[1])}
        for name in ("Month so far", "Projected month", "Budget share"):
            values = panels[f"overview: {name}"].values
            assert sum(map(len, values.values())) == 1
            said = panels[f"overview: {name}"].texts
            assert [said[reference] for reference, found in values.items() if found] == ["no call with a price"]


def test_queries_outside_of_any_scope_are_a_share_of_all(run: tuple[Sample, ...], tmp_path: Path) -> None:
    """Health shows by service which share of the queries nothing encloses."""
    queries = sum(sample.value for sample in run if sample.name == "ragmeter_queries_total")
    counted = (*run, Sample("ragmeter_queries_unscoped_total", {}, queries / 4))
    with young_app(tmp_path, counted, next(iter(CLOCKS.values()))) as young:
        panels = {str(panel): panel for panel in shown(young.client, young.clock.start + 60 * AGES[1])}
    values = panels["health: Queries outside of any scope"].of("A", job="app")
    assert values
    assert values == pytest.approx([0.25] * len(values))


@pytest.mark.parametrize("age", AGES)
def test_sums_are_what_was_spent(pages: Mapping[int, Page], age: int) -> None:
    """The range and the month so far have what the app has spent since it began."""
    page = pages[age]
    spent = page.grown("ragmeter_cost_usd_total")
    for name in ("In this range", "Month so far"):
        assert page.panels[f"overview: {name}"].figure() == pytest.approx(spent, rel=CLOSE), name
    assert page.panels["change: Cost now"].figure() == pytest.approx(spent, rel=CLOSE)


@pytest.mark.parametrize("age", AGES)
def test_paces_are_those_of_the_time_with_data(pages: Mapping[int, Page], age: int) -> None:
    """What an hour, a day or thirty days cost is the pace since the app began, not that of the range."""
    page = pages[age]
    hourly = page.grown("ragmeter_cost_usd_total") * 3600 / page.seconds
    assert page.panels["overview: Cost per hour"].figure() == pytest.approx(hourly, rel=0.2)
    for strategy in TEAMS:
        of_strategy = page.young.counted("ragmeter_cost_usd_total", ragmeter_strategy=strategy) * 3600 / SCRAPE
        points = page.panels["overview: Spend by strategy"].of("A", ragmeter_strategy=strategy)
        assert points[-1] == pytest.approx(of_strategy, rel=0.35 if age == AGES[0] else 0.05)
    for strategy in ("rag", "fine_tuned_rag"):
        fates = ("unused", "repeated")
        wasted = sum(
            page.young.counted("ragmeter_context_cost_usd_total", ragmeter_strategy=strategy, ragmeter_chunk_fate=fate)
            for fate in fates
        )
        a_day = wasted * 86_400 / SCRAPE
        close = 0.35 if age == AGES[0] else 0.1
        (shown_a_day,) = page.panels["context-bloat: The most wasteful"].of("A", ragmeter_strategy=strategy)
        assert shown_a_day == pytest.approx(a_day, rel=close)
        savings = page.panels["strategies: If prompts had only the chunks that answers use"]
        assert savings.of("D", ragmeter_strategy=strategy)[0] == pytest.approx(30 * a_day, rel=close)


@pytest.mark.parametrize("age", AGES)
def test_every_row_has_a_name(pages: Mapping[int, Page], age: int) -> None:
    """The most wasteful and the dearest have a name, also where the app has declared no labels."""
    for name in ("context-bloat: The most wasteful", "overview: By team", "change: By team"):
        rows = pages[age].panels[name].values["A"]
        assert rows
        assert all(all(row.labels.values()) for row in rows), name
        assert all("team" in row.labels for row in rows), name


@pytest.mark.parametrize("age", AGES)
def test_no_alert_is_false(pages: Mapping[int, Page], age: int) -> None:
    """Of an app that has just begun only that is told which is so: one collection is empty, another is missing."""
    page = pages[age]
    at = page.young.clock.start + page.seconds
    rules = [rule for group in alerts() for rule in group.rules if isinstance(rule, Alert)]
    told = {
        (rule.name, sample.labels.get("db_collection_name"))
        for rule in rules
        for sample in page.young.client.query(rule.expression, at=at)
    }
    assert told <= {("RagmeterRetrievalEmpty", "empty"), ("RagmeterRetrievalFailing", "missing")}


def test_only_whole_hours_are_traffic_of_an_hour(pages: Mapping[int, Page]) -> None:
    """`Queries an hour` shows no part of an hour as one."""
    for page in pages.values():
        hourly = page.young.counted("ragmeter_queries_total") * 3600 / SCRAPE
        for value in page.panels["change: Traffic"].of("A"):
            assert value == pytest.approx(hourly, rel=0.1)
