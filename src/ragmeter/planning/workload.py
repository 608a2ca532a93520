"""What an app's traffic is like, strategy by strategy: the half of a plan that is measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ragmeter.planning.right_k import RightK


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic of one strategy over the time that was looked at, in which `queries` were answered.

    With `queries` 0 nothing was looked at: all else is assumed.

    All else is a mean for one query: `tokens` and `cost` (US dollars) by part (the origins of a prompt, `output`,
    `reasoning`, `embedding`, `search`, `rerank`), `context_tokens` by what became of the retrieved text.
    `cost_per_query` is `None` where no price is known; `cost_deviation` is its standard deviation from query to query.
    `price_states` are shares of the operations, `models` (provider and model) of those that ask a model. Latencies are
    in seconds. `None` is not measured.
    """

    strategy: str
    queries: float
    queries_per_day: float
    tokens: Mapping[str, float]
    cost: Mapping[str, float] = field(default_factory=dict)
    cost_per_query: float | None = None
    cost_deviation: float | None = None
    cached_share: float | None = None
    price_states: Mapping[str, float] = field(default_factory=dict)
    models: Mapping[tuple[str, str], float] = field(default_factory=dict)
    latency_p50: float | None = None
    latency_p95: float | None = None
    error_rate: float | None = None
    context_tokens: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workload:
    """The traffic of an app over `days`; `source` says where it was read, `notes` what a reader must know of it.

    `outside` is the money that was spent for no query in that time, such as the embedding of documents: US dollars by
    part. `right_k` is what a smaller k would do for each collection whose chunks were sent, the dearest first.
    """

    strategies: Mapping[str, Traffic]
    days: float
    source: str
    notes: tuple[str, ...] = ()
    outside: Mapping[str, float] = field(default_factory=dict)
    right_k: tuple[RightK, ...] = ()

    @property
    def queries_per_day(self) -> float:
        """Queries of all strategies in a day."""
        return sum(traffic.queries_per_day for traffic in self.strategies.values())
