"""The single queries of a stream, drawn at random: each with its search, its prompt, its chunks and its answer. Pure.

Every figure of a history is counted from these, so that its totals and distributions agree as a real program's do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ragmeter.demo.history.shop import Collection, Stream
from ragmeter.demo.history.traffic import HOUR, Bools, Floats, Ints, Traffic
from ragmeter.domain.model import Fate, Origin

FATES = (Fate.USED, Fate.UNUSED, Fate.REPEATED, Fate.UNKNOWN)
NO_CHUNK = -1
Codes = NDArray[np.int8]
"""Positions in `FATES`, or `NO_CHUNK` where a prompt has fewer chunks."""

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
OWN_SECONDS = 0.015
"""What the program itself takes for a query."""


@dataclass(frozen=True, slots=True)
class Searches:
    """Embeddings of questions and the searches with them, one in each row; `at` is the number of the step.

    `score` is of the best chunk and counts only where there are `results`. Where a search fails or finds nothing the
    customer is told so, and no model is asked: `answered` is false.
    """

    at: Ints
    embedded: Ints
    embedding_seconds: Floats
    seconds: Floats
    failed: Bools
    results: Ints
    score: Floats

    @property
    def answered(self) -> Bools:
        """Those that a model is asked after."""
        return ~self.failed & (self.results > 0)

    def only(self, which: Bools) -> Searches:
        """Some of them."""
        return Searches(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


@dataclass(frozen=True, slots=True)
class Chunks:
    """Places of chunks in prompts, one query in each row and its chunks by rank; the last column is of earlier turns.

    `unsent` are chunks that were retrieved and left out.
    """

    tokens: Ints
    fates: Codes
    cited: Bools
    unsent: Ints

    @property
    def stale(self) -> Ints:
        """Tokens of retrieved text in earlier turns."""
        stale: Ints = self.tokens[:, -1]
        return stale


@dataclass(frozen=True, slots=True)
class Answers:
    """Calls of the model, one in each row, each of them a query.

    `parts` are tokens by origin in the order of the prompt, the context among them; `cached` of the input's first
    tokens come from a cache. Refused calls have no tokens at all. Seconds are of the call, of
    the query and of its search; times that a metric shows as they are have the names of an operation's fields.
    """

    at: Ints
    parts: Mapping[Origin, Ints]
    chunks: Chunks | None
    cached: Ints
    output: Ints
    embedded: Ints
    refused: Bools
    estimated: Bools
    seconds: Floats
    time_to_first_chunk: Floats
    time_per_output_chunk: Floats
    query_seconds: Floats
    search_seconds: Floats

    @property
    def input(self) -> Ints:
        """Input tokens of each call."""
        return added(self.parts.values(), len(self.at))


@dataclass(frozen=True, slots=True)
class Batch:
    """What one stream did within some steps."""

    stream: Stream
    searches: Searches | None
    answers: Answers


def added(tokens: Iterable[Ints], number: int) -> Ints:
    """The sums of several parts, for each of a number of queries."""
    return sum(tokens, start=np.zeros(number, dtype=np.int64))


def draw(stream: Stream, traffic: Traffic, step: float, random: Generator) -> Batch:
    """The queries of one stream; `step` is how many seconds each step of the traffic lasts."""
    numbers = random.poisson(traffic.queries * step / HOUR)
    at: Ints = np.repeat(np.arange(len(numbers)), numbers)
    question = _lengths(np.full(len(at), stream.parts[Origin.QUESTION]), random)
    if stream.collection is None:
        return Batch(stream, None, _answers(stream, _Asked(at, question, None), traffic, random))
    searches = _searches(stream.collection, at, question, traffic, random)
    which = searches.answered
    asked = _Asked(at[which], question[which], searches.only(which))
    return Batch(stream, searches, _answers(stream, asked, traffic, random))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a model is asked: step and tokens of each question, and the search that came before it."""

    at: Ints
    question: Ints
    searches: Searches | None

    def __len__(self) -> int:
        """How many questions there are."""
        return len(self.at)


def _searches(collection: Collection, at: Ints, question: Ints, traffic: Traffic, random: Generator) -> Searches:
    number = len(at)
    failed = random.random(number) < traffic.failing[at]
    empty = random.random(number) < traffic.empty[at]
    slow = random.random(number) < traffic.slow[at]
    usual = _seconds((collection.seconds, collection.spread), number, random)
    seconds = np.where(slow, _seconds(SLOW_SECONDS, number, random), usual)
    return Searches(
        at=at,
        embedded=question,
        embedding_seconds=_seconds(EMBEDDING_SECONDS, number, random),
        seconds=np.where(failed, _seconds(REFUSED_CONNECTION, number, random), seconds),
        failed=failed,
        results=np.where(failed | empty, 0, traffic.sent[at] + random.binomial(*UNSENT, number)),
        score=0.5 + 0.42 * random.beta(3.0, 2.4, number),
    )


