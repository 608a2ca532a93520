"""Rules and alerts as the files that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ragmeter.dashboards.rules import Alert, Group, Recording

LONGEST_LINE = 120
"""Of the files that are written."""


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
