"""Settings: arguments over environment over defaults, read once, checked at once.

Each has an environment variable, named in `VARIABLES`; a value that cannot be used raises `SettingsError` and says
what to write instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ragmeter.anatomy import tokenizers
from ragmeter.money.pricebook import PriceTable, PriceTableError, check_aliases, read_price_table
from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import label_name
from ragmeter.reading import clients
from ragmeter.reading.providers import ProviderError, checked_providers

PROFILES = ("released", "latest", "both")
CAPTURE_VALUES = {
    "no_content": False,
    "false": False,
    "0": False,
    "": False,
    "span_only": True,
    "span_and_event": True,
    "true": True,
    "1": True,
}

VARIABLES = {
    "labels": "RAGMETER_LABELS",
    "prices": "RAGMETER_PRICES",
    "builtin_prices": "RAGMETER_BUILTIN_PRICES",
    "fine_tuned": "RAGMETER_FINE_TUNED",
    "providers": "RAGMETER_PROVIDERS",
    "only": "RAGMETER_ONLY",
    "skip": "RAGMETER_SKIP",
    "stream_usage": "RAGMETER_STREAM_USAGE",
    "profile": "RAGMETER_PROFILE",
    "max_label_values": "RAGMETER_MAX_LABEL_VALUES",
    "prometheus_host": "RAGMETER_PROMETHEUS_HOST",
    "prometheus_port": "RAGMETER_PROMETHEUS_PORT",
    "service_name": "OTEL_SERVICE_NAME",
    "capture_chunks": "RAGMETER_CAPTURE_CHUNKS",
    "exact_tokens": "RAGMETER_EXACT_TOKENS",
    "tenant_label": "RAGMETER_TENANT_LABEL",
    "capture_content": "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
}
"""The environment variable of each setting; lists are separated by commas, mappings written `key=value,key=value`."""


STANDARD = {
    "prometheus_host": "OTEL_EXPORTER_PROMETHEUS_HOST",
    "prometheus_port": "OTEL_EXPORTER_PROMETHEUS_PORT",
}
"""OpenTelemetry's own variable of a setting, where ours is not set."""

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
CONVENTIONS = ("ragmeter.", "gen_ai.", "db.")
TAKEN_PREFIXES = ("__", "ragmeter_", "otel_scope_")
TAKEN_LABELS = frozenset(
    (
        *("service_name", "service_namespace", "service_instance_id", "otel_metric_overflow"),
        *("le", "quantile", "vmrange", "job", "instance", "alertname", "alertstate", "scope_name", "scope_version"),
        *map(label_name, semconv.LABELS),
    )
)
"""Labels, as Prometheus writes them, that series have anyway: those of its own, of its exporters, and ours."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it, its source and what would do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How ragmeter runs: see `ragmeter.instrument` for what each one means."""

    service_name: str | None = None
    labels: tuple[str, ...] = ()
    prices: PriceTable = field(default_factory=dict)
    builtin_prices: bool = True
    fine_tuned: tuple[str, ...] = ()
    capture_content: bool = False
    capture_chunks: bool = False
    exact_tokens: bool | None = None
    tenant_label: str | None = None
    only: tuple[str, ...] | None = None
    skip: tuple[str, ...] = ()
    providers: Mapping[str, str] = field(default_factory=dict)
    stream_usage: bool = False
    profile: str = "released"
    max_label_values: int = 100
    prometheus_host: str = "127.0.0.1"
    prometheus_port: int = 9464

    @property
    def integrations(self) -> tuple[str, ...]:
        """The names of the integrations to use."""
        wanted = clients.names() if self.only is None else self.only
        return tuple(name for name in wanted if name not in self.skip)


