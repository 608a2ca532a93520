#!/usr/bin/env bash
# opentelemetry-instrumentation-openai 0.62.4: a call of the Responses API counts in no metric, neither tokens nor duration, where
# a chat counts in both. A dashboard over gen_ai.client.token.usage falls towards zero while an app moves to Responses. With
# `with_raw_response`, as LangChain calls it, there is no span either.
#
# Seen: the same 1100 tokens are in the metric for chat, and in a span only for Responses; as a raw response they are in neither.
# Fails when a call of Responses is in the metric, or a raw one has a span.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openai==3.57.0 httpx2==2.16.2 opentelemetry-sdk==1.45.2 opentelemetry-instrumentation-openai==0.62.4
"$folder/venv/bin/python" - <<'PROGRAM'
import httpx2
import openai
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

WATCHED = ("gen_ai.client.token.usage", "gen_ai.client.operation.duration")
text = {"type": "output_text", "text": "Hello", "annotations": []}
RESPONSE = {
    "id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o", "parallel_tool_calls": True,
    "tool_choice": "auto", "tools": [],
    "output": [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [text]}],
    "usage": {
        "input_tokens": 1000, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 100,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1100,
    },
}
CHAT = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


def answer(request):
    return httpx2.Response(200, json=RESPONSE if request.url.path.endswith("/responses") else CHAT)


spans, reader, traces = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
traces.add_span_processor(SimpleSpanProcessor(spans))
OpenAIInstrumentor().instrument(tracer_provider=traces, meter_provider=MeterProvider([reader]))
client = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)), max_retries=0)


def told():
    """The tokens in each span so far, and for each metric the number and sum of what it was given."""
    in_spans = [span.attributes.get("gen_ai.usage.total_tokens") for span in spans.get_finished_spans()]
    metrics = [m for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    histograms = {m.name: m.data.data_points for m in metrics if m.name in WATCHED}
    sums = {name: (sum(p.count for p in points), sum(p.sum for p in points)) for name, points in histograms.items()}
    return in_spans, sums


client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
after_chat = told()
client.responses.create(model="gpt-4o", input="Hi")
after_response = told()
client.responses.with_raw_response.create(model="gpt-4o", input="Hi")
after_raw = told()
print("chat:", after_chat, "\nand a response:", after_response, "\nand a raw one:", after_raw)
assert after_chat[0] == [1100] and after_chat[1]["gen_ai.client.token.usage"] == (2, 1100)
assert after_response[0] == [1100, 1100] and after_response[1] == after_chat[1], "a response is in a metric: this has changed"
assert after_raw == after_response, "a raw response is seen: this has changed"
print("still so: what the Responses API costs is in no metric")
PROGRAM
