"""Provisioning: the file by which Grafana finds the dashboards in a folder of its machine."""

from __future__ import annotations

import yaml

FOLDER = "ragmeter"
"""Of the dashboards in Grafana."""

PATH = "/var/lib/grafana/dashboards/ragmeter"
"""Where the JSON files lie on Grafana's machine, unless a user writes another folder into the file."""

COMMENT = """\
# For Grafana's folder provisioning/dashboards. The JSON files beside this one belong into `path`, on Grafana's machine.
"""


def dashboard_provider(path: str = PATH) -> str:
    """The provider of a folder of dashboards, which lie in `path` on Grafana's machine."""
    provider = {
        "name": "ragmeter",
        "orgId": 1,
        "folder": FOLDER,
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": path, "foldersFromFilesStructure": False},
    }
    return COMMENT + yaml.safe_dump({"apiVersion": 1, "providers": [provider]}, sort_keys=False)
