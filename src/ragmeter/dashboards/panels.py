"""The kinds of panels that our dashboards have: each looks the same wherever it stands.

Every function takes the question as `title`, what the figure means as `description`, PromQL and a unit of Grafana's,
and returns a builder of the SDK. Widths are in 24ths of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import barchart, bargauge, common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    MatcherConfig,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from ragmeter.dashboards.look import LEAST_AXIS, NEXT_TO_NOTHING, NO_POINT, PLAIN
from ragmeter.dashboards.selection import DATASOURCE

PAGE = 24
"""Columns of a page."""
WIDE = 12
"""From this width on the legend stands beside a graph, below it otherwise."""

NARROWEST_COLUMN = 70
"""Pixels: with Grafana's own 150, a table with seven columns has to be scrolled."""
LONGEST_TICK = 30
"""Characters of a name beside a bar: with 0, the SDK's own, Grafana shows dots only."""

Panel = Any
"""A builder of one of the SDK's panels: its classes share methods, and no base class that has them."""


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL and how its series are called: `{{label}}` stands for the value of a label."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Instead:
    """What a figure shows where it has no value: the value of another query in a unit, or a text in its place."""

    expression: str
    unit: str = ""
    text: str = ""


def legend(*labels: str) -> str:
    """A name of a series from the values of labels."""
    return " ".join(f"{{{{{label}}}}}" for label in labels)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its heading, PromQL that gives a value for each row, and its unit."""

    heading: str
    expression: str
    unit: str
    decimals: int | None = None


def number(
    title: str,
    description: str,
    expression: str,
    unit: str,
    *,
    missing: str = "",
    instead: Sequence[Instead] = (),
    decimals: int | None = None,
    limits: Sequence[tuple[float, str]] = (),
) -> Panel:
    """One figure, coloured from `limits` on. At most one of it and what may stand `instead` has a value."""
    panel = (
        _framed(stat.Panel(), title, description, unit=unit, width=4, height=4)
        .with_target(_instant(Query(expression)))
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.VALUE)
        .reduce_options(_last())
        .thresholds(_thresholds(limits))
        .color_scheme(build.FieldColor().mode(FieldColorModeId.THRESHOLDS))
    )
    for at, other in enumerate(instead):
        reference = chr(ord("B") + at)
        panel.with_target(_instant(Query(other.expression), reference)).with_override(
            MatcherConfig(id_val="byFrameRefID", options=reference), _properties(other)
        )
    if missing:
        panel.no_value(missing)
    return panel if decimals is None else panel.decimals(decimals)


def strip(*figures: Panel) -> tuple[Panel, ...]:
    """Figures side by side, each as wide as the others."""
    return tuple(figure.span(PAGE // len(figures)) for figure in figures)


def filled_lines(panels: Sequence[Panel], most: int) -> tuple[Panel, ...]:
    """Panels in lines of at most so many, each line filled: as many as there are depends on the app's labels."""
    placed: list[Panel] = []
    for first in range(0, len(panels), most):
        placed.extend(strip(*panels[first : first + most]))
    return tuple(placed)


