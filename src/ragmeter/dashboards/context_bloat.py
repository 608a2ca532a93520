"""The dashboard `Context bloat`: what is in the prompt?"""

from __future__ import annotations

from dataclasses import replace

from ragmeter import palette
from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards.board import Board, Section
from ragmeter.dashboards.look import (
    COUNT,
    DOLLARS,
    FATES,
    NOTHING_BEFORE,
    NUMBER,
    ORIGINS,
    RECORDED_HOURLY,
    SHARE,
    TIMES,
)
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.panels import Column, Panel, Query, legend, lines, number, ranking, rows_of, strip
from ragmeter.dashboards.selection import RANGE_SECONDS, RATE, Selection, selection
from ragmeter.dashboards.waste import context_money
from ragmeter.domain.model import Fate, Origin
from ragmeter.naming import hourly_series, semconv
from ragmeter.naming.hourly_series import Hourly
from ragmeter.naming.metric import Metric

WEEK = "7d"
SHOWN_RANKS = (1, 2, 3, 5, 7, 10)
"""Bounds of the metric's buckets."""


def board(options: Options) -> Board:
    """Where the tokens of prompts come from, how that grows, and what the context bought."""
    within = selection(options)
    return Board(
        "context-bloat",
        "Context bloat",
        "What is in the prompt? Input tokens by origin as tokens and as money, how they grow, what answers used of the "
        "retrieved context and what the rest costs.",
        within,
        (
            Section("What is in a prompt?", _contents(within)),
            Section("Is it growing?", _growth(within)),
            Section("What did the context buy?", _use(within)),
            Section("Where is the waste?", (_worst(within), _stale(within), _cache(within))),
            Section("How was the last month?", _month(within)),
        ),
    )


def _contents(within: Selection) -> tuple[Panel, ...]:
    queries = within.rate(semconv.QUERIES)
    tokens = within.rate(semconv.PART_TOKEN_COUNT, promql.PART, where=(match.IS_INPUT,))
    money = within.rate(semconv.COST, promql.PART, where=(match.IS_INPUT,))
    share = promql.per(
        within.rate(semconv.PART_TOKEN_COUNT, promql.STRATEGY, where=(match.IS_CONTEXT,)),
        within.rate(semconv.PART_TOKEN_COUNT, promql.STRATEGY, where=(match.IS_INPUT,)),
    )
    return (
        lines(
            "Input tokens of a query, by origin",
            "All prompts of a query together. `other` is what the provider counted and ragmeter cannot place.",
            [Query(promql.share_of(tokens, queries), legend(promql.PART))],
            NUMBER,
            height=9,
            stacked=True,
            colours=ORIGINS,
        ),
        lines(
            "Input money of 1,000 queries, by origin",
            "US dollars for the same tokens.",
            [Query(f"1000 * {promql.share_of(money, queries)}", legend(promql.PART))],
            DOLLARS,
            height=9,
            stacked=True,
            colours=ORIGINS,
        ),
        *(_by_origin(within, metric, title) for metric, title in IN_RANGE.items()),
        lines(
            "Context share",
            "Share of the input tokens that is retrieved text, by strategy.",
            [Query(share, legend(promql.STRATEGY))],
            SHARE,
            height=9,
            colours=palette.STRATEGIES,
            highest=1,
        ),
    )


IN_RANGE = {semconv.PART_TOKEN_COUNT: "Tokens by origin", semconv.COST: "Money by origin"}


def _by_origin(within: Selection, metric: Metric, title: str) -> Panel:
    by_part, whole = (within.grown(metric, *by, where=(match.IS_INPUT,)) for by in ((promql.PART,), ()))
    return ranking(
        title,
        "Share of all input in the chosen range. Cached tokens cost less, so tokens and money differ.",
        [Query(f"sort_desc({promql.share_of(by_part, whole)})", legend(promql.PART))],
        SHARE,
        width=6,
        height=9,
        colours=ORIGINS,
    )


