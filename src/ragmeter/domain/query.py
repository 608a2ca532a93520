"""The identity of a query: what all calls made for it share, on the caller's thread and on the worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto


class Ending(Enum):
    """What tells that a query is over."""

    SCOPE = auto()
    ROOT_SPAN = auto()
    TIME = auto()
    OPERATION = auto()


@dataclass(eq=False, slots=True)
class QueryHandle:
    """The identity of one query, shared by all calls made for it.

    `begun` grows by one for each call (appending is atomic across threads); `finished` and `posted` are the worker's.
    `span` is the tracer's, of which nothing is known here. Times are nanoseconds since the epoch.
    """

    ending: Ending
    strategy: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    begun: list[None] = field(default_factory=list)
    finished: int = 0
    posted: bool = False
    started: int | None = None
    ended: int | None = None
    error_type: str | None = None
    span: object = None
    trace_id: int | None = None
