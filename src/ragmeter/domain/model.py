"""The domain's data: frozen, standard library only, made by readers and passed one way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ragmeter.domain.pausing import Pause, hash_of, without_pause


class OperationKind(StrEnum):
    """What one call to a client does; the value is its `gen_ai.operation.name`. `KINDS` says what each means."""

    CHAT = "chat"
    TEXT_COMPLETION = "text_completion"
    EMBEDDINGS = "embeddings"
    SEARCH = "search"
    RERANK = "rerank"
    INGESTION = "ingestion"

    # That of a text, which it is: an enumeration's own is a call of Python's at each look into a table.
    __hash__ = str.__hash__

    @property
    def means(self) -> Meaning:
        """All that its kind says of an operation."""
        return KINDS[self]

    @property
    def is_inference(self) -> bool:
        """Whether a model writes an answer: only these make a query, and only their prompt is taken apart."""
        return KINDS[self].part is None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind of operation means to everything that asks for it.

    `part` is what all its tokens and money are posted under, `None` for an inference, which has those of its prompt and
    answer. `is_retrieval` says that it is done to find what a prompt is filled with, `ranks` that it puts in order what
    was found before. A call `of_database` has the attributes of one, and costs nothing where it counts nothing: a
    database is paid by the month. `has_texts` says that tokens can be told from the texts of an operation, `embeds`
    that these are turned into vectors: a question's, or documents' on their way into an index, which is all that one
    that `ingests` is for. `family` says in which others it may be the same request again.
    """

    family: str
    part: str | None = None
    is_retrieval: bool = False
    of_database: bool = False
    has_texts: bool = True
    ranks: bool = False
    embeds: bool = False
    ingests: bool = False

    @property
    def searches(self) -> bool:
        """Whether a database is asked for chunks."""
        return self.is_retrieval and self.of_database


KINDS = {
    OperationKind.CHAT: Meaning("inference"),
    OperationKind.TEXT_COMPLETION: Meaning("inference"),
    OperationKind.EMBEDDINGS: Meaning("embeddings", "embedding", is_retrieval=True, embeds=True),
    OperationKind.SEARCH: Meaning("search", "search", is_retrieval=True, of_database=True, has_texts=False),
    OperationKind.RERANK: Meaning("rerank", "rerank", is_retrieval=True, has_texts=False, ranks=True),
    OperationKind.INGESTION: Meaning("ingestion", "ingestion", of_database=True, has_texts=False, ingests=True),
}
"""What each kind of operation means. Ingestion brings documents into an index: it is no retrieval, and makes no query.
"""


class Origin(StrEnum):
    """Where a prompt token came from."""

    SYSTEM = "system"
    TOOLS = "tools"
    HISTORY = "history"
    CONTEXT = "context"
    TOOL_RESULTS = "tool_results"
    QUESTION = "question"
    OTHER = "other"


class Fate(StrEnum):
    """What became of a retrieved chunk.

    `UNUSED` was sent and the answer does not draw on it; `REPEATED` was sent although it already stood in the prompt or
    was sent with an earlier turn; `UNSENT` never reached a prompt; `UNKNOWN` was sent, and the answer does not tell.
    """

    USED = "used"
    UNUSED = "unused"
    REPEATED = "repeated"
    UNSENT = "unsent"
    UNKNOWN = "unknown"


class PriceState(StrEnum):
    """How far a cost can be trusted: unknown is never zero."""

    PRICED = "priced"
    ESTIMATED = "estimated"
    UNPRICED = "unpriced"


