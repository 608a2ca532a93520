"""What a thousand answers cost: ragmeter measures LLM and retrieval spend on live traffic, on OpenTelemetry.

One call, `ragmeter.instrument()`, wraps the LLM and vector-database clients of an app. Nothing is imported before
the app imports it, and no call of the app is changed, delayed or broken.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ragmeter.runtime import Runtime
    from ragmeter.status_report import Status
    from ragmeter.wrapping.scopes import QueryScope

__all__ = ["context", "flush", "instrument", "label", "query", "status", "uninstrument"]

_running: list[Runtime] = []
"""The one running ragmeter, or nothing."""
_changing = threading.Lock()


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    service_name: str | None = None,
    labels: Iterable[str] | None = None,
    prices: Mapping[str, Mapping[str, float] | str] | str | PathLike[str] | None = None,
    builtin_prices: bool | None = None,
    fine_tuned: Iterable[str] | None = None,
    capture_content: bool | None = None,
    capture_chunks: bool | None = None,
    exact_tokens: bool | None = None,
    tenant_label: str | None = None,
    only: Iterable[str] | None = None,
    skip: Iterable[str] | None = None,
    providers: Mapping[str, str] | None = None,
    stream_usage: bool | None = None,
    profile: str | None = None,
    max_label_values: int | None = None,
    prometheus_host: str | None = None,
    prometheus_port: int | None = None,
) -> None:
    """Wrap the app's LLM and vector-database clients. A second call changes nothing, and says so where it differs.

    Everything may also be set by the environment, see `ragmeter.settings.VARIABLES`; a value that cannot be used raises
    `ragmeter.settings.SettingsError`.

    `tracer_provider`, `meter_provider`: where telemetry goes; else the app's global providers; else, for metrics, OTLP
    when an OTLP endpoint is configured and a Prometheus endpoint on `prometheus_host`:`prometheus_port` otherwise.
    `labels`: names of the app's own metric labels, set with `ragmeter.label()`; at most `max_label_values` values each.
    `prices`: US dollars per million tokens by model, or the model a deployment stands for, or a TOML or JSON file of
    these. `builtin_prices=False` uses no others. `fine_tuned`: names of models that are fine-tuned though their id does
    not tell. `providers`: the provider behind a gateway's host name. `only`, `skip`: integrations by name.
    `stream_usage`: ask OpenAI-shaped servers for usage in streams, and hide the extra chunk from the app.
    `exact_tokens`: count the tokens of OpenAI's models instead of weighing texts; on where `ragmeter[exact]` is there.
    `tenant_label`: the declared label that names a tenant, whose retrieved texts are never looked for in the prompts of
    another. `capture_chunks`: put each chunk's id, fate, rank and tokens on spans. `capture_content`: put messages on
    spans. `profile`: generation of the standard metrics, `released`, `latest` or
    `both`.
    """
    from ragmeter.runtime import Runtime
    from ragmeter.settings import read_settings
    from ragmeter.telemetry.otel_environment import is_disabled

    settings = read_settings(
        {
            "service_name": service_name,
            "labels": _listed(labels),
            "prices": prices,
            "builtin_prices": builtin_prices,
            "fine_tuned": _listed(fine_tuned),
            "capture_content": capture_content,
            "capture_chunks": capture_chunks,
            "exact_tokens": exact_tokens,
            "tenant_label": tenant_label,
            "only": _listed(only),
            "skip": _listed(skip),
            "providers": providers,
            "stream_usage": stream_usage,
            "profile": profile,
            "max_label_values": max_label_values,
            "prometheus_host": prometheus_host,
            "prometheus_port": prometheus_port,
        }
    )
    if is_disabled(os.environ):
        return
    with _changing:
        if _running:
            _running[0].say_differences(settings, tracer_provider, meter_provider)
        else:
            runtime = Runtime(settings, tracer_provider, meter_provider)
            runtime.start()
            _running.append(runtime)


def uninstrument() -> None:
    """Put the clients back as they were. What was measured so far is handed over."""
    with _changing:
        if _running:
            _running.pop().stop()


def query(strategy: str | None = None, *, name: str | None = None, **labels: Any) -> QueryScope:
    """A scope for one user query: `with ragmeter.query(team="search"): …`, also `async with`.

    Everything called inside is charged to it. `strategy` overrides what ragmeter derives. Before `instrument()` it
    does nothing.
    """
    from ragmeter.wrapping.scopes import QueryScope

    return _running[0].query(strategy, name, labels) if _running else QueryScope(None, None, strategy, name, {})


def label(**labels: Any) -> None:
    """Set declared labels on the current query, or where there is none on what follows in this context."""
    for runtime in _running:
        runtime.label(labels)


def context(chunks: Iterable[Any], *, collection: str | None = None) -> None:
    """Tell of retrieval that no client shows: an HTTP search, a file, a cache. Best rank first.

    Each of `chunks` is a text, or a mapping or object with its text under a usual name (`text`, `page_content`,
    `content`, ...), perhaps with `id` and `score`; documents of LangChain, LlamaIndex and Haystack are such objects.
    They belong to the current query, and are found in prompts like those of any database. Nothing is raised.
    """
    for runtime in _running:
        runtime.context(chunks, collection)


def flush(timeout: float = 5.0) -> bool:
    """Account for every finished call and hand it to the exporters; false when `timeout` seconds were not enough.

    For short-lived processes. A query that is still inside its scope or root span stays open.
    """
    return _running[0].flush(timeout) if _running else True


def status() -> Status:
    """What is patched, in which versions, what is foreign and what has no price."""
    from ragmeter.status_report import inactive_status

    return _running[0].status() if _running else inactive_status()


def _listed(names: Iterable[str] | None) -> Any:
    return names if names is None or isinstance(names, str) else list(names)
