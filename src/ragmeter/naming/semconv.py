"""Every name, unit, label, bucket set and description on the wire. The only place where they are written.

`gen_ai.*` as semantic-conventions v1.41.1 and the metrics it released; the constants package has all of them
deprecated, so they are written here. `db.*`, `error.*` and `server.*` are stable.
"""

from __future__ import annotations

from ragmeter.naming.buckets import (
    COUNTS,
    DB_SECONDS,
    DOLLARS,
    FRACTIONS,
    PROMPT_SIZES,
    QUERY_SECONDS,
    RANKS,
    SCORES,
    SEARCH_SECONDS,
    SECONDS,
    TOKENS,
)
from ragmeter.naming.cuts import by_rank, by_score
from ragmeter.naming.metric import Metric, Profile

SCOPE = "ragmeter"

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_PARAMETER = "gen_ai.request."
CONVERSATION_ID = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"
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
EXCEPTION_TYPE = "exception.type"
CALL_EXCEPTION = "gen_ai.client.operation.exception"
DB_EXCEPTION = "db.client.operation.exception"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
DB_SYSTEM = "db.system.name"
DB_COLLECTION = "db.collection.name"
DB_OPERATION = "db.operation.name"
DB_ROWS = "db.response.returned_rows"
DB_NAMESPACE = "db.namespace"
DB_BATCH_SIZE = "db.operation.batch.size"
DB_SUMMARY = "db.query.summary"

STRATEGY = "ragmeter.strategy"
PART = "ragmeter.part"
TOKEN_RATE = "ragmeter.token.rate"
PRICE_STATE = "ragmeter.price.state"
CACHE_ORDER = "ragmeter.cache.order"
STATION = "ragmeter.place"
COST_AMOUNT = "ragmeter.cost.amount"
COST_CURRENCY = "ragmeter.cost.currency"
COST_SOURCE = "ragmeter.cost.source"
PRICE_ROW = "ragmeter.price.row"
TOKENS_ESTIMATED = "ragmeter.tokens.estimated"
SERVICE_TIER = "ragmeter.service_tier"
UNIT = "ragmeter.unit"
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
RANK = "ragmeter.rank"
SCORE = "ragmeter.score"
SQUARES_OF = "ragmeter.squares.of"
QUERY_OPERATIONS = "ragmeter.query.operations"
QUERY_NAME = "ragmeter.query.name"
LABEL = "ragmeter.label"
CLIENT = "ragmeter.client"
CLIENT_VERSION = "ragmeter.client.version"
CLIENT_RANGE = "ragmeter.client.range"

RELEASED_ONLY = (Profile.RELEASED,)
LATEST_ONLY = (Profile.LATEST,)
BOTH_PROFILES = (*RELEASED_ONLY, *LATEST_ONLY)
SERVED = (PROVIDER_NAME, RESPONSE_MODEL)
SEARCHED = (DB_SYSTEM, DB_COLLECTION)
CALL = (OPERATION_NAME, *SERVED, REQUEST_MODEL, SERVER_ADDRESS, SERVER_PORT)
"""Labels that come together."""

