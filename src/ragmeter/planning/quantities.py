"""Every quantity that a plan may assume: its path, unit and meaning, and what stands for it where nobody says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ragmeter.domain.model import Origin
from ragmeter.domain.strategy import STRATEGIES
from ragmeter.planning.ranges import Scale

ORIGINS = tuple(origin.value for origin in Origin)
TOKEN_PARTS = (*ORIGINS, "output", "reasoning")
"""The parts of a query that are paid by the token."""

COMPONENTS = ("retrieval", "fine_tuning")
"""What is built once and kept up: a strategy has one of them, both or none."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What may be assumed: `meaning` completes "write …", `learn` says how to come to know it better.

    `neutral` stands where nobody says anything: what is not counted then, `None` where the plan goes without.
    `left_out` names for the reader what is not in the plan then.
    """

    name: str
    unit: str
    meaning: str
    learn: str
    scale: Scale = Scale.AMOUNT
    neutral: float | None = None
    left_out: str = ""


STRATEGY, PART = "<strategy>", "<part>"
"""What stands in a family's texts for each of its members' own."""

_MEASURE = f"let ragmeter measure the prompts of {STRATEGY}"
_BILLED = "look up what your provider bills"
_PER_MILLION = "US dollars per million tokens"

FAMILIES = (
    Quantity(f"prices.{STRATEGY}.input", _PER_MILLION, f"the price of a million input tokens with {STRATEGY}", _BILLED),
    Quantity(
        f"prices.{STRATEGY}.cache_read",
        _PER_MILLION,
        f"the price of a million input tokens from the cache with {STRATEGY}",
        _BILLED,
    ),
    Quantity(
        f"prices.{STRATEGY}.output", _PER_MILLION, f"the price of a million output tokens with {STRATEGY}", _BILLED
    ),
    Quantity(
        f"prices.{STRATEGY}.request",
        "US dollars",
        f"what one query costs beside its tokens with {STRATEGY}",
        _BILLED,
        neutral=0.0,
    ),
    Quantity(f"traffic.{STRATEGY}.tokens.{PART}", "tokens", f"the {PART} tokens of a query with {STRATEGY}", _MEASURE),
    Quantity(
        f"traffic.{STRATEGY}.sampling",
        "factor",
        f"by what factor the mean cost of {STRATEGY} may be off, as too few queries were seen",
        f"measure more queries of {STRATEGY}",
    ),
    Quantity(
        f"success.{STRATEGY}",
        "share",
        f"which share of the queries {STRATEGY} answers well",
        f"let people or a judge rate two hundred answers of {STRATEGY}",
        Scale.SHARE,
    ),
)
"""Quantities that there are for each strategy, some of them for each part of a query."""


def _members(family: Quantity) -> Iterable[Quantity]:
    """The quantities of a family."""
    for strategy in STRATEGIES:
        for part in TOKEN_PARTS if PART in family.name else ("",):
            yield replace(
                family,
                name=family.name.replace(STRATEGY, strategy).replace(PART, part),
                meaning=family.meaning.replace(STRATEGY, strategy).replace(PART, part.replace("_", " ")),
                learn=family.learn.replace(STRATEGY, strategy),
            )


SINGLE = (
    Quantity("queries_per_day", "queries", "how many queries come in a day", "measure the app for two weeks"),
    Quantity("labour_rate", "US dollars an hour", "what an hour of an engineer costs", "ask who pays them"),
    Quantity(
        "retrieval.infrastructure",
        "US dollars a month",
        "what database and servers of retrieval cost, without tokens",
        "read the last invoice of the vector database",
    ),
    Quantity(
        "retrieval.ingestion",
        "US dollars a month",
        "what bringing documents into the index costs",
        "let ragmeter measure it for a month",
        neutral=0.0,
    ),
    Quantity("retrieval.labour", "hours", "hours to build retrieval", "let those who would build it estimate it"),
    Quantity(
        "retrieval.upkeep",
        "hours a month",
        "hours to keep retrieval running",
        "count the hours of the last month",
        neutral=0.0,
        left_out="hours to keep retrieval running",
    ),
    Quantity(
        "retrieval.context",
        "tokens",
        "the context tokens of a query with retrieval",
        "try it on real queries",
    ),
    Quantity(
        "retrieval.query_cost",
        "US dollars",
        "what embedding, search and rerank of a query cost",
        "try it on real queries",
        neutral=0.0,
    ),
    Quantity(
        "fine_tuning.labour",
        "hours",
        "hours to prepare training data",
        "prepare fifty examples and count",
    ),
    Quantity("fine_tuning.runs", "runs", "training runs until it is right", "train once and see how far it is off"),
    Quantity(
        "fine_tuning.run_cost",
        "US dollars",
        "what a training run costs",
        "multiply its tokens by the price",
    ),
    Quantity(
        "fine_tuning.retraining",
        "times a year",
        "how often a year the model is trained anew",
        "count how often the documents changed last year",
        neutral=0.0,
        left_out="retraining",
    ),
    Quantity(
        "fine_tuning.retraining_labour",
        "hours",
        "hours to renew the training data each time",
        "prepare fifty examples and count",
        neutral=0.0,
        left_out="hours to renew the training data",
    ),
    Quantity(
        "fine_tuning.hosting",
        "US dollars a month",
        "what hosting the fine-tuned model costs, without tokens",
        "look up what your provider bills by the hour",
        neutral=0.0,
        left_out="hosting of the fine-tuned model",
    ),
    Quantity(
        "fine_tuning.upkeep",
        "hours a month",
        "hours to keep the fine-tuned model running",
        "count the hours of the last month",
        neutral=0.0,
        left_out="hours to keep the fine-tuned model running",
    ),
    Quantity(
        "fine_tuning.answer_length",
        "factor",
        "how much longer the fine-tuned model's answers are",
        "compare fifty answers of both models",
        neutral=1.0,
    ),
    Quantity(
        "fine_tuning.context_kept",
        "factor",
        "which share of the context a fine-tuned model still needs",
        "try the fine-tuned model with fewer chunks",
        neutral=1.0,
    ),
    Quantity(
        "growth.traffic",
        "a month",
        "by which share traffic grows in a month: 0.05 for 5 %",
        "compare the last months",
        Scale.GROWTH,
        neutral=0.0,
    ),
    Quantity(
        "growth.context",
        "a month",
        "by which share the context of a query grows in a month: 0.05 for 5 %",
        "compare the last months",
        Scale.GROWTH,
        neutral=0.0,
    ),
)
"""Quantities that there is one of."""

QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity for quantity in (*SINGLE, *(each for family in FAMILIES for each in _members(family)))
}
"""Every quantity a plan knows, by its path in a scenario."""
