"""Names from outside as label values and attributes: whatever text they are, no export breaks and none has no end."""

from __future__ import annotations

import contextlib
import urllib.request

import openai
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from prometheus_client.parser import text_string_to_metric_families

import ragmeter
from ragmeter.domain import gate
from ragmeter.naming import semconv
from ragmeter.telemetry.totals import LabelCaps
from shop import QUESTION, answer
from wire import Wire, whole

TEXTS = {
    "half a surrogate pair": "a\ud800b",
    "quotes and lines": 'a\nb"c\\d{}\u2028',
    "controls": "a\x01\x7f\x1b[31m",
    "long": "x" * 10_000,
    "many bytes": "\N{COLLISION SYMBOL}" * 300,
    "empty": "",
}
OF_CLIENTS = (semconv.CLIENT, semconv.CLIENT_VERSION)
"""Labels with a value for each client that is installed: only so many exist."""

PLACES = ("label", "model", "collection", "query")


def ask(wire, place, text):
    """One query with a text where a name belongs."""
    client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
    with ragmeter.query(text if place == "query" else None, team=text if place == "label" else "team"):
        ragmeter.context([QUESTION * 2], collection=text if place == "collection" else "shop")
        content = f"{QUESTION * 2}\n{QUESTION}"
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": content}])


def server(place, text):
    """A server that answers with a text as its model's name."""

    def answered(asked):
        return whole({**USUAL, "model": text}) if place == "model" else answer(asked)

    return Wire(answered)


USUAL = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Two years."}}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 40},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_can_be_exported(watch, place, text):
    """Spans and metrics of a call with any text for a name can be pushed, and no label value is long."""
    seen = watch(labels=["team"], providers={"127.0.0.1": "openai"})
    with server(place, text) as wire:
        ask(wire, place, text)
    assert encode_spans(seen.spans()).SerializeToString()
    metrics = seen.metrics()
    assert sum(metrics["ragmeter.queries"].values()) == 1
    assert encode_metrics(seen._reader.get_metrics_data()).SerializeToString()
    values = [value for points in metrics.values() for key in points for _, value in key if isinstance(value, str)]
    assert max(map(len, values)) <= gate.LONGEST_NAME


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_can_be_scraped(text):
    """The metrics page is whole after a call with any text for its label, model and collection."""
    ragmeter.instrument(prometheus_port=0, labels=["team"], providers={"127.0.0.1": "openai"})
    try:
        for place in PLACES:
            with server(place, text) as wire:
                ask(wire, place, text)
        assert ragmeter.flush(10)
        with urllib.request.urlopen(ragmeter.status().exporter.partition(" on ")[2]) as page:
            families = list(text_string_to_metric_families(page.read().decode()))
    finally:
        ragmeter.uninstrument()
    samples = [sample for family in families for sample in family.samples]
    assert sum(sample.value for sample in samples if sample.name == "ragmeter_queries_total") == len(PLACES)


def failed_query(error):
    """A query that the app fails with an error of its own making, after its answer."""
    with Wire(answer) as wire, contextlib.suppress(error), ragmeter.query():
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
        raise error


def test_no_label_has_values_without_end(watch):
    """Hosts, errors and models that nobody can foretell are capped like the app's labels, and nothing is lost."""
    seen = watch(max_label_values=3, providers={"127.0.0.1": "openai"})
    for number in range(8):
        with Wire(whole({**USUAL, "model": f"model-{number}"})) as wire:  # each on a port of its own
            client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
            client.chat.completions.create(model=f"asked-{number}", messages=[{"role": "user", "content": "hi"}])
        failed_query(type(f"Error{number}", (Exception,), {}))
    for name, points in seen.metrics().items():
        for label in {label for key in points for label, _ in key} - {semconv.LABEL, *OF_CLIENTS}:
            assert len({dict(key).get(label) for key in points} - {None, "other"}) <= 3, (name, label)
    assert seen.count("gen_ai.client.operation.duration") == seen.total("ragmeter.operations") == 16


def test_a_strategy_that_we_derive_is_never_other():
    """Names that an app makes up without end do not push out the strategies that every board compares."""
    caps = LabelCaps(2, {semconv.STRATEGY: ("base", "rag")})
    assert [caps.bound(semconv.STRATEGY, name) for name in ("mine", "yours", "theirs")] == ["mine", "yours", "other"]
    assert [caps.bound(semconv.STRATEGY, name) for name in ("base", "rag")] == ["base", "rag"]
