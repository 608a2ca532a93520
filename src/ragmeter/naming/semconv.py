"""Every name, unit, bucket set and description on the wire. The only place where they are written.

`gen_ai.*` as semantic-conventions v1.41.1 and the metrics it released; the constants package has all of them
deprecated, so they are written here. `db.*`, `error.*` and `server.*` are stable.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SCOPE = "ragmeter"

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_PARAMETER = "gen_ai.request."
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
AUDIO_INPUT_TOKENS = "gen_ai.usage.audio.input_tokens"
AUDIO_OUTPUT_TOKENS = "gen_ai.usage.audio.output_tokens"
IMAGE_INPUT_TOKENS = "gen_ai.usage.image.input_tokens"
USAGE = {
    "input_tokens": INPUT_TOKENS,
    "output_tokens": OUTPUT_TOKENS,
    "cache_read_tokens": CACHE_READ_TOKENS,
    "cache_write_tokens": CACHE_WRITE_TOKENS,
    "reasoning_tokens": REASONING_TOKENS,
    "audio_input_tokens": AUDIO_INPUT_TOKENS,
    "audio_output_tokens": AUDIO_OUTPUT_TOKENS,
    "image_input_tokens": IMAGE_INPUT_TOKENS,
}
"""Counts of `Usage`, and the span attribute of each."""
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOKEN_TYPE = "gen_ai.token.type"
TOKEN_MODALITY = "gen_ai.token.modality"

ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
DB_SYSTEM = "db.system.name"
DB_COLLECTION = "db.collection.name"
DB_OPERATION = "db.operation.name"
DB_ROWS = "db.response.returned_rows"

STRATEGY = "ragmeter.strategy"
PART = "ragmeter.part"
TOKEN_RATE = "ragmeter.token.rate"
PRICE_STATE = "ragmeter.price.state"
PLACE = "ragmeter.place"
COST_AMOUNT = "ragmeter.cost.amount"
COST_CURRENCY = "ragmeter.cost.currency"
COST_SOURCE = "ragmeter.cost.source"
PRICE_ROW = "ragmeter.price.row"
TOKENS_ESTIMATED = "ragmeter.tokens.estimated"
SERVICE_TIER = "ragmeter.service_tier"
UNITS_OF = "ragmeter.units."
PART_TOKENS = "ragmeter.tokens."
CHUNK_FATE = "ragmeter.chunk.fate"
CONTEXT_CHUNKS = "ragmeter.context.chunks"
CONTEXT_CHUNKS_OF = "ragmeter.context.chunks."
CONTEXT_TOKENS_OF = "ragmeter.context.tokens."
CONTEXT_CITED = "ragmeter.context.cited"
CONTEXT_STALE = "ragmeter.context.stale_tokens"
CONTEXT_SHARE_OF_INPUT = "ragmeter.context.share"
LAST_USED_RANK = "ragmeter.context.last_used_rank"
CHUNK_IDS = "ragmeter.chunk.ids"
CHUNK_FATES = "ragmeter.chunk.fates"
CHUNK_RANKS = "ragmeter.chunk.ranks"
CHUNK_TOKENS = "ragmeter.chunk.tokens"
BLOAT_FACTOR = "ragmeter.bloat_factor"
TOP_K = "ragmeter.search.top_k"
TOP_SCORE = "ragmeter.search.top_score"
SCORE_ORDER = "ragmeter.score.order"
QUERY_OPERATIONS = "ragmeter.query.operations"
QUERY_NAME = "ragmeter.query.name"
LABEL = "ragmeter.label"
CLIENT = "ragmeter.client"
CLIENT_VERSION = "ragmeter.client.version"
CLIENT_RANGE = "ragmeter.client.range"

LABELS = (
    *(OPERATION_NAME, PROVIDER_NAME, REQUEST_MODEL, RESPONSE_MODEL, TOKEN_TYPE, TOKEN_MODALITY, ERROR_TYPE),
    *(SERVER_ADDRESS, SERVER_PORT, DB_SYSTEM, DB_COLLECTION, DB_OPERATION),
)
"""Attributes of metrics that are named by the conventions; those of ours all begin with `ragmeter.`."""

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Buckets of the conventions' duration metrics (D14)."""
DB_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
TOKENS = tuple(float(4**power) for power in range(14))
"""Buckets of the conventions' token metrics (T14)."""
DOLLARS = (1e-6, *(float(f"{step}e{power}") for power in range(-5, 1) for step in (1, 2, 3, 5)), 10.0)
"""One LLM call costs from a millionth of a dollar to some dollars."""
PROMPT_SIZES = (
    *(20.0, 50.0, 100.0, 200.0, 300.0, 500.0, 750.0),
    *(1e3 * step for step in (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024)),
)
"""Finer than the conventions' set, whose steps are fourfold: percentiles of a prompt's size are read from these."""
SEARCH_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0),
)
"""Finer than the conventions' set for databases, for the same reason."""
FRACTIONS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
RANKS = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
COUNTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
SCORES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Similarities, distances and keyword scores alike. None below zero: Prometheus then has no sum and no count, and the
SDK takes no value below zero."""
QUERY_SECONDS = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    1.0,
    1.5,
    2.0,
    3.0,
    5.0,
    8.0,
    13.0,
    21.0,
    34.0,
    60.0,
    120.0,
)
"""Finer than the conventions' set: percentiles of an answer's time are read from these."""


class ScoreOrder(StrEnum):
    """What of a score is nearer to the question: the values of `ragmeter.score.order`."""

    HIGHER = "higher_is_nearer"
    LOWER = "lower_is_nearer"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What an instrument measures: a total that grows, a state, or a distribution."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One instrument; `buckets` makes it a histogram, without them it is a counter of totals unless it is a gauge."""

    name: str
    unit: str
    description: str
    buckets: tuple[float, ...] = ()
    is_gauge: bool = False

    @property
    def kind(self) -> Kind:
        """What it measures."""
        if self.buckets:
            return Kind.HISTOGRAM
        return Kind.GAUGE if self.is_gauge else Kind.COUNTER


