"""The histories that the alerts are judged by: what each service goes through, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragmeter.dashboards import expressions as promql

from .services import DAY, HOUR, Level, Service, always, daily, times, within

INCIDENT = 26 * HOUR
"""When things go wrong in `TWO_DAYS`: at two in the morning of the second day."""

TWO_DAYS_END = 36 * HOUR
LONGER = 2 * DAY


@dataclass(frozen=True)
class Incident:
    """A service with one fault, the only alert that it must raise, and the minute from which that fires."""

    alert: str
    service: Service
    fires: int
    labels: Mapping[str, str]
    summary: str
    description: str

    @property
    def job(self) -> str:
        return self.service.job or ""


OF_STRATEGY = {promql.STRATEGY: "rag"}
OF_COLLECTION = {promql.DATABASE: "qdrant", promql.COLLECTION: "handbook"}
OF_MODEL = {promql.PROVIDER: "openai", promql.MODEL: "gpt-5-mini"}


def from_incident(inside: float, outside: float) -> Level:
    return within(INCIDENT, LONGER, inside, outside)


def spike(start: int) -> Level:
    """Six times the traffic, for an hour and a half."""
    return times(always(600), within(start, start + 90, 6.3))


OFTEN = (
    "The last five minutes and the last hour both cost several times the usual amount: that of the same hour on other "
    "days or, on a first day, of the dearest hour so far."
)
INCIDENTS = (
    Incident(
        "RagmeterCostSpike",
        Service("shop", queries=spike(INCIDENT)),
        1585,
        OF_STRATEGY,
        "rag of shop costs $37.80 an hour, far more than usual",
        f"Strategy rag of shop spends $37.80 an hour. {OFTEN}",
    ),
    # As VictoriaMetrics stores what it takes by OTLP.
    Incident(
        "RagmeterCostSpike",
        Service(None, queries=spike(INCIDENT + 180)),
        1765,
        OF_STRATEGY,
        "rag costs $37.80 an hour, far more than usual",
        f"Strategy rag spends $37.80 an hour. {OFTEN}",
    ),
    # Its spike comes in its ninth hour: there is no other day to compare with.
    Incident(
        "RagmeterCostSpike",
        Service("young", queries=spike(INCIDENT + 360), starts=INCIDENT - 120),
        1945,
        OF_STRATEGY,
        "rag of young costs $37.80 an hour, far more than usual",
        f"Strategy rag of young spends $37.80 an hour. {OFTEN}",
    ),
    Incident(
        "RagmeterQueriesDearer",
        Service("dearer", queries=daily(600), dollars=from_incident(0.023, 0.01)),
        1597,
        OF_STRATEGY,
        "A query with rag of dearer costs 1.8 times as much as yesterday",
        "In the last hour, a query with strategy rag of dearer cost 1.8 times as much as at the same hour yesterday. "
        "Traffic is not the reason: each query costs more.",
    ),
    Incident(
        "RagmeterContextBloat",
        Service("bloat", queries=daily(600), tokens=from_incident(3400, 2000)),
        1614,
        OF_STRATEGY,
        "Prompts of rag of bloat have 1.7 times as many tokens as yesterday",
        "In the last hour, a prompt of strategy rag of bloat had 1.7 times as many input tokens as at the same hour "
        "yesterday.",
    ),
    Incident(
        "RagmeterUnusedContext",
        Service("wasteful", wasted=from_incident(0.97, 0.4)),
        1837,
        OF_STRATEGY,
        "79.58% of the context of rag of wasteful is not used",
        "In the last six hours, 79.58% of the retrieved tokens in prompts of strategy rag of wasteful were paid for in "
        "vain: no answer used them, or the prompt had them already.",
    ),
    Incident(
        "RagmeterRetrievalSlow",
        Service("slow", slow=from_incident(0.5, 0.01)),
        1570,
        OF_COLLECTION,
        "Searches of handbook in qdrant of slow are slow",
        "In the last 15 minutes, one in twenty searches of handbook in qdrant of slow took 4.43s or longer.",
    ),
    Incident(
        "RagmeterRetrievalEmpty",
        Service("empty", empty=from_incident(0.5, 0.02)),
        1585,
        OF_COLLECTION,
        "46.57% of the searches of handbook in qdrant of empty find nothing",
        "In the last 30 minutes, 46.57% of the successful searches of handbook in qdrant of empty returned no chunk.",
    ),
    Incident(
        "RagmeterRetrievalFailing",
        Service("failing", failing=from_incident(0.3, 0.002)),
        1565,
        OF_COLLECTION,
        "22.55% of the searches of handbook in qdrant of failing fail",
        "In the last 10 minutes, 22.55% of the searches of handbook in qdrant of failing ended with an error.",
    ),
    Incident(
        "RagmeterUnpricedOperations",
        Service("unpriced", unpriced=from_incident(0.47, 0)),
        1596,
        OF_MODEL,
        "30.08% of the calls to gpt-5-mini at openai by unpriced have no known price",
        "In the last hour, no price was known for 30.08% of the calls to gpt-5-mini at openai by unpriced. Their cost "
        "is missing from every sum, budget and alert.",
    ),
    Incident(
        "RagmeterTelemetryGone",
        Service("gone", ends=INCIDENT),
        1575,
        {},
        "No telemetry from gone for about 21m 0s",
        "The last ragmeter metrics from gone came about 21m 0s ago. Until metrics return, its costs are unknown and no "
        "other alert can fire for it.",
    ),
)

ONE = 0.75
"""Share of the searches of two minutes, at forty an hour, that is one search."""

TRIPLED = from_incident(6000, 2000)
QUIET = (
    Service("steady", queries=daily(600)),
    Service("deployed", gaps=((INCIDENT, INCIDENT + 6), (INCIDENT + 120, INCIDENT + 134)), queries=daily(600)),
    Service("fresh", queries=always(6000), starts=6 * HOUR),
    Service("fresh-rising", queries=daily(6000, swing=0.8), starts=3 * HOUR),
    Service("fresh-spike", queries=spike(INCIDENT), starts=INCIDENT - 160),
    Service(
        "small",
        queries=times(always(8), within(INCIDENT, LONGER, 3)),
        dollars=from_incident(0.03, 0.01),
        tokens=from_incident(9000, 1000),
        wasted=always(0.98),
        slow=always(0.5),
        empty=always(0.95),
        failing=always(0.4),
        unpriced=always(1),
    ),
    # One of the two hours that are compared has little traffic.
    Service("waking", queries=from_incident(600, 10), dollars=from_incident(0.0015, 0.0005), tokens=TRIPLED),
    Service("dwindling", queries=from_incident(10, 600), dollars=from_incident(0.0015, 0.0005), tokens=TRIPLED),
    Service(
        "unlucky",
        queries=always(40),
        slow=within(INCIDENT, INCIDENT + 2, ONE, 0),
        failing=within(INCIDENT + 60, INCIDENT + 62, ONE, 0),
        empty=within(INCIDENT + 120, INCIDENT + 130, ONE, 0),
    ),
)

TWO_DAYS = (*(incident.service for incident in INCIDENTS), *QUIET)


def weekend(share: float) -> Level:
    """Less traffic on the sixth and the seventh day."""
    return within(5 * DAY, 7 * DAY, share)


def growth(share: float) -> Level:
    return lambda minute: (1 + share) ** (minute // HOUR / 24)


EIGHT_DAYS_END = 7 * DAY + 12 * HOUR
SPIKES = tuple((day * DAY + 10 * HOUR, day * DAY + 11 * HOUR + 30) for day in (6, 7))
EIGHT_DAYS = (
    Service("spiky", queries=times(always(600), *(within(*spike, 6) for spike in SPIKES))),
    # Documents are embedded once, whenever somebody starts it: money without any query, and no hour of it is usual.
    Service("ingesting", queries=within(6 * DAY + 10 * HOUR, 6 * DAY + 12 * HOUR, 3000, 0), strategy="none"),
    Service("steady", queries=daily(600)),
    Service("office", queries=times(daily(600, swing=0.9), weekend(0.2))),
    Service("office-since-friday", queries=times(daily(600, swing=0.9), weekend(0.2)), starts=4 * DAY),
    Service("closed-at-weekends", queries=times(daily(600), weekend(0))),
    Service(
        "growing",
        queries=times(daily(600), growth(0.03)),
        dollars=times(always(0.01), growth(0.02)),
        tokens=times(always(2000), growth(0.02)),
    ),
    Service(
        "deployed-daily",
        queries=daily(600),
        gaps=tuple((day * DAY + 14 * HOUR, day * DAY + 14 * HOUR + 6) for day in range(9)),
    ),
)


@dataclass(frozen=True)
class Burn:
    """A budget alert that must fire at a minute, with a summary."""

    alert: str
    fires: int
    summary: str
    description: str


@dataclass(frozen=True)
class Spending:
    """A service whose dollars an hour are judged against a budget of ten an hour.

    `burns` are the alerts it raises; at the minutes of `over` they are silent again.
    """

    service: Service
    minutes: int
    burns: Sequence[Burn]
    over: Sequence[tuple[int, str]] = ()


def spending(job: str, hourly: Level) -> Service:
    return Service(job, queries=hourly, dollars=always(1))


def burning(minute: int) -> float:
    """Within the budget for sixty hours, then at seven times and at twenty times its pace, and then at half of it."""
    return 9 if minute < 60 * HOUR else 70 if minute < 66 * HOUR else 200 if minute < 68 * HOUR else 5


def burn(alert: str, fires: int, share: str, window: str, gone: str) -> Burn:
    return Burn(
        f"RagmeterBudget{alert}",
        fires,
        f"{share} of the month's budget was spent within {window}",
        f"All services together spent {share} of the month's budget within {window}, and spending goes on. At this "
        f"pace the whole budget is gone {gone}.",
    )


METERED = Incident(
    "RagmeterUnpricedOperations",
    Service("metered", unpriced_searches=from_incident(0.47, 0)),
    1596,
    {promql.PROVIDER: "qdrant", promql.MODEL: "unknown"},
    "30.08% of the calls to qdrant by metered have no known price",
    "In the last hour, no price was known for 30.08% of the calls to qdrant by metered. Their cost is missing from "
    "every sum, budget and alert.",
)
"""A database that counts what it bills, and whose units the app has given no price."""

SPENDINGS = (
    Spending(
        spending("burning", burning),
        75 * HOUR,
        (
            burn("BurnFast", 3994, "2.093%", "one hour", "in two days"),
            burn("BurnSlow", 3915, "5.233%", "6 hours", "in five days"),
            burn("Overrun", 3840, "11.42%", "3 days", "before the month is over"),
        ),
        over=(
            (68 * HOUR + 6, "RagmeterBudgetBurnFast"),
            (68 * HOUR + 35, "RagmeterBudgetBurnSlow"),
            (74 * HOUR + 6, "RagmeterBudgetOverrun"),
        ),
    ),
    Spending(spending("young", always(70)), 7 * HOUR, (burn("BurnSlow", 325, "5.266%", "6 hours", "in five days"),)),
    Spending(
        spending("young-and-wasteful", always(200)),
        2 * HOUR,
        (burn("BurnFast", 46, "2.13%", "one hour", "in two days"),),
    ),
)
