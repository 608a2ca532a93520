"""Workloads and assumptions of the planner's tests: RAG on a large model, and a fine-tuned small one."""

from __future__ import annotations

from typing import Any

from ragmeter.planning.assumptions import Assumptions, assume
from ragmeter.planning.plan import Plan, make_plan
from ragmeter.planning.workload import Traffic, Workload

TOKENS = {"system": 150.0, "question": 50.0, "context": 2_800.0, "output": 300.0}
COSTS = {"system": 0.000375, "question": 0.000125, "context": 0.007, "output": 0.003, "embedding": 0.000001}
"""Those tokens at 2.50 and 10 dollars a million, and an embedding."""

DRAWS = 2_000
"""Enough for what the tests look at."""

SMALL = {"prices.fine_tuned.input": 0.3, "prices.fine_tuned.output": 1.2}
LARGE = {"prices.rag.input": 2.5, "prices.rag.output": 10.0}

KNOWN = {
    "labour_rate": 80.0,
    "retrieval.infrastructure": 400.0,
    "retrieval.labour": 100.0,
    "fine_tuning.labour": 60.0,
    "fine_tuning.runs": 4.0,
    "fine_tuning.run_cost": 200.0,
    "fine_tuning.retraining": 2.0,
}
"""Every range of the defaults as one number."""


def seen(strategy: str = "rag", queries: float = 140_000, **changes: Any) -> Traffic:
    """What was measured of a strategy over two weeks."""
    values: dict[str, Any] = {
        "queries_per_day": queries / 14,
        "tokens": TOKENS,
        "cost": COSTS,
        "cost_per_query": sum(COSTS.values()),
        "cost_deviation": 0.006,
    }
    return Traffic(strategy, queries, **{**values, **changes})


def assumed(strategy: str = "rag", queries_per_day: float = 10_000, **tokens: float) -> Traffic:
    """What a scenario says of a strategy."""
    return Traffic(strategy, 0, queries_per_day, {**TOKENS, **tokens})


def workload(*traffic: Traffic, days: float = 14) -> Workload:
    return Workload({each.strategy: each for each in traffic}, days, "a test")


def points(**given: object) -> Assumptions:
    """Assumptions without a range, but for those given (`a__b` for the path a.b)."""
    return assume({**SMALL, **LARGE, **KNOWN, **by_path(given)})


def by_path(given: dict[str, object]) -> dict[str, object]:
    return {name.replace("__", "."): value for name, value in given.items()}


def plan_of(*traffic: Traffic, days: float = 14, **given: object) -> Plan:
    """A plan of what was seen with a small fine-tuned model, and the defaults of all that is not given."""
    return make_plan(workload(*traffic, days=days), assume({**SMALL, **by_path(given)}), draws=DRAWS)
