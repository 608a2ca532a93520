"""The same alerts for a Grafana that evaluates them itself: a file of its alert provisioning."""

from __future__ import annotations

import re
from typing import Any

from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.provisioning import FOLDER
from ragmeter.dashboards.rule_files import yaml_text
from ragmeter.dashboards.rules import Alert, Group

QUERY = "A"
CONDITION = "B"
EXPRESSIONS = "__expr__"
"""The data source that is Grafana itself."""

LOOKBACK_SECONDS = 600
"""Grafana wants a range, also for a query that asks for a moment."""

COMMENT = """\
# For Grafana's folder provisioning/alerting: the alerts of ragmeter-alerts.yaml, evaluated by Grafana. Take either.
# They read recorded series and limits: Prometheus must have loaded ragmeter-recording.yaml and ragmeter-limits.yaml.
"""


def grafana_alert_file(options: Options) -> str:
    """The alerts as Grafana's provisioning reads them, for the data source `options.datasource`.

    Grafana puts environment variables into titles and labels but leaves queries and annotations as they are: a `$`
    is doubled in the former only.
    """
    content = {"apiVersion": 1, "groups": [_group(group, options) for group in alerts()]}
    return COMMENT + yaml_text(content)


def uid(alert: Alert) -> str:
    """What Grafana knows a rule by when its title changes: `ragmeter-cost-spike`, no longer than 40 characters."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alert.name).lower()


def _group(group: Group, options: Options) -> dict[str, Any]:
    rules = [_rule(rule, options) for rule in group.rules if isinstance(rule, Alert)]
    return {"orgId": 1, "name": group.name, "folder": FOLDER, "interval": group.interval, "rules": rules}


def _rule(alert: Alert, options: Options) -> dict[str, Any]:
    keep = {"keepFiringFor": alert.keep_firing} if alert.keep_firing else {}
    return {
        "uid": uid(alert),
        "title": _literal(alert.name),
        "condition": CONDITION,
        "data": [_query(alert.expression, options.datasource), _condition()],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.lasting,
        **keep,
        "labels": {"severity": _literal(alert.severity.value)},
        "annotations": {
            "summary": _template(alert.summary),
            "description": _template(alert.description),
            "runbook_url": f"{options.runbooks}#{alert.runbook}",
        },
    }


def _query(expression: str, datasource: str) -> dict[str, Any]:
    return {
        "refId": QUERY,
        "relativeTimeRange": {"from": LOOKBACK_SECONDS, "to": 0},
        "datasourceUid": _literal(datasource),
        "model": {
            "refId": QUERY,
            "datasource": {"type": "prometheus", "uid": datasource},
            "editorMode": "code",
            "expr": expression,
            "instant": True,
            "range": False,
        },
    }


def _condition() -> dict[str, Any]:
    """True for whatever the query gives: its comparisons are in the PromQL, and no value of ours is negative."""
    return {
        "refId": CONDITION,
        "relativeTimeRange": {"from": LOOKBACK_SECONDS, "to": 0},
        "datasourceUid": EXPRESSIONS,
        "model": {
            "refId": CONDITION,
            "datasource": {"type": EXPRESSIONS, "uid": EXPRESSIONS},
            "type": "threshold",
            "expression": QUERY,
            "conditions": [{"evaluator": {"type": "gt", "params": [-1]}}],
        },
    }


def _template(text: str) -> str:
    """A template of Prometheus as one of Grafana, where `$value` is a text of all values, not a number."""
    return re.sub(r"\$value\b", f"$values.{QUERY}.Value", text)


def _literal(text: str) -> str:
    return text.replace("$", "$$")
