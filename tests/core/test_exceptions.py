"""A failed call is a log record as well, where the app has a logger provider."""

from __future__ import annotations

import inspect

import openai
import pytest
from opentelemetry import _logs
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs import export
from qdrant_client import QdrantClient

from wire import Wire, whole

if "event_name" not in inspect.signature(_logs.Logger.emit).parameters:
    pytest.skip("this release's loggers take no events", allow_module_level=True)


@pytest.fixture
def logged(monkeypatch):
    """The records of a logger provider that the app has set."""
    exporter = export.InMemoryLogRecordExporter()
    provider = sdk.LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER", provider)
    return lambda: [each.log_record for each in exporter.get_finished_logs()]


def test_a_refused_call_is_an_event(seen, logged):
    """The exception of a model's call is one event, on the call's span, with its name and without its message."""
    with Wire(whole({"error": {"message": "SECRET"}}, 400)) as wire:
        client = openai.OpenAI(base_url=wire.url, api_key="key", max_retries=0)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "SECRET"}])
    (span,) = seen.spans()
    (record,) = logged()
    assert record.event_name == "gen_ai.client.operation.exception"
    assert record.severity_number is _logs.SeverityNumber.WARN
    assert (record.span_id, record.timestamp) == (span.context.span_id, span.end_time)
    assert dict(record.attributes) == {
        "exception.type": "openai.BadRequestError",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "127.0.0.1",
        "gen_ai.request.model": "gpt-4o-mini",
    }
    assert record.body is None


def test_a_refused_search_is_an_event(seen, logged):
    """So is that of a search, under the name that databases have for it."""
    with pytest.raises(ValueError, match="missing"):
        QdrantClient(":memory:").query_points("missing", query=[0.0, 1.0])
    assert seen.spans()
    (record,) = logged()
    assert record.event_name == "db.client.operation.exception"
    assert dict(record.attributes) == {
        "exception.type": "ValueError",
        "db.system.name": "qdrant",
        "db.operation.name": "query_points",
    }


def test_a_call_that_succeeds_is_no_event(seen, logged):
    """Nothing is logged of a call that gives an answer."""
    with Wire(whole({"model": "m", "choices": []})) as wire:
        openai.OpenAI(base_url=wire.url, api_key="key").chat.completions.create(model="m", messages=[])
    assert seen.spans()
    assert logged() == []