def lines(
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: str,
    *,
    width: int = 12,
    height: int = 8,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    bars: bool = False,
    interval: str = "",
    since: str = "",
    missing: str = "",
    highest: float | None = None,
    from_zero: bool = True,
    dashed: Sequence[str] = (),
    calculations: Sequence[str] = ("mean", "lastNotNull"),
) -> Panel:
    """Values over time as lines, as stacked areas or as bars, with a legend that has figures.

    `colours` are those of series by name, `dashed` the names of series that stand back; `since` and `interval` take the
    place of the reader's range and step.
    """
    panel = (
        _framed(timeseries.Panel(), title, description, unit=unit, width=width, height=height)
        .legend(_legend(calculations, is_wide=width >= WIDE))
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
        .draw_style(kinds.GraphDrawStyle.BARS if bars else kinds.GraphDrawStyle.LINE)
        .span_nulls(False)
        .color_scheme(build.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    )
    for at, query in enumerate(queries):
        panel.with_target(_ranged(query, chr(ord("A") + at), interval))
    _filled(panel, is_filled=bars or stacked)
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    panel.axis_soft_max(LEAST_AXIS[unit] if highest is None else highest)
    panel.axis_soft_min(0 if from_zero else -LEAST_AXIS[unit])
    if interval:
        panel.interval(interval)
    if since:
        panel.time_from(since)
    panel.no_value(missing or NO_POINT)
    return _coloured(_dashed(panel, dashed), colours)


def ranking(
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: str,
    *,
    width: int = 8,
    height: int = 8,
    colours: Mapping[str, str] | None = None,
    missing: str = "",
    highest: float | None = None,
) -> Panel:
    """One bar for each series over the chosen range, of values that are never below zero."""
    panel = (
        _framed(bargauge.Panel(), title, description, unit=unit, width=width, height=height)
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .value_mode(kinds.BarGaugeValueMode.TEXT)
        .name_placement(kinds.BarGaugeNamePlacement.LEFT)
        .show_unfilled(False)
        .reduce_options(_last())
        .text(common.VizTextDisplayOptions().title_size(14).value_size(14))
        .min(0)
        .max_viz_height(32)
        .display_name("${__series.name}")
        .color_scheme(build.FieldColor().mode(FieldColorModeId.FIXED).fixed_color(PLAIN))
    )
    for at, query in enumerate(queries):
        panel.with_target(_instant(query, chr(ord("A") + at)))
    if missing:
        panel.no_value(missing)
    if highest is not None:
        panel.max(highest)
    return _coloured(panel, colours)


def changes(
    title: str,
    description: str,
    expression: str,
    label: str,
    unit: str,
    *,
    width: int = 12,
    colours: Mapping[str, str] | None = None,
    missing: str = "",
) -> Panel:
    """What went up and what went down: a bar to either side of zero for each value of a label."""
    panel = (
        _framed(barchart.Panel(), title, description, unit=unit, width=width, height=9)
        .with_target(_table(expression, "A"))
        .with_transformation(DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}}))
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .x_field(label)
        .color_by_field(label)
        .show_value(kinds.VisibilityMode.ALWAYS)
        .text(common.VizTextDisplayOptions().value_size(11))
        .x_tick_label_max_length(LONGEST_TICK)
        .bar_width(0.7)
        .fill_opacity(80)
        .line_width(0)
        .axis_centered_zero(False)
        .axis_soft_min(-NEXT_TO_NOTHING)
        .axis_soft_max(NEXT_TO_NOTHING)
        .legend(common.VizLegendOptions().show_legend(False).display_mode(kinds.LegendDisplayMode.HIDDEN))
        .color_scheme(build.FieldColor().mode(FieldColorModeId.FIXED).fixed_color(PLAIN))
    )
    if missing:
        panel.no_value(missing)
    if colours:
        panel.override_by_name(label, [_text_colours(colours)])
    return panel


def rows_of(
    title: str,
    description: str,
    keys: Mapping[str, str],
    columns: Sequence[Column],
    *,
    width: int = 24,
    height: int = 7,
    colours: Mapping[str, str] | None = None,
    sorted_by: str = "",
    missing: str = "",
) -> Panel:
    """A table: a row for each combination of the labels `keys` (label -> heading), the first one in `colours`."""
    panel = (
        _framed(table.Panel(), title, description, unit="", width=width, height=height)
        .show_header(True)
        .filterable(False)
        .min_width(NARROWEST_COLUMN)
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
    )
    order: dict[str, int] = {}
    names: dict[str, str] = {}
    for label, heading in keys.items():
        order[label], names[label] = len(order), heading
    for at, column in enumerate(columns):
        reference = chr(ord("A") + at)
        panel.with_target(_table(column.expression, reference))
        field = "Value" if len(columns) == 1 else f"Value #{reference}"
        order[field], names[field] = len(order), column.heading
        properties = [DynamicConfigValue("unit", column.unit)]
        if column.decimals is not None:
            properties.append(DynamicConfigValue("decimals", column.decimals))
        panel.override_by_name(column.heading, properties)
    panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names},
        )
    )
    if sorted_by:
        panel.sort_by([common.TableSortByFieldState().display_name(sorted_by).desc(True)])
    if missing:
        panel.no_value(missing)
    if colours:
        panel.override_by_name(next(iter(keys.values())), [_text_colours(colours), _coloured_text()])
    return panel


