"""How the value of a setting is read: from what the app gives, or from the text of an environment variable.

Each reader gives the value or refuses it. What other rooms know of a value is imported when one is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragmeter.money.price_table import PriceTable

PROFILES = ("released", "latest", "both")
FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
CAPTURE_VALUES = {
    "no_content": False,
    "false": False,
    "0": False,
    "": False,
    # It is about log records of other instrumentations: ours puts messages on spans or nowhere.
    "event_only": False,
    "span_only": True,
    "span_and_event": True,
    "true": True,
    "1": True,
}

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
CONVENTIONS = ("ragmeter.", "gen_ai.", "db.")
TAKEN_PREFIXES = ("__", "ragmeter_", "otel_scope_")
TAKEN_LABELS = frozenset(
    (
        *("service_name", "service_namespace", "service_instance_id", "otel_metric_overflow"),
        *("le", "quantile", "vmrange", "job", "instance", "alertname", "alertstate", "scope_name", "scope_version"),
    )
)
"""Labels, as Prometheus writes them, that series have anyway: those of its own and of its exporters."""


class ValueRefusedError(ValueError):
    """A value that a setting cannot have; the message says what would do."""


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueRefusedError(f"expected a text, got {value!r}")
    return value


def name_list(value: Any) -> tuple[str, ...]:
    """Names: any iterable of them, or a text with commas between."""
    names = _split(value) if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [None]
    if not all(isinstance(name, str) and name for name in names):
        raise ValueRefusedError(f"expected a list of names, got {value!r}")
    return tuple(names)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def label_list(value: Any) -> tuple[str, ...]:
    """Names of labels, each once; refused are those that cannot be written, or that series have anyway."""
    from ragmeter.naming.prometheus_names import label_name

    names = tuple(dict.fromkeys(name_list(value)))
    seen: dict[str, str] = {}
    for name in names:
        written = label_name(name)
        _check_label(name, written)
        if written in seen:
            raise ValueRefusedError(
                f"{seen[written]!r} and {name!r} are the same label, {written!r}, in Prometheus; keep one of them"
            )
        seen[written] = name
    return names


def _check_label(name: str, written: str) -> None:
    """Refuse a label that cannot be written, or that series have anyway; `written` is its name in Prometheus."""
    from ragmeter.naming import semconv
    from ragmeter.naming.prometheus_names import label_name

    if not LABEL.fullmatch(name):
        raise ValueRefusedError(f"{name!r} is not a label name; use letters, digits, '_' and '.'")
    taken = TAKEN_LABELS | set(map(label_name, semconv.LABELS))
    if name.startswith(CONVENTIONS) or written.startswith(TAKEN_PREFIXES) or written in taken:
        raise ValueRefusedError(
            f"{name!r} is already a name of the conventions, of ragmeter or of Prometheus; "
            "choose another one, such as 'team'"
        )


def integration_list(value: Any) -> tuple[str, ...]:
    """Names of integrations that there are."""
    from ragmeter.reading import clients

    names = name_list(value)
    unknown = sorted(set(names) - set(clients.names()))
    if unknown:
        known = ", ".join(clients.names())
        raise ValueRefusedError(f"no integration called {', '.join(unknown)}; there are {known}")
    return names


def provider_map(value: Any) -> Mapping[str, str]:
    """Providers by host: a mapping, or `host=provider,host=provider`."""
    from ragmeter.reading.providers import checked_providers

    given = _pairs(value) if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not all(isinstance(text, str) and text for text in _flat(given)):
        raise ValueRefusedError(f"expected host names and providers such as gateway.internal=openai, got {value!r}")
    return checked_providers(given)


def _pairs(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in _split(text))
    return {key.strip(): value.strip() for key, _, value in pairs}


def _flat(mapping: Mapping[Any, Any]) -> list[Any]:
    return [*mapping.keys(), *mapping.values()]


def price_table(value: Any) -> PriceTable:
    """A price table, or the file that holds one."""
    from ragmeter.money.price_table import read_price_table

    if not isinstance(value, str | PathLike | Mapping):
        raise ValueRefusedError(f"expected a mapping of models or a file name, got {type(value).__name__}")
    return read_price_table(fspath(value) if isinstance(value, PathLike) else value)


def price_file(value: Any) -> str:
    """The name of a file of prices, which can be read now."""
    from pathlib import Path

    from ragmeter.money.price_updates import read_newer

    if not isinstance(value, str | PathLike) or not value:
        raise ValueRefusedError(f"expected the name of a TOML or JSON file or of a wheel, got {value!r}")
    path = fspath(value)
    read_newer(Path(path))
    return path


def flag(value: Any) -> bool:
    """A switch: true or false, yes or no, 1 or 0."""
    flag = value if isinstance(value, bool) else FLAGS.get(str(value).lower())
    if flag is None:
        raise ValueRefusedError(f"expected true or false, got {value!r}")
    return flag


def capture(value: Any) -> bool:
    """A value of OpenTelemetry's variable for the content of messages, or a switch."""
    flag = value if isinstance(value, bool) else CAPTURE_VALUES.get(str(value).lower())
    if flag is None:
        raise ValueRefusedError(f"expected NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT, got {value!r}")
    return flag


def profile(value: Any) -> str:
    """A generation of the standard metrics."""
    if value not in PROFILES:
        raise ValueRefusedError(f"expected one of {', '.join(PROFILES)}, got {value!r}")
    return str(value)


def whole_number(least: int, most: int) -> Callable[[Any], int]:
    """The reader of a whole number from `least` to `most`."""

    def read(value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = least - 1
        if isinstance(value, bool) or not least <= number <= most:
            raise ValueRefusedError(f"expected a whole number from {least} to {most}, got {value!r}")
        return number

    return read
