"""Settings: arguments over environment over defaults, read once, checked at once.

`Settings` is the table of them: a field has its environment variable, reader, default and meaning. The environment,
the errors, `help(ragmeter.instrument)` and the page docs/settings.md follow from it. `SettingsArguments` beside it is
what type checkers and editors see. Nothing but the standard library is imported before a setting is read, for
`import ragmeter` imports this module.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import Any, Literal, TypedDict, TypeVar

from ragmeter.settings import readers

__all__ = ["VARIABLES", "SettingsArguments", "SettingsError"]

MISSPELT = 0.85
"""Likeness, by `difflib`, from which a variable that no setting has is taken for a slip of the pen."""

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it, its source and what would do."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting beside its name and type: where it comes from, how it is read, what it means.

    `standard` is OpenTelemetry's own variable, which counts where ours is not set. `shown` is the default in words,
    where its value does not say it.
    """

    variable: str
    read: Callable[[Any], Any]
    meaning: str
    standard: str | None
    shown: str

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that may hold it; the first one that is set counts."""
        return (self.variable,) if self.standard is None else (self.variable, self.standard)


def setting(
    variable: str, read: Callable[[Any], T], *, default: T, meaning: str, standard: str | None = None, shown: str = ""
) -> T:
    """A field of `Settings`, which is a row of the table; `Setting` says what each argument is."""
    row = Setting(variable, read, meaning, standard, shown or _shown(default))
    return field(default_factory=lambda: default, metadata={"setting": row})


def _shown(default: Any) -> str:
    return "" if default in (None, (), {}) else str(default).lower()


@dataclass(frozen=True, slots=True)
class Settings:
    """How ragmeter runs: the table of settings, in the order of the documentation."""

    enabled: bool = setting(
        "RAGMETER_ENABLED",
        readers.flag,
        default=True,
        meaning="whether `ragmeter.instrument()` wraps anything; false leaves the app as it is",
    )
    labels: tuple[str, ...] = setting(
        "RAGMETER_LABELS",
        readers.label_list,
        default=(),
        meaning="names of the app's own metric labels, set with `ragmeter.label()` or `ragmeter.query()`; "
        "`ragmeter dashboards` refuses a few of them, such as `service` or `model`",
    )
    max_label_values: int = setting(
        "RAGMETER_MAX_LABEL_VALUES",
        readers.whole_number(1, 100_000),
        default=100,
        meaning="how many values of one label are counted separately; further values become `other`",
    )
    prices: Mapping[str, Mapping[str, float | Mapping[str, float]] | str] = setting(
        "RAGMETER_PRICES",
        readers.price_table,
        default={},
        meaning="US dollars per million tokens for each model, or the model that a deployment stands for; or the name "
        "of a TOML or JSON file with them (the environment takes only a file name)",
    )
    builtin_prices: bool = setting(
        "RAGMETER_BUILTIN_PRICES",
        readers.flag,
        default=True,
        meaning="whether genai-prices and our own dated rows are used as well",
    )
    price_updates: str | None = setting(
        "RAGMETER_PRICE_UPDATES",
        readers.price_file,
        default=None,
        meaning="a file of newer prices: TOML or JSON like that of `prices`, before which it comes, or a wheel of "
        "genai-prices, which takes the place of the installed one. It is checked once a minute and read again when it "
        "has changed; if a new one cannot be used, the old prices stay",
    )
    fine_tuned: tuple[str, ...] = setting(
        "RAGMETER_FINE_TUNED",
        readers.name_list,
        default=(),
        meaning="names or shell patterns of models that are fine-tuned although their id does not show it",
    )
    providers: Mapping[str, str] = setting(
        "RAGMETER_PROVIDERS",
        readers.provider_map,
        default={},
        meaning="the provider behind a gateway's host: `gateway.internal=openai`, or `gateway.internal=by_model` "
        "if each model's name begins with its vendor's (`openai/gpt-4o`); a name that is nearly a known one "
        "is refused",
    )
    stream_usage: bool = setting(
        "RAGMETER_STREAM_USAGE",
        readers.flag,
        default=False,
        meaning="whether OpenAI-shaped servers are asked for usage in streams; the extra chunk is hidden from the app",
    )
    capture_content: bool = setting(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        readers.capture,
        default=False,
        shown="NO_CONTENT",
        meaning="whether messages are put on spans",
    )
    capture_chunks: bool = setting(
        "RAGMETER_CAPTURE_CHUNKS",
        readers.flag,
        default=False,
        meaning="whether each chunk's id, fate, rank and tokens are put on spans; no text",
    )
    exact_tokens: bool | None = setting(
        "RAGMETER_EXACT_TOKENS",
        readers.flag,
        default=None,
        shown="where `ragmeter[exact]` is installed",
        meaning="whether the tokens of OpenAI's models are really counted instead of estimated by weight; takes "
        "95 MB of memory, and 80 ms when `openai` is imported",
    )
    tenant_label: str | None = setting(
        "RAGMETER_TENANT_LABEL",
        readers.text,
        default=None,
        meaning="the declared label that names a tenant: texts retrieved for one are not looked for in the "
        "prompts of another",
    )
    profile: str = setting(
        "RAGMETER_PROFILE",
        readers.profile,
        default="released",
        meaning="generation of the standard metrics: `released`, `latest` or `both`",
    )
    only: tuple[str, ...] | None = setting(
        "RAGMETER_ONLY",
        readers.integration_list,
        default=None,
        shown="all",
        meaning="the integrations that are used, by name",
    )
    skip: tuple[str, ...] = setting(
        "RAGMETER_SKIP",
        readers.integration_list,
        default=(),
        meaning="the integrations that are not used, by name",
    )
    prometheus_host: str = setting(
        "RAGMETER_PROMETHEUS_HOST",
        readers.text,
        default="127.0.0.1",
        standard="OTEL_EXPORTER_PROMETHEUS_HOST",
        meaning="the address on which the metrics page is served",
    )
    prometheus_port: int = setting(
        "RAGMETER_PROMETHEUS_PORT",
        readers.whole_number(0, 65_535),
        default=9464,
        standard="OTEL_EXPORTER_PROMETHEUS_PORT",
        meaning="the port of the metrics page; 0 takes any free one",
    )
    service_name: str | None = setting(
        "OTEL_SERVICE_NAME",
        readers.text,
        default=None,
        meaning="`service.name` of the providers that ragmeter makes itself",
    )

    exit_line: bool | None = setting(
        "RAGMETER_EXIT_LINE",
        readers.flag,
        default=None,
        shown="where stderr is a terminal",
        meaning="whether a line on stderr says at the process's end what it has cost; in child processes none does",
    )

    @property
    def integrations(self) -> tuple[str, ...]:
        """The names of the integrations to use."""
        from ragmeter.reading import clients

        wanted = clients.names() if self.only is None else self.only
        return tuple(name for name in wanted if name not in self.skip)


class SettingsArguments(TypedDict, total=False):
    """What `ragmeter.instrument()` takes for each setting, for type checkers and editors; `None` means not given."""

    enabled: bool | None
    labels: Iterable[str] | None
    max_label_values: int | None
    prices: Mapping[str, Mapping[str, float | Mapping[str, float]] | str] | str | PathLike[str] | None
    builtin_prices: bool | None
    price_updates: str | PathLike[str] | None
    fine_tuned: Iterable[str] | None
    providers: Mapping[str, str] | None
    stream_usage: bool | None
    capture_content: bool | None
    capture_chunks: bool | None
    exact_tokens: bool | None
    tenant_label: str | None
    profile: Literal["released", "latest", "both"] | None
    only: Iterable[str] | None
    skip: Iterable[str] | None
    prometheus_host: str | None
    prometheus_port: int | None
    service_name: str | None
    exit_line: bool | None


TABLE: Mapping[str, Setting] = {each.name: each.metadata["setting"] for each in fields(Settings)}
"""Each setting by its name."""

VARIABLES = {name: row.variable for name, row in TABLE.items()}
"""The environment variable of each setting; lists are separated by commas, mappings written `key=value,key=value`."""


def read_settings(arguments: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the given arguments, where they are not `None`, over the environment, over the defaults."""
    _refuse_unknown(arguments)
    given = {name: (value, f"{name}=") for name, value in arguments.items() if value is not None}
    for name, variable in variables_set(environment).items():
        given.setdefault(name, (environment[variable], f"environment variable {variable}"))
    found = {name: _read(name, value, source) for name, (value, source) in given.items()}
    if "gen_ai_latest_experimental" in environment.get("OTEL_SEMCONV_STABILITY_OPT_IN", ""):
        found.setdefault("profile", "latest")
    settings = Settings(**found)
    _check_together(settings)
    return settings


