"""What a batch of queries adds to which series, by the rules of `ragmeter.telemetry` and `ragmeter.money`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ragmeter.demo.history import shop
from ragmeter.demo.history.queries import FATES, Answers, Batch, Chunks, Searches
from ragmeter.demo.history.shop import EMBEDDING, Model, Price, Stream
from ragmeter.demo.history.traffic import Bools, Floats, Ints
from ragmeter.domain import strategy
from ragmeter.domain.model import Fate, OperationKind, Origin, PriceState
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric, Profile
from ragmeter.naming.semconv import ScoreOrder

MILLION = 1e6
UNKNOWN = "unknown"
OUTPUT = "output"
EMBEDDED, INGESTED = "embedding", "ingestion"

Labels = tuple[tuple[str, str], ...]
"""Attributes of a series, by their names in OpenTelemetry."""


@dataclass(frozen=True, slots=True)
class Added:
    """What is added to a counter: an amount at each step number in `at`."""

    metric: Metric
    labels: Labels
    at: Ints
    amounts: Ints | Floats


@dataclass(frozen=True, slots=True)
class Observed:
    """What a histogram gets: a value at each step number in `at`."""

    metric: Metric
    labels: Labels
    at: Ints
    values: Ints | Floats


Posting = Added | Observed


@dataclass(frozen=True, slots=True)
class Share:
    """What one part of the prompts, or one rank of their chunks, took: tokens from the cache and others, and money."""

    cached: Ints
    full: Ints
    cost: Floats


def postings(batch: Batch) -> Iterator[Posting]:
    """Everything that a batch is counted as."""
    stream, answers = batch.stream, batch.answers
    if batch.searches is not None:
        yield from _of_searches(stream, batch.searches)
        yield from _of_retrieval(stream, batch.searches)
    yield from _of_queries(stream, answers)
    yield from _of_calls(stream, answers)
    yield from _of_parts(stream, answers)
    if answers.chunks is not None:
        yield from _of_chunks(stream, answers, answers.chunks)


def ingestion(at: Ints, tokens: Ints, seconds: Floats) -> Iterator[Posting]:
    """Embeddings of documents: money that belongs to no query, and to no label of the app."""
    app: Labels = tuple((name, "unset") for name in shop.LABELS)
    yield from _of_embeddings(((semconv.STRATEGY, strategy.NONE), *app), INGESTED, at, tokens)
    yield from _of_embedding_calls(at, tokens, seconds)


def cost_of_queries(model: Model, answers: Answers) -> Floats:
    """US dollars of each query: its call and the embedding of its question. A refused call costs nothing."""
    embedded = dollars(answers.embedded, shop.EMBEDDING_PRICE)
    if model.price is None:
        return embedded
    full, price = answers.input - answers.cached, model.price
    read = dollars(full, price.input) + dollars(answers.cached, price.cache_read)
    return read + dollars(answers.output, price.output) + embedded


def shares(sizes: list[Ints], cached: Ints, price: Price | None) -> list[Share]:
    """Share out the cached tokens at the front of prompts over pieces that stand in them in this order."""
    found, start = [], np.zeros(len(cached), dtype=np.int64)
    rates = Price(0.0, 0.0, 0.0) if price is None else price
    for size in sizes:
        read = np.clip(cached - start, 0, size)
        start = start + size
        cost = dollars(read, rates.cache_read) + dollars(size - read, rates.input)
        found.append(Share(read, size - read, cost))
    return found


def dollars(tokens: Ints, price: float) -> Floats:
    """What tokens cost at a price for a million of them."""
    return tokens.astype(np.float64) * (price / MILLION)


def app_labels(stream: Stream) -> Labels:
    """What the app has set on the queries of a stream."""
    return tuple(zip(shop.LABELS, (stream.team, stream.feature), strict=True))


def _of_queries(stream: Stream, answers: Answers) -> Iterator[Posting]:
    common = _common(stream)
    failed: Labels = (*common, (semconv.ERROR_TYPE, shop.MODEL_ERROR))
    for labels, which in ((common, ~answers.refused), (failed, answers.refused)):
        if stream.refused or labels is common:
            yield _one(semconv.QUERIES, labels, answers.at[which])
            yield Observed(semconv.QUERY_DURATION, labels, answers.at[which], answers.query_seconds[which])
    if stream.model.price is not None:
        yield Observed(semconv.QUERY_COST, common, answers.at, cost_of_queries(stream.model, answers))
    if stream.collection is not None:
        share = np.minimum(1.0, answers.search_seconds / answers.query_seconds)
        yield Observed(semconv.SEARCH_SHARE, common, answers.at, share)


def _of_calls(stream: Stream, answers: Answers) -> Iterator[Posting]:
    common, model = _common(stream), stream.model
    for state, which in _states(stream, answers):
        yield _one(semconv.OPERATIONS, _operation(common, OperationKind.CHAT, state, model), answers.at[which])
    made = ~answers.refused
    prompts: Labels = (*common, (semconv.RESPONSE_MODEL, model.name))
    yield Observed(semconv.PROMPT_TOKENS, prompts, answers.at[made], answers.input[made])
    if answers.chunks is not None:
        context = answers.parts[Origin.CONTEXT]
        some = made & (context > 0)
        yield Observed(semconv.CONTEXT_SHARE, prompts, answers.at[some], context[some] / answers.input[some])
    call = _call(OperationKind.CHAT, model)
    yield Observed(semconv.DURATION, call, answers.at[made], answers.seconds[made])
    if stream.refused:
        failed: Labels = (*call, (semconv.ERROR_TYPE, shop.MODEL_ERROR))
        yield Observed(semconv.DURATION, failed, answers.at[answers.refused], answers.seconds[answers.refused])
    if stream.streamed:
        yield from _of_fields(call, answers, made)
    told = made & ~answers.estimated
    for kind, tokens in (("input", answers.input), ("output", answers.output)):
        yield Observed(semconv.TOKEN_USAGE, (*call, (semconv.TOKEN_TYPE, kind)), answers.at[told], tokens[told])


def _of_fields(call: Labels, answers: Answers, made: Bools) -> Iterator[Posting]:
    """The metrics that show a field of a call as it is, where it is known."""
    for metric in semconv.metrics_of(Profile.RELEASED):
        if metric.field:
            values: Floats = getattr(answers, metric.field)
            known = made & ~np.isnan(values)
            yield Observed(metric, call, answers.at[known], values[known])


def _of_parts(stream: Stream, answers: Answers) -> Iterator[Posting]:
    common, model, at = _common(stream), stream.model, answers.at
    served: Labels = ((semconv.PROVIDER_NAME, model.provider), (semconv.RESPONSE_MODEL, model.name))
    found = shares(list(answers.parts.values()), answers.cached, model.price)
    spent = dollars(answers.output, 0.0 if model.price is None else model.price.output)
    output = Share(np.zeros_like(answers.output), answers.output, spent)
    named = [(origin.value, share) for origin, share in zip(answers.parts, found, strict=True)]
    for part, share in (*named, (OUTPUT, output)):
        for rate, tokens in (("full", share.full), ("cache_read", share.cached)):
            if rate == "full" or share.cached.any():
                key: Labels = ((semconv.PART, part), (semconv.TOKEN_RATE, rate))
                yield Added(semconv.PART_TOKEN_COUNT, (*common, *key, *served), at, tokens)
        for state, which in _states(stream, answers):
            if state is not PriceState.UNPRICED:
                priced: Labels = ((semconv.PART, part), (semconv.PRICE_STATE, state.value))
                yield Added(semconv.COST, (*common, *priced, *served), at[which], share.cost[which])


def _of_chunks(stream: Stream, answers: Answers, chunks: Chunks) -> Iterator[Posting]:
    common, at = _common(stream), answers.at
    where: Labels = ((semconv.DB_COLLECTION, _collection(stream)),)
    before = [tokens for origin, tokens in answers.parts.items() if origin not in (Origin.CONTEXT, Origin.QUESTION)]
    # Earlier turns stand before the passages of this one.
    in_prompt = [chunks.stale, *chunks.tokens[:, :-1].T]
    by_rank = shares([*before, *in_prompt], answers.cached, stream.model.price)[len(before) :]
    cost = np.column_stack([*(share.cost for share in by_rank[1:]), by_rank[0].cost])
    for code, fate in enumerate(FATES):
        having = chunks.fates == code
        key: Labels = (*common, (semconv.CHUNK_FATE, fate.value), *where)
        yield Added(semconv.CHUNKS, key, at, having.sum(axis=1))
        if fate is Fate.UNKNOWN and not stream.broken_off:
            continue
        yield Added(semconv.CONTEXT_TOKENS, key, at, np.where(having, chunks.tokens, 0).sum(axis=1))
        yield Added(semconv.CONTEXT_COST, key, at, np.where(having, cost, 0.0).sum(axis=1))
    unsent: Labels = (*common, (semconv.CHUNK_FATE, Fate.UNSENT.value), *where)
    yield Added(semconv.CHUNKS, unsent, at, chunks.unsent)
    yield Added(semconv.STALE_TOKENS, (*common, *where), at, chunks.stale)
    yield Added(semconv.CITED_CHUNKS, (*common, *where), at, chunks.cited.sum(axis=1))
    query, rank = np.nonzero(chunks.fates == FATES.index(Fate.USED))
    yield Observed(semconv.USED_RANK, (*common, *where), at[query], rank + 1)


def _of_searches(stream: Stream, searches: Searches) -> Iterator[Posting]:
    """Searches as the database's calls, whatever they were made for."""
    of_database: Labels = ((semconv.DB_SYSTEM, shop.DATABASE), (semconv.DB_COLLECTION, _collection(stream)))
    app, method = app_labels(stream), (semconv.DB_OPERATION, shop.SEARCH_METHOD)
    error = (semconv.ERROR_TYPE, shop.SEARCH_ERROR)
    can_fail = stream.collection is not None and stream.collection.remote
    for failed, which in (((), ~searches.failed), ((error,), searches.failed))[: 1 + can_fail]:
        at, seconds = searches.at[which], searches.seconds[which]
        yield Observed(semconv.DB_DURATION, (*of_database, *failed, method), at, seconds)
        yield Observed(semconv.SEARCH_DURATION, (*of_database, *failed, *app), at, seconds)
    made, found = ~searches.failed, searches.results > 0
    yield Observed(semconv.SEARCH_RESULTS, (*of_database, *app), searches.at[made], searches.results[made])
    yield _one(semconv.SEARCH_EMPTY, (*of_database, *app), searches.at[made & ~found])
    # The demo's database compares by cosine.
    score = (*of_database, *app, (semconv.SCORE_ORDER, ScoreOrder.HIGHER.value))
    yield Observed(semconv.SEARCH_SCORE, score, searches.at[found], searches.score[found])
    yield Added(semconv.NEGATIVE_SCORES, score, searches.at[found], np.maximum(0.0, -searches.score[found]))
    yield from _of_embedding_calls(searches.at, searches.embedded, searches.embedding_seconds)


