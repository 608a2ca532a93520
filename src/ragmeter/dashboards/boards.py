"""The dashboards: what they have in common, and the list of them."""

from __future__ import annotations

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType

from ragmeter.dashboards import change, context_bloat, health, overview, retrieval, strategies
from ragmeter.dashboards.board import Board
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.selection import DATASOURCE

TAG = "ragmeter"
ALERTS = 'ALERTS{alertname=~"Ragmeter.*", alertstate="firing"}'


def boards(options: Options) -> dict[str, dict[str, Any]]:
    """Every dashboard as JSON that Grafana imports, by the stem of its file."""
    made = (
        overview.board(options),
        context_bloat.board(options),
        retrieval.board(options),
        strategies.board(options),
        change.board(options),
        health.board(options),
    )
    return {f"ragmeter-{board.name}": _encoded(board) for board in made}


def _encoded(board: Board) -> dict[str, Any]:
    encoded: dict[str, Any] = json.loads(json.dumps(_built(board).build(), cls=JSONEncoder))
    return encoded


def _built(board: Board) -> build.Dashboard:
    made = (
        build.Dashboard(f"ragmeter: {board.title}")
        .uid(f"ragmeter-{board.name}")
        .description(board.description)
        .tags([TAG])
        .readonly()
        .time(board.since, "now")
        .timezone("browser")
        .refresh("1m")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(_others())
        .annotation(_alerts())
    )
    for variable in (*board.selection.variables(), *board.variables):
        made.with_variable(variable)
    identifier = 0
    for section in board.sections:
        identifier += 1
        made.with_row(build.Row(section.title).id(identifier))
        for panel in section.panels:
            identifier += 1
            made.with_panel(panel.id(identifier))
    return made


def _others() -> build.DashboardLink:
    """The way to the other dashboards, with the same time and variables."""
    return (
        build.DashboardLink("ragmeter")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )


def _alerts() -> build.AnnotationQuery:
    """Our alerts, drawn into every graph while they fire."""
    return (
        build.AnnotationQuery()
        .name("Alerts")
        .datasource(DATASOURCE)
        .enable(True)
        .icon_color("red")
        .target(prometheus.Dataquery().datasource(DATASOURCE).expr(ALERTS).range().ref_id("alerts"))
        .expr(ALERTS)
        .title_format("{{alertname}}")
        .text_format("{{ragmeter_strategy}} {{job}}")
        .step("60s")
    )
