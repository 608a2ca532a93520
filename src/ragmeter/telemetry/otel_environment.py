"""What OpenTelemetry's environment variables ask of providers that are ours: which exporters, where to, how.

Follows the specification's "OpenTelemetry Environment Variable Specification" and "OTLP Exporter Configuration". Pure:
each function takes the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

DISABLED = "OTEL_SDK_DISABLED"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"

GRPC_PORT, HTTP_PORT = 4317, 4318
NONE = "none"

LEAST_SECRET = 16
"""A part of a path as long as this, of letters and digits, is taken for a key: words of a path are shorter."""


class Signal(StrEnum):
    """A kind of telemetry, as the variables spell it."""

    METRICS = "METRICS"
    TRACES = "TRACES"

    @property
    def endpoint_variable(self) -> str:
        """The variable that names the OTLP endpoint of this kind alone."""
        return f"OTEL_EXPORTER_OTLP_{self}_ENDPOINT"

    @property
    def protocol_variable(self) -> str:
        """The variable that names the OTLP protocol of this kind alone."""
        return f"OTEL_EXPORTER_OTLP_{self}_PROTOCOL"

    @property
    def exporter_variable(self) -> str:
        """The variable that names the exporters of this kind."""
        return f"OTEL_{self}_EXPORTER"


def is_disabled(environment: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry is switched off for the whole process."""
    return environment.get(DISABLED, "").strip().lower() == "true"


def exporters(signal: Signal, environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """The exporters that the environment names for `signal`, `("none",)` for no exporter; `None` where it is silent."""
    names = [name.strip().lower() for name in environment.get(signal.exporter_variable, "").split(",")]
    return tuple(dict.fromkeys(name for name in names if name)) or None


def endpoint(signal: Signal, environment: Mapping[str, str]) -> str | None:
    """The OTLP endpoint that the environment names for one kind of telemetry, or for all."""
    return environment.get(signal.endpoint_variable) or environment.get(ENDPOINT) or None


def protocol(signal: Signal, environment: Mapping[str, str]) -> str:
    """The OTLP protocol as it is named; else the one of the endpoint's port; else `http/protobuf`, as is specified.

    An address without a scheme, such as `collector:55680`, can only be one for gRPC.
    """
    named = environment.get(signal.protocol_variable) or environment.get(PROTOCOL)
    if named:
        return named.strip().lower()
    address = endpoint(signal, environment)
    if address is None:
        return "http/protobuf"
    parts = _parts(address)
    port = None if parts is None else _port(parts)
    without_scheme = parts is not None and not parts.scheme and port != HTTP_PORT
    return "grpc" if port == GRPC_PORT or without_scheme else "http/protobuf"


def without_secrets(address: str) -> str:
    """`address` for people to read: scheme, host, port and path; names, passwords, queries and keys are left out."""
    parts = _parts(address)
    if parts is None or not parts.hostname:
        return "an address that cannot be read"
    port = _port(parts)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = "/".join("…" if _is_secret(part) else part for part in parts.path.split("/"))
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return f"{scheme}{host}{'' if port is None else f':{port}'}{path}"


def _parts(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
    except ValueError:
        return None
    return parts


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _is_secret(part: str) -> bool:
    plain = "".join(re.split(r"[-_.~=%+:]", part))
    return (
        len(plain) >= LEAST_SECRET
        and plain.isalnum()
        and any(each.isdigit() for each in plain)
        and not plain.isdecimal()
    )