QUERIES = Metric("ragmeter.queries", "{query}", "User queries answered, also those that failed for good")
COST = Metric("ragmeter.cost.usd", "{USD}", "Cost of all operations by the part of the prompt or answer it went to")
PART_TOKEN_COUNT = Metric("ragmeter.tokens", "{token}", "Tokens by the part of the prompt or answer they belong to")
OPERATIONS = Metric("ragmeter.operations", "{operation}", "Calls to models and vector databases")
CONTEXT_TOKENS = Metric("ragmeter.context.tokens", "{token}", "Input tokens of retrieved text by what became of it")
CONTEXT_COST = Metric("ragmeter.context.cost.usd", "{USD}", "Cost of retrieved text in prompts by what became of it")
STALE_TOKENS = Metric(
    "ragmeter.context.stale.tokens", "{token}", "Input tokens of retrieved text that stands in earlier turns"
)
CHUNKS = Metric("ragmeter.chunks", "{chunk}", "Places of retrieved chunks in prompts, and chunks that reached none")
CITED_CHUNKS = Metric("ragmeter.chunks.cited", "{chunk}", "Chunks that a marker in the answer names")
SEARCH_EMPTY = Metric("ragmeter.search.empty", "{search}", "Searches that returned nothing")
NEGATIVE_SCORES = Metric(
    "ragmeter.search.score.negative",
    "{score}",
    "How far below zero best scores were; their distribution has 0 for them",
)
INTERNAL_ERRORS = Metric("ragmeter.internal.errors", "{error}", "Failures inside ragmeter, which the app does not see")
OVERFLOWED = Metric(
    "ragmeter.overflowed", "{operation}", "Operations recorded without anatomy because the queue was full"
)
LABELS_OVERFLOWED = Metric(
    "ragmeter.labels.overflowed", "{value}", "Label values counted under `other` because their label was full"
)
QUEUED = Metric("ragmeter.queue.operations", "{operation}", "Operations that wait to be accounted for", is_gauge=True)
CLIENTS = Metric("ragmeter.clients", "{client}", "Client libraries that are wrapped in this process", is_gauge=True)
TOTALS = (
    QUERIES,
    COST,
    PART_TOKEN_COUNT,
    OPERATIONS,
    CONTEXT_TOKENS,
    CONTEXT_COST,
    STALE_TOKENS,
    CHUNKS,
    CITED_CHUNKS,
    SEARCH_EMPTY,
    NEGATIVE_SCORES,
    INTERNAL_ERRORS,
    OVERFLOWED,
    LABELS_OVERFLOWED,
    QUEUED,
    CLIENTS,
)
"""What is read when metrics are collected: totals, and the state of ragmeter itself."""

