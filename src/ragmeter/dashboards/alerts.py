"""The alerts: what someone should hear of without looking at a dashboard. Proven by `tests/alerts`.

Amounts are judged against the user's limits (`recording.LIMITS`), and against the same hour of other days. Where
something is missing (a limit, a history, enough traffic) the expression is empty and nothing fires.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import matchers as match
from ragmeter.dashboards import recording
from ragmeter.dashboards.rules import Alert, Group, Severity
from ragmeter.domain.model import Fate
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric
from ragmeter.telemetry.totals import UNKNOWN

BY_STRATEGY = (promql.JOB, promql.STRATEGY)
BY_COLLECTION = (promql.JOB, promql.DATABASE, promql.COLLECTION)
BY_MODEL = (promql.JOB, promql.PROVIDER, promql.MODEL)

HOURS_A_MONTH = 720
"""Thirty days: a burn of 1 spends the month's budget in them."""
LEAST_OF_P95 = 20
"""With fewer values the 95th percentile is the highest one."""
MORE_THAN_ONE = 1.5
"""increase() extrapolates: one event may count as 1.2, two count as two at least."""
LEAST = recording.LEAST_QUERIES.scalar

OF_JOB = "{{ with $labels.job }} of {{ . }}{{ end }}"
"""Metrics need not have a job: what VictoriaMetrics takes by OTLP has none."""
FROM_JOB = "{{ with $labels.job }} from {{ . }}{{ end }}"
STRATEGY = f"{{{{ $labels.{promql.STRATEGY} }}}}{OF_JOB}"
COLLECTION = f"{{{{ $labels.{promql.COLLECTION} }}}} in {{{{ $labels.{promql.DATABASE} }}}}{OF_JOB}"
MODEL = (
    f'{{{{ if ne $labels.{promql.MODEL} "{UNKNOWN}" }}}}{{{{ $labels.{promql.MODEL} }}}} at {{{{ end }}}}'
    f"{{{{ $labels.{promql.PROVIDER} }}}}{{{{ with $labels.job }}}} by {{{{ . }}}}{{{{ end }}}}"
)
"""A model at its provider, or a database alone."""
DOLLARS = '{{ if ge $value 0.1 }}{{ $value | printf "%.2f" }}{{ else }}{{ $value | printf "%.2g" }}{{ end }}'
"""To the cent, and small ones with two figures that count."""
TIMES = '{{ $value | printf "%.1f" }}'
PERCENT = "{{ $value | humanizePercentage }}"
SECONDS = "{{ $value | humanizeDuration }}"


def alerts() -> tuple[Group, ...]:
    """All alerts, in the groups that Prometheus evaluates; none of them needs a label of the app."""
    return (
        Group("ragmeter-cost", "1m", (cost_spike(), *budget(), queries_dearer())),
        Group("ragmeter-context", "1m", (context_bloat(), unused_context())),
        Group("ragmeter-retrieval", "1m", (retrieval_slow(), retrieval_empty(), retrieval_failing())),
        Group("ragmeter-metering", "1m", (unpriced_operations(), telemetry_gone())),
    )


def cost_spike() -> Alert:
    """Money per hour far above what this hour of other days cost."""
    # An ingestion costs as much as its documents, whenever it is started: no hour of it is usual.
    now, hour = (
        promql.selector(rate, (match.OF_QUERIES,)) for rate in (recording.COST_RATE_5M, recording.COST_RATE_1H)
    )
    bounds = (
        f"3600 * {now} > {recording.SPIKE_FLOOR.scalar}",
        f"3600 * {hour} > {recording.SPIKE_FLOOR.scalar}",
        f"{now} > {recording.SPIKE_FACTOR.scalar} * {recording.COST_USUAL_1H}",
        f"{hour} > {recording.SPIKE_FACTOR.scalar} * {recording.COST_USUAL_1H}",
    )
    return Alert(
        "RagmeterCostSpike",
        _all(*bounds),
        lasting="5m",
        keep_firing="10m",
        severity=Severity.PAGE,
        summary=f"{STRATEGY} costs ${DOLLARS} an hour, far more than usual",
        description=f"Strategy {STRATEGY} spends ${DOLLARS} an hour. The last five minutes and the last hour both "
        "cost several times the usual amount: that of the same hour on other days or, on a first day, of the dearest "
        "hour so far.",
        runbook="cost-spike",
    )


@dataclass(frozen=True, slots=True)
class _Burn:
    """A pace of spending: `factor` times the budget's, in a window of `hours` and still now.

    `spent` are US dollars of that window, `per_hour` those of a short one at its end.
    """

    name: str
    spent: str
    per_hour: str
    hours: int
    window: str
    factor: float
    lasting: str
    severity: Severity
    gone: str


