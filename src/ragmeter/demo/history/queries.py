"""Single queries of one kind, drawn at random: each with its search, its prompt, its chunks and its answer. Pure.

What is made up is what clients say and what the anatomy finds in a prompt; what follows from it, ragmeter itself says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.random import Generator

from ragmeter.demo.history.cases import Case, Outcome
from ragmeter.demo.history.shop import Collection, Stream
from ragmeter.demo.history.traffic import Floats, Ints
from ragmeter.domain.model import Fate, Origin

USED_BY_RANK = np.array([0.82, 0.66, 0.52, 0.4, 0.3, 0.24, 0.27, 0.26, 0.25, 0.25, 0.24, 0.24])
"""Chances that an answer draws on a chunk, best rank first; nothing has more ranks than these."""
DUPLICATE_SHARE = 0.02
STALE_SHARE = 0.2
"""Prompts with a chunk of an earlier turn in them."""
CITED_SHARE = 0.6
"""Used chunks that a marker names."""
UNSENT = (2, 0.25)
"""A search returns up to so many chunks more than are sent, each with this chance."""

CACHE_HITS = 0.5
CACHED_SHARE = (0.45, 0.75)
CACHE_BLOCK = 128
CACHE_LEAST = 1_024
"""OpenAI reads prefixes of at least 1,024 tokens from its cache, in steps of 128."""

SLOW_SECONDS = (2.5, 0.2)
"""Median of a search in a slow index, and spread of its logarithm."""
REFUSED_CONNECTION = (0.004, 0.3)
EMBEDDING_SECONDS = (0.09, 0.35)
FIRST_TOKEN_SECONDS = (0.35, 0.35)
REFUSAL_SECONDS = (0.12, 0.3)
INPUT_TOKENS_A_SECOND = 20_000
OUTPUT_TOKENS_A_SECOND = 125

FATES = (Fate.USED, Fate.UNUSED, Fate.REPEATED, Fate.UNKNOWN)
USED, UNUSED, REPEATED, UNKNOWN = range(len(FATES))
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Search:
    """The embedding of a question and the search with it; `score` is of the best chunk, where there are `results`."""

    embedding_seconds: float
    seconds: float
    results: int
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk in a prompt, what became of it, and its rank from 0: `None` for one of an earlier turn."""

    tokens: int
    fate: Fate
    is_cited: bool
    rank: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A call of the model: `parts` are what stands before the passages in its prompt, in this order.

    `cached` of the input's first tokens come from a cache. `file_searches` are those that the model has made for it.
    """

    parts: tuple[tuple[Origin, int], ...]
    passages: tuple[Passage, ...]
    cached: int
    output: int
    seconds: float
    first_seconds: float
    file_searches: int


@dataclass(frozen=True, slots=True)
class Query:
    """What one customer asks: the tokens of the question, the search for it, and the call of the model."""

    question: int
    search: Search | None
    answer: Answer | None


def draw(case: Case, number: int, random: Generator) -> list[Query]:
    """So many queries of one kind."""
    question = _lengths(np.full(number, case.stream.parts[Origin.QUESTION]), random)
    collection = case.stream.collection
    searches: Sequence[Search | None] = [None] * number
    if collection is not None:
        searches = _searches(case, collection, number, random)
    answers: Sequence[Answer | None] = _answers(case, question, random) if case.is_asked else [None] * number
    return [Query(*each) for each in zip(question.tolist(), searches, answers, strict=True)]


def _searches(case: Case, collection: Collection, number: int, random: Generator) -> list[Search]:
    seconds = SLOW_SECONDS if case.slow else (collection.seconds, collection.spread)
    if case.outcome is Outcome.FAILED:
        seconds = REFUSED_CONNECTION
    results = case.sent + random.binomial(*UNSENT, number) if case.is_asked else np.zeros(number, dtype=np.int64)
    return _rows(
        Search,
        _seconds(EMBEDDING_SECONDS, number, random),
        _seconds(seconds, number, random),
        results,
        0.5 + 0.42 * random.beta(3.0, 2.4, number),
    )


def _answers(case: Case, question: Ints, random: Generator) -> list[Answer]:
    stream, number = case.stream, len(question)
    parts: dict[Origin, Ints] = {
        origin: _part(stream, origin, mean, number, random)
        for origin, mean in stream.parts.items()
        if origin is not Origin.QUESTION
    }
    tokens, passages = _passages(case, number, random)
    length = sum(parts.values(), start=question) + tokens.sum(axis=1)
    output = _lengths(np.full(number, stream.output), random)
    if case.outcome is Outcome.LEFT:
        output = output // 3 + 1
    first = _seconds(FIRST_TOKEN_SECONDS, number, random) + length / INPUT_TOKENS_A_SECOND
    refusal = _seconds(REFUSAL_SECONDS, number, random)
    seconds = refusal if case.outcome is Outcome.REFUSED else first + output / OUTPUT_TOKENS_A_SECOND
    # What the release adds is new each time, and in no cache.
    cached = _cached(length - tokens[:, 1 + stream.sent :].sum(axis=1), random)
    searches = _file_searches(stream, number, random)
    return _rows(Answer, _named(parts, number), passages, cached, output, seconds, first, searches)


def _file_searches(stream: Stream, number: int, random: Generator) -> Ints:
    """One for each answer that the model searches its provider's files for."""
    return (_chances((number,), random) < stream.file_searches).astype(np.int64)