def _growth(within: Selection) -> tuple[Panel, ...]:
    sums, counts = (within.series(semconv.PROMPT_TOKENS, ending=ending) for ending in ("_sum", "_count"))
    now = promql.per(promql.total(promql.rate(sums, RATE)), promql.total(promql.rate(counts, RATE)))
    before = promql.per(
        promql.total(f"rate({sums}[{RATE}] offset {WEEK})"), promql.total(f"rate({counts}[{RATE}] offset {WEEK})")
    )
    bloat = promql.per(
        within.rate(semconv.PART_TOKEN_COUNT, promql.STRATEGY, where=(match.IS_INPUT,)),
        within.rate(semconv.PART_TOKEN_COUNT, promql.STRATEGY, where=(match.IS_QUESTION,)),
    )
    return (
        *_growth_figures(within),
        lines(
            "Tokens of a prompt, and a week before",
            "Mean input tokens of an inference.",
            [Query(now, "now"), Query(before, "a week before")],
            NUMBER,
            colours={"now": ORIGINS[Origin.CONTEXT.value], "a week before": ORIGINS[Origin.HISTORY.value]},
        ),
        lines(
            "Bloat factor",
            "Input tokens per token of the question, by strategy.",
            [Query(bloat, legend(promql.STRATEGY))],
            TIMES,
            colours=palette.STRATEGIES,
        ),
    )


def _growth_figures(within: Selection) -> tuple[Panel, ...]:
    size, size_before = (_prompt_size(within, offset) for offset in ("", WEEK))
    buckets = within.grown(semconv.PROMPT_TOKENS, "le", ending="_bucket")
    is_apart = f"vector({RANGE_SECONDS}) <= 7 * {promql.DAY}"

    def share(metric: Metric, part: str, whole: str) -> str:
        return promql.per(within.grown(metric, where=(part,)), within.grown(metric, where=(whole,)))

    return strip(
        number("Mean prompt", "Mean input tokens of an inference in the chosen range.", size, COUNT, decimals=0),
        number(
            "Week over week",
            "Mean input tokens of an inference in the chosen range, as a multiple of those seven days earlier. For "
            "ranges of a week at most.",
            promql.where(f"({size}) / ({size_before})", f"({is_apart})"),
            TIMES,
            decimals=2,
            missing=NOTHING_BEFORE,
            limits=((1.3, "orange"), (2.0, "red")),
        ),
        number(
            "Bloat factor",
            "Input tokens per token of the questions, in the chosen range.",
            share(semconv.PART_TOKEN_COUNT, match.IS_INPUT, match.IS_QUESTION),
            TIMES,
            decimals=1,
        ),
        number(
            "Long prompt, p95",
            "Input tokens that 95 % of the inferences stay below, in the chosen range.",
            promql.quantile_of(0.95, buckets),
            COUNT,
            decimals=0,
        ),
        number(
            "Share of context",
            "Share of the input tokens that is retrieved text, in the chosen range.",
            share(semconv.PART_TOKEN_COUNT, match.IS_CONTEXT, match.IS_INPUT),
            SHARE,
            decimals=0,
        ),
        number(
            "Context used",
            "Share of the context's tokens that answers drew on, of those whose fate is known.",
            share(semconv.CONTEXT_TOKENS, match.IS_USED, match.IS_KNOWN),
            SHARE,
            decimals=0,
        ),
    )


def _prompt_size(within: Selection, offset: str) -> str:
    """Mean input tokens of an inference in the chosen range, or in that which ended `offset` ago."""
    tokens, prompts = (
        within.grown(semconv.PROMPT_TOKENS, ending=ending, offset=offset) for ending in ("_sum", "_count")
    )
    return promql.per(tokens, prompts)


def _use(within: Selection) -> tuple[Panel, ...]:
    queries = within.rate(semconv.QUERIES)
    tokens = within.rate(semconv.CONTEXT_TOKENS, promql.FATE)
    used = within.grown(semconv.USED_RANK, ending="_count")
    return (
        lines(
            "Context tokens of a query, by fate",
            "used: the answer draws on it. unused: sent for nothing. repeated: already in the prompt or an earlier "
            "turn. unknown: the answer does not show it.",
            [Query(promql.share_of(tokens, queries), legend(promql.FATE))],
            NUMBER,
            width=8,
            stacked=True,
            colours=FATES,
        ),
        context_money(within, 8),
        ranking(
            "Would the top chunks do?",
            "Share of the used chunks that had this rank or a better one in their last ranking. If it nears 100 %, the "
            "chunks below were hardly ever used.",
            [Query(promql.per(_up_to(within, rank), used), f"top {rank}") for rank in SHOWN_RANKS],
            SHARE,
            width=8,
            highest=1,
        ),
    )


def _up_to(within: Selection, rank: int) -> str:
    """Used chunks of this rank or above. A scrape writes the bound `3.0`, a push may write `3`."""
    return within.grown(semconv.USED_RANK, where=(promql.one_of("le", rf"{rank}(\\.0)?"),), ending="_bucket")


