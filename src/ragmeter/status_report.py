"""What `ragmeter.status()` returns and `ragmeter doctor` shows, as plain data: what is patched, skipped and foreign."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Container
from dataclasses import dataclass

from ragmeter.facts import Fact, read
from ragmeter.reading import clients
from ragmeter.reading.declaration import Integration
from ragmeter.telemetry.otel_environment import DISABLED, is_disabled
from ragmeter.version import VERSION
from ragmeter.worker.accounting import UnpricedModel
from ragmeter.wrapping.patch_state import PatchState
from ragmeter.wrapping.patching import Patches

__all__ = ["IntegrationStatus", "Status", "TargetStatus", "UnpricedModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRow(Fact):
    """What wraps the same clients: a distribution by name, or a word in the names of registered instrumentations."""

    distribution: str = ""
    word: str = ""


_FOREIGN_ROWS = read("foreign", ForeignRow)

FOREIGN = tuple(row.distribution for row in _FOREIGN_ROWS if row.distribution)
"""Distributions that wrap the same clients; so do registered instrumentations of one of the `FOREIGN_SUBJECTS`."""

FOREIGN_SUBJECTS = tuple(row.word for row in _FOREIGN_ROWS if row.word)

MISSING = (
    "ragmeter: this app was frozen into one file without the integrations %s, so their clients are not measured. "
    "Tell the tool that froze it to include all modules of the package ragmeter.reading.clients."
)
"""What the log says when integrations are missing."""

UNKNOWN = "unknown"
"""The version of a client that is imported but does not tell its version."""


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One function to wrap, and its state: patched, shadowed, waiting, absent or skipped.

    `between` names functions of other tools that calls reach before ours. When one of them leads calls past ours, the
    state is `shadowed`: those calls are not measured.
    """

    path: str
    state: str
    between: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IntegrationStatus:
    """One integration: the installed version, the tested range, and whether the version is in that range.

    `installed` is "unknown" for a client that is imported but tells no version, as in an app frozen into one file.
    """

    name: str
    distribution: str
    installed: str | None
    tested: tuple[str, str]
    in_range: bool | None
    targets: tuple[TargetStatus, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of ragmeter in this process.

    New values of `full_labels` are counted under `other`: the label has as many values as it may have, or one of
    `crowded_metrics` has nearly as many series as the meter provider keeps apart. `missing` names the integrations that
    were left out when the app was frozen into one file. `queries` says how many queries were counted, `unscoped` how
    many of them neither a scope nor the span of a request enclosed.
    """

    version: str
    active: bool
    exporter: str
    integrations: tuple[IntegrationStatus, ...]
    foreign: tuple[str, ...]
    unpriced: tuple[UnpricedModel, ...]
    internal_errors: int
    overflowed: int
    waiting: int = 0
    full_labels: tuple[str, ...] = ()
    crowded_metrics: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    queries: int = 0
    unscoped: int = 0


def installed_version(distribution: str) -> str | None:
    """The installed version of a distribution, `None` where it is not installed."""
    # Imported when first needed: a client is then loaded as well, which takes many times as long.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def version_of(integration: Integration) -> str | None:
    """The installed version of a client: of its distribution, else as the imported client itself tells it."""
    installed = installed_version(integration.distribution)
    module = integration.module
    if installed is not None or module not in sys.modules:
        return installed
    # While the client is still being imported only its own module of the version tells.
    told = [getattr(sys.modules.get(name), "__version__", None) for name in (module, f"{module}._version")]
    return next((version for version in told if isinstance(version, str)), UNKNOWN)


def is_in_range(installed: str, tested: tuple[str, str]) -> bool:
    """Whether a version is in the tested range, whose end includes all its patch releases."""
    have, first, last = (_numbers(text) for text in (installed, *tested))
    return first <= have and have[: len(last)] <= last


def integration_status(integration: Integration, patches: Patches, *, skipped: bool) -> IntegrationStatus:
    """Where one integration stands."""
    installed = version_of(integration)
    targets = tuple(
        TargetStatus(target.path, PatchState.SKIPPED.value) if skipped else _target_status(target.path, patches)
        for target in integration.targets
    )
    in_range = None if installed in (None, UNKNOWN) else is_in_range(str(installed), integration.tested)
    return IntegrationStatus(
        integration.name, integration.distribution, installed, integration.tested, in_range, targets
    )


def statuses(patches: Patches, wanted: Container[str]) -> tuple[IntegrationStatus, ...]:
    """Where every integration stands; one that is not `wanted` is skipped."""
    found = (clients.find(name) for name in clients.names())
    return tuple(
        integration_status(each, patches, skipped=each.name not in wanted) for each in found if each is not None
    )


def foreign_instrumentations() -> tuple[str, ...]:
    """Installed distributions that wrap the same clients as we do."""
    from importlib.metadata import entry_points

    registered = {entry.dist.name for entry in entry_points(group="opentelemetry_instrumentor") if entry.dist}
    doubling = {name for name in registered if _wraps_the_same(name)}
    return tuple(sorted(doubling | {name for name in FOREIGN if installed_version(name) is not None}))


def _wraps_the_same(name: str) -> bool:
    return name != "ragmeter" and any(subject in name.lower() for subject in FOREIGN_SUBJECTS)


def _target_status(path: str, patches: Patches) -> TargetStatus:
    patch = patches.get(path)
    if patch is None:
        return TargetStatus(path, PatchState.WAITING.value)
    fronts = tuple(patch.fronts())
    state = patch.state if all(front.leads_to_ours for front in fronts) else PatchState.SHADOWED
    return TargetStatus(path, state.value, tuple(map(str, fronts)))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])


def inactive_status() -> Status:
    """The status before `instrument()`: what is installed and would be wrapped."""
    return Status(
        version=VERSION,
        active=False,
        exporter=f"nothing: {DISABLED}=true" if is_disabled(os.environ) else "not instrumented",
        integrations=statuses({}, clients.names()),
        foreign=foreign_instrumentations(),
        unpriced=(),
        internal_errors=0,
        overflowed=0,
        missing=clients.missing(),
    )
