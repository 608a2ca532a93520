"""Every quantity that a plan may assume: its path, unit and meaning, and what stands for it where nobody says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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


def _prices() -> Iterable[Quantity]:
    units = {
        "input": ("US dollars per million tokens", "the price of a million input tokens"),
        "cache_read": ("US dollars per million tokens", "the price of a million input tokens from the cache"),
        "output": ("US dollars per million tokens", "the price of a million output tokens"),
        "request": ("US dollars", "what one query costs beside its tokens"),
    }
    for strategy in STRATEGIES:
        for unit, (measure, meaning) in units.items():
            learn = "look up what your provider bills"
            neutral = 0.0 if unit == "request" else None
            yield Quantity(f"prices.{strategy}.{unit}", measure, f"{meaning} with {strategy}", learn, neutral=neutral)


def _tokens() -> Iterable[Quantity]:
    for strategy in STRATEGIES:
        learn = f"let ragmeter measure the prompts of {strategy}"
        for part in TOKEN_PARTS:
            meaning = f"the {part.replace('_', ' ')} tokens of a query with {strategy}"
            yield Quantity(f"traffic.{strategy}.tokens.{part}", "tokens", meaning, learn)
        meaning = f"by what factor the mean cost of {strategy} may be off, as too few queries were seen"
        yield Quantity(f"traffic.{strategy}.sampling", "factor", meaning, f"measure more queries of {strategy}")


def _successes() -> Iterable[Quantity]:
    for strategy in STRATEGIES:
        meaning = f"which share of the queries {strategy} answers well"
        learn = f"let people or a judge rate two hundred answers of {strategy}"
        yield Quantity(f"success.{strategy}", "share", meaning, learn, Scale.SHARE)


QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
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
        *_prices(),
        *_tokens(),
        *_successes(),
    )
}
"""Every quantity a plan knows, by its path in a scenario."""
