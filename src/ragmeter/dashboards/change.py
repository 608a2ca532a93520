"""The dashboard `Why did it change?`: the bill against the same time before, split into what drives it.

Cost = queries x calls per query x tokens per call x money per token. A change of a product is shared out
among its factors by logarithmic means (the additive LMDI-I of Ang, "The LMDI approach to decomposition analysis",
Energy Policy 33, 2005): each factor's part is L(now, before) x ln(factor now / factor before) with
L(a, b) = (a - b) / ln(a / b), and the parts sum to the change without a remainder.
"""

from __future__ import annotations

from collections.abc import Callable

from grafana_foundation_sdk.builders.dashboard import CustomVariable
from grafana_foundation_sdk.models.dashboard import VariableOption

from ragmeter import palette
from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards.board import Board, Section
from ragmeter.dashboards.look import DOLLARS, FAINT, NOTHING_BEFORE, NUMBER, PLAIN, SHARE, WHOLE_HOURS
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.panels import Column, Panel, Query, changes, filled_lines, lines, number, rows_of, strip
from ragmeter.dashboards.selection import ALIKE, BEFORE, FINE, RANGE, ROUGH, Selection, selection
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric

COMPARISONS = {"1d": "the day before", "7d": "the week before"}
HOURLY = "1h"
NANO = "1e-9"
"""Of a dollar or a token: what is less is noise of the arithmetic."""
SHORT = {promql.STRATEGY: "strategy", promql.MODEL: "model"}
Grown = Callable[[str], str]
"""PromQL of a total, given the offset: of the range itself with "", of the time before with `BEFORE`."""


def board(options: Options) -> Board:
    """What changed in the bill since the same time yesterday or last week, and because of what."""
    within = selection(options)
    return Board(
        "change",
        "Why did it change?",
        "The chosen range against the same one a day or a week before: traffic, calls per query, tokens per "
        "call, money per token. The parts sum to the change.",
        within,
        (
            Section("How much, and because of what?", (*_figures(within), split(within, 12), _split_over_time(within))),
            Section("Which factor moved?", _factors(within)),
            Section("Who changed?", _who(within)),
        ),
        since="now-6h",
        variables=(comparison(),),
    )


def comparison() -> CustomVariable:
    """The variable that chooses what is compared with."""
    first = next(iter(COMPARISONS))
    return (
        CustomVariable("compare")
        .label("Compare with")
        .values(",".join(f"{text} : {offset}" for offset, text in COMPARISONS.items()))
        .current(VariableOption(selected=True, text=COMPARISONS[first], value=first))
    )


def _totals(within: Selection, window: str) -> dict[str, Grown]:
    def grown(metric: Metric, *where: str) -> Grown:
        return lambda offset: within.grown(metric, where=where, window=window, offset=offset)

    return {
        "cost": grown(semconv.COST),
        "queries": grown(semconv.QUERIES),
        "calls": grown(semconv.OPERATIONS, match.IS_CALL),
        "tokens": grown(semconv.PART_TOKEN_COUNT, match.IS_OF_CALL),
    }


def _parts(within: Selection, window: str) -> dict[str, str]:
    """The change of the cost by driver, in US dollars of the window: nothing where any total of either time is zero."""
    totals = _totals(within, window)
    cost, before = totals["cost"](""), totals["cost"](BEFORE)
    # Of two alike the logarithmic mean is either: the formula would divide zero by zero.
    mean = f"(({cost} - {before}) / ln({cost} / {before}) > 0 or {cost})"
    every = " * ".join(grown(offset) for grown in totals.values() for offset in ("", BEFORE))
    is_comparable = promql.where(_comparable(within, window), f"({every} > 0)")

    def part(grown: Grown, of: Grown | None = None) -> str:
        def factor(offset: str) -> str:
            return grown(offset) if of is None else f"({grown(offset)} / {of(offset)})"

        return promql.where(f"round({mean} * ln({factor('')} / {factor(BEFORE)}), {NANO})", is_comparable)

    queries, calls, tokens = totals["queries"], totals["calls"], totals["tokens"]
    return dict(
        zip(
            palette.DRIVERS,
            (part(queries), part(calls, queries), part(tokens, calls), part(totals["cost"], tokens)),
            strict=True,
        )
    )


def _comparable(within: Selection, window: str = RANGE) -> str:
    return within.comparable(window, FINE if window == RANGE else ROUGH)


def _figures(within: Selection) -> tuple[Panel, ...]:
    cost = _totals(within, RANGE)["cost"]
    now, before = cost(""), promql.where(cost(BEFORE), _comparable(within))
    return strip(
        number("Cost now", "US dollars in the chosen range.", now, DOLLARS),
        number(
            "Cost before",
            "US dollars in the same range a day or a week before, if that time has data and does not overlap.",
            before,
            DOLLARS,
            missing=NOTHING_BEFORE,
        ),
        number("Change", "US dollars more or less.", f"{now} - {before}", DOLLARS, missing=NOTHING_BEFORE),
        number(
            "Change in percent",
            "The change as a share of the cost before.",
            f"({now} - {before}) / ({before} > 0)",
            SHARE,
            missing=NOTHING_BEFORE,
            limits=((0.3, "orange"), (1.0, "red")),
        ),
    )