def bands(title: str, description: str, buckets: str, unit: str, *, width: int = 12, height: int = 8) -> Panel:
    """A histogram over time: `buckets` has the growth of each bucket by `le`."""
    return (
        _framed(heatmap.Panel(), title, description, unit=unit, width=width, height=height)
        .with_target(
            prometheus.Dataquery()
            .datasource(DATASOURCE)
            .expr(buckets)
            .legend_format("{{le}}")
            .format(PromQueryFormat.HEATMAP)
            .range()
            .ref_id("A")
        )
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(64))
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .show_legend()
        .cell_gap(1)
    )


def _framed(panel: Panel, title: str, description: str, *, unit: str, width: int, height: int) -> Panel:
    panel.title(title).description(description).datasource(DATASOURCE).span(width).height(height)
    return panel.unit(unit) if unit else panel


def _legend(calculations: Sequence[str], *, is_wide: bool) -> common.VizLegendOptions:
    """A table beside a wide graph; below a narrow one, where a table would be cut off, a list with one figure."""
    legend = common.VizLegendOptions().show_legend(True)
    if is_wide:
        return (
            legend.display_mode(kinds.LegendDisplayMode.TABLE)
            .placement(kinds.LegendPlacement.RIGHT)
            .calcs(list(calculations))
        )
    return (
        legend.display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .calcs(list(calculations[:1]))
    )


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")


def _thresholds(limits: Sequence[tuple[float, str]]) -> build.ThresholdsConfig:
    steps = [Threshold(value=None, color="text"), *(Threshold(value=value, color=colour) for value, colour in limits)]
    return build.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _instant(query: Query, reference: str = "A") -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(DATASOURCE).expr(query.expression).instant().ref_id(reference)
    return target.legend_format(query.legend) if query.legend else target


def _ranged(query: Query, reference: str, interval: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(DATASOURCE).expr(query.expression).range().ref_id(reference)
    if interval:
        target.interval(interval)
    return target.legend_format(query.legend) if query.legend else target


def _table(expression: str, reference: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(DATASOURCE)
        .expr(expression)
        .format(PromQueryFormat.TABLE)
        .instant()
        .ref_id(reference)
    )


def _filled(panel: Panel, *, is_filled: bool) -> None:
    """Areas and bars without an edge, or lines on which a point that stands alone can be seen."""
    points = kinds.VisibilityMode.NEVER if is_filled else kinds.VisibilityMode.AUTO
    panel.line_width(0 if is_filled else 2).fill_opacity(80 if is_filled else 0).show_points(points)


def _dashed(panel: Panel, names: Sequence[str]) -> Panel:
    style = DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})
    for name in names:
        panel.with_override(MatcherConfig(id_val="byName", options=name), [style])
    return panel


def _coloured(panel: Panel, colours: Mapping[str, str] | None) -> Panel:
    for name, colour in (colours or {}).items():
        fixed = DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})
        panel.with_override(MatcherConfig(id_val="byName", options=name), [fixed])
    return panel


def _text_colours(colours: Mapping[str, str]) -> DynamicConfigValue:
    options = {name: {"color": colour, "index": at} for at, (name, colour) in enumerate(colours.items())}
    return DynamicConfigValue("mappings", [{"type": "value", "options": options}])


def _properties(other: Instead) -> list[DynamicConfigValue]:
    """How one looks: in the plain colour, as no limit is meant for it."""
    found = [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "text"})]
    if other.unit:
        found.append(DynamicConfigValue("unit", other.unit))
    if other.text:
        mapping = {"type": "range", "options": {"from": None, "to": None, "result": {"text": other.text, "index": 0}}}
        found.append(DynamicConfigValue("mappings", [mapping]))
    return found


def _coloured_text() -> DynamicConfigValue:
    return DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})
