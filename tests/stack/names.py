"""The Prometheus names that the project promises: its dashboards, rules and documents use them."""

from __future__ import annotations

from ragmeter.naming.semconv import (
    DISTRIBUTIONS,
    INTERNAL_ERRORS,
    LABELS_OVERFLOWED,
    LATEST,
    LATEST_TOTALS,
    OVERFLOWED,
    RELEASED,
    TOTALS,
    Metric,
)

METRICS: tuple[Metric, ...] = tuple(dict.fromkeys((*TOTALS, *DISTRIBUTIONS, *RELEASED, *LATEST, *LATEST_TOTALS)))
"""Every instrument of every profile, once."""

NEEDS_A_FAULT = (INTERNAL_ERRORS, LABELS_OVERFLOWED, OVERFLOWED)
"""Metrics that an app in good health never has."""

PROMISED = {
    "ragmeter.queries": "ragmeter_queries_total",
    "ragmeter.cost.usd": "ragmeter_cost_usd_total",
    "ragmeter.tokens": "ragmeter_tokens_total",
    "ragmeter.operations": "ragmeter_operations_total",
    "ragmeter.context.tokens": "ragmeter_context_tokens_total",
    "ragmeter.context.cost.usd": "ragmeter_context_cost_usd_total",
    "ragmeter.context.stale.tokens": "ragmeter_context_stale_tokens_total",
    "ragmeter.chunks": "ragmeter_chunks_total",
    "ragmeter.chunks.cited": "ragmeter_chunks_cited_total",
    "ragmeter.search.empty": "ragmeter_search_empty_total",
    "ragmeter.search.score.negative": "ragmeter_search_score_negative_total",
    "ragmeter.internal.errors": "ragmeter_internal_errors_total",
    "ragmeter.overflowed": "ragmeter_overflowed_total",
    "ragmeter.labels.overflowed": "ragmeter_labels_overflowed_total",
    "ragmeter.queue.operations": "ragmeter_queue_operations",
    "ragmeter.clients": "ragmeter_clients",
    "ragmeter.query.duration": "ragmeter_query_duration_seconds",
    "ragmeter.query.cost.usd": "ragmeter_query_cost_usd",
    "ragmeter.prompt.tokens": "ragmeter_prompt_tokens",
    "ragmeter.context.share": "ragmeter_context_share",
    "ragmeter.chunk.used.rank": "ragmeter_chunk_used_rank",
    "ragmeter.search.duration": "ragmeter_search_duration_seconds",
    "ragmeter.search.results": "ragmeter_search_results",
    "ragmeter.search.score": "ragmeter_search_score",
    "ragmeter.search.share": "ragmeter_search_share",
    "gen_ai.client.token.usage": "gen_ai_client_token_usage",
    "gen_ai.client.operation.duration": "gen_ai_client_operation_duration_seconds",
    "gen_ai.client.operation.time_to_first_chunk": "gen_ai_client_operation_time_to_first_chunk_seconds",
    "gen_ai.client.inference.duration": "gen_ai_client_inference_duration_seconds",
    "gen_ai.client.inference.time_to_first_chunk": "gen_ai_client_inference_time_to_first_chunk_seconds",
    "gen_ai.client.inference.usage.input_tokens": "gen_ai_client_inference_usage_input_tokens_total",
    "gen_ai.client.inference.usage.output_tokens": "gen_ai_client_inference_usage_output_tokens_total",
    "gen_ai.client.inference.usage.cache_read.input_tokens": (
        "gen_ai_client_inference_usage_cache_read_input_tokens_total"
    ),
    "gen_ai.client.inference.usage.cache_write.input_tokens": (
        "gen_ai_client_inference_usage_cache_write_input_tokens_total"
    ),
    "gen_ai.client.inference.usage.reasoning.output_tokens": (
        "gen_ai_client_inference_usage_reasoning_output_tokens_total"
    ),
    "db.client.operation.duration": "db_client_operation_duration_seconds",
}
"""OpenTelemetry name -> Prometheus name; a histogram's is the stem of its _bucket, _sum and _count."""


def series_names(metric: Metric) -> frozenset[str]:
    """The names of the series that one instrument becomes in Prometheus."""
    name = PROMISED[metric.name]
    return frozenset(f"{name}{ending}" for ending in (("_bucket", "_sum", "_count") if metric.buckets else ("",)))
