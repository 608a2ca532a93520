"""The one thread that does the work the app should not wait for, and the bounded queue in front of it.

Full queue: the item waits all the same, without its texts, so that totals lose nothing and no call waits for us. Fork:
the child starts empty. Exit, `flush` and the providers' own flush drain it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

from ragmeter.guard import Guard

Item = TypeVar("Item")

MOST_ITEMS = 10_000
MOST_CHARACTERS = 64 * 1024 * 1024
"""Calls and characters of text referenced by them that may wait: both bounds hold."""

GATHER_SECONDS = 0.1
"""How long the worker lets calls gather before it handles them all.

It wakes up, and takes the interpreter's lock from the app, ten times a second at the most instead of once a call: 2.2
instead of 3.1 times the floor of OpenTelemetry for a small chat.
"""

SLICE_SECONDS = 0.0005
"""How long the worker keeps the interpreter to itself: half of what an event loop's timer is late anyway."""

BEYOND = 10
"""How many times as many calls may wait without their prompts, before they wait without their answers as well."""

_STOP = threading.Event()
"""The entry that ends the thread."""


class Pacing:
    """Lets the app have the interpreter whenever a slice of work is over: whoever waits for its lock runs."""

    def __init__(self) -> None:
        self._until = 0.0

    def __call__(self) -> None:
        """Give the lock away for a moment if the slice is over."""
        if time.perf_counter() >= self._until:
            time.sleep(0)
            self._until = time.perf_counter() + SLICE_SECONDS


class Waiting(NamedTuple, Generic[Item]):
    """One entry of the queue: an item or a word to the thread, the characters it keeps alive, whether it is slim."""

    item: Item | threading.Event
    characters: int = 0
    is_slim: bool = False


class Slim(Protocol[Item]):
    """Makes an item slim: without its prompt, and with `bare` without its answer; gives its characters, too."""

    def __call__(self, item: Item, *, bare: bool) -> tuple[Item, int]:
        """The slim item and its size."""


