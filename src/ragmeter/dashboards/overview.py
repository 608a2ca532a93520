"""The dashboard `Overview`: what do I spend, why did it change, where is the waste, and what should I do?"""

from __future__ import annotations

from ragmeter import palette
from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards import month
from ragmeter.dashboards.billing import answering_and_ingestion, units
from ragmeter.dashboards.board import Board, Section
from ragmeter.dashboards.change import by_strategy, comparison, split
from ragmeter.dashboards.look import (
    AFTER_HOURS,
    COUNT,
    DOLLARS,
    FROM_THEN_ON,
    NEEDS_RULES,
    NOT_PRICED,
    NUMBER,
    PER_SECOND,
    RECORDED_HOURLY,
    SECONDS,
    SHARE,
    TIMES,
)
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.panels import (
    Column,
    Instead,
    Panel,
    Query,
    filled_lines,
    legend,
    lines,
    number,
    ranking,
    rows_of,
    strip,
)
from ragmeter.dashboards.recording import BUDGET, CHUNK_P95_1H, COST_RATE_1H, COST_USUAL_1H, chunk_p95
from ragmeter.dashboards.selection import FINEST, RANGE, RATE, Selection, selection
from ragmeter.dashboards.waste import context_money, to_do, wasted_by
from ragmeter.naming import hourly_series, semconv

MOST = 8
"""Bars of a ranking."""
MOST_IN_LINE = 4
"""Rankings side by side."""


def board(options: Options) -> Board:
    """What is spent, why that changed, where the waste is, and what to do about it; then the figures behind it."""
    within = selection(options, models=True)
    # Queries have no model: what is counted for each query counts all models.
    of_queries = selection(options)
    return Board(
        "overview",
        "Overview",
        "What do I spend, and is it normal? Why did it change, where is the waste, and what should I do? Then what "
        "1,000 queries cost with each strategy, and who spends it.",
        within,
        (
            Section("What do I spend, and is it normal?", (*_spend(within), _spend_over_time(within), _days(within))),
            Section("Why did it change?", (split(within, 12), by_strategy(within))),
            Section("Where is the waste?", (context_money(within, 12), wasted_by(within))),
            Section("What should I do?", (to_do(within), *_exactness(within))),
            Section("What do 1,000 queries cost with each strategy?", (_table(of_queries),)),
            Section("Who spends it?", (*_spenders(within), answering_and_ingestion(within), units(within))),
            Section("How much is asked, and what fails?", (*_traffic(of_queries), _chunks(within))),
        ),
        variables=(comparison(),),
    )


def _spend(within: Selection) -> tuple[Panel, ...]:
    return strip(
        number("Cost per hour", "US dollars per hour over the last five minutes.", _now(within), DOLLARS),
        _against_usual(within),
        number("In this range", "US dollars in the chosen range.", within.grown(semconv.COST), DOLLARS),
        *_of_month(within),
    )


def _against_usual(within: Selection) -> Panel:
    strategies = (promql.one_of(promql.JOB, "$service"), promql.one_of(promql.STRATEGY, "$strategy"))
    hour, other_days = (promql.total(promql.selector(record, strategies)) for record in (COST_RATE_1H, COST_USUAL_1H))
    # After a weekend other days are no measure of a Monday: the last one is.
    last_week = promql.total(f"{promql.selector(COST_RATE_1H, strategies)} offset 7d")
    usual = f"max({promql.told_apart({'other days': other_days, 'last week': last_week}, 'of')})"
    return number(
        "Against the usual",
        "What the last hour cost, as a multiple of the same hour on other days or a week before, whichever cost more; "
        "from the recording rules. Only the variables Service and Strategy narrow it.",
        promql.per(hour, usual),
        TIMES,
        decimals=2,
        instead=(
            Instead(f"{hour} unless on () ({usual} > 0)", text=AFTER_HOURS),
            Instead(month.not_priced(within), text=NOT_PRICED),
        ),
        missing=NEEDS_RULES,
        limits=((2.0, "orange"), (3.0, "red")),
    )


