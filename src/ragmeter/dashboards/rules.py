"""Recording rules and alerts as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How soon someone should look: now, today, this week."""

    PAGE = "page"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Recording:
    """One series that Prometheus computes: `record` its name, `expression` its PromQL."""

    record: str
    expression: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: fires for every series of `expression` that is there for `lasting`.

    `lasting` and `keep_firing` are durations such as `5m`. `summary` and `description` are templates of Prometheus;
    `runbook` is a heading of docs/runbooks.md, without its `#`.
    """

    name: str
    expression: str
    lasting: str
    severity: Severity
    summary: str
    description: str
    runbook: str
    keep_firing: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, every `interval`."""

    name: str
    interval: str
    rules: tuple[Recording | Alert, ...] = field(default=())
    comment: str = ""
