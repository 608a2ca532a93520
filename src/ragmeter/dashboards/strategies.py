"""The dashboard `Strategies`: RAG or fine-tuning?"""

from __future__ import annotations

from ragmeter import palette
from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards.board import Board, Section
from ragmeter.dashboards.look import COUNT, DOLLARS, NUMBER, SECONDS, SHARE
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.panels import Column, Panel, Query, legend, lines, ranking, rows_of
from ragmeter.dashboards.selection import RANGE, RATE, Selection, selection
from ragmeter.naming import semconv

BY = promql.STRATEGY
LEGEND = legend(BY)


def board(options: Options) -> Board:
    """The strategies side by side, and what the third way would save: a context trimmed to what answers use."""
    within = selection(options)
    return Board(
        "strategies",
        "Strategies",
        "RAG or fine-tuning? What 1,000 queries of each strategy cost, take and fail, and what trimming the context to "
        "the chunks that answers use would save. Running costs only: training and labour are not in the metrics.",
        within,
        (
            Section("What does each strategy cost?", (_table(within), *_bars(within))),
            Section("Does it stay so?", _over_time(within)),
            Section("What would a trimmed context save?", (_savings(within), _saved_over_time(within))),
        ),
    )


def _for_1000(amount: str, within: Selection) -> str:
    return f"1000 * {promql.per(amount, within.grown(semconv.QUERIES, BY))}"


def _tokens(within: Selection, *where: str) -> str:
    return within.grown(semconv.PART_TOKEN_COUNT, BY, where=where)


def _table(within: Selection) -> Panel:
    queries = within.grown(semconv.QUERIES, BY)
    failed = promql.or_zero(within.grown(semconv.QUERIES, BY, where=(match.FAILED,)), queries)
    calls = within.grown(semconv.OPERATIONS, BY, where=(match.IS_CALL,))
    seconds = within.matchers(semconv.QUERY_DURATION)
    return rows_of(
        "For 1,000 queries",
        "The chosen range by strategy. Times are those of one query.",
        {BY: "Strategy"},
        (
            Column("Cost", _for_1000(within.grown(semconv.COST, BY), within), DOLLARS),
            Column("Input cost", _for_1000(within.grown(semconv.COST, BY, where=(match.IS_INPUT,)), within), DOLLARS),
            Column("Output cost", _for_1000(within.grown(semconv.COST, BY, where=(match.IS_OUTPUT,)), within), DOLLARS),
            Column("Model calls", _for_1000(calls, within), COUNT, 0),
            Column("Input tokens", _for_1000(_tokens(within, match.IS_INPUT), within), COUNT, 0),
            Column("Output tokens", _for_1000(_tokens(within, match.IS_OUTPUT), within), COUNT, 0),
            Column("Failed", f"1000 * {promql.per(failed, queries)}", COUNT, 1),
            Column("Time, p50", promql.quantile(0.5, semconv.QUERY_DURATION, RANGE, [BY], seconds), SECONDS, 2),
            Column("Time, p95", promql.quantile(0.95, semconv.QUERY_DURATION, RANGE, [BY], seconds), SECONDS, 2),
        ),
        colours=palette.STRATEGIES,
        sorted_by="Cost",
    )


def _bars(within: Selection) -> tuple[Panel, ...]:
    queries = within.grown(semconv.QUERIES, BY)
    cost = within.grown(semconv.COST, BY)
    output = promql.per(_tokens(within, match.IS_OUTPUT), queries)
    context = promql.per(promql.or_zero(_tokens(within, match.IS_CONTEXT), queries), queries)
    dearest = f"1000 * {promql.quantile_of(0.95, within.grown(semconv.QUERY_COST, 'le', BY, ending='_bucket'))}"
    of_each = {
        "Cost of 1,000 queries": ("US dollars.", f"1000 * {promql.per(cost, queries)}", DOLLARS),
        "Cost of 1,000 queries, p95": ("US dollars, at the cost that 5 % of the queries exceed.", dearest, DOLLARS),
        "Context tokens per query": ("Input tokens of retrieved text.", context, NUMBER),
        "Output tokens per query": ("The length of answers, reasoning included.", output, NUMBER),
    }
    return tuple(
        ranking(
            title,
            f"{description} The chosen range.",
            [Query(f"sort_desc({expression})", LEGEND)],
            unit,
            width=6,
            height=6,
            colours=palette.STRATEGIES,
        )
        for title, (description, expression, unit) in of_each.items()
    )