def budget() -> tuple[Alert, ...]:
    """The budget of all services together: shares of it that were spent within windows, and are still being spent.

    Pairs of windows and factors are those of the SRE workbook for error budgets: a twelfth of each window tells that
    the spending still goes on.
    """
    hour, five_minutes = (f"3600 * sum({series})" for series in (recording.COST_RATE_1H, recording.COST_RATE_5M))
    half_hour, six_hours = (_spent(recording.COST_RATE_5M, 300, window) for window in ("30m:5m", "6h:5m"))
    days = _spent(recording.COST_RATE_1H, 3600, "3d:1h")
    page, warning, info = Severity.PAGE, Severity.WARNING, Severity.INFO
    return (
        _burning(_Burn("BurnFast", hour, five_minutes, 1, "one hour", 14.4, "2m", page, "in two days")),
        _burning(_Burn("BurnSlow", six_hours, f"2 * {half_hour}", 6, "6 hours", 6, "15m", warning, "in five days")),
        _burning(_Burn("Overrun", days, f"{six_hours} / 6", 72, "3 days", 1, "1h", info, "before the month is over")),
    )


def _spent(series: str, seconds: int, window: str) -> str:
    """US dollars within a window, from rates over so many seconds, one after the other.

    A sum, not an average, so that time without data is time without spending: a young server is not misled.
    """
    return f"{seconds} * sum(sum_over_time({series}[{window}]))"


def _burning(burn: _Burn) -> Alert:
    month = f"scalar({recording.BUDGET.record} > 0)"
    return Alert(
        f"RagmeterBudget{burn.name}",
        _all(
            f"{burn.spent} / {month} > {burn.factor:g} * {burn.hours} / {HOURS_A_MONTH}",
            f"{burn.per_hour} / {month} > {burn.factor:g} / {HOURS_A_MONTH}",
        ),
        lasting=burn.lasting,
        severity=burn.severity,
        summary=f"{PERCENT} of the month's budget was spent within {burn.window}",
        description=f"All services together spent {PERCENT} of the month's budget within {burn.window}, and "
        f"spending goes on. At this pace the whole budget is gone {burn.gone}.",
        runbook=f"budget-{burn.name.lower().replace('burn', 'burn-')}",
    )


def queries_dearer() -> Alert:
    """More money for each query than a day ago, whatever the traffic."""
    cost, queries = recording.COST_RATE_1H, recording.QUERY_RATE_1H
    return Alert(
        "RagmeterQueriesDearer",
        _than_yesterday(cost, queries, recording.DEARER_FACTOR),
        lasting="15m",
        severity=Severity.WARNING,
        summary=f"A query with {STRATEGY} costs {TIMES} times as much as yesterday",
        description=f"In the last hour, a query with strategy {STRATEGY} cost {TIMES} times as much as at the same "
        "hour yesterday. Traffic is not the reason: each query costs more.",
        runbook="queries-dearer",
    )


def context_bloat() -> Alert:
    """More input tokens for each call of a model than a day ago."""
    tokens, prompts = recording.PROMPT_TOKENS_RATE_1H, recording.PROMPT_RATE_1H
    return Alert(
        "RagmeterContextBloat",
        _than_yesterday(tokens, prompts, recording.BLOAT_FACTOR),
        lasting="30m",
        severity=Severity.WARNING,
        summary=f"Prompts of {STRATEGY} have {TIMES} times as many tokens as yesterday",
        description=f"In the last hour, a prompt of strategy {STRATEGY} had {TIMES} times as many input tokens as at "
        "the same hour yesterday.",
        runbook="context-bloat",
    )


def _than_yesterday(amount: str, count: str, factor: recording.Limit) -> str:
    """An amount for each of a count, both recorded per second over an hour, against the same hour yesterday."""
    before = f"({amount} offset 1d / {count} offset 1d > 0)"
    return _all(
        f"{amount} / {count} / {before} > {factor.scalar}",
        f"3600 * {count} >= {LEAST}",
        f"3600 * {count} offset 1d >= {LEAST}",
    )


def unused_context() -> Alert:
    """Most of the retrieved text that is paid for is of no use to any answer."""
    series = recording.CONTEXT_TOKENS_RATE_1H
    wasted, known = (
        promql.total(
            f"sum_over_time({promql.selector(series, (promql.one_of(promql.FATE, '|'.join(fates)),))}[6h])", BY_STRATEGY
        )
        for fates in ((Fate.UNUSED, Fate.REPEATED), (Fate.USED, Fate.UNUSED, Fate.REPEATED))
    )
    queries = _grown(semconv.QUERIES, "6h", BY_STRATEGY)
    return Alert(
        "RagmeterUnusedContext",
        _all(f"{promql.per(wasted, known)} > {recording.UNUSED_SHARE.scalar}", f"{queries} >= 6 * {LEAST}"),
        lasting="1h",
        severity=Severity.INFO,
        summary=f"{PERCENT} of the context of {STRATEGY} is not used",
        description=f"In the last six hours, {PERCENT} of the retrieved tokens in prompts of strategy {STRATEGY} were "
        "paid for in vain: no answer used them, or the prompt had them already.",
        runbook="unused-context",
    )