QUERY_DURATION = Metric("ragmeter.query.duration", "s", "Time from the start of a query to its end", QUERY_SECONDS)
QUERY_COST = Metric("ragmeter.query.cost.usd", "{USD}", "Cost of one query, all its operations together", DOLLARS)
PROMPT_TOKENS = Metric("ragmeter.prompt.tokens", "{token}", "Input tokens of one inference", PROMPT_SIZES)
CONTEXT_SHARE = Metric(
    "ragmeter.context.share", "{fraction}", "Share of an inference's input tokens that is retrieved text", FRACTIONS
)
USED_RANK = Metric(
    "ragmeter.chunk.used.rank", "{rank}", "Rank in its retrieval, from 1, of a chunk that the answer used", RANKS
)
SEARCH_DURATION = Metric("ragmeter.search.duration", "s", "Time of one search in a vector database", SEARCH_SECONDS)
SEARCH_RESULTS = Metric("ragmeter.search.results", "{chunk}", "Chunks returned by one search", COUNTS)
SEARCH_SCORE = Metric("ragmeter.search.score", "{score}", "Score or distance of a search's best chunk", SCORES)
SEARCH_SHARE = Metric(
    "ragmeter.search.share", "{fraction}", "Share of a query's duration that was spent searching", FRACTIONS
)
TOKEN_USAGE = Metric("gen_ai.client.token.usage", "{token}", "Tokens of one call as the provider reported them", TOKENS)
DURATION = Metric("gen_ai.client.operation.duration", "s", "Duration of one call", SECONDS)
FIRST_CHUNK = Metric(
    "gen_ai.client.operation.time_to_first_chunk", "s", "Time until the first chunk of a streamed call", SECONDS
)
DB_DURATION = Metric("db.client.operation.duration", "s", "Duration of one database call", DB_SECONDS)
INFERENCE_DURATION = Metric("gen_ai.client.inference.duration", "s", "Duration of one inference", SECONDS)
INFERENCE_FIRST_CHUNK = Metric(
    "gen_ai.client.inference.time_to_first_chunk", "s", "Time until the first chunk of a streamed inference", SECONDS
)
INFERENCE_INPUT = Metric("gen_ai.client.inference.usage.input_tokens", "{token}", "Input tokens, cached ones included")
INFERENCE_OUTPUT = Metric("gen_ai.client.inference.usage.output_tokens", "{token}", "Output tokens, reasoning included")
INFERENCE_CACHE_READ = Metric(
    "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", "Input tokens read from a cache"
)
INFERENCE_CACHE_WRITE = Metric(
    "gen_ai.client.inference.usage.cache_write.input_tokens", "{token}", "Input tokens written to a cache"
)
INFERENCE_REASONING = Metric(
    "gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", "Output tokens spent on reasoning"
)
DISTRIBUTIONS = (
    QUERY_DURATION,
    QUERY_COST,
    PROMPT_TOKENS,
    CONTEXT_SHARE,
    USED_RANK,
    SEARCH_DURATION,
    SEARCH_RESULTS,
    SEARCH_SCORE,
    SEARCH_SHARE,
)
RELEASED = (TOKEN_USAGE, DURATION, FIRST_CHUNK, DB_DURATION)
LATEST = (DURATION, INFERENCE_DURATION, INFERENCE_FIRST_CHUNK, DB_DURATION)
LATEST_TOTALS = (INFERENCE_INPUT, INFERENCE_OUTPUT, INFERENCE_CACHE_READ, INFERENCE_CACHE_WRITE, INFERENCE_REASONING)
