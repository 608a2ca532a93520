#!/usr/bin/env bash
# opentelemetry-instrumentation-anthropic 0.62.4: the output tokens of a streamed answer are added up over its events, but each
# event says how many there are so far, and a stream may have several message_delta events ("Event types" in
# https://platform.claude.com/docs/en/build-with-claude/streaming). anthropic's own helper takes the last one. So the span and
# gen_ai.client.token.usage show more than was paid, for streams only. A cure is proposed: https://github.com/traceloop/openllmetry/pull/4377.
#
# Seen: events that say 1 and 100 are 100 tokens for the client and 101 for the instrumentor; 1, 100 and 120 are 120 and 221.
# Fails when both agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    anthropic==2.14.0 httpx2==2.16.2 opentelemetry-sdk==1.45.2 opentelemetry-instrumentation-anthropic==0.62.4
ANTHROPIC_OPEN_TELEMETRY=false "$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import json

import anthropic
import httpx2
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def body(*totals):
    first, *later = totals
    message = {
        "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 50, "output_tokens": first},
    }
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        *({"type": "message_delta", "delta": end, "usage": {"output_tokens": total}} for total in later),
        {"type": "message_stop"},
    ]
    return "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)


def counted(*totals):
    """The output tokens of one stream as the client's helper, the span and the metric have them."""
    spans, reader, traces = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = AnthropicInstrumentor()
    instrumentor.instrument(tracer_provider=traces, meter_provider=MeterProvider([reader]))
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body(*totals).encode())
    transport = httpx2.MockTransport(lambda request: answer)
    client = anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=transport), max_retries=0)
    ask = {"model": "claude-sonnet-4-6", "max_tokens": 200, "messages": [{"role": "user", "content": "Hi"}]}
    with client.messages.stream(**ask) as stream:
        client_says = stream.get_final_message().usage.output_tokens
    instrumentor.uninstrument()
    (span,) = spans.get_finished_spans()
    metrics = [m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    points = [p for m in metrics if m.name == "gen_ai.client.token.usage" for p in m.data.data_points]
    output = sum(p.sum for p in points if p.attributes["gen_ai.token.type"] == "output")
    return client_says, span.attributes["gen_ai.usage.output_tokens"], output


for totals in ((1, 100), (1, 100, 120)):
    client_says, in_span, in_metric = counted(*totals)
    print(f"events say {totals}: client {client_says}, span {in_span}, metric {in_metric}")
    assert client_says == totals[-1]
    assert in_span == in_metric == sum(totals), "this has changed"
print("still so: running totals are added up")
PROGRAM