def retrieval_slow() -> Alert:
    """Searches of a collection take long."""
    p95 = promql.quantile(0.95, semconv.SEARCH_DURATION, "15m", BY_COLLECTION)
    searches = _grown(semconv.SEARCH_DURATION, "15m", BY_COLLECTION, ending="_count")
    return Alert(
        "RagmeterRetrievalSlow",
        _all(
            f"{p95} > {recording.SEARCH_SECONDS.scalar}",
            f"{searches} >= {LEAST} / 4",
            f"{searches} >= {LEAST_OF_P95}",
        ),
        lasting="10m",
        severity=Severity.WARNING,
        summary=f"Searches of {COLLECTION} are slow",
        description=f"In the last 15 minutes, one in twenty searches of {COLLECTION} took {SECONDS} or longer.",
        runbook="retrieval-slow",
    )


def retrieval_empty() -> Alert:
    """Searches of a collection succeed and find nothing."""
    return Alert(
        "RagmeterRetrievalEmpty",
        _share(
            _grown(semconv.SEARCH_EMPTY, "30m", BY_COLLECTION),
            _grown(semconv.SEARCH_RESULTS, "30m", BY_COLLECTION, ending="_count"),
            recording.EMPTY_SHARE,
            windows=2,
        ),
        lasting="15m",
        severity=Severity.WARNING,
        summary=f"{PERCENT} of the searches of {COLLECTION} find nothing",
        description=f"In the last 30 minutes, {PERCENT} of the successful searches of {COLLECTION} returned no chunk.",
        runbook="retrieval-empty",
    )


def retrieval_failing() -> Alert:
    """Searches of a collection raise errors."""
    return Alert(
        "RagmeterRetrievalFailing",
        _share(
            _grown(semconv.SEARCH_DURATION, "10m", BY_COLLECTION, (match.FAILED,), ending="_count"),
            _grown(semconv.SEARCH_DURATION, "10m", BY_COLLECTION, ending="_count"),
            recording.FAILED_SHARE,
            windows=6,
        ),
        lasting="5m",
        severity=Severity.PAGE,
        summary=f"{PERCENT} of the searches of {COLLECTION} fail",
        description=f"In the last 10 minutes, {PERCENT} of the searches of {COLLECTION} ended with an error.",
        runbook="retrieval-failing",
    )


def unpriced_operations() -> Alert:
    """Calls to a model or a database whose price nobody knows: money that no total holds.

    A call to a database that bills nothing for it is free, and so `priced`.
    """
    return Alert(
        "RagmeterUnpricedOperations",
        _share(
            _grown(semconv.OPERATIONS, "1h", BY_MODEL, (match.IS_UNPRICED,)),
            _grown(semconv.OPERATIONS, "1h", BY_MODEL),
            recording.UNPRICED_SHARE,
            windows=1,
        ),
        lasting="30m",
        severity=Severity.INFO,
        summary=f"{PERCENT} of the calls to {MODEL} have no known price",
        description=f"In the last hour, no price was known for {PERCENT} of the calls to {MODEL}. Their cost is "
        "missing from every sum, budget and alert.",
        runbook="unpriced-operations",
    )


def telemetry_gone() -> Alert:
    """A service that was metered today has fallen silent: its gauge is there without any traffic."""
    clients = promql.selector(semconv.CLIENTS)
    by = (promql.JOB,)
    return Alert(
        "RagmeterTelemetryGone",
        f"time() - max by ({promql.JOB}) (max_over_time(timestamp({clients})[6h:5m]))\n"
        f"unless {promql.total(clients, by)}",
        lasting="15m",
        severity=Severity.WARNING,
        summary=f"No telemetry{FROM_JOB} for about {SECONDS}",
        description=f"The last ragmeter metrics{FROM_JOB} came about {SECONDS} ago. Until metrics return, its costs "
        "are unknown and no other alert can fire for it.",
        runbook="telemetry-gone",
    )


def _share(part: str, whole: str, limit: recording.Limit, *, windows: int) -> str:
    """A part of a whole above a limit, both counted in a window of which an hour has so many.

    The part must also be more than the limit's share of the least traffic, and more than one, whatever the limits: a
    single failure among five is no trend.
    """
    least = f"{LEAST} / {windows}" if windows > 1 else LEAST
    return _all(
        f"{promql.per(part, whole)} > {limit.scalar}",
        f"{part} > {limit.scalar} * {LEAST}",
        f"{part} > {MORE_THAN_ONE}",
        f"{whole} >= {least}",
    )


def _grown(metric: Metric, window: str, by: tuple[str, ...], where: tuple[str, ...] = (), *, ending: str = "") -> str:
    return promql.total(promql.increase(promql.selector(metric, where, ending=ending), window), by)


def _all(*conditions: str) -> str:
    """The first one, which gives the value, where all hold."""
    return "\nand ".join(conditions)
