"""Handing in what was collected: before a provider flushes, when the app asks for it, and at the process's end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from ragmeter.guard import Guard
from ragmeter.ledger.ledger import Until
from ragmeter.telemetry.providers import Providers
from ragmeter.worker.accounting import Accounting
from ragmeter.worker.queue import Worker
from ragmeter.wrapping.records import Item
from ragmeter.wrapping.under_way import UnderWay

logger = logging.getLogger("ragmeter")

EXIT_SECONDS = 5.0
"""How long the interpreter's exit may wait for what is still queued."""


class HandingIn:
    """Has the worker finish what waits, and our providers export it; calls `ended` when all is handed in at the end."""

    def __init__(
        self,
        worker: Worker[Item],
        accounting: Accounting,
        providers: Providers,
        under_way: UnderWay,
        *,
        guard: Guard,
        ended: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._accounting = accounting
        self._providers = providers
        self._under_way = under_way
        self._guard = guard
        self._ended = ended
        self._has_begun_to_end = False
        self._is_over = False

    def forked(self) -> None:
        """In a forked child: nothing has ended yet."""
        self._has_begun_to_end = False
        self._is_over = False

    def settle(self, until: Until, timeout: float) -> bool:
        """Drain the worker and post what is open; false, and no waiting beyond `timeout`, when the worker is stuck."""
        if not self._worker.drain(timeout) or not self._worker.lock.acquire(timeout=timeout):
            return False
        try:
            self._accounting.ledger.settle(until)
        except Exception as error:
            self._guard.caught("posting what is open", error)
        finally:
            self._worker.lock.release()
        return True

    def flush(self, timeout: float) -> bool:
        """Account for every finished call, and export; false when the time was not enough."""
        drained = self.settle(Until.UNANSWERED, timeout)
        self._providers.flush(timeout)
        if self._worker.failures:
            raise self._worker.failures.pop()
        return drained

    @contextmanager
    def before_flush(self, *, is_last: bool) -> Iterator[None]:
        """Around a provider's own flush, or the shutdown that is its last: what it exports is complete."""
        is_end = is_last and _process_ends()
        with self._under_way.held() if is_end else nullcontext():
            try:
                if is_end:
                    self._under_way.end()
                self.settle(Until.EVERYTHING if is_last else Until.ANSWERED, EXIT_SECONDS)
            except Exception as error:
                self._guard.caught("flushing", error)
            yield

    def at_exit(self) -> None:
        """At the process's end: nothing that was collected is lost, nothing blocks for long.

        Calls go on while what waits is measured. Those that are still under way then are counted with it, and no
        request is sent by another thread until all is exported. Nothing is closed: handlers of the app may make calls.
        """
        if self._has_begun_to_end:
            return
        self._has_begun_to_end = True
        try:
            is_settled = self.settle(Until.EVERYTHING, EXIT_SECONDS)
            with self._under_way.held():
                self._under_way.end()
                self._is_over = True
                self._export(quickly=not is_settled)
        except Exception as error:
            self._guard.caught("exporting at the end of the process", error)
        try:
            self._ended()
        except Exception as error:
            self._guard.caught("saying what the run has cost", error)

    def late(self) -> None:
        """Something is submitted: after the process's end has been heard of nobody else would export it."""
        if not self._is_over:
            return
        try:
            self._export()
        except Exception as error:
            self._guard.caught("exporting at the end of the process", error)

    def _export(self, *, quickly: bool = False) -> None:
        if quickly or not self.settle(Until.EVERYTHING, EXIT_SECONDS):
            self._settle_quickly()
        self._providers.flush(EXIT_SECONDS)

    def _settle_quickly(self) -> None:
        """Count what waits without looking into its texts; past a worker that is stuck, if it comes to that."""
        logger.warning(
            "ragmeter: the process ends with %d calls that wait to be measured; they are counted without taking their "
            "prompts apart, and may be unpriced. Call ragmeter.flush() before the end of a short program.",
            self._worker.waiting,
        )
        self._worker.be_quick()
        if not self.settle(Until.EVERYTHING, EXIT_SECONDS):
            self._worker.drain_past()
            self.settle(Until.EVERYTHING, EXIT_SECONDS)


def _process_ends() -> bool:
    """Whether handlers of the interpreter's exit run, and this is one."""
    main = threading.main_thread()
    return threading.current_thread() is main and not main.is_alive()