def _of_retrieval(stream: Stream, searches: Searches) -> Iterator[Posting]:
    """Searches as a part of queries: those that no answer came after belong to none."""
    app = app_labels(stream)
    searched = (
        (semconv.OPERATION_NAME, OperationKind.SEARCH.value),
        (semconv.PRICE_STATE, PriceState.PRICED.value),
        (semconv.PROVIDER_NAME, shop.DATABASE),
        (semconv.RESPONSE_MODEL, UNKNOWN),
    )
    for name, which in ((stream.strategy, searches.answered), (strategy.NONE, ~searches.answered)):
        common: Labels = ((semconv.STRATEGY, name), *app)
        yield _one(semconv.OPERATIONS, (*common, *searched), searches.at[which])
        yield from _of_embeddings(common, EMBEDDED, searches.at[which], searches.embedded[which])


def _of_embeddings(common: Labels, part_name: str, at: Ints, tokens: Ints) -> Iterator[Posting]:
    served: Labels = ((semconv.PROVIDER_NAME, EMBEDDING.provider), (semconv.RESPONSE_MODEL, EMBEDDING.name))
    part, state = (semconv.PART, part_name), (semconv.PRICE_STATE, PriceState.PRICED.value)
    cost = dollars(tokens, shop.EMBEDDING_PRICE)
    yield _one(semconv.OPERATIONS, _operation(common, OperationKind.EMBEDDINGS, PriceState.PRICED, EMBEDDING), at)
    yield Added(semconv.PART_TOKEN_COUNT, (*common, part, (semconv.TOKEN_RATE, "full"), *served), at, tokens)
    yield Added(semconv.COST, (*common, part, state, *served), at, cost)