def _named(parts: Mapping[Origin, Ints], number: int) -> list[tuple[tuple[Origin, int], ...]]:
    """The parts of each prompt, in their order."""
    columns = [[(origin, each) for each in tokens.tolist()] for origin, tokens in parts.items()]
    return list(zip(*columns, strict=True)) if columns else [()] * number


def _part(stream: Stream, origin: Origin, mean: int, number: int, random: Generator) -> Ints:
    """What each prompt has of a part: texts of the program are the same in all, those of customers are not."""
    if origin in (Origin.SYSTEM, Origin.TOOLS):
        return np.full(number, mean, dtype=np.int64)
    tokens = _lengths(np.full(number, mean), random)
    share = stream.now_and_then.get(origin)
    return tokens if share is None else np.where(_chances((number,), random) < share, tokens, 0)


def _passages(case: Case, number: int, random: Generator) -> tuple[Ints, list[tuple[Passage, ...]]]:
    """The chunks in each prompt: tokens by place, one prompt in each row, and what became of them.

    The first place is that of a passage of an earlier turn, which few have; those of this turn follow by rank.
    """
    collection = case.stream.collection
    if collection is None:
        return np.zeros((number, 1), dtype=np.int64), [()] * number
    tokens = _lengths(np.full((number, 1 + case.sent), collection.chunk_tokens), random)
    tokens[_chances((number,), random) >= STALE_SHARE, 0] = 0
    fates = _fates(case, number, random)
    cited = (fates == USED) & (_chances((number, case.sent), random) < CITED_SHARE)
    rows = zip(tokens.tolist(), fates.tolist(), cited.tolist(), strict=True)
    return tokens, [_row_of_passages(*row) for row in rows]


def _fates(case: Case, number: int, random: Generator) -> Ints:
    """Positions in `FATES` of the chunks of each prompt, by rank; an answer that was cut short cannot tell."""
    shape = (number, case.sent)
    is_repeated = _chances(shape, random) < DUPLICATE_SHARE
    is_repeated[:, 0] = False
    is_used = _chances(shape, random) < USED_BY_RANK[: case.sent]
    told = np.where(is_used, USED, UNUSED) if case.is_told else np.full(shape, UNKNOWN)
    return np.where(is_repeated, REPEATED, told)


def _row_of_passages(tokens: list[int], fates: list[int], cited: list[bool]) -> tuple[Passage, ...]:
    stale = [Passage(tokens[0], Fate.REPEATED, is_cited=False, rank=None)] if tokens[0] else []
    named = [FATES[fate] for fate in fates]
    return (*stale, *map(Passage, tokens[1:], named, cited, range(len(fates))))


def _cached(tokens: Ints, random: Generator) -> Ints:
    """How much of each prompt the provider has in its cache."""
    number = len(tokens)
    hit = _chances((number,), random) < CACHE_HITS
    blocks = (tokens * random.uniform(*CACHED_SHARE, number) / CACHE_BLOCK).astype(np.int64)
    return np.where(hit & (blocks * CACHE_BLOCK >= CACHE_LEAST), blocks * CACHE_BLOCK, 0)


def _rows(make: Callable[..., Row], *columns: Ints | Floats | Sequence[Any]) -> list[Row]:
    """One object for each row of these columns."""
    plain = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns]
    return list(map(make, *plain))


def _chances(shape: tuple[int, ...], random: Generator) -> Floats:
    """Numbers from 0 to 1, spread evenly over the queries: so few stand for thousands with every share as it is meant.

    A query has one, or several in a row; those of a query do not depend on each other.
    """
    positions = np.broadcast_to(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), shape)
    chances: Floats = (random.permuted(positions, axis=0) + random.random(shape)) / shape[0]
    return chances


def _lengths(means: Ints, random: Generator) -> Ints:
    """Lengths of texts: a quarter of them above or below, never nothing."""
    return np.maximum(1, np.rint(means * random.gamma(16.0, 1 / 16, means.shape))).astype(np.int64)


def _seconds(of: tuple[float, float], number: int, random: Generator) -> Floats:
    """Times around a median, with a long end."""
    median, spread = of
    return median * np.exp(spread * random.standard_normal(number))
