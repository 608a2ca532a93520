"""What a strategy's bill consists of: of a query, of a month whatever the traffic, and of the set-up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ragmeter.domain import strategy as names
from ragmeter.planning.assumptions import Assumptions
from ragmeter.planning.ranges import Vector


class Line(StrEnum):
    """The lines of a bill: first those of a query, then those of a month, then those of the set-up."""

    PROMPT = "prompt"
    CONTEXT = "context"
    OUTPUT = "output"
    RETRIEVAL = "retrieval"
    REQUEST = "beside tokens"
    UNPLACED = "unplaced"
    INFRASTRUCTURE = "infrastructure"
    INGESTION = "ingestion"
    HOSTING = "hosting"
    UPKEEP = "upkeep"
    RETRAINING = "retraining"
    BUILDING = "building"
    TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Term:
    """US dollars on one line: `amount` times the assumptions at the paths of `factors`.

    `part` is the part of a query that is paid with it, such as `context`, where it is one.
    """

    line: Line
    amount: float
    factors: tuple[str, ...] = ()
    part: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """The terms of one strategy: for each `query`, each `month`, and once for the `setup`."""

    strategy: str
    query: tuple[Term, ...]
    month: tuple[Term, ...]
    setup: tuple[Term, ...]


Values = Mapping[str, Vector]
"""The draws of every assumption by its path."""


def retrieves(strategy: str) -> bool:
    """Whether a strategy puts retrieved text into its prompts."""
    return strategy in (names.RAG, names.FINE_TUNED_RAG)


def is_tuned(strategy: str) -> bool:
    """Whether a strategy asks a fine-tuned model."""
    return strategy in (names.FINE_TUNED, names.FINE_TUNED_RAG)


def components(strategy: str) -> tuple[str, ...]:
    """What has to be built for a strategy."""
    needed = {"retrieval": retrieves(strategy), "fine_tuning": is_tuned(strategy)}
    return tuple(name for name, is_needed in needed.items() if is_needed)


RUNNING = {
    "retrieval": (
        Term(Line.INFRASTRUCTURE, 1.0, ("retrieval.infrastructure",)),
        Term(Line.INGESTION, 1.0, ("retrieval.ingestion",)),
        Term(Line.UPKEEP, 1.0, ("retrieval.upkeep", "labour_rate")),
    ),
    "fine_tuning": (
        Term(Line.HOSTING, 1.0, ("fine_tuning.hosting",)),
        Term(Line.UPKEEP, 1.0, ("fine_tuning.upkeep", "labour_rate")),
        Term(Line.RETRAINING, 1 / 12, ("fine_tuning.retraining", "fine_tuning.run_cost")),
        Term(Line.RETRAINING, 1 / 12, ("fine_tuning.retraining", "fine_tuning.retraining_labour", "labour_rate")),
    ),
}
"""What a component costs a month; retraining is so many times a year one run, and the labour for its data."""

SETUP = {
    "retrieval": (Term(Line.BUILDING, 1.0, ("retrieval.labour", "labour_rate")),),
    "fine_tuning": (
        Term(Line.BUILDING, 1.0, ("fine_tuning.labour", "labour_rate")),
        Term(Line.TRAINING, 1.0, ("fine_tuning.runs", "fine_tuning.run_cost")),
    ),
}
"""What it costs to build a component."""


def bill(strategy: str, query: tuple[Term, ...], built: Iterable[str]) -> Bill:
    """The bill of a strategy whose `query` costs are known; the set-up of what is `built` is paid already."""
    needed = components(strategy)
    month = tuple(term for name in needed for term in RUNNING[name])
    setup = tuple(term for name in needed if name not in set(built) for term in SETUP[name])
    return Bill(strategy, query, month, setup)


def by_line(terms: Iterable[Term], values: Values) -> dict[Line, Vector]:
    """The US dollars of terms on each line, draw by draw."""
    lines: dict[Line, Vector] = {}
    for term in terms:
        lines[term.line] = lines.get(term.line, np.zeros(1)) + _product(term, values)
    return lines


def by_part(terms: Iterable[Term], values: Values) -> dict[str, Vector]:
    """The US dollars of terms for each part of a query, draw by draw; of what is no part by the name of its line."""
    parts: dict[str, Vector] = {}
    for term in terms:
        name = term.part or term.line.value
        parts[name] = parts.get(name, np.zeros(1)) + _product(term, values)
    return parts


def _product(term: Term, values: Values) -> Vector:
    product = np.full(1, term.amount)
    for path in term.factors:
        product = product * values[path]
    return product


def summed(terms: Iterable[Term], values: Values) -> Vector:
    """The US dollars of terms, draw by draw; of none zero."""
    return sum(by_line(terms, values).values(), np.zeros(1))


def paths(bills: Iterable[Bill]) -> Iterator[str]:
    """Every assumption that the bills depend on."""
    for each in bills:
        for term in (*each.query, *each.month, *each.setup):
            yield from term.factors


def middles(assumptions: Assumptions) -> Values:
    """One draw: the median of every assumption."""
    return {path: np.array([each.middle]) for path, each in assumptions.values.items()}