class Worker(Generic[Item]):
    """Handles items one by one on its own thread, started with the first item, and `tick`s when time is up.

    `handle`, `tick` and `deadline` run under one lock, on whatever thread; `deadline` says on the monotonic clock when
    the next tick is due, `None` for never. An item that comes when the queue is full is made slim and goes to
    `handle_slim`.
    """

    def __init__(
        self,
        handle: Callable[[Item], None],
        handle_slim: Callable[[Item], None],
        slim: Slim[Item],
        *,
        tick: Callable[[], None],
        deadline: Callable[[], float | None],
        guard: Guard,
    ) -> None:
        self._handle = handle
        self._handle_slim = handle_slim
        self._slim = slim
        self._tick = tick
        self._deadline = deadline
        self._guard = guard
        self.failures: list[Exception] = []
        self._reset()
        _workers.add(self)

    def _reset(self) -> None:
        self._queue: SimpleQueue[Waiting[Item]] = SimpleQueue()
        # Reentrant: a stream may be collected, and so finished, while its own thread is in here.
        self._counting = threading.RLock()
        self._hurry = threading.Event()
        self.lock = threading.RLock()
        self._waiting = 0
        self._characters = 0
        self._is_quick = False
        self._is_stopped = False
        self._in_hand: dict[int, Waiting[Item]] = {}
        self._thread: threading.Thread | None = None

    def forked(self) -> None:
        """In a forked child: what waits belongs to the parent, and no thread has survived."""
        self._reset()

    @property
    def waiting(self) -> int:
        """How many items wait."""
        return self._waiting

    def submit(self, item: Item, characters: int = 0) -> None:
        """Queue `item`, which keeps `characters` of text alive. Never waits: in a full queue it waits without texts."""
        with self._counting:
            full = self._waiting >= MOST_ITEMS or self._characters + characters > MOST_CHARACTERS
            if full:
                self._guard.overflowed += 1
                bare = self._waiting >= BEYOND * MOST_ITEMS or self._characters > BEYOND * MOST_CHARACTERS
                item, characters = self._slim(item, bare=bare)
            self._waiting += 1
            self._characters += characters
        self._queue.put(Waiting(item, characters, full))
        if self._thread is None:
            self._start()
            if self._is_stopped:
                self.stop()

    def drain(self, timeout: float) -> bool:
        """Wait until everything submitted so far is handled; false when `timeout` seconds were not enough."""
        thread = self._thread
        if threading.current_thread() is thread:
            return True
        if thread is None or not thread.is_alive():
            self._drain_here()
            return True
        done = threading.Event()
        self._queue.put(Waiting(done))
        self._hurry.set()
        deadline = time.monotonic() + timeout
        while not done.wait(min(0.2, max(0.0, deadline - time.monotonic()))):
            if not thread.is_alive():
                self._drain_here()
                return True
            if time.monotonic() >= deadline:
                return False
        return True

    def be_quick(self) -> None:
        """Handle what waits as if it had come when the queue was full: the process ends."""
        self._is_quick = True

    def drain_past(self) -> None:
        """Handle what waits on this thread though another is stuck with the lock; the process ends."""
        self.lock = threading.RLock()
        for thread in list(self._in_hand):
            if entry := self._in_hand.pop(thread, None):
                self._handle_entry(entry)
        self._drain_here()

    def stop(self) -> None:
        """Let the thread end once it has handled what waits. What comes later gets one that ends as well."""
        self._is_stopped = True
        with self._counting:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(Waiting(_STOP))
            self._hurry.set()

    def _start(self) -> None:
        with self._counting:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._work, name="ragmeter", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                # The interpreter is shutting down: `drain` at exit handles what waits.
                self._thread = None

    def _work(self) -> None:
        queue, process = self._queue, os.getpid()
        while True:
            with self.lock:
                # Whoever flushes on another thread changes what is looked at here.
                deadline = self._deadline()
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                entry = queue.get(timeout=timeout)
            except Empty:
                entry = None
            if process != os.getpid():
                return  # a greenlet in the place of a thread goes on in a forked child: what waits is the parent's
            if entry is None:
                self._run(lambda _: self._tick(), None)
                continue
            if not isinstance(entry.item, threading.Event):
                self._hurry.wait(GATHER_SECONDS)
            is_over = self._take(entry)
            # While this thread waits for the next entry, it must not keep the last one alive.
            del entry
            if is_over or not self._drain_here():
                return

    def _drain_here(self) -> bool:
        """Handle what waits now; false when the worker was told to stop."""
        while True:
            try:
                if self._take(self._queue.get_nowait()):
                    return False
            except Empty:
                return True

    def _take(self, entry: Waiting[Item]) -> bool:
        """Handle one entry; whether it was the word to stop."""
        if isinstance(entry.item, threading.Event):
            self._hurry.clear()
            entry.item.set()
            return entry.item is _STOP
        with self._counting:
            self._waiting -= 1
            self._characters -= entry.characters
        # In hand until the lock is had: at the process's end another thread may take it from one that is stuck.
        thread = threading.get_ident()
        self._in_hand[thread] = entry
        with self.lock:
            is_ours = self._in_hand.pop(thread, None) is entry
            if is_ours:
                self._handle_entry(entry)
        return False

    def _handle_entry(self, entry: Waiting[Item]) -> None:
        self._run(self._handle_slim if entry.is_slim or self._is_quick else self._handle, cast("Item", entry.item))

    def _run(self, handle: Callable[..., None], item: Item | None) -> None:
        try:
            with self.lock:
                handle(item)
        except Exception as error:
            try:
                self._guard.caught("accounting", error)
            except Exception as loud:
                # Nobody stands above this thread: kept for `flush`, which raises it in tests.
                self.failures.append(loud)


_workers: weakref.WeakSet[Worker[Any]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for worker in list(_workers):
        worker.forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
