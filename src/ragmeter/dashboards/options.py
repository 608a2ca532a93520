"""What a user may choose when dashboards and rules are made."""

from __future__ import annotations

import re
from dataclasses import dataclass

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
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
                raise OptionError(f"label {label!r}: letters, digits, dots and underscores, and no digit in front")
        if len(set(self.labels)) < len(self.labels):
            raise OptionError(f"labels {', '.join(self.labels)}: each once")
        if not 0 <= self.budget < float("inf"):
            raise OptionError(f"budget {self.budget}: US dollars a month, 0 for none")
