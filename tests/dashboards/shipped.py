"""The dashboards that are shipped, read from their files: every query in them, ready to be asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "dashboards" / "grafana"

ANY = re.compile(r"\$\{?(service|strategy|model|collection|team|feature)\}?")


@dataclass(frozen=True)
class ShippedQuery:
    """One query: where it stands, PromQL with its variables, and whether it is asked for one moment only.

    `stands_in` says that it has a value only where the panel's own figure has none.
    """

    dashboard: str
    place: str
    expression: str
    instant: bool
    stands_in: bool = False

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.place}"

    def filled(self, *, rate: str, window: str, compare: str = "1d") -> str:
        """PromQL as Grafana sends it with everything chosen: `rate` and `window` stand for its own variables."""
        seconds = {"m": 60, "h": 3600, "d": 86400}[window[-1]] * int(window[:-1])
        values = {
            "$__rate_interval": rate,
            "$__range_s": str(seconds),
            "$__range": window,
            "$__interval": rate,
            "$compare": compare,
        }
        filled = ANY.sub(".*", self.expression)
        for variable, value in values.items():
            filled = filled.replace(variable, value)
        assert "$" not in filled.replace('"$1"', ""), filled
        return filled


@cache
def dashboards() -> Mapping[str, dict[str, Any]]:
    """Every shipped dashboard by the stem of its file."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels but the headings of rows, also those inside collapsed rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels") or ()
        else:
            yield panel


def panel_queries() -> tuple[ShippedQuery, ...]:
    """The query of every target of every panel."""
    return tuple(
        ShippedQuery(
            name,
            f"{panel['title']} {target['refId']}",
            target["expr"],
            instant=bool(target.get("instant")),
            stands_in=target["refId"] in _stand_ins(panel),
        )
        for name, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    )


def _stand_ins(panel: Mapping[str, Any]) -> frozenset[str]:
    """The references of queries that look unlike the panel's own figure."""
    matchers = (override["matcher"] for override in panel["fieldConfig"]["overrides"])
    return frozenset(matcher["options"] for matcher in matchers if matcher["id"] == "byFrameRefID")


def annotation_queries() -> tuple[ShippedQuery, ...]:
    """The query of every annotation that has one."""
    return tuple(
        ShippedQuery(name, f"annotation {annotation['name']}", annotation["expr"], instant=False)
        for name, dashboard in dashboards().items()
        for annotation in dashboard["annotations"]["list"]
        if "expr" in annotation
    )


def variable_queries() -> tuple[ShippedQuery, ...]:
    """The series and the label of every variable that is asked for, as `group by (label) (series)`."""
    found = []
    for name, dashboard in dashboards().items():
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                matched = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert matched is not None, variable["query"]
                expression = f"group by ({matched[2]}) ({matched[1]})"
                found.append(ShippedQuery(name, f"variable {variable['name']}", expression, instant=True))
    return tuple(found)