def _exactness(within: Selection) -> tuple[Panel, ...]:
    """How far the figures can be trusted, and what to do where they cannot."""
    cost, calls = within.grown(semconv.COST), within.grown(semconv.OPERATIONS)
    unpriced = within.grown(semconv.OPERATIONS, where=(match.IS_UNPRICED,))
    estimated = within.grown(semconv.COST, where=(match.IS_ESTIMATED,))
    return (
        number(
            "Unpriced",
            "Share of the calls to models and databases without a known price. Their cost is missing from every figure "
            "here: give them one with `instrument(prices=...)`. The dashboard `Health` names them. A database that "
            "bills nothing for a call is free.",
            promql.per(f"({unpriced} or vector(0))", calls),
            SHARE,
            limits=((0.01, "orange"), (0.05, "red")),
        ).height(6),
        number(
            "Estimated",
            "Share of the money whose tokens or price are not exact.",
            promql.per(f"({estimated} or vector(0))", cost),
            SHARE,
        ).height(6),
    )


def _now(within: Selection) -> str:
    """US dollars an hour in the last five minutes, or in as many of them as there was an app."""
    seconds = f"({within.seconds_with_data('5m', FINEST)} or vector(300))"
    return f"{within.grown(semconv.COST, window='5m')} * {promql.HOUR} / {seconds}"


def _of_month(within: Selection) -> tuple[Panel, ...]:
    so_far, projected = month.so_far(within), month.projected(within)
    later, nothing = month.projected_from(within), Instead(month.not_priced(within), text=NOT_PRICED)
    budget = BUDGET.record
    return (
        number(
            "Month so far",
            "US dollars since the first of the month (UTC), or since the recording rules were loaded.",
            so_far,
            DOLLARS,
            instead=(Instead(month.so_far_from(within), FROM_THEN_ON), nothing),
            missing=NEEDS_RULES,
        ),
        number(
            "Projected month",
            "US dollars spent this month so far, plus the mean hour of the last seven days for each remaining hour. "
            "Shown from an app's second day on.",
            projected,
            DOLLARS,
            instead=(Instead(later, FROM_THEN_ON), nothing),
            missing=NEEDS_RULES,
        ),
        number(
            "Budget share",
            f"The projected month for your selection as a share of the whole budget: {budget} (0: none).",
            f"({projected}) / ({budget} > 0)",
            SHARE,
            instead=(
                Instead(promql.where(f"({later})", f"({budget} > 0)"), FROM_THEN_ON),
                Instead(f"{budget} == 0", text="no budget set"),
                Instead(promql.where(f"({nothing.expression})", f"({budget} > 0)"), text=NOT_PRICED),
            ),
            missing=NEEDS_RULES,
            limits=((0.8, "orange"), (1.0, "red")),
        ),
    )


def _spend_over_time(within: Selection) -> Panel:
    return lines(
        "Spend by strategy",
        "US dollars an hour. `none` is spending that led to no answer, such as embedding documents.",
        [Query(f"{within.pace(semconv.COST, promql.STRATEGY)} * {promql.HOUR}", legend(promql.STRATEGY))],
        DOLLARS,
        stacked=True,
        colours=palette.STRATEGIES,
    )


def _days(within: Selection) -> Panel:
    # The offset puts a day's sum at its beginning, where one looks for it, and shows today as far as it has come.
    daily = f"sum_over_time({within.recorded(hourly_series.COST)}[1d] offset -1d)"
    return lines(
        "Spend by day",
        "US dollars of each day (UTC) by strategy, in whole hours, from the recording rules.",
        [Query(f"{promql.total(daily, [promql.STRATEGY])} > 0", legend(promql.STRATEGY))],
        DOLLARS,
        stacked=True,
        bars=True,
        interval="1d",
        since="30d",
        missing=RECORDED_HOURLY,
        colours=palette.STRATEGIES,
        calculations=("sum",),
    )


