"""The environment of programs that the tests start."""

from __future__ import annotations

import os


def environment(**variables: str) -> dict[str, str]:
    """This process' environment with ``variables`` for its telemetry settings, and loud about our errors."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "RAGMETER_"))}
    return {**kept, "RAGMETER_LOUD": "1", **variables}


def push_variables(endpoint: str) -> dict[str, str]:
    """What an operator sets so that metrics are pushed to ``endpoint`` by OTLP over HTTP."""
    return {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
