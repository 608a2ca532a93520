"""`ragmeter doctor` says what is patched here, what is foreign, and what a running app has no price for."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

import ragmeter
from ragmeter.domain.model import PriceState
from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.page import read_samples
from ragmeter.measured.samples import Samples
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric
from ragmeter.settings import (
    VARIABLES,
    Settings,
    SettingsError,
    misspelt_variables,
    read_settings,
    variables_set,
)
from ragmeter.status_report import IntegrationStatus, Status, installed_version
from ragmeter.telemetry.otel_environment import DISABLED, Signal, without_secrets
from ragmeter.telemetry.providers import otlp_endpoint
from ragmeter.wrapping.patch_state import PatchState

WRAPPED = (PatchState.PATCHED, PatchState.SHADOWED)


@dataclass(frozen=True, slots=True)
class PageReport:
    """What the `/metrics` page of a running app says about its health: calls without a price, and failures of ours.

    `full_labels` says how often a value of each label was counted under `other`.
    """

    unpriced: Mapping[str, int]
    internal_errors: Mapping[str, int]
    overflowed: int
    full_labels: Mapping[str, int]
    queries: int = 0
    unscoped: int = 0


def doctor(
    *,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The /metrics page of a running app, to show which models have no price."),
    ] = None,
) -> None:
    """Show which installed clients would be measured, and what prevents it.

    Imports the installed clients, as an application would. Exits with status 1 if one of them is not measured at all.
    """
    screen, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        settings = read_settings({})
        with notes.status("Importing the installed clients …"):
            status, failures = examine()
        page = None if metrics is None else read_page(metrics)
    except (SettingsError, MeasuredError) as error:
        about = "--metrics: " if isinstance(error, MeasuredError) else ""
        notes.print("[red]Error:[/]", Text(f"{about}{error}"))
        raise typer.Exit(1) from error
    _show_versions(screen, status, settings)
    _show_settings(screen, status, settings)
    screen.print(_clients(status))
    if status.active:
        _show_absent(screen, status, failures)
    _show_between(screen, status)
    _show_foreign(screen, status)
    if page is not None:
        _show_page(screen, page)
    else:
        screen.print("\n--metrics URL, with the page of a running app, also shows which of its models have no price.")
    if any(_is_broken(integration) for integration in status.integrations):
        raise typer.Exit(1)


def examine() -> tuple[Status, dict[str, str]]:
    """The status with all installed clients imported, and the modules whose import failed with the reason why.

    Nothing is exported meanwhile, and the clients are put back afterwards.
    """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    ragmeter.instrument(
        tracer_provider=TracerProvider(shutdown_on_exit=False), meter_provider=MeterProvider(shutdown_on_exit=False)
    )
    try:
        failures = _import_all(ragmeter.status().integrations)
        return ragmeter.status(), failures
    finally:
        ragmeter.uninstrument()


def read_page(url: str) -> PageReport:
    """What the `/metrics` page at `url` tells; raises `MeasuredError` when it cannot be read."""
    samples = read_samples(url)
    unpriced = samples.only(semconv.PRICE_STATE, PriceState.UNPRICED)
    return PageReport(
        _counted(unpriced, semconv.OPERATIONS, semconv.PROVIDER_NAME, semconv.RESPONSE_MODEL),
        _counted(samples, semconv.INTERNAL_ERRORS, semconv.STATION),
        int(samples.total(semconv.OVERFLOWED) or 0),
        _counted(samples, semconv.LABELS_OVERFLOWED, semconv.LABEL),
        int(samples.total(semconv.QUERIES) or 0),
        int(samples.total(semconv.UNSCOPED) or 0),
    )


def _counted(samples: Samples, metric: Metric, *labels: str) -> dict[str, int]:
    """The counts of a metric by the values of labels."""
    return {" ".join(values): int(number) for values, number in samples.sums(metric, *labels).items()}


def _import_all(integrations: Iterable[IntegrationStatus]) -> dict[str, str]:
    """Import the modules of the installed clients; a module that this version does not have is simply absent."""
    failures: dict[str, str] = {}
    for integration in integrations:
        if integration.installed is None or _is_skipped(integration):
            continue
        for module in dict.fromkeys(target.path.partition(":")[0] for target in integration.targets):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                if not module.startswith(str(error.name)):
                    failures[module] = str(error)
            except Exception as error:
                # A client that cannot be imported is what is to be shown.
                failures[module] = f"{type(error).__name__}: {error}"
    return failures


def _show_versions(screen: Console, status: Status, settings: Settings) -> None:
    screen.print(
        f"ragmeter {status.version} · Python {platform.python_version()} · "
        f"OpenTelemetry {installed_version('opentelemetry-sdk')} · prices {installed_version('genai-prices')}"
    )
    endpoint = otlp_endpoint(Signal.METRICS)
    page = f"http://{settings.prometheus_host}:{settings.prometheus_port}/metrics, for Prometheus"
    screen.print(
        f"Metrics of an app without providers of its own: {without_secrets(endpoint) if endpoint else page}",
        soft_wrap=True,
    )


def _show_settings(screen: Console, status: Status, settings: Settings) -> None:
    """Say what the environment sets, what it nearly sets, and whether it switches ragmeter off."""
    for name, variable in variables_set(os.environ).items():
        screen.print(Text(f"Set by {variable}: {name}{_value(getattr(settings, name))}"), soft_wrap=True)
    for variable, meant in misspelt_variables(os.environ).items():
        screen.print(Text(f"{variable} sets nothing; did you mean {meant}?", "red"), soft_wrap=True)
    if not status.active:
        by = f"{VARIABLES['enabled']}=false" if not settings.enabled else f"{DISABLED}=true"
        screen.print(Text(f"ragmeter is switched off by {by}: nothing is measured.", "red"), soft_wrap=True)
    screen.print()


def _value(value: Any) -> str:
    """The value of a setting behind its name; not of a mapping, whose hosts may hold a password."""
    if isinstance(value, Mapping):
        return ""
    return f" = {', '.join(value)}" if isinstance(value, tuple) else f" = {value}"


def _clients(status: Status) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading in ("client", "installed", "tested", "", "functions patched"):
        table.add_column(heading)
    for integration in status.integrations:
        first, last = integration.tested
        row = (integration.installed or "-", f"{first} to {last}", _verdict(integration), _patched(integration))
        table.add_row(integration.name, *row)
    return table


def _verdict(integration: IntegrationStatus) -> str:
    if integration.installed is None:
        return "not installed"
    if integration.in_range is None:
        return "[yellow]version unknown[/]"
    return "[green]in range[/]" if integration.in_range else "[yellow]out of range[/]"


def _patched(integration: IntegrationStatus) -> str:
    if integration.installed is None:
        return "-"
    if _is_skipped(integration):
        return "skipped by the settings"
    states = [target.state for target in integration.targets]
    count = f"{sum(state in WRAPPED for state in states)} of {len(states)}"
    return f"[red]{count}: nothing is measured[/]" if _is_broken(integration) else count


def _is_skipped(integration: IntegrationStatus) -> bool:
    return any(target.state == PatchState.SKIPPED for target in integration.targets)


def _is_broken(integration: IntegrationStatus) -> bool:
    """Whether a client is installed and nothing of it would be measured, although the user did not skip it."""
    states = {target.state for target in integration.targets}
    return integration.installed is not None and not states & {*WRAPPED, PatchState.SKIPPED}


def _show_absent(screen: Console, status: Status, failures: Mapping[str, str]) -> None:
    """List functions that this version of a client does not have; older and newer versions may have them."""
    for integration in status.integrations:
        absent = [
            target.path.partition(":")[2]
            for target in integration.targets
            if target.state in (PatchState.ABSENT, PatchState.WAITING) and integration.installed is not None
        ]
        if absent:
            screen.print(
                f"\nNot in {integration.name} {integration.installed}, but in other versions: {', '.join(absent)}"
            )
    for module, reason in failures.items():
        screen.print(f"\n[red]{module} cannot be imported:[/]", Text(reason))


def _show_between(screen: Console, status: Status) -> None:
    """Say which functions of other tools calls reach before ours, and which of them lead past ours."""
    for target in (target for integration in status.integrations for target in integration.targets if target.between):
        screen.print(f"\nIn front of {target.path}: {', '.join(target.between)}", soft_wrap=True)
        if target.state == PatchState.SHADOWED:
            advice = "call instrument() after that tool is set up."
            screen.print(f"[red]Calls that go there are not measured:[/] {advice}", soft_wrap=True)
    if status.missing:
        screen.print(f"\n[red]This app was frozen without the integrations {', '.join(status.missing)}.[/]")
        screen.print("Tell the tool that froze it to include all modules of the package ragmeter.reading.clients.")


def _show_foreign(screen: Console, status: Status) -> None:
    screen.print(f"\nForeign tools that wrap the same clients: {', '.join(status.foreign) or 'none'}")
    if status.foreign:
        screen.print("If one of them is active too, a call may appear twice in the traces.")


def _show_page(screen: Console, page: PageReport) -> None:
    listed = ", ".join(f"{model} ({number} calls)" for model, number in page.unpriced.items())
    screen.print(f"\nUnpriced models: {listed or 'none'}")
    if listed:
        screen.print(
            f"Give their prices with instrument(prices={{…}}) or in the file that {VARIABLES['prices']} names."
        )
    errors = ", ".join(f"{station} ({number})" for station, number in page.internal_errors.items())
    screen.print(f"Failures inside ragmeter: {errors or 'none'}")
    screen.print(f"Calls recorded without anatomy because the queue was full: {page.overflowed}")
    full = ", ".join(f"{label} ({number} times)" for label, number in page.full_labels.items())
    screen.print(f"Labels with values under `other`: {full or 'none'}")
    if full:
        screen.print("They have more values than max_label_values, or more series than the meter provider keeps apart.")
    _show_requests(screen, page)


def _show_requests(screen: Console, page: PageReport) -> None:
    screen.print(f"Queries outside of any scope or request span: {page.unscoped} of {page.queries}")
    if page.unscoped and page.unscoped >= page.queries:
        screen.print(
            "No request span was ever seen: calls are joined to queries by what they say, and some steps count as "
            "queries of their own. Put `with ragmeter.query():` around each request, or instrument the web framework."
        )