def _table(within: Selection) -> Panel:
    by = promql.STRATEGY
    queries = within.grown(semconv.QUERIES, by)
    failed = within.grown(semconv.QUERIES, by, where=(match.FAILED,))
    cost = within.grown(semconv.COST, by)
    prompt = within.grown(semconv.PART_TOKEN_COUNT, by, where=(match.IS_INPUT,))
    context = within.grown(semconv.PART_TOKEN_COUNT, by, where=(match.IS_CONTEXT,))
    question = within.grown(semconv.PART_TOKEN_COUNT, by, where=(match.IS_QUESTION,))
    seconds = within.matchers(semconv.QUERY_DURATION)
    return rows_of(
        "Side by side",
        "The chosen range by strategy; tokens are those of one query. Bloat factor: input tokens per token of the "
        "question.",
        {by: "Strategy"},
        (
            Column("Cost of 1,000", f"1000 * {promql.per(cost, queries)}", DOLLARS),
            Column("Queries", queries, COUNT, 0),
            Column("Input tokens", promql.per(prompt, queries), COUNT, 0),
            Column("Context tokens", promql.per(promql.or_zero(context, queries), queries), COUNT, 0),
            Column("Bloat factor", promql.per(prompt, question), NUMBER, 1),
            Column("p50", promql.quantile(0.5, semconv.QUERY_DURATION, RANGE, [by], seconds), SECONDS, 2),
            Column("p95", promql.quantile(0.95, semconv.QUERY_DURATION, RANGE, [by], seconds), SECONDS, 2),
            Column("Failed", promql.per(promql.or_zero(failed, queries), queries), SHARE, 2),
            Column("Spend", cost, DOLLARS),
        ),
        colours=palette.STRATEGIES,
        sorted_by="Spend",
    )


def _spenders(within: Selection) -> tuple[Panel, ...]:
    labels = (promql.MODEL, *within.labels)
    rankings = [
        ranking(
            f"By {'model' if label == promql.MODEL else label.replace('_', ' ')}",
            f"US dollars in the chosen range; the {MOST} most expensive. `unset`: no query set the label.",
            [
                Query(
                    f"sort_desc(topk({MOST}, {promql.named(within.grown(semconv.COST, label), label)} > 0))",
                    legend(label),
                )
            ],
            DOLLARS,
        )
        for label in labels
    ]
    return filled_lines(rankings, MOST_IN_LINE)


def _traffic(within: Selection) -> tuple[Panel, ...]:
    by = promql.STRATEGY
    queries = within.rate(semconv.QUERIES, by)
    failed = within.rate(semconv.QUERIES, by, where=(match.FAILED,))
    return (
        lines(
            "Queries",
            "User queries answered per second, including those that failed for good.",
            [Query(within.pace(semconv.QUERIES, by), legend(promql.STRATEGY))],
            PER_SECOND,
            width=8,
            stacked=True,
            colours=palette.STRATEGIES,
        ),
        lines(
            "Failed queries",
            "Share of the queries that failed for good.",
            [Query(promql.per(promql.or_zero(failed, queries), queries), legend(promql.STRATEGY))],
            SHARE,
            width=8,
            colours=palette.STRATEGIES,
            calculations=("mean", "max"),
        ),
    )


def _chunks(within: Selection) -> Panel:
    where = within.matchers(semconv.TIME_PER_CHUNK)
    hour = f"max by ({promql.MODEL}) ({promql.selector(CHUNK_P95_1H, where)})"
    return lines(
        "Time between chunks, p95",
        "Seconds from one chunk of a streamed answer to the next that 95 % of the streams stay below: how fast answers "
        "are seen to grow. The last hour is from the recording rules.",
        [
            Query(chunk_p95(RATE, (promql.MODEL,), where), legend(promql.MODEL)),
            Query(hour, f"{legend(promql.MODEL)}, last hour"),
        ],
        SECONDS,
        width=8,
    )
