"""The incidents that are planted into a history: what happened, when, and which alert is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RELEASE = "release doubles the context"
LOOP = "client in a loop"
OUTAGE = "retrieval outage"
SLOW = "slow index"
EMPTY = "re-index loses documents"


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident: from when to when it changes what is measured (UTC), and the alert that it should raise.

    `strategy` are the queries it hits, `collection` the passages where retrieval is to blame. A release stays: its end
    is a day later, when yesterday has it too.
    """

    name: str
    start: datetime
    end: datetime
    alert: str
    strategy: str
    collection: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """An incident before its history is known: its day, the minute of it, and minutes that it lasts."""

    name: str
    day: int
    hour: int
    minute: int
    lasts: int
    alert: str
    strategy: str
    collection: str = ""


_PLANS = (
    _Plan(EMPTY, 6, 11, 0, 60, "RagmeterRetrievalEmpty", "rag", "faq"),
    _Plan(RELEASE, 8, 10, 0, 24 * 60, "RagmeterContextBloat", "rag"),
    _Plan(LOOP, 11, 14, 10, 60, "RagmeterCostSpike", "fine_tuned_rag"),
    _Plan(OUTAGE, 12, 9, 30, 50, "RagmeterRetrievalFailing", "rag", "manuals"),
    _Plan(SLOW, 13, 16, 0, 45, "RagmeterRetrievalSlow", "rag", "faq"),
)


def incidents(start: datetime, end: datetime) -> tuple[Incident, ...]:
    """Those that fit between two times. The day on which the history starts is day 0, a day begins at midnight UTC."""
    midnight = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for plan in _PLANS:
        begins = midnight + timedelta(days=plan.day, hours=plan.hour, minutes=plan.minute)
        ends = begins + timedelta(minutes=plan.lasts)
        if start <= begins and ends <= end:
            found.append(Incident(plan.name, begins, ends, plan.alert, plan.strategy, plan.collection))
    return tuple(found)
