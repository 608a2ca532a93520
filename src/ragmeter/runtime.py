"""One running ragmeter: made by `instrument()`, taken apart by `uninstrument()`. Here the parts are put together."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from ragmeter.domain.query import Ending, QueryHandle
from ragmeter.guard import Guard
from ragmeter.ledger.ledger import Until
from ragmeter.naming import semconv
from ragmeter.reading import clients
from ragmeter.reading.declaration import Integration
from ragmeter.reading.shapes.passages import read_passages, take_passages
from ragmeter.settings import Settings, differences
from ragmeter.status_report import (
    MISSING,
    UNKNOWN,
    Status,
    foreign_instrumentations,
    is_in_range,
    statuses,
    version_of,
)
from ragmeter.telemetry.following import Following
from ragmeter.telemetry.instruments import instruments_of
from ragmeter.telemetry.metrics import Telemetry
from ragmeter.telemetry.providers import Providers, choose_providers
from ragmeter.telemetry.spans import Tracing
from ragmeter.telemetry.totals import Attributes
from ragmeter.version import VERSION
from ragmeter.worker.accounting import Accounting, UnpricedModel
from ragmeter.worker.exit_line import ExitLine
from ragmeter.worker.handing_in import EXIT_SECONDS, HandingIn
from ragmeter.worker.process_end import ProcessEnd
from ragmeter.worker.queue import Pacing, Worker
from ragmeter.wrapping.installing import Installing
from ragmeter.wrapping.observing import Observer
from ragmeter.wrapping.patching import Patching
from ragmeter.wrapping.records import Item, Pieces, Record, Retrieved, slim
from ragmeter.wrapping.scopes import QueryScope, Scopes

if TYPE_CHECKING:
    from ragmeter.run_report import Report

logger = logging.getLogger("ragmeter")

LONGEST_LABEL = 200


class Runtime:
    """Everything that lives between `instrument()` and `uninstrument()`."""

    def __init__(
        self, settings: Settings, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
    ) -> None:
        self.settings = settings
        self.guard = Guard()
        self.providers: Providers = choose_providers(settings, tracer_provider, meter_provider)
        tracer = self.providers.tracer_provider.get_tracer(semconv.SCOPE, VERSION)
        self._pause = Pacing()
        self.tracing = Tracing(
            tracer,
            capture_content=settings.capture_content,
            capture_chunks=settings.capture_chunks,
            pause=self._pause,
        )
        self.telemetry = self._new_telemetry()
        self.scopes = Scopes(self.guard, self._query_ended)
        self.accounting = Accounting(settings, self.guard, self.tracing, self.telemetry, self.scopes, pause=self._pause)
        self.worker: Worker[Item] = Worker(
            partial(self._handle, self.accounting.handle),
            partial(self._handle, self.accounting.handle_slim),
            slim,
            tick=self.accounting.tick,
            deadline=self.accounting.next_deadline,
            guard=self.guard,
        )
        self.observer = Observer(
            self.guard,
            self.tracing,
            self.scopes,
            self._submit,
            providers=settings.providers,
            stream_usage=settings.stream_usage,
        )
        self.patching = Patching(self.guard)
        self._installing = Installing(self.observer, self.patching)
        self._exit_line = ExitLine(wanted=settings.exit_line, counted=self.telemetry.totals.counted)
        self._handing_in = HandingIn(
            self.worker,
            self.accounting,
            self.providers,
            self.observer.under_way,
            guard=self.guard,
            ended=self._exit_line.write,
        )
        self._end_state: list[Callable[[], None]] = []
        self._following = Following(self.scopes.roots, self._before_flush)
        self._end = ProcessEnd(self._handing_in.at_exit)
        self._said_different: list[str] = []
        self._clients: dict[Attributes, int] = {}
        self._show_state()
        _running.add(self)

    def start(self) -> None:
        """Wrap the clients, now or when the app imports them, and follow the providers' flushing and shutting down."""
        missing = [name for name in self.settings.integrations if not self._wrap(name)]
        if missing:
            logger.warning(MISSING, ", ".join(missing))
        self._following.tracer_provider(self.providers.tracer_provider)
        self._following.meter_provider(self.providers.meter_provider)
        self._end.listen()
        atexit.register(self._handing_in.at_exit)

    def say_differences(
        self, settings: Settings, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
    ) -> None:
        """Write one line for a second `instrument()` that asks for something else than the first."""
        different = list(differences(settings, self.settings))
        if tracer_provider not in (None, self.providers.tracer_provider):
            different.append("tracer_provider")
        if meter_provider not in (None, self.providers.meter_provider):
            different.append("meter_provider")
        if different and different != self._said_different:
            self._said_different = different
            logger.warning(
                "ragmeter: instrument() was called before, and its first settings stay; this call differs in: %s. "
                "Call ragmeter.uninstrument() first, or give all settings in one place.",
                ", ".join(different),
            )

    def stop(self) -> None:
        """Put the clients back, hand over what is collected, close what is ours."""
        self.observer.active = False
        self.patching.undo()
        self.settle(EXIT_SECONDS)
        self.scopes.roots.stop()
        self.worker.stop()
        self._following.stop()
        for end in self._end_state:
            end()
        self.providers.shutdown()
        self._end.stop()
        atexit.unregister(self._handing_in.at_exit)

    def settle(self, timeout: float) -> None:
        """Account for everything collected so far, also for queries that are still open."""
        self._handing_in.settle(Until.EVERYTHING, timeout)

    def flush(self, timeout: float) -> bool:
        """Account for every finished call; only queries still inside their scope or root span stay open."""
        return self._handing_in.flush(timeout)

    def query(self, strategy: str | None, name: str | None, labels: Mapping[str, Any]) -> QueryScope:
        """A scope whose calls are one query."""
        return QueryScope(self.scopes, self._start_query_span, strategy, name, self._checked(labels))

    def label(self, labels: Mapping[str, Any]) -> None:
        """Set labels on the current query, or on what follows in this context."""
        self.scopes.label(self._checked(labels))

    def context(self, chunks: Iterable[Any], collection: str | None) -> None:
        """Take in what the app has retrieved by itself."""
        if isinstance(chunks, str | bytes | Mapping) or not isinstance(chunks, Sequence):
            # A generator would be used up by us; a single text is a mistake that would pass unseen.
            warnings.warn(
                f"ragmeter: context() takes a list of chunks, got {type(chunks).__name__}; it is ignored", stacklevel=3
            )
            return
        try:
            self.observer.retrieved(take_passages(chunks), partial(read_passages, collection=collection))
        except Exception as error:
            self.guard.caught("taking in retrieved chunks", error)

    def status(self) -> Status:
        """What is patched, and how the measuring is doing."""
        unpriced = self.accounting.unpriced.most_common()
        return Status(
            version=VERSION,
            active=True,
            exporter=self.providers.description,
            integrations=statuses(self.patching.patches, self.settings.integrations),
            foreign=foreign_instrumentations(),
            unpriced=tuple(UnpricedModel(system, model, count) for (system, model), count in unpriced),
            internal_errors=sum(self.guard.counts.values()),
            overflowed=self.guard.overflowed,
            waiting=self.worker.waiting,
            full_labels=self.telemetry.caps.full,
            crowded_metrics=self.telemetry.crowded,
            missing=clients.missing(),
            queries=self.accounting.ledger.counted.total(),
            unscoped=self.accounting.ledger.counted[Ending.OPERATION],
        )

    def report(self) -> Report:
        """What was spent so far, and on what."""
        from ragmeter.run_report import report_of

        return report_of(self.telemetry.totals.counted(), self.providers.registry, self.guard)

    def forked(self) -> None:
        """In a forked child: counts begin at zero, and where the parent exports is the parent's.

        Nothing here waits or starts a thread: `os.fork` has not returned yet.
        """
        self.accounting.clear()
        self.guard.clear()
        self.telemetry.caps.clear()
        self.providers.forked()
        self._end.listen()
        self.observer.under_way.clear()
        self._installing.forked()
        self._handing_in.forked()
        self._exit_line.forked()

    def _handle(self, account: Callable[[Item], None], item: Item) -> None:
        self._begin()
        self._following.tracer_provider(self.providers.tracer_provider)
        account(item)
        if isinstance(item, Record):
            self.providers.used()

    def _begin(self) -> None:
        """In a forked child, with its first call: count on providers of its own."""
        if self.providers.begin():
            self._end_state.clear()
            self.telemetry = self._new_telemetry()
            self.accounting.telemetry = self.telemetry
            self._show_state()

    def _new_telemetry(self) -> Telemetry:
        return Telemetry(
            instruments_of(self.providers.meter_provider),
            labels=self.settings.labels,
            most_values=self.settings.max_label_values,
            profile=self.settings.profile,
            guard=self.guard,
            pause=self._pause,
        )

    def _show_state(self) -> None:
        """Let the queue and the wrapped clients be read whenever metrics are collected, for as long as we run."""
        follow = self.telemetry.totals.follow
        self._end_state.append(follow(semconv.QUEUED, lambda: {(): self.worker.waiting}))
        self._end_state.append(follow(semconv.CLIENTS, lambda: dict(self._clients)))

    def _wrap(self, name: str) -> bool:
        """Wrap a client; false where the app was frozen without its integration."""
        try:
            integration = clients.find(name)
            if integration is not None:
                self._add(integration)
        except Exception as error:
            # One integration that cannot be loaded must not cost the others.
            self.guard.caught(f"loading {name}", error)
            return True
        return integration is not None

    def _add(self, integration: Integration) -> None:
        checked = threading.Lock()

        def imported() -> None:
            if checked.acquire(blocking=False):
                self._take_version(integration)
                if integration.name == "openai":
                    # With the app's own import: on the worker it would keep the interpreter from the app meanwhile.
                    self.accounting.dissector.weigher.load()

        self.patching.declare(target.path for target in integration.targets)
        for target in integration.targets:
            target.put(self._installing, imported)

    def _take_version(self, integration: Integration) -> None:
        """Remember which version of a client is wrapped, and warn once when that version was not tested."""
        installed = version_of(integration)
        if installed is None:
            return
        tested = is_in_range(installed, integration.tested)
        version_range = "tested" if tested else "untested"
        self._clients[
            (semconv.CLIENT, integration.name),
            (semconv.CLIENT_VERSION, installed),
            (semconv.CLIENT_RANGE, version_range),
        ] = 1
        if not tested and installed != UNKNOWN:
            first, last = integration.tested
            logger.warning(
                "ragmeter was tested with %s %s to %s, but %s is installed. It is wrapped anyway; "
                "`ragmeter doctor` shows whether that works.",
                integration.distribution,
                first,
                last,
                installed,
            )

    def _submit(self, item: Record | Retrieved | Pieces) -> None:
        self.worker.submit(item, item.size)
        self._handing_in.late()

    def _query_ended(self, handle: QueryHandle) -> None:
        self.worker.submit(handle)
        self._handing_in.late()

    def _start_query_span(self, name: str | None, started: int) -> Any:
        try:
            return self.tracing.start_query(name, started)
        except Exception as error:
            self.guard.caught("starting a query", error)
            return None

    def _checked(self, labels: Mapping[str, Any]) -> dict[str, str]:
        """Labels as short texts, without those that are not declared, which a warning names, or cannot be written."""
        checked: dict[str, str] = {}
        for name, value in labels.items():
            if name not in self.settings.labels:
                warnings.warn(
                    f"ragmeter: label {name!r} is ignored because it is not declared: instrument(labels=[{name!r}])",
                    stacklevel=4,
                )
                continue
            if value is None:
                continue
            try:
                checked[name] = str(value)[:LONGEST_LABEL]
            except Exception as error:
                self.guard.caught("reading a label", error)
        return checked

    def _before_flush(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Around a flush of the app's provider: what it flushes is complete."""
        return self._handing_in.before_flush(is_last=is_last) if self.observer.active else nullcontext()


_running: weakref.WeakSet[Runtime] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for runtime in list(_running):
        runtime.forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
