"""The calls of a drawn query, as ragmeter's integrations would have read them, with their prompts taken apart. Pure.

The clock of each query begins at zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from numpy.random import Generator

from ragmeter.anatomy.parts import Dissection, JudgedPlace, Segment
from ragmeter.demo.history import shop
from ragmeter.demo.history.cases import Case, Outcome
from ragmeter.demo.history.queries import Answer, Passage, Query, Search, draw
from ragmeter.demo.history.shop import EMBEDDING, Collection, Model, Stream
from ragmeter.domain.model import (
    Chunk,
    KnownChunk,
    Operation,
    OperationKind,
    Origin,
    Prompt,
    PromptFragment,
    Request,
    Response,
    Role,
    Usage,
)
from ragmeter.reading.shapes.fees import FILE_SEARCHES

WORD = "word "
"""About a token: of an answer that was cut short nobody reports the tokens, and they are estimated by its text."""
ONE_TEXT = 1
"""What stands for the key of a text that nobody ever wrote, beside its number."""
SCORE_FALLS = 0.96
"""The score of a chunk, as a share of the one before it."""
NOT_TAKEN_APART = Dissection()


@dataclass(frozen=True, slots=True)
class Call:
    """One finished call: what the anatomy found in its prompt, and the chunks that it retrieved."""

    operation: Operation
    dissection: Dissection = NOT_TAKEN_APART
    chunks: tuple[KnownChunk, ...] = ()

    @property
    def ended(self) -> float:
        """Seconds on the query's clock."""
        return self.operation.started / 1e9 + self.operation.duration


def calls_of(case: Case, number: int, random: Generator) -> list[tuple[Call, ...]]:
    """The calls of so many queries of one kind, drawn at random."""
    return [tuple(_calls(case, query)) for query in draw(case, number, random)]


def embedding(tokens: int, seconds: float, texts: int = 1) -> Call:
    """An embedding of a question, or of the texts of a batch of documents; the texts themselves nobody needs."""
    response = Response(model=EMBEDDING.name, usage=Usage(input_tokens=tokens))
    prompt = Prompt((PromptFragment(Role.USER, ""),) * texts)
    return Call(Operation(_request(OperationKind.EMBEDDINGS, EMBEDDING), response, prompt, 0, seconds))


def _calls(case: Case, query: Query) -> Iterator[Call]:
    stream, at = case.stream, 0.0
    if query.search is not None and stream.collection is not None:
        embedded = embedding(query.question, query.search.embedding_seconds)
        yield embedded
        searched = _search(stream.collection, query.search, embedded.ended, failed=case.outcome is Outcome.FAILED)
        yield searched
        at = searched.ended
    if query.answer is not None:
        yield _inference(case, query, query.answer, at)


def _search(collection: Collection, search: Search, at: float, *, failed: bool) -> Call:
    request = Request(OperationKind.SEARCH, shop.DATABASE, collection=collection.name, method=shop.SEARCH_METHOD)
    # The demo's database compares by cosine.
    response = Response(chunks=_found(search.results, search.score), score_is_distance=False)
    error = shop.SEARCH_ERROR if failed else None
    operation = Operation(request, response, Prompt(), _nanoseconds(at), search.seconds, error_type=error)
    return Call(operation, chunks=_retrieved(collection.name, search.results))


def _inference(case: Case, query: Query, answer: Answer, at: float) -> Call:
    is_refused = case.outcome is Outcome.REFUSED
    comes_in_pieces = case.stream.streamed and not is_refused
    best = None if query.search is None else query.search.score
    dissection = _dissection(case.stream, query.question, answer, best)
    tokens = sum(int(each.weight) for each in dissection.segments)
    operation = Operation(
        _request(OperationKind.CHAT, case.stream.model, streams=case.stream.streamed),
        _response(case, tokens, answer),
        Prompt(tokens=tokens),
        _nanoseconds(at),
        answer.seconds,
        time_to_first_chunk=answer.first_seconds if comes_in_pieces else None,
        # Of a stream that was left nobody knows when its last piece came.
        time_per_output_chunk=_per_chunk(answer) if comes_in_pieces and case.is_told else None,
        error_type=shop.MODEL_ERROR if is_refused else None,
        is_refused=is_refused,
    )
    return Call(operation, dissection)


def _response(case: Case, tokens: int, answer: Answer) -> Response:
    """What came back; of a stream that was left only its text, for the counts come with its end."""
    if case.outcome is Outcome.REFUSED:
        return Response()
    name = case.stream.model.name
    if case.outcome is Outcome.LEFT:
        return Response(model=name, text=(WORD * answer.output,))
    units = {FILE_SEARCHES: float(answer.file_searches)} if answer.file_searches else {}
    usage = Usage(tokens, answer.output, cache_read_tokens=answer.cached, units=units)
    return Response(model=name, usage=usage)


def _per_chunk(answer: Answer) -> float:
    return (answer.seconds - answer.first_seconds) / max(1, answer.output - 1)


def _dissection(stream: Stream, question: int, answer: Answer, best: float | None) -> Dissection:
    """The prompt as the anatomy takes it apart: retrieved text before the question, `best` is its first score."""
    parts = [Segment(origin, tokens) for origin, tokens in answer.parts]
    context = [Segment(Origin.CONTEXT, each.tokens, place) for place, each in enumerate(answer.passages)]
    places = tuple(_place(stream, each, best) for each in answer.passages)
    return Dissection((*parts, *context, Segment(Origin.QUESTION, question)), places)


def _place(stream: Stream, passage: Passage, best: float | None) -> JudgedPlace:
    collection = None if stream.collection is None else stream.collection.name
    score = None
    if best is not None and passage.rank is not None:
        score = round(best * SCORE_FALLS**passage.rank, 2)
    chunk = _known(collection, passage.rank, score)
    return JudgedPlace(chunk, passage.fate, is_stale=passage.rank is None, is_cited=passage.is_cited)


def _request(kind: OperationKind, model: Model, *, streams: bool = False) -> Request:
    return Request(
        kind,
        model.provider,
        model=model.name,
        streams=streams,
        server_address=model.address,
        server_port=model.port,
    )


def _found(number: int, score: float) -> tuple[Chunk, ...]:
    return (Chunk("", score=score), *[Chunk("")] * (number - 1)) if number else ()


@lru_cache(maxsize=1_024)
def _retrieved(collection: str, number: int) -> tuple[KnownChunk, ...]:
    return tuple(_known(collection, rank) for rank in range(number))


@lru_cache(maxsize=16_384)
def _known(collection: str | None, rank: int | None, score: float | None = None) -> KnownChunk:
    """A chunk; one of an earlier turn, which has no rank, has no score either."""
    key = (-1 if rank is None else rank, ONE_TEXT)
    is_distance = None if score is None else False
    return KnownChunk(key, rank=rank, collection=collection, score=score, score_is_distance=is_distance)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
