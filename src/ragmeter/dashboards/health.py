"""The dashboard `Health`: is the metering itself well?"""

from __future__ import annotations

from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards.board import Board, Section
from ragmeter.dashboards.look import COUNT, NUMBER, PER_SECOND, SHARE
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.panels import Column, Panel, Query, legend, lines, number, rows_of, strip
from ragmeter.dashboards.selection import Selection, selection
from ragmeter.domain.model import PriceState
from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import label_name

CLIENT = label_name(semconv.CLIENT)
VERSION = label_name(semconv.CLIENT_VERSION)
LABEL = label_name(semconv.LABEL)
RANGE_OF_CLIENT = label_name(semconv.CLIENT_RANGE)
TROUBLE = ((1.0, "red"),)
PRICES = {
    PriceState.PRICED.value: "green",
    PriceState.ESTIMATED.value: "yellow",
    PriceState.UNPRICED.value: "red",
}


def board(options: Options) -> Board:
    """What is metered, whether the worker keeps up, and what could not be counted as it should."""
    within = selection(options, strategies=False)
    return Board(
        "health",
        "Health",
        "Does the metering itself work? Operations, queue, failures of ours, full labels, and clients in versions that "
        "nobody tested.",
        within,
        (
            Section("Is anything lost?", _figures(within)),
            Section("What is metered?", _operations(within)),
            Section("What needs attention?", _details(within)),
        ),
        since="now-6h",
    )


def _figures(within: Selection) -> tuple[Panel, ...]:
    untested = within.series(semconv.CLIENTS, promql.equals(RANGE_OF_CLIENT, "untested"))

    return strip(
        number(
            "Processes",
            "Processes with a wrapped client.",
            f"count(group by (job, instance) ({within.series(semconv.CLIENTS)}))",
            COUNT,
        ),
        number(
            "Waiting",
            "Operations that wait to be accounted for, now.",
            promql.total(within.series(semconv.QUEUED)),
            COUNT,
        ),
        number(
            "Without anatomy",
            "Operations in the chosen range that met a full queue. Their totals are right, their parts unknown.",
            within.grown_or_zero(semconv.OVERFLOWED),
            COUNT,
            decimals=0,
            limits=TROUBLE,
        ),
        number(
            "Internal failures",
            "Failures inside ragmeter in the chosen range. No call of the app is affected; the log has the first ones.",
            within.grown_or_zero(semconv.INTERNAL_ERRORS),
            COUNT,
            decimals=0,
            limits=TROUBLE,
        ),
        number(
            "Counted as other",
            "Label values in the chosen range that were counted as `other`: their label was full, or a metric reached "
            "the app's meter provider's limit of series. No figure is lost, only its name.",
            within.grown_or_zero(semconv.LABELS_OVERFLOWED),
            COUNT,
            decimals=0,
            limits=TROUBLE,
        ),
        number(
            "Untested clients",
            "Clients whose version is outside the tested range. They are wrapped anyway: see `ragmeter doctor`.",
            f"count({untested}) or {promql.zero_where(within.series(semconv.CLIENTS))}",
            COUNT,
            decimals=0,
            limits=((1.0, "orange"),),
        ),
    )


def _operations(within: Selection) -> tuple[Panel, ...]:
    by_kind = within.pace(semconv.OPERATIONS, promql.OPERATION)
    by_price = within.rate(semconv.OPERATIONS, promql.PRICE_STATE)
    every = within.rate(semconv.OPERATIONS)
    return (
        lines(
            "Operations",
            "Calls to models and databases per second, by kind.",
            [Query(by_kind, legend(promql.OPERATION))],
            PER_SECOND,
            stacked=True,
        ),
        lines(
            "How exact is the money?",
            "Share of the calls to models and databases by the state of their price.",
            [Query(promql.share_of(by_price, every), legend(promql.PRICE_STATE))],
            SHARE,
            stacked=True,
            colours=PRICES,
            highest=1,
        ),
        lines(
            "Queue",
            "Operations that wait to be accounted for: a worker that keeps up has next to none.",
            [Query(promql.total(within.series(semconv.QUEUED), [promql.JOB]), legend(promql.JOB))],
            NUMBER,
            calculations=("mean", "max"),
        ),
        _unscoped(),
    )


def _unscoped() -> Panel:
    # What no scope names has no labels either: both are counted for whole services.
    services = Selection(strategies=False)
    unscoped, queries = (services.rate(metric, promql.JOB) for metric in (semconv.UNSCOPED, semconv.QUERIES))
    return lines(
        "Queries outside of any scope",
        "Share of the queries that neither `ragmeter.query()` nor the span of a request encloses, by service. Their "
        "calls are joined by what they say, and some steps count as queries of their own. If it is more than a few "
        "percent, put `with ragmeter.query():` around each request, or instrument the web framework.",
        [Query(promql.per(promql.or_zero(unscoped, queries), queries), legend(promql.JOB))],
        SHARE,
        calculations=("mean", "max"),
    )


def _details(within: Selection) -> tuple[Panel, ...]:
    clients = within.series(semconv.CLIENTS)
    by_client = f"count by ({CLIENT}, {VERSION}, {RANGE_OF_CLIENT}) ({clients})"
    unpriced = within.grown(semconv.OPERATIONS, promql.PROVIDER, promql.MODEL, where=(match.IS_UNPRICED,))
    return (
        rows_of(
            "Clients",
            "Wrapped client libraries, and in how many processes.",
            {CLIENT: "Client", VERSION: "Version", RANGE_OF_CLIENT: "Range"},
            (Column("Processes", by_client, NUMBER),),
            width=8,
        ),
        rows_of(
            "Without a price",
            "Calls in the chosen range without a known price. Set one with `instrument(prices=...)`, that of a "
            "database under its own name.",
            {promql.PROVIDER: "Provider", promql.MODEL: "Model"},
            (Column("Calls", f"{unpriced} > 0", COUNT, 0),),
            width=8,
            missing="no call without a price",
            sorted_by="Calls",
        ),
        _failures(within),
    )


def _failures(within: Selection) -> Panel:
    troubles = {"internal failures": semconv.INTERNAL_ERRORS, "without anatomy": semconv.OVERFLOWED}
    # By label; where none is full there is nothing, and no label to name.
    full = within.grown(semconv.LABELS_OVERFLOWED, LABEL, window="5m")
    return lines(
        "What went wrong when",
        "Events per five minutes. The log names the place of a failure; the legend names a full label.",
        [
            *(Query(within.grown_or_zero(metric, window="5m"), name) for name, metric in troubles.items()),
            Query(f"{full} > 0", f"`other` in {legend(LABEL)}"),
        ],
        NUMBER,
        width=8,
        height=7,
        calculations=("max", "lastNotNull"),
    )
