"""Everything that is made from our metrics, as the files that Grafana and Prometheus read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.boards import boards
from ragmeter.dashboards.grafana_alerts import grafana_alert_file
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.provisioning import dashboard_provider
from ragmeter.dashboards.recording import hourly, limits, lookbacks
from ragmeter.dashboards.rule_files import rule_file

LIMITS = "prometheus/ragmeter-limits.yaml"
"""The one file that users edit."""

RECORDING = "prometheus/ragmeter-recording.yaml"
ALERTS = "prometheus/ragmeter-alerts.yaml"
PROVIDER = "grafana/provisioning/dashboards/ragmeter.yaml"
GRAFANA_ALERTS = "grafana/provisioning/alerting/ragmeter.yaml"


def files(options: Options) -> dict[str, str]:
    """The text of every file by its path; the folder `dashboards` of the repository holds those of `Options()`."""
    drawn = {f"grafana/{name}.json": dashboard_text(board) for name, board in boards(options).items()}
    return {
        **drawn,
        PROVIDER: dashboard_provider(),
        GRAFANA_ALERTS: grafana_alert_file(options),
        LIMITS: rule_file([limits(options)], options.runbooks),
        RECORDING: rule_file([lookbacks(), hourly(options)], options.runbooks),
        ALERTS: rule_file(alerts(), options.runbooks),
    }


def dashboard_text(dashboard: Mapping[str, Any]) -> str:
    """A dashboard as a file that changes only where the dashboard does."""
    return json.dumps(dashboard, indent=2, sort_keys=True) + "\n"