def _over_time(within: Selection) -> tuple[Panel, ...]:
    queries = within.rate(semconv.QUERIES, BY)
    failed = promql.or_zero(within.rate(semconv.QUERIES, BY, where=(match.FAILED,)), queries)
    output = within.rate(semconv.PART_TOKEN_COUNT, BY, where=(match.IS_OUTPUT,))
    seconds = promql.quantile(0.95, semconv.QUERY_DURATION, RATE, [BY], within.matchers(semconv.QUERY_DURATION))
    of_each = {
        "Cost of 1,000 queries": (
            "US dollars.",
            f"1000 * {promql.per(within.rate(semconv.COST, BY), queries)}",
            DOLLARS,
        ),
        "Time until the answer, p95": ("Seconds that 95 % of the queries stay below.", seconds, SECONDS),
        "Output tokens of a query": (
            "The length of answers: fine-tuned models are often briefer.",
            promql.per(output, queries),
            NUMBER,
        ),
        "Failed of 1,000 queries": ("Queries that failed for good.", f"1000 * {promql.per(failed, queries)}", NUMBER),
    }
    return tuple(
        lines(title, description, [Query(expression, LEGEND)], unit, colours=palette.STRATEGIES)
        for title, (description, expression, unit) in of_each.items()
    )


def _savings(within: Selection) -> Panel:
    cost = within.grown(semconv.COST, BY)
    waste = within.grown(semconv.CONTEXT_COST, BY, where=(match.IS_WASTE,))
    wasted = within.grown(semconv.CONTEXT_TOKENS, BY, where=(match.IS_WASTE,))
    known = within.grown(semconv.CONTEXT_TOKENS, BY, where=(match.IS_KNOWN,))
    queries = within.grown(semconv.QUERIES, BY)
    return rows_of(
        "If prompts had only the chunks that answers use",
        "What 1,000 queries cost now, and trimmed. An upper bound: nobody knows before the answer which chunks it will "
        "use. A reranker or a smaller top k gets part of it. 30 days are at the pace of the chosen range, from its "
        "first data to its last. The rank of the used chunks is on the dashboard `Context bloat`.",
        {BY: "Strategy"},
        (
            Column("Now", f"1000 * {promql.per(cost, queries)} and {waste}", DOLLARS),
            Column("Trimmed", f"1000 * {promql.per(f'({cost} - {waste})', queries)}", DOLLARS),
            Column("Saved", promql.per(waste, cost), SHARE, 1),
            Column("In 30 days", f"{waste} / {within.length_of_data()} * 30 * {promql.DAY}", DOLLARS),
            Column("Not used", promql.per(wasted, known), SHARE, 0),
        ),
        width=14,
        colours=palette.STRATEGIES,
        sorted_by="In 30 days",
    )


def _saved_over_time(within: Selection) -> Panel:
    queries = within.rate(semconv.QUERIES, BY)
    cost = within.rate(semconv.COST, BY)
    waste = within.rate(semconv.CONTEXT_COST, BY, where=(match.IS_WASTE,))
    trimmed = {f"{strategy} trimmed": colour for strategy, colour in palette.STRATEGIES.items()}
    return lines(
        "Cost of 1,000 queries, as it is and trimmed",
        "US dollars for the strategies that retrieve.",
        [
            Query(f"1000 * {promql.per(cost, queries)} and {waste}", LEGEND),
            Query(f"1000 * {promql.per(f'({cost} - {waste})', queries)}", f"{LEGEND} trimmed"),
        ],
        DOLLARS,
        width=10,
        height=7,
        colours=palette.STRATEGIES | trimmed,
        dashed=tuple(trimmed),
    )
