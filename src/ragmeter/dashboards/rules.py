"""Recording rules and alerts as data, and as the files that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import yaml

LONGEST_LINE = 120
"""Of the files that are written."""


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


def rule_file(groups: Sequence[Group], runbooks: str) -> str:
    """The text of a rule file; `runbooks` is the address of the page that alerts link to."""
    content = {"groups": [_group(group, runbooks) for group in groups]}
    comments = "".join(f"# {line}\n" for group in groups for line in group.comment.splitlines())
    return f"{comments}{yaml_text(content)}"


def _group(group: Group, runbooks: str) -> dict[str, Any]:
    return {
        "name": group.name,
        "interval": group.interval,
        "rules": [_recording(rule) if isinstance(rule, Recording) else _alert(rule, runbooks) for rule in group.rules],
    }


def _recording(rule: Recording) -> dict[str, Any]:
    return {"record": rule.record, "expr": rule.expression}


def _alert(alert: Alert, runbooks: str) -> dict[str, Any]:
    keep = {"keep_firing_for": alert.keep_firing} if alert.keep_firing else {}
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasting,
        **keep,
        "labels": {"severity": alert.severity.value},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{runbooks}#{alert.runbook}",
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, as a person would."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def yaml_text(content: Mapping[str, Any]) -> str:
    """YAML in the order given, with expressions of several lines as they are."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=LONGEST_LINE, allow_unicode=True)