def _answers(stream: Stream, asked: _Asked, traffic: Traffic, random: Generator) -> Answers:
    number = len(asked)
    refused = random.random(number) < stream.refused
    estimated = ~refused & (random.random(number) < stream.broken_off)
    chunks = _chunks(stream, asked, traffic, refused | estimated, random)
    prompt = _prompt(stream, asked, chunks, random)
    output = _lengths(np.full(number, stream.output), random)
    output = np.where(estimated, output // 3 + 1, output)
    first = _seconds(FIRST_TOKEN_SECONDS, number, random) + added(prompt.values(), number) / INPUT_TOKENS_A_SECOND
    seconds = np.where(refused, _seconds(REFUSAL_SECONDS, number, random), first + output / OUTPUT_TOKENS_A_SECOND)
    cached = _cached(_without_release(stream, prompt, chunks), random)
    searches, nothing = asked.searches, np.zeros(number)
    before = nothing if searches is None else searches.seconds + searches.embedding_seconds
    return Answers(
        at=asked.at,
        parts={origin: np.where(refused, 0, tokens) for origin, tokens in prompt.items()},
        chunks=None if chunks is None else replace(chunks, tokens=np.where(refused[:, None], 0, chunks.tokens)),
        cached=np.where(refused | estimated, 0, cached),
        output=np.where(refused, 0, output),
        embedded=np.zeros(number, dtype=np.int64) if searches is None else searches.embedded,
        refused=refused,
        estimated=estimated,
        seconds=seconds,
        time_to_first_chunk=first,
        # Of a stream that was left nobody knows when its last piece came.
        time_per_output_chunk=np.where(estimated, np.nan, (seconds - first) / np.maximum(1, output - 1)),
        query_seconds=seconds + before + OWN_SECONDS,
        search_seconds=nothing if searches is None else searches.seconds,
    )


def _prompt(stream: Stream, asked: _Asked, chunks: Chunks | None, random: Generator) -> dict[Origin, Ints]:
    """The parts as they stand in the prompt: retrieved text before the question."""
    found: dict[Origin, Ints] = {
        origin: _part(stream, origin, mean, len(asked), random)
        for origin, mean in stream.parts.items()
        if origin is not Origin.QUESTION
    }
    if chunks is not None:
        found[Origin.CONTEXT] = chunks.tokens.sum(axis=1)
    found[Origin.QUESTION] = asked.question
    return found


def _without_release(stream: Stream, prompt: Mapping[Origin, Ints], chunks: Chunks | None) -> Ints:
    """The length of the prompts before the release: what it adds is new each time, and in no cache."""
    length = added(prompt.values(), len(prompt[Origin.QUESTION]))
    return length if chunks is None else length - chunks.tokens[:, stream.sent : -1].sum(axis=1)


def _part(stream: Stream, origin: Origin, mean: int, number: int, random: Generator) -> Ints:
    """What each prompt has of a part: texts of the program are the same in all, those of customers are not."""
    if origin in (Origin.SYSTEM, Origin.TOOLS):
        return np.full(number, mean, dtype=np.int64)
    tokens = _lengths(np.full(number, mean), random)
    share = stream.now_and_then.get(origin)
    return tokens if share is None else np.where(random.random(number) < share, tokens, 0)


def _chunks(stream: Stream, asked: _Asked, traffic: Traffic, untold: Bools, random: Generator) -> Chunks | None:
    """Chunks by rank and what became of them; `untold` are queries whose answer cannot tell."""
    if stream.collection is None or asked.searches is None:
        return None
    collection, sent = stream.collection, traffic.sent[asked.at]
    number, most = len(asked), len(USED_BY_RANK)
    there = np.arange(most) < sent[:, None]
    tokens = np.where(there, _lengths(np.full((number, most), collection.chunk_tokens), random), 0)
    used = random.random((number, most)) < USED_BY_RANK
    fates = np.where(used, FATES.index(Fate.USED), FATES.index(Fate.UNUSED))
    repeated = random.random((number, most)) < DUPLICATE_SHARE
    repeated[:, 0] = False
    fates = np.where(repeated, FATES.index(Fate.REPEATED), fates)
    fates = np.where(untold[:, None] & ~repeated, FATES.index(Fate.UNKNOWN), fates)
    fates = np.where(there, fates, NO_CHUNK)
    has_stale = random.random(number) < STALE_SHARE
    stale = np.where(has_stale, _lengths(np.full(number, collection.chunk_tokens), random), 0)
    stale_fates = np.where(has_stale, FATES.index(Fate.REPEATED), NO_CHUNK)
    cited = (fates == FATES.index(Fate.USED)) & (random.random((number, most)) < CITED_SHARE)
    return Chunks(
        tokens=np.column_stack([tokens, stale]),
        fates=np.column_stack([fates, stale_fates]).astype(np.int8),
        cited=np.column_stack([cited, np.zeros(number, dtype=np.bool_)]),
        unsent=asked.searches.results - sent,
    )


def _cached(tokens: Ints, random: Generator) -> Ints:
    """How much of each prompt the provider has in its cache."""
    number = len(tokens)
    hit = random.random(number) < CACHE_HITS
    blocks = (tokens * random.uniform(*CACHED_SHARE, number) / CACHE_BLOCK).astype(np.int64)
    return np.where(hit & (blocks * CACHE_BLOCK >= CACHE_LEAST), blocks * CACHE_BLOCK, 0)


def _lengths(means: Ints, random: Generator) -> Ints:
    """Lengths of texts: a quarter of them above or below, never nothing."""
    return np.maximum(1, np.rint(means * random.gamma(16.0, 1 / 16, means.shape))).astype(np.int64)


def _seconds(of: tuple[float, float], number: int, random: Generator) -> Floats:
    """Times around a median, with a long end."""
    median, spread = of
    return median * np.exp(spread * random.standard_normal(number))
