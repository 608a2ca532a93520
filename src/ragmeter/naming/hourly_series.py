"""What our recording rules record of each hour: the names of the series, what they hold and what they are summed by.

The rules are made from this, and so are the hours of a made-up history that no Prometheus has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import metric_name


@dataclass(frozen=True, slots=True)
class Hourly:
    """The growth of a metric in an hour, by job, strategy and `by`; `has_labels` says: and by the app's own labels.

    `name` begins with the labels that tell its series apart, and ends with what was done, as Prometheus advises.
    """

    labels: str
    metric: Metric
    by: tuple[str, ...] = ()
    has_labels: bool = False

    @property
    def name(self) -> str:
        """The name of the recorded series."""
        return f"{self.labels}:{metric_name(self.metric)}:increase1h"


COST = Hourly("job_strategy_model", semconv.COST, (semconv.RESPONSE_MODEL,), has_labels=True)
QUERIES = Hourly("job_strategy", semconv.QUERIES, has_labels=True)
PART_COST = Hourly("job_strategy_part", semconv.COST, (semconv.PART,))
PART_TOKENS = Hourly("job_strategy_part", semconv.PART_TOKEN_COUNT, (semconv.PART,))
CONTEXT_COST = Hourly("job_strategy_fate", semconv.CONTEXT_COST, (semconv.CHUNK_FATE,))
ALL = (COST, QUERIES, PART_COST, PART_TOKENS, CONTEXT_COST)