QUERIES = Metric(
    "ragmeter.queries", "{query}", "User queries answered, also those that failed for good", (STRATEGY, ERROR_TYPE)
)
COST = Metric(
    "ragmeter.cost.usd",
    "{USD}",
    "Cost of all operations by the part of the prompt or answer it went to",
    (STRATEGY, PART, TOKEN_RATE, PRICE_STATE, *SERVED),
)
PART_TOKEN_COUNT = Metric(
    "ragmeter.tokens",
    "{token}",
    "Tokens by the part of the prompt or answer they belong to",
    (STRATEGY, PART, TOKEN_RATE, *SERVED),
)
OPERATIONS = Metric(
    "ragmeter.operations",
    "{operation}",
    "Calls to models and vector databases",
    (STRATEGY, OPERATION_NAME, PRICE_STATE, *SERVED),
)
UNITS = Metric(
    "ragmeter.units",
    "{unit}",
    "What is billed beside tokens, such as searches, pictures and read units of a database",
    (STRATEGY, UNIT, OPERATION_NAME, *SERVED),
)
CONTEXT_TOKENS = Metric(
    "ragmeter.context.tokens",
    "{token}",
    "Input tokens of retrieved text by what became of it",
    (STRATEGY, CHUNK_FATE, DB_COLLECTION),
)
CONTEXT_COST = Metric(
    "ragmeter.context.cost.usd",
    "{USD}",
    "Cost of retrieved text in prompts by what became of it",
    (STRATEGY, CHUNK_FATE, DB_COLLECTION),
)
STALE_TOKENS = Metric(
    "ragmeter.context.stale.tokens",
    "{token}",
    "Input tokens of retrieved text that stands in earlier turns",
    (STRATEGY, DB_COLLECTION),
)
CHUNKS = Metric(
    "ragmeter.chunks",
    "{chunk}",
    "Places of retrieved chunks in prompts, and chunks that reached none",
    (STRATEGY, CHUNK_FATE, DB_COLLECTION),
)
CITED_CHUNKS = Metric(
    "ragmeter.chunks.cited", "{chunk}", "Chunks that a marker in the answer names", (STRATEGY, DB_COLLECTION)
)
SEARCH_EMPTY = Metric("ragmeter.search.empty", "{search}", "Searches that returned nothing", SEARCHED)
NEGATIVE_SCORES = Metric(
    "ragmeter.search.score.negative",
    "{score}",
    "How far below zero best scores were; their distribution has 0 for them",
    (*SEARCHED, SCORE_ORDER),
)
RANK_CHUNKS, RANK_TOKENS, RANK_COST, RANK_SQUARES = by_rank(DB_COLLECTION, RANK, CHUNK_FATE, SQUARES_OF)
SCORE_USED, SCORE_TOKENS = by_score(DB_COLLECTION, SCORE_ORDER, SCORE)
INTERNAL_ERRORS = Metric(
    "ragmeter.internal.errors",
    "{error}",
    "Failures inside ragmeter, which the app does not see",
    (STATION,),
    of_itself=True,
)
OVERFLOWED = Metric(
    "ragmeter.overflowed",
    "{operation}",
    "Operations recorded without anatomy because the queue was full",
    of_itself=True,
)
LABELS_OVERFLOWED = Metric(
    "ragmeter.labels.overflowed",
    "{value}",
    "Label values counted under `other` because their label was full",
    (LABEL,),
    of_itself=True,
)
UNSCOPED = Metric(
    "ragmeter.queries.unscoped",
    "{query}",
    "Queries that neither a scope nor the span of a request enclosed: their calls were joined by what they say",
    of_itself=True,
)
QUEUED = Metric(
    "ragmeter.queue.operations",
    "{operation}",
    "Operations that wait to be accounted for",
    is_gauge=True,
    of_itself=True,
)
CLIENTS = Metric(
    "ragmeter.clients",
    "{client}",
    "Client libraries that are wrapped in this process",
    (CLIENT, CLIENT_VERSION, CLIENT_RANGE),
    is_gauge=True,
    of_itself=True,
)
QUERY_DURATION = Metric(
    "ragmeter.query.duration",
    "s",
    "Time from the start of a query to its end",
    (STRATEGY, ERROR_TYPE),
    QUERY_SECONDS,
)
QUERY_COST = Metric(
    "ragmeter.query.cost.usd", "{USD}", "Cost of one query, all its operations together", (STRATEGY,), DOLLARS
)
PROMPT_TOKENS = Metric(
    "ragmeter.prompt.tokens", "{token}", "Input tokens of one inference", (STRATEGY, RESPONSE_MODEL), PROMPT_SIZES
)
CONTEXT_SHARE = Metric(
    "ragmeter.context.share",
    "{fraction}",
    "Share of an inference's input tokens that is retrieved text",
    (STRATEGY, RESPONSE_MODEL),
    FRACTIONS,
)
USED_RANK = Metric(
    "ragmeter.chunk.used.rank",
    "{rank}",
    "Rank in its last ranking, from 1, of a chunk that the answer used",
    (STRATEGY, DB_COLLECTION),
    RANKS,
)
SEARCH_DURATION = Metric(
    "ragmeter.search.duration",
    "s",
    "Time of one search in a vector database",
    (*SEARCHED, ERROR_TYPE),
    SEARCH_SECONDS,
)
SEARCH_RESULTS = Metric(
    "ragmeter.search.results",
    "{chunk}",
    "Chunks returned for one question; a batch is one search with several questions",
    SEARCHED,
    COUNTS,
)
SEARCH_SCORE = Metric(
    "ragmeter.search.score",
    "{score}",
    "Score or distance of a question's best chunk",
    (*SEARCHED, SCORE_ORDER),
    SCORES,
)
SEARCH_SHARE = Metric(
    "ragmeter.search.share",
    "{fraction}",
    "Share of a query's duration that was spent searching",
    (STRATEGY,),
    FRACTIONS,
)
TOKEN_USAGE = Metric(
    "gen_ai.client.token.usage",
    "{token}",
    "Tokens of one call as the provider reported them",
    (*CALL, TOKEN_TYPE),
    TOKENS,
    profiles=RELEASED_ONLY,
)
DURATION = Metric(
    "gen_ai.client.operation.duration",
    "s",
    "Duration of one call; in the profile `latest` of embeddings alone",
    (*CALL, ERROR_TYPE),
    SECONDS,
    profiles=BOTH_PROFILES,
)
FIRST_CHUNK = Metric(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Time until the first chunk of a streamed call",
    CALL,
    SECONDS,
    profiles=RELEASED_ONLY,
    field="time_to_first_chunk",
)
TIME_PER_CHUNK = Metric(
    "gen_ai.client.operation.time_per_output_chunk",
    "s",
    "Mean time from one chunk to the next of a streamed call that was read to its end",
    CALL,
    SECONDS,
    profiles=RELEASED_ONLY,
    field="time_per_output_chunk",
)
DB_DURATION = Metric(
    "db.client.operation.duration",
    "s",
    "Duration of one database call",
    (*SEARCHED, DB_NAMESPACE, DB_OPERATION, ERROR_TYPE),
    DB_SECONDS,
    profiles=BOTH_PROFILES,
)