def variables_set(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that the environment gives, each with the variable that counts."""
    named = {name: [each for each in row.variables if environment.get(each)] for name, row in TABLE.items()}
    return {name: variables[0] for name, variables in named.items() if variables}


def misspelt_variables(environment: Iterable[str]) -> dict[str, str]:
    """Variables that are nearly the name of a setting's, each with the one that may be meant."""
    from difflib import get_close_matches

    ours = [name for name in environment if name.startswith("RAGMETER_") and name not in VARIABLES.values()]
    close = {name: get_close_matches(name, VARIABLES.values(), n=1, cutoff=MISSPELT) for name in ours}
    return {name: found[0] for name, found in close.items() if found}


def differences(one: Settings, other: Settings) -> tuple[str, ...]:
    """The names of the settings in which the two differ."""
    return tuple(name for name in TABLE if getattr(one, name) != getattr(other, name))


def shows_settings(function: Function) -> Function:
    """Let `help()` and `inspect.signature()` show each setting of a function that takes them all as keywords."""
    signature = inspect.signature(function)
    named = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    vars(function)["__signature__"] = signature.replace(parameters=[*named, *map(_parameter, TABLE)])
    if function.__doc__ is not None:
        function.__doc__ = "\n".join((inspect.cleandoc(function.__doc__), "", *map(_described, TABLE)))
    return function


def _parameter(name: str) -> inspect.Parameter:
    annotation = SettingsArguments.__annotations__[name].__forward_arg__
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _described(name: str) -> str:
    row = TABLE[name]
    default = f", default {row.shown}" if row.shown else ""
    return f"{name} ({row.variable}{default}):\n    {row.meaning}"


def _refuse_unknown(arguments: Iterable[str]) -> None:
    """Refuse an argument that is no setting, as Python does, and say which one may be meant."""
    from difflib import get_close_matches

    for name in arguments:
        if name not in TABLE:
            close = get_close_matches(name, TABLE, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"instrument() got an unexpected keyword argument {name!r}{meant}")


def _read(name: str, value: Any, source: str) -> Any:
    try:
        return TABLE[name].read(value)
    except ValueError as error:
        raise SettingsError(f"{source}: {error}") from error.__cause__


def _check_together(settings: Settings) -> None:
    """Refuse settings that are each well-formed and do not go together, or not with what is installed."""
    from ragmeter.anatomy import tokenizers
    from ragmeter.money.pricebook import PriceTableError, check_aliases

    tenant = settings.tenant_label
    if tenant is not None and tenant not in settings.labels:
        raise SettingsError(
            f"tenant_label: {tenant!r} is not a declared label; declare it with labels=[{tenant!r}, ...]"
        )
    if settings.exact_tokens and not tokenizers.is_installed():
        raise SettingsError("exact_tokens: the package that counts is not installed; pip install 'ragmeter[exact]'")
    try:
        check_aliases(settings.prices, builtin=settings.builtin_prices)
    except PriceTableError as error:
        raise SettingsError(str(error)) from error