class Role(StrEnum):
    """Who wrote a fragment of a prompt, in the words all providers share.

    `DOCUMENT` is a text handed to the provider as a source to answer from: context, whatever was retrieved.
    """

    TOOLS = "tools"
    SYSTEM = "system"
    DOCUMENT = "document"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and billed units of one operation, as the provider reported them; `None` is unknown, not zero.

    `input_tokens` includes cache reads and writes, `output_tokens` includes reasoning, whatever the provider's
    own convention is: readers bring them to this form. `COUNTS` says what each count is a part of. `units` is whatever
    else is billed, by name, and may have a fraction: searches, code, pictures, read units of a database, search units
    of a reranker. A name is that of genai-prices where it has one (`web_searches`, `storage_searches`,
    `code_executions`, `input_audio_seconds`), else the provider's own. `longest_input` is the longest prompt of a call
    that read several, by which prices for long prompts are chosen. `inexact` says that what was billed is not all in
    these counts, or not at the price of the one model: a price from a table is then an estimate.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    total_tokens: int | None = None
    reported_cost: float | None = None
    units: Mapping[str, float] = field(default_factory=dict)
    longest_input: int | None = None
    inexact: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """One count of tokens in a `Usage`: its `field`, and the `unit` that genai-prices, and so a rate card, calls it.

    `part_of` is the field of the count that holds it; `has_own_price` says that whoever counts it prices it by itself:
    reasoning and images mostly cost what text costs.
    """

    field: str
    unit: str
    part_of: str | None = None
    has_own_price: bool = False


COUNTS = (
    Count("input_tokens", "input_tokens", has_own_price=True),
    Count("output_tokens", "output_tokens", has_own_price=True),
    Count("cache_read_tokens", "cache_read_tokens", "input_tokens", has_own_price=True),
    Count("cache_write_tokens", "cache_write_tokens", "input_tokens", has_own_price=True),
    Count("cache_write_1h_tokens", "cache_write_1h_tokens", "cache_write_tokens", has_own_price=True),
    Count("audio_input_tokens", "input_audio_tokens", "input_tokens", has_own_price=True),
    Count("image_input_tokens", "input_image_tokens", "input_tokens"),
    Count("reasoning_tokens", "output_reasoning_tokens", "output_tokens"),
    Count("audio_output_tokens", "output_audio_tokens", "output_tokens", has_own_price=True),
)
"""The counts of tokens that may be a part of another or have a price: each stands after what it is a part of."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One retrieved passage; `document` is its number among the request's documents, where a reranking names it so."""

    text: str
    id: str | None = None
    score: float | None = None
    rank: int = 0
    collection: str | None = None
    document: int | None = None


TextKey = tuple[int, int]
"""What stands for a text that is not kept."""


def key_of(text: str, partition: str = "", pause: Pause = without_pause) -> TextKey:
    """A text by its hash, which Python keys for each process, and its length; equal ones of two partitions differ."""
    return hash((partition, hash_of(text, pause))), len(text)


@dataclass(frozen=True, slots=True)
class KnownChunk:
    """A retrieved passage without its text: `key` stands for the text, `rank` counts from 0.

    `score` is that of the last ranking that gave one; `score_is_distance` says whether less is nearer, `None` that
    nobody knows.
    """

    key: TextKey
    id: str | None = None
    rank: int | None = None
    collection: str | None = None
    score: float | None = None
    score_is_distance: bool | None = None


