"""The dashboard `Retrieval`: is it worth its time?"""

from __future__ import annotations

from ragmeter import palette
from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards.billing import ingestion, units
from ragmeter.dashboards.board import Board, Section
from ragmeter.dashboards.look import COUNT, DOLLARS, NUMBER, ORIGINS, PER_SECOND, PLAIN, SECONDS, SHARE
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.panels import Column, Panel, Query, bands, legend, lines, number, rows_of, strip
from ragmeter.dashboards.selection import RANGE, RATE, Selection, selection
from ragmeter.domain.model import Origin
from ragmeter.naming import semconv

SEARCHED = (promql.DATABASE, promql.COLLECTION)


def board(options: Options) -> Board:
    """How long searches take, what they find, how often they fail, and what they cost."""
    within = selection(options, strategies=False, collections=True)
    return Board(
        "retrieval",
        "Retrieval",
        "Is retrieval worth its time? Time, results, scores, failures and money by database and collection.",
        within,
        (
            Section("How long does it take?", (*_figures(within), _places(within), *_times(within))),
            Section("What does it find?", _results(within)),
            Section("What does it cost?", (*_money(within), units(within), ingestion(within))),
        ),
    )


def _searches(within: Selection, *by: str, where: tuple[str, ...] = ()) -> str:
    return within.grown(semconv.SEARCH_DURATION, *by, where=where, ending="_count")


def _figures(within: Selection) -> tuple[Panel, ...]:
    buckets = within.grown(semconv.SEARCH_DURATION, "le", ending="_bucket")
    every, empty = _searches(within), within.grown(semconv.SEARCH_EMPTY)
    answered = within.grown(semconv.SEARCH_RESULTS, ending="_count")
    return strip(
        *(
            number(
                f"p{share * 100:.0f} of searches",
                f"Seconds that {share:.0%} of the searches stay below, in the chosen range.",
                promql.quantile_of(share, buckets),
                SECONDS,
            )
            for share in (0.5, 0.95, 0.99)
        ),
        number(
            "Share of time",
            "Mean share of a query's duration that was spent searching, for queries that searched.",
            promql.per(
                within.grown(semconv.SEARCH_SHARE, ending="_sum"), within.grown(semconv.SEARCH_SHARE, ending="_count")
            ),
            SHARE,
        ),
        number(
            "Empty",
            "Share of the searches that succeeded and found nothing.",
            promql.per(f"({empty} or vector(0))", answered),
            SHARE,
            limits=((0.1, "orange"), (0.2, "red")),
        ),
        number(
            "Failed",
            "Share of the searches that failed.",
            promql.per(f"({_searches(within, where=(match.FAILED,))} or vector(0))", every),
            SHARE,
            limits=((0.01, "orange"), (0.05, "red")),
        ),
    )


def _places(within: Selection) -> Panel:
    matchers = within.matchers(semconv.SEARCH_DURATION)
    every = _searches(within, *SEARCHED)
    failed = _searches(within, *SEARCHED, where=(match.FAILED,))
    empty = within.grown(semconv.SEARCH_EMPTY, *SEARCHED)
    found = within.grown(semconv.SEARCH_RESULTS, *SEARCHED, ending="_sum")
    answered = within.grown(semconv.SEARCH_RESULTS, *SEARCHED, ending="_count")
    return rows_of(
        "By database and collection",
        "The chosen range.",
        {promql.DATABASE: "Database", promql.COLLECTION: "Collection"},
        (
            Column("Searches", every, COUNT, 0),
            *(
                Column(
                    f"p{share * 100:.0f}",
                    promql.quantile(share, semconv.SEARCH_DURATION, RANGE, SEARCHED, matchers),
                    SECONDS,
                    1,
                )
                for share in (0.5, 0.95, 0.99)
            ),
            Column("Chunks", promql.per(found, answered), NUMBER, 1),
            Column("Empty", promql.per(promql.or_zero(empty, answered), answered), SHARE, 1),
            Column("Failed", promql.per(promql.or_zero(failed, every), every), SHARE, 1),
        ),
        height=6,
        sorted_by="Searches",
    )


