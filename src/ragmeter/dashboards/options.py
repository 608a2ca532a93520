"""What a user may choose when dashboards and rules are made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import label_name

OWN_LABELS = frozenset(label for metric in semconv.METRICS if metric.has_app_labels for label in metric.labels)
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_.]*")
ADDRESS = re.compile(r"https?://[^\s{}#]+")
RESERVED = frozenset(
    (
        *("datasource", "service", "strategy", "model", "collection", "compare"),
        *("job", "instance", "le", "alertname", "alertstate", "severity", "look_back"),
        *("time", "value", "which", "queries", "from", "to"),
        *("without", "inf", "nan", "smoothed", "anchored"),
        *(label_name(name) for name in OWN_LABELS),
    )
)
"""Names that mean something else: our variables and labels, labels and words of Prometheus, fields of Grafana's."""

RUNBOOKS = "https://github.com/ragmeter/ragmeter/blob/main/docs/runbooks.md"


class OptionError(ValueError):
    """An option that no dashboard can be made from; the message says what would do."""


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of a user.

    `labels` are the app's own, as in `instrument(labels=[...])`; `budget` is in US dollars a month, 0 for none;
    `datasource` is the uid of Grafana's Prometheus for the alerts that Grafana itself evaluates (dashboards let one
    choose); `runbooks` is the page that alerts link to.
    """

    labels: tuple[str, ...] = ("team", "feature")
    budget: float = 0.0
    datasource: str = "prometheus"
    runbooks: str = RUNBOOKS

    def __post_init__(self) -> None:
        """Refuse what would make queries or rules that Prometheus does not take."""
        for label in self.labels:
            if not LABEL.fullmatch(label):
                raise OptionError(f"label {label!r}: use letters, digits, dots and underscores, no digit first")
            if label_name(label).lower() in RESERVED:
                raise OptionError(f"label {label!r}: the name is taken; choose another name for the label")
        if len({label_name(label).lower() for label in self.labels}) < len(self.labels):
            raise OptionError(f"labels {', '.join(self.labels)}: two differ only in case or dots; keep one")
        if not ADDRESS.fullmatch(self.runbooks):
            raise OptionError(f"runbooks {self.runbooks!r}: expected a page's address, with http(s):// and no #")
        if not self.datasource.strip():
            raise OptionError("datasource: expected the uid of a Prometheus in Grafana")
        if not 0 <= self.budget < float("inf"):
            raise OptionError(f"budget {self.budget}: expected US dollars a month, 0 for no budget")