@dataclass(frozen=True, slots=True)
class PromptFragment:
    """One piece of text of a prompt and who wrote it."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text of a request: readers give tools, system, messages; the worker puts them in the order of the wire.

    `unread` is the origin of what else the provider counts and no text here accounts for: images, audio and files are
    `OTHER`, earlier turns that the provider itself keeps are `HISTORY`; `None` when all of the prompt is here. `tokens`
    is how many were given as numbers, in place of a text.

    `results` are the ids of the tool calls whose results stand after the last question.
    """

    fragments: tuple[PromptFragment, ...] = ()
    unread: Origin | None = None
    tokens: int = 0
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What a call asks for, known before it is made; `provider` is the provider of a model or the name of a database.

    `namespace` is where a database keeps the collection: names from general to specific, joined by `|`.
    `service_tier` and `speed` are what was asked for: what is billed is what was served, where the answer says it.
    """

    kind: OperationKind
    provider: str
    model: str | None = None
    collection: str | None = None
    namespace: str | None = None
    method: str | None = None
    top_k: int | None = None
    streams: bool = False
    server_address: str | None = None
    server_port: int | None = None
    service_tier: str | None = None
    speed: str | None = None


@dataclass(frozen=True, slots=True)
class Within:
    """An operation that a provider has made by itself within a call.

    Such as an embedding or a rerank inside a search, or a round of a loop with the provider's own tools. `usage` is its
    own and no part of the call's; `provider` is `None` for the provider of the call. Its times nobody has said. `texts`
    are what was embedded, where the request tells: tokens that nobody counts are estimated from them.
    """

    kind: OperationKind
    model: str | None = None
    usage: Usage | None = None
    provider: str | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """What a call gave: `text` is the answer's pieces in order, `chunks` what a search returned, in order of rank.

    `reasoning` is what the model wrote for itself before it answered: output that is billed, and no part of the answer.
    `service_tier`, `speed` and `inference_geo` are what was served, which is what is billed, not what was asked for.
    `usage_is_early` says that the counts were given before the answer was complete; `pending` that it is still being
    made in the background, so that its usage is not known yet; `retrieved` that the provider itself put documents into
    the prompt; `unanswered` that what came back is no answer of a model at all, such as a page of a proxy. `told` is
    what the reader of a stream keeps between its pieces, as the provider wrote it, `pieces` how many there were.
    `calls` are the ids of the tool calls it asks the app to make. `within` are the operations that the provider has
    made meanwhile, each of which is counted beside the call; a generator of them is read last, one by one, so that what
    cannot be read of them costs nothing else.

    `found` is how many of `chunks` each question of a batch of searches got, empty for a single question;
    `score_is_distance` whether less is nearer, `None` where only the order of the chunks can tell.
    """

    model: str | None = None
    id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    usage_is_early: bool = False
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    text: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    found: tuple[int, ...] = ()
    score_is_distance: bool | None = None
    retrieved: bool = False
    pending: bool = False
    unanswered: bool = False
    calls: tuple[str, ...] = ()
    within: Iterable[Within] = ()
    told: Any = None
    pieces: int = 0

    def by_question(self) -> Iterator[tuple[Chunk, ...]]:
        """The chunks of each question of a search: of one, or of a batch."""
        start = 0
        for number in self.found or (len(self.chunks),):
            yield self.chunks[start : start + number]
            start += number

    @property
    def goes_on(self) -> bool:
        """Whether the model has not answered yet: it waits for the results of tools, or for its turn to go on."""
        return bool(self.calls) or not UNFINISHED.isdisjoint(self.finish_reasons)


UNFINISHED = frozenset(("tool_calls", "tool_use", "function_call", "pause_turn"))
"""Reasons to stop after which the app is to go on: in chats, in Messages, in the first form of chats, and where the
provider's own tools have run for long."""

Parameter = str | int | float | bool | tuple[str, ...]
"""The value of a request parameter, as spans can hold it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One finished call: `started` in nanoseconds since the epoch, durations in seconds.

    `time_per_output_chunk` is the mean time between the pieces of a stream that was read to its end. `is_refused` says
    that it failed before anything was made that could be charged; `is_within` that its provider has made it within
    another call, whose times stand here for its own, which nobody knows; `shares_request` that it was the provider of
    that call, which is paid for the request once.
    """

    request: Request
    response: Response
    prompt: Prompt
    started: int
    duration: float
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    time_to_first_chunk: float | None = None
    time_per_output_chunk: float | None = None
    error_type: str | None = None
    is_refused: bool = False
    is_within: bool = False
    shares_request: bool = False

    @property
    def model(self) -> str | None:
        """The model that answered, else the one that was asked for."""
        return self.response.model or self.request.model

    @property
    def service_tier(self) -> str | None:
        """The tier that was served, else the one that was asked for."""
        return self.response.service_tier or self.request.service_tier

    @property
    def speed(self) -> str | None:
        """The speed that was served, else the one that was asked for."""
        return self.response.speed or self.request.speed
