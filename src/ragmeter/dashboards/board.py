"""A dashboard as we describe it, before it becomes one of Grafana's."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import CustomVariable

from ragmeter.dashboards.panels import Panel
from ragmeter.dashboards.selection import Selection


@dataclass(frozen=True, slots=True)
class Section:
    """A row of a dashboard: a question, and the panels that answer it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: `name` is part of its file and uid, `since` the range it opens with, `variables` its own ones."""

    name: str
    title: str
    description: str
    selection: Selection
    sections: tuple[Section, ...]
    since: str = "now-24h"
    variables: tuple[CustomVariable, ...] = ()