def _worst(within: Selection) -> Panel:
    labels = (promql.STRATEGY, *within.labels)
    headings = {label: label.replace("_", " ").capitalize() for label in within.labels}
    waste = within.grown(semconv.CONTEXT_COST, *labels, where=(match.IS_WASTE,))
    known = within.grown(semconv.CONTEXT_TOKENS, *labels, where=(match.IS_KNOWN,))
    wasted = within.grown(semconv.CONTEXT_TOKENS, *labels, where=(match.IS_WASTE,))
    queries = within.grown(semconv.QUERIES, *labels)
    context = within.grown(semconv.PART_TOKEN_COUNT, *labels, where=(match.IS_CONTEXT,))
    columns = (
        Column("Waste per day", f"{waste} / {within.length_of_data()} * {promql.DAY}", DOLLARS),
        Column("Wasted", promql.per(wasted, known), SHARE, 0),
        Column("Context tokens", promql.per(context, queries), COUNT, 0),
        Column("Queries", f"{queries} and {waste}", COUNT, 0),
    )
    return rows_of(
        "The most wasteful",
        "US dollars per day for context that was unused or repeated, over the time with data in the chosen range. "
        "Context tokens are those of one query.",
        {promql.STRATEGY: "Strategy", **headings},
        [replace(column, expression=promql.all_named(column.expression, within.labels)) for column in columns],
        colours=palette.STRATEGIES,
        sorted_by="Waste per day",
    )


def _stale(within: Selection) -> Panel:
    context = within.rate(semconv.CONTEXT_TOKENS)
    stale = within.rate(semconv.STALE_TOKENS)
    unsent = within.rate(semconv.CHUNKS, where=(match.IS_UNSENT,))
    retrieved = within.rate(semconv.CHUNKS, where=(match.WAS_RETRIEVED_ONCE,))
    sent = within.rate(semconv.CHUNKS, where=(match.WAS_SENT,))
    cited = within.rate(semconv.CITED_CHUNKS)
    return lines(
        "Stale, never sent, cited",
        "stale: share of the context's tokens that stands in earlier turns. never sent: share of the retrieved chunks "
        "that reached no prompt. cited: share of the chunks that a marker in the answer names.",
        [
            Query(promql.per(f"({stale} or vector(0))", context), "stale"),
            Query(promql.per(f"({unsent} or vector(0))", retrieved), "never sent"),
            Query(promql.per(f"({cited} or vector(0))", sent), "cited"),
        ],
        SHARE,
        colours={
            "stale": FATES[Fate.REPEATED.value],
            "never sent": FATES[Fate.UNSENT.value],
            "cited": FATES[Fate.USED.value],
        },
    )


def _cache(within: Selection) -> Panel:
    by = promql.STRATEGY
    read = within.rate(
        semconv.PART_TOKEN_COUNT, by, where=(match.IS_INPUT, promql.equals(promql.TOKEN_RATE, "cache_read"))
    )
    every = within.rate(semconv.PART_TOKEN_COUNT, by, where=(match.IS_INPUT,))
    return lines(
        "Read from the provider's cache",
        "Share of the input tokens that were billed at the lower rate for cached tokens.",
        [Query(promql.per(promql.or_zero(read, every), every), legend(promql.STRATEGY))],
        SHARE,
        colours=palette.STRATEGIES,
    )


def _month(within: Selection) -> tuple[Panel, ...]:
    def of_day(record: Hourly, *where: str) -> str:
        # The offset puts a day's sum at its beginning, where one looks for it.
        return f"sum_over_time({within.recorded(record, *where, by_labels=False)}[1d] offset -1d)"

    tokens = promql.total(of_day(hourly_series.PART_TOKENS, match.IS_INPUT), [promql.PART])
    money = promql.total(of_day(hourly_series.PART_COST, match.IS_INPUT), [promql.PART])
    fates = promql.total(of_day(hourly_series.CONTEXT_COST), [promql.FATE])
    queries = promql.total(of_day(hourly_series.QUERIES))
    shown = (
        ("Input tokens of a query", "by origin", promql.share_of(tokens, queries), NUMBER, promql.PART, ORIGINS),
        ("Input money", "in US dollars by origin", money, DOLLARS, promql.PART, ORIGINS),
        ("Context money", "in US dollars by fate", fates, DOLLARS, promql.FATE, FATES),
    )
    return tuple(
        lines(
            f"{title} by day",
            f"Each day, {how}, from the recording rules; the app's own labels do not apply.",
            [Query(expression, legend(label))],
            unit,
            width=8,
            height=9,
            stacked=True,
            bars=True,
            interval="1d",
            since="30d",
            missing=RECORDED_HOURLY,
            colours=colours,
        )
        for title, how, expression, unit, label, colours in shown
    )