def split(within: Selection, width: int) -> Panel:
    """The change of the bill by what drives it."""
    return changes(
        "What the change comes from",
        "The change over the chosen range in US dollars, by driver. The drivers sum to the change.",
        promql.told_apart(_parts(within, RANGE), "driver"),
        "driver",
        DOLLARS,
        width=width,
        colours=palette.DRIVERS,
        missing=NOTHING_BEFORE,
    )


def by_strategy(within: Selection) -> Panel:
    """The change of the bill by strategy."""
    now, before = (within.grown(semconv.COST, promql.STRATEGY, offset=offset) for offset in ("", BEFORE))
    changed = promql.where(f"({promql.change(now, before)})", _comparable(within))
    return changes(
        "Which strategy changed",
        "The change over the chosen range in US dollars, by strategy. Models and labels are on the dashboard "
        "`Why did it change?`.",
        f"sort_desc(round({changed}, {NANO}))",
        promql.STRATEGY,
        DOLLARS,
        colours=palette.STRATEGIES,
        missing=NOTHING_BEFORE,
    )


def _split_over_time(within: Selection) -> Panel:
    return lines(
        "Hour by hour",
        "Change of each hour against the same hour before, in US dollars, by driver.",
        [Query(expression, driver) for driver, expression in _parts(within, HOURLY).items()],
        DOLLARS,
        height=9,
        stacked=True,
        bars=True,
        interval=HOURLY,
        from_zero=False,
        colours=palette.DRIVERS,
        calculations=("sum",),
        missing=NOTHING_BEFORE,
    )


def _factors(within: Selection) -> tuple[Panel, ...]:
    totals = _totals(within, HOURLY)
    queries, calls, tokens, cost = (totals[name] for name in ("queries", "calls", "tokens", "cost"))

    def whole(amount: Grown) -> Grown:
        def of_hour(offset: str) -> str:
            seconds = within.seconds_with_data(HOURLY, ROUGH, offset)
            return promql.where(amount(offset), f"({seconds} >= {ALIKE} * {promql.HOUR})")

        return of_hour

    def ratio(amount: Grown, of: Grown, times: str = "") -> Grown:
        return lambda offset: f"{times}{promql.per(amount(offset), of(offset))}"

    factors: dict[str, tuple[str, Grown, str]] = {
        "Traffic": ("Queries per hour, for hours with complete data.", whole(queries), NUMBER),
        "Calls per query": ("Model calls.", ratio(calls, queries), NUMBER),
        "Tokens per call": ("Input and output together.", ratio(tokens, calls), NUMBER),
        "Money per million tokens": ("US dollars.", ratio(cost, tokens, "1e6 * "), DOLLARS),
    }
    return (
        *(
            lines(
                title,
                f"{description} Each hour, and the same hour before.",
                [Query(factor(""), "now"), Query(factor(BEFORE), "before")],
                unit,
                width=6,
                interval=HOURLY,
                missing=WHOLE_HOURS,
                colours={"now": PLAIN, "before": FAINT},
            )
            for title, (description, factor, unit) in factors.items()
        ),
        *_by_part(within),
    )


def _by_part(within: Selection) -> tuple[Panel, ...]:
    """The change of what a call has, part by part: in tokens, and in money for a thousand calls."""

    def for_each_call(metric: Metric, offset: str) -> str:
        amount = within.grown(metric, promql.PART, offset=offset)
        calls = within.grown(semconv.OPERATIONS, where=(match.IS_CALL,), offset=offset)
        return f"({promql.share_of(amount, calls)})"

    def changed(metric: Metric) -> str:
        now, before = (for_each_call(metric, offset) for offset in ("", BEFORE))
        return promql.where(f"({promql.change(now, before)})", _comparable(within))

    shown = (
        ("Change in tokens per call", "tokens per call", semconv.PART_TOKEN_COUNT, "", NUMBER),
        ("Change in cost per 1,000 calls", "US dollars per 1,000 calls", semconv.COST, "1000 * ", DOLLARS),
    )
    return tuple(
        changes(
            title,
            f"Change in {what} by part of the prompt or answer.",
            f"sort_desc(round({times}{changed(metric)}, {NANO}))",
            promql.PART,
            unit,
            colours=palette.PARTS,
            missing=NOTHING_BEFORE,
        )
        for title, what, metric, times, unit in shown
    )


def _who(within: Selection) -> tuple[Panel, ...]:
    labels = (promql.STRATEGY, promql.MODEL, *within.labels)
    tables = [
        rows_of(
            f"By {SHORT.get(label, label.replace('_', ' '))}",
            "US dollars in the chosen range and before. Without a comparable time before, no change is shown.",
            {label: "Which"},
            _changes(within, label),
            height=7,
            colours=palette.STRATEGIES if label == promql.STRATEGY else None,
            sorted_by="Change",
        )
        for label in labels
    ]
    return filled_lines(tables, 2)


def _changes(within: Selection, label: str) -> tuple[Column, ...]:
    now = promql.named(within.grown(semconv.COST, label), label)
    before = promql.named(within.grown(semconv.COST, label, offset=BEFORE), label)
    is_comparable = _comparable(within)
    return (
        Column("Now", promql.or_zero(now, before), DOLLARS),
        Column("Before", promql.where(promql.or_zero(before, now), is_comparable), DOLLARS),
        Column("Change", promql.where(f"({promql.change(now, before)})", is_comparable), DOLLARS),
    )