def _latest(
    name: str, unit: str, description: str, *labels: str, buckets: tuple[float, ...] = (), field: str = ""
) -> Metric:
    """A metric of inferences, as the conventions will have them next."""
    name = f"gen_ai.client.inference.{name}"
    return Metric(name, unit, description, (*CALL, *labels), buckets, profiles=LATEST_ONLY, field=field)


INFERENCE_DURATION = _latest("duration", "s", "Duration of one inference", ERROR_TYPE, buckets=SECONDS)
INFERENCE_FIRST_CHUNK = _latest(
    "time_to_first_chunk",
    "s",
    "Time until the first chunk of a streamed inference",
    buckets=SECONDS,
    field="time_to_first_chunk",
)
INFERENCE_TIME_PER_CHUNK = _latest(
    "time_per_output_chunk",
    "s",
    "Mean time from one chunk to the next of a streamed inference that was read to its end",
    buckets=SECONDS,
    field="time_per_output_chunk",
)
INFERENCE_INPUT = _latest("usage.input_tokens", "{token}", "Input tokens, cached ones included", TOKEN_MODALITY)
INFERENCE_OUTPUT = _latest("usage.output_tokens", "{token}", "Output tokens, reasoning included", TOKEN_MODALITY)
INFERENCE_CACHE_READ = _latest(
    "usage.cache_read.input_tokens", "{token}", "Input tokens read from a cache", TOKEN_MODALITY
)
INFERENCE_CACHE_WRITE = _latest(
    "usage.cache_write.input_tokens", "{token}", "Input tokens written to a cache", TOKEN_MODALITY
)
INFERENCE_REASONING = _latest(
    "usage.reasoning.output_tokens", "{token}", "Output tokens spent on reasoning", TOKEN_MODALITY
)
INFERENCE_INPUT_SIZE = _latest(
    "operation.input_tokens", "{token}", "Input tokens of one inference", ERROR_TYPE, buckets=TOKENS
)
INFERENCE_OUTPUT_SIZE = _latest(
    "operation.output_tokens", "{token}", "Output tokens of one inference", ERROR_TYPE, buckets=TOKENS
)
LATEST_USAGE = {
    "input_tokens": INFERENCE_INPUT,
    "output_tokens": INFERENCE_OUTPUT,
    "cache_read_tokens": INFERENCE_CACHE_READ,
    "cache_write_tokens": INFERENCE_CACHE_WRITE,
    "reasoning_tokens": INFERENCE_REASONING,
}
"""Counts of `Usage`, and the total of each."""

MODALITIES = {
    "input_tokens": {"audio": "audio_input_tokens", "image": "image_input_tokens"},
    "output_tokens": {"audio": "audio_output_tokens"},
}
"""Counts of `Usage` that have parts of another modality than text."""

METRICS = tuple(each for each in tuple(globals().values()) if isinstance(each, Metric))
"""Every instrument of every profile, once, in the order in which they stand here."""

LABELS = tuple(
    dict.fromkeys(label for metric in METRICS for label in metric.labels if not label.startswith("ragmeter."))
)
"""Attributes of metrics that are named by the conventions; those of ours all begin with `ragmeter.`."""


def metrics_of(*profiles: Profile) -> tuple[Metric, ...]:
    """The instruments that belong to any of these profiles."""
    return tuple(metric for metric in METRICS if not set(profiles).isdisjoint(metric.profiles))