def read_settings(arguments: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the given arguments, where they are not `None`, over the environment, over the defaults."""
    found: dict[str, Any] = {}
    for name, read in READERS.items():
        value, source = arguments.get(name), f"{name}="
        for variable in (VARIABLES[name], STANDARD.get(name, "")):
            if value is None and environment.get(variable, "") != "":
                value, source = environment[variable], f"environment variable {variable}"
        if value is not None:
            found[name] = read(value, source)
    if "profile" not in found and "gen_ai_latest_experimental" in environment.get("OTEL_SEMCONV_STABILITY_OPT_IN", ""):
        found["profile"] = "latest"
    _check_together(found)
    return Settings(**found)


def differences(one: Settings, other: Settings) -> tuple[str, ...]:
    """The names of the settings in which the two differ."""
    return tuple(each.name for each in fields(Settings) if getattr(one, each.name) != getattr(other, each.name))


def _check_together(found: Mapping[str, Any]) -> None:
    """Refuse settings that are each well-formed and do not go together, or not with what is installed."""
    tenant, labels = found.get("tenant_label"), found.get("labels", ())
    if tenant is not None and tenant not in labels:
        raise SettingsError(
            f"tenant_label: {tenant!r} is not a declared label; declare it with labels=[{tenant!r}, ...]"
        )
    if found.get("exact_tokens") and not tokenizers.is_installed():
        raise SettingsError("exact_tokens: the package that counts is not installed; pip install 'ragmeter[exact]'")
    try:
        check_aliases(found.get("prices", {}), builtin=found.get("builtin_prices", True))
    except PriceTableError as error:
        raise SettingsError(str(error)) from error


def _names(value: Any, source: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, Sequence) or not all(isinstance(name, str) and name for name in value):
        raise SettingsError(f"{source}: expected a list of names, got {value!r}")
    return tuple(value)


def _label_names(value: Any, source: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(_names(value, source)))
    seen: dict[str, str] = {}
    for name in names:
        if not LABEL.fullmatch(name):
            raise SettingsError(f"{source}: {name!r} is not a label name; use letters, digits, '_' and '.'")
        written = label_name(name)
        if name.startswith(CONVENTIONS) or written.startswith(TAKEN_PREFIXES) or written in TAKEN_LABELS:
            raise SettingsError(
                f"{source}: {name!r} is a name of the conventions, of ragmeter or of Prometheus, "
                "where it would stand for two things; choose one of your own such as 'team'"
            )
        if written in seen:
            raise SettingsError(
                f"{source}: {seen[written]!r} and {name!r} are one label, {written!r}, in Prometheus; keep one of them"
            )
        seen[written] = name
    return names


def _integration_names(value: Any, source: str) -> tuple[str, ...]:
    names = _names(value, source)
    unknown = sorted(set(names) - set(clients.names()))
    if unknown:
        known = ", ".join(clients.names())
        raise SettingsError(f"{source}: no integration called {', '.join(unknown)}; there are {known}")
    return names


def _mapping(value: Any, source: str) -> dict[str, str]:
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        value = {key.strip(): text.strip() for key, _, text in pairs}
    if not isinstance(value, Mapping) or not all(
        isinstance(each, str) and each for pair in value.items() for each in pair
    ):
        raise SettingsError(
            f"{source}: expected host names and providers such as gateway.internal=openai, got {value!r}"
        )
    try:
        return checked_providers(value)
    except ProviderError as error:
        raise SettingsError(f"{source}: {error}") from error


def _prices(value: Any, source: str) -> PriceTable:
    if not isinstance(value, str | Path | Mapping):
        raise SettingsError(f"{source}: expected a mapping of models or a file name, got {type(value).__name__}")
    try:
        return read_price_table(value)
    except PriceTableError as error:
        raise SettingsError(f"{source}: {error}") from error


def _flag(value: Any, source: str) -> bool:
    if isinstance(value, bool):
        return value
    flag = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(str(value).lower())
    if flag is None:
        raise SettingsError(f"{source}: expected true or false, got {value!r}")
    return flag


def _capture(value: Any, source: str) -> bool:
    flag = value if isinstance(value, bool) else CAPTURE_VALUES.get(str(value).lower())
    if flag is None:
        raise SettingsError(f"{source}: expected NO_CONTENT, SPAN_ONLY or SPAN_AND_EVENT, got {value!r}")
    return flag


def _text(value: Any, source: str) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{source}: expected a text, got {value!r}")
    return value


def _profile(value: Any, source: str) -> str:
    if value not in PROFILES:
        raise SettingsError(f"{source}: expected one of {', '.join(PROFILES)}, got {value!r}")
    return str(value)


def _number(least: int, most: int) -> Callable[[Any, str], int]:
    def read(value: Any, source: str) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = least - 1
        if isinstance(value, bool) or not least <= number <= most:
            raise SettingsError(f"{source}: expected a whole number from {least} to {most}, got {value!r}")
        return number

    return read


READERS: dict[str, Callable[[Any, str], Any]] = {
    "service_name": _text,
    "labels": _label_names,
    "prices": _prices,
    "builtin_prices": _flag,
    "fine_tuned": _names,
    "capture_content": _capture,
    "capture_chunks": _flag,
    "exact_tokens": _flag,
    "tenant_label": _text,
    "only": _integration_names,
    "skip": _integration_names,
    "providers": _mapping,
    "stream_usage": _flag,
    "profile": _profile,
    "max_label_values": _number(1, 100_000),
    "prometheus_host": _text,
    "prometheus_port": _number(0, 65_535),
}
