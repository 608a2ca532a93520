"""Panels of what is paid for nothing, and of what to do about it."""

from __future__ import annotations

from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards.look import DOLLARS, FATES, NO_WASTE, SHARE
from ragmeter.dashboards.panels import Column, Panel, Query, legend, lines, ranking, rows_of
from ragmeter.dashboards.selection import Selection
from ragmeter.domain.model import Fate
from ragmeter.naming import semconv
from ragmeter.palette import STRATEGIES

MOST = 8
"""Bars of a ranking."""

ACTION = "what_to_do"
"""A label of our own, in answers only."""

TO_DO = {
    Fate.UNUSED: "send fewer chunks",
    Fate.REPEATED: "send each chunk once",
}
"""What to do about context that bought nothing, by what became of it."""


def context_money(within: Selection, width: int) -> Panel:
    """The money of retrieved text in prompts over time, by what became of it."""
    money = within.pace(semconv.CONTEXT_COST, promql.FATE)
    return lines(
        "Context money a day, by fate",
        "US dollars per day at the rate of each moment. used: the answer draws on it. unused and repeated bought "
        "nothing. unknown: the answer does not show it.",
        [Query(f"{money} * {promql.DAY}", legend(promql.FATE))],
        DOLLARS,
        width=width,
        stacked=True,
        colours=FATES,
    )


def wasted_by(within: Selection) -> Panel:
    """Who pays most for context that bought nothing."""
    labels = (promql.STRATEGY, *within.labels)
    waste = within.grown(semconv.CONTEXT_COST, *labels, where=(match.IS_WASTE,))
    a_day = f"{promql.all_named(waste, within.labels)} / {within.length_of_data()} * {promql.DAY}"
    return ranking(
        "Waste per day",
        f"US dollars per day for context that was unused or repeated, over the time with data in the chosen range; the "
        f"{MOST} most wasteful. The dashboard `Context bloat` says what to cut.",
        [Query(f"sort_desc(topk({MOST}, {a_day} > 0))", legend(*labels))],
        DOLLARS,
        width=12,
        missing=NO_WASTE,
    )


def to_do(within: Selection) -> Panel:
    """A table of what could be done about the waste, and of what it would save at the most."""
    cost = within.grown(semconv.COST, promql.STRATEGY)
    wasted = {
        what: within.grown(semconv.CONTEXT_COST, promql.STRATEGY, where=(promql.equals(promql.FATE, fate),))
        for fate, what in TO_DO.items()
    }
    month = f"{within.length_of_data()} * 30 * {promql.DAY}"
    shares = {what: promql.per(waste, cost) for what, waste in wasted.items()}
    return rows_of(
        "What would be worth it",
        "An upper bound of what each step would save, at the pace of the chosen range: nobody knows before the answer "
        "which chunks it will use, and a reranker or a smaller top k gets part of it. The dashboards `Context bloat` "
        "and `Strategies` say more.",
        {promql.STRATEGY: "Strategy", ACTION: "What to do"},
        (
            Column("Saves in 30 days", f"({promql.told_apart(wasted, ACTION)}) / {month}", DOLLARS),
            Column("Of its spend", promql.told_apart(shares, ACTION), SHARE, 1),
        ),
        width=16,
        height=6,
        colours=STRATEGIES,
        sorted_by="Saves in 30 days",
        missing=NO_WASTE,
    )
