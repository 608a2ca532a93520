"""What a thousand answers cost: ragmeter measures LLM and retrieval spend on live traffic, on OpenTelemetry.

One call, `ragmeter.instrument()`, wraps the LLM and vector-database clients of an app. Nothing is imported before
the app imports it, and no call of the app is changed, delayed or broken; only while the process exits may a request of
another thread wait up to a second for the last export.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ragmeter.run_report import Report
    from ragmeter.runtime import Runtime
    from ragmeter.settings import SettingsArguments
    from ragmeter.status_report import Status
    from ragmeter.wrapping.scopes import QueryScope

__all__ = ["context", "flush", "instrument", "label", "query", "report", "status", "uninstrument"]

_running: list[Runtime] = []
"""The one running ragmeter, or nothing."""
_changing = threading.Lock()


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    **settings: Unpack[SettingsArguments],
) -> None:
    """Wrap the app's LLM and vector-database clients.

    A second call changes nothing; if its settings differ, one line in the log says in which.

    Telemetry goes to `tracer_provider` and `meter_provider`; without them to the app's global providers; without those
    metrics go to OTLP if an OTLP endpoint is configured, else to a page for Prometheus (`prometheus_host`,
    `prometheus_port`).

    The environment variable beside a setting's name also sets it; the argument overrides the variable. A value that
    cannot be used raises `ragmeter.settings.SettingsError`, whose message says what to write instead.
    """
    from ragmeter.runtime import Runtime
    from ragmeter.settings import read_settings
    from ragmeter.telemetry.otel_environment import is_disabled

    chosen = read_settings(settings)
    if is_disabled(os.environ):
        return
    with _changing:
        if _running:
            _running[0].say_differences(chosen, tracer_provider, meter_provider)
        elif chosen.enabled:
            runtime = Runtime(chosen, tracer_provider, meter_provider)
            runtime.start()
            _running.append(runtime)


if not TYPE_CHECKING:
    # What `help()` shows of the settings takes longer to import than all the rest: it waits until somebody asks.
    _without_settings = globals().pop("instrument")

    def __getattr__(name: str) -> Any:
        if name != "instrument":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ragmeter.settings import shows_settings

        return globals().setdefault(name, shows_settings(_without_settings))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


def uninstrument() -> None:
    """Put the clients back as they were, and export what was measured so far."""
    with _changing:
        if _running:
            _running.pop().stop()


def query(strategy: str | None = None, *, name: str | None = None, **labels: Any) -> QueryScope:
    """A scope for one user query: `with ragmeter.query(team="search"): …`, also `async with`.

    Every call inside is charged to it. `strategy` overrides the one that ragmeter derives. Before `instrument()` the
    scope does nothing.
    """
    from ragmeter.wrapping.scopes import QueryScope

    return _running[0].query(strategy, name, labels) if _running else QueryScope(None, None, strategy, name, {})


def label(**labels: Any) -> None:
    """Set declared labels on the current query; without a query, on everything that follows in this context."""
    for runtime in _running:
        runtime.label(labels)


def context(chunks: Sequence[Any], *, collection: str | None = None) -> None:
    """Report retrieval that no client shows: an HTTP search, a file, a cache. Best rank first.

    Each of `chunks` is a text, or a mapping or object with its text under a usual name (`text`, `page_content`,
    `content`, ...), perhaps with `id` and `score`; documents of LangChain, LlamaIndex and Haystack are such objects.
    The chunks belong to the current query, and are found in prompts like those of any database. Nothing is raised.
    """
    for runtime in _running:
        runtime.context(chunks, collection)


def flush(timeout: float = 5.0) -> bool:
    """Account for every finished call and hand it to the exporters; false if `timeout` seconds were not enough.

    Short-lived processes need it. A query that is still inside its scope or root span stays open.
    """
    return _running[0].flush(timeout) if _running else True


def report() -> Report:
    """What this process has spent so far, and on what: the figures that its metrics have at this moment.

    `print()` shows a table, and so does a notebook. Nothing is waited for or exported: calls of the last 100 ms may be
    missing, and so is a query that is still open; call `flush()` before for the first. How long searches take is known
    where ragmeter serves the metrics page itself.
    """
    from ragmeter.run_report import inactive_report

    return _running[0].report() if _running else inactive_report()


def status() -> Status:
    """What is wrapped, in which versions, which other tools wrap the same clients, and what has no price."""
    from ragmeter.status_report import inactive_status

    return _running[0].status() if _running else inactive_status()