def _of_embedding_calls(at: Ints, tokens: Ints, seconds: Floats) -> Iterator[Posting]:
    call = _call(OperationKind.EMBEDDINGS, EMBEDDING)
    yield Observed(semconv.DURATION, call, at, seconds)
    yield Observed(semconv.TOKEN_USAGE, (*call, (semconv.TOKEN_TYPE, "input")), at, tokens)


def _states(stream: Stream, answers: Answers) -> Iterator[tuple[PriceState, Bools]]:
    """How far the costs of a stream's calls can be trusted; what was refused costs nothing for certain."""
    if stream.model.price is None:
        yield PriceState.UNPRICED, np.ones(len(answers.at), dtype=np.bool_)
        return
    yield PriceState.PRICED, ~answers.estimated
    if stream.broken_off:
        yield PriceState.ESTIMATED, answers.estimated


def _common(stream: Stream) -> Labels:
    return ((semconv.STRATEGY, stream.strategy), *app_labels(stream))


def _collection(stream: Stream) -> str:
    return UNKNOWN if stream.collection is None else stream.collection.name


def _operation(common: Labels, kind: OperationKind, state: PriceState, model: Model) -> Labels:
    return (
        *common,
        (semconv.OPERATION_NAME, kind.value),
        (semconv.PRICE_STATE, state.value),
        (semconv.PROVIDER_NAME, model.provider),
        (semconv.RESPONSE_MODEL, model.name),
    )


def _call(kind: OperationKind, model: Model) -> Labels:
    """What the conventions put on a call."""
    return (
        (semconv.OPERATION_NAME, kind.value),
        (semconv.PROVIDER_NAME, model.provider),
        (semconv.RESPONSE_MODEL, model.name),
        (semconv.REQUEST_MODEL, model.name),
        (semconv.SERVER_ADDRESS, model.address),
        (semconv.SERVER_PORT, str(model.port)),
    )


def _one(metric: Metric, labels: Labels, at: Ints) -> Added:
    return Added(metric, labels, at, np.ones(len(at), dtype=np.int64))