def _times(within: Selection) -> tuple[Panel, ...]:
    matchers = within.matchers(semconv.SEARCH_DURATION)
    mean_share = promql.per(
        within.rate(semconv.SEARCH_SHARE, promql.STRATEGY, ending="_sum"),
        within.rate(semconv.SEARCH_SHARE, promql.STRATEGY, ending="_count"),
    )
    return (
        *(
            lines(
                f"Search time, p{share * 100:.0f}",
                f"Seconds that {share:.0%} of the searches stay below.",
                [Query(promql.quantile(share, semconv.SEARCH_DURATION, RATE, SEARCHED, matchers), legend(*SEARCHED))],
                SECONDS,
                width=8,
                calculations=("mean", "max"),
            )
            for share in (0.5, 0.95)
        ),
        lines(
            "Share of the answer's time",
            "Mean share of a query's duration that was spent searching, by strategy.",
            [Query(mean_share, legend(promql.STRATEGY))],
            SHARE,
            width=8,
            colours=palette.STRATEGIES,
        ),
    )


def _results(within: Selection) -> tuple[Panel, ...]:
    every = within.rate(semconv.SEARCH_DURATION, *SEARCHED, ending="_count")
    failed = within.pace(semconv.SEARCH_DURATION, *SEARCHED, promql.ERROR, where=(match.FAILED,), ending="_count")
    empty = within.rate(semconv.SEARCH_EMPTY, *SEARCHED)
    answered = within.rate(semconv.SEARCH_RESULTS, *SEARCHED, ending="_count")
    found = promql.per(
        within.rate(semconv.SEARCH_RESULTS, *SEARCHED, ending="_sum"),
        within.rate(semconv.SEARCH_RESULTS, *SEARCHED, ending="_count"),
    )
    return (
        lines(
            "Chunks of a search",
            "Mean number of chunks that a search returns.",
            [Query(found, legend(*SEARCHED))],
            NUMBER,
            width=8,
        ),
        lines(
            "Empty searches",
            "Share of the searches that succeeded and found nothing.",
            [Query(promql.per(promql.or_zero(empty, answered), answered), legend(*SEARCHED))],
            SHARE,
            width=8,
            calculations=("mean", "max"),
        ),
        lines(
            "Failed searches",
            "Failed searches per second, by error.",
            [
                Query(promql.by_last_part(failed, promql.ERROR, SEARCHED), legend(*SEARCHED, promql.LAST_PART)),
                Query(f"0 * {promql.total(every)}", "none"),
            ],
            PER_SECOND,
            width=8,
            calculations=("max",),
        ),
        bands(
            "Scores of the best chunk",
            "Searches by the score of their best chunk. Databases that give only distances show those: lower is "
            "nearer. The lowest band also holds everything below zero.",
            _bands_of_scores(within),
            NUMBER,
        ),
        lines(
            "Mean score of the best chunk",
            "A fall means questions that the documents do not answer, or a changed embedding model. For distances, "
            "where lower is nearer, a rise means the same.",
            [Query(_mean_score(within), legend(*SEARCHED, promql.SCORE_ORDER))],
            NUMBER,
            calculations=("mean",),
        ),
    )


def _bands_of_scores(within: Selection) -> str:
    """The searches of each band; scores and distances never in one picture."""
    scores, distances = (
        within.rate(semconv.SEARCH_SCORE, "le", where=(which,), ending="_bucket")
        for which in (match.IS_NO_DISTANCE, match.IS_DISTANCE)
    )
    return f"{scores} or {distances}"


def _mean_score(within: Selection) -> str:
    of = (*SEARCHED, promql.SCORE_ORDER)
    above = within.rate(semconv.SEARCH_SCORE, *of, ending="_sum")
    below = promql.or_zero(within.rate(semconv.NEGATIVE_SCORES, *of), above)
    return promql.per(f"({above} - {below})", within.rate(semconv.SEARCH_SCORE, *of, ending="_count"))


def _money(within: Selection) -> tuple[Panel, ...]:
    money = within.pace(semconv.COST, promql.PART, where=(match.IS_RETRIEVAL, match.OF_QUERIES))
    context = within.pace(semconv.CONTEXT_COST)
    return (
        lines(
            "Embedding, searching, reranking",
            "US dollars per day for retrieval in queries, web searches of models included. Ingestion is not included. "
            "Databases that do not bill by search do not appear.",
            [Query(f"{money} * {promql.DAY}", legend(promql.PART))],
            DOLLARS,
            stacked=True,
            colours=palette.PARTS,
        ),
        lines(
            "Retrieval and the prompts it fills",
            "US dollars per day for retrieved text in prompts. It usually costs many times as much as finding it.",
            [
                Query(f"{context} * {promql.DAY}", "context in prompts"),
                Query(f"sum({money}) * {promql.DAY}", "retrieval itself"),
            ],
            DOLLARS,
            colours={"context in prompts": ORIGINS[Origin.CONTEXT.value], "retrieval itself": PLAIN},
        ),
    )
