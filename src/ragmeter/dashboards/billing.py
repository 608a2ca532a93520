"""Panels of what more than one dashboard shows of a bill: units beside tokens, and ingestion apart from answering."""

from __future__ import annotations

from ragmeter import palette
from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards.look import COUNT, DOLLARS, NO_INGESTION, NO_UNITS, PLAIN
from ragmeter.dashboards.panels import Column, Panel, Query, legend, lines, rows_of
from ragmeter.dashboards.selection import Selection
from ragmeter.domain.model import KINDS, OperationKind
from ragmeter.naming import semconv

SEARCH = OperationKind.SEARCH.means.part or ""
INGESTION = OperationKind.INGESTION.means.part or ""
KINDS_OF_PART = {
    part: tuple(sorted(kind for kind, meaning in KINDS.items() if (meaning.part or SEARCH) == part))
    for part in sorted({meaning.part or SEARCH for meaning in KINDS.values()})
}
"""The kinds of operation whose units are paid under each part: those of an inference are its searches."""


def units(within: Selection) -> Panel:
    """A table of the units that each provider or database has billed beside tokens, and their money."""
    counted = promql.told_apart(
        {
            part: within.grown(semconv.UNITS, promql.PROVIDER, promql.UNIT, where=(match.is_kind(*kinds),))
            for part, kinds in KINDS_OF_PART.items()
        },
        promql.PART,
    )
    money = within.grown(semconv.COST, promql.PROVIDER, promql.PART, where=(match.is_part(*KINDS_OF_PART),))
    # Money has no unit: every unit of a provider's part stands beside all of the part's money.
    billed = f"({counted}) > 0"
    cost = f"0 * ({billed}) + on ({promql.PROVIDER}, {promql.PART}) group_left () {money}"
    return rows_of(
        "Units beside tokens",
        "Units that are billed beside tokens, such as read units, searches and pictures, in the chosen range. The cost "
        "is that of the whole part at the provider or database: two units of one part show the same amount. A unit "
        "without a cost has no known price of its own.",
        {promql.PROVIDER: "Billed by", promql.PART: "Part", promql.UNIT: "Unit"},
        (Column("Units", billed, COUNT, 0), Column("Cost", cost, DOLLARS)),
        width=14,
        height=8,
        sorted_by="Cost",
        missing=NO_UNITS,
    )


def answering_and_ingestion(within: Selection) -> Panel:
    """The money of answers, and that of bringing documents into an index."""
    answering, ingestion = (
        within.pace(semconv.COST, where=(which,)) for which in (match.IS_NO_INGESTION, match.IS_INGESTION)
    )
    return lines(
        "Answering and ingestion",
        "US dollars per hour. Ingestion brings documents into an index: embedding them in batches, writing them to a "
        "database. Everything else is answering.",
        [Query(f"{money} * {promql.HOUR}", name) for name, money in (("answering", answering), (INGESTION, ingestion))],
        DOLLARS,
        width=10,
        stacked=True,
        colours={"answering": PLAIN, INGESTION: palette.PARTS[INGESTION]},
    )


def ingestion(within: Selection) -> Panel:
    """The money of bringing documents into an index, by who is paid for it."""
    money = within.pace(semconv.COST, promql.PROVIDER, where=(match.IS_INGESTION,))
    return lines(
        "Ingestion",
        "US dollars per day for bringing documents into an index, by provider or database: embedding them in batches, "
        "writing them. The retrieval above does not include it.",
        [Query(f"{money} * {promql.DAY}", legend(promql.PROVIDER))],
        DOLLARS,
        width=10,
        stacked=True,
        missing=NO_INGESTION,
    )
