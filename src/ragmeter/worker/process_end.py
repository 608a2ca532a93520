"""Hears of the end of processes that skip the interpreter's exit: children of `multiprocessing`, and of Celery's copy.

A child that was forked, from a pool or from a fork server as well, ends by `os._exit`: `atexit` is not run, the
finalizers of `multiprocessing.util` are. They are forgotten when a child begins, so they are made there, by a hook that
the module runs in each new child. The module is never imported by us: without it there are no such children.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

MODULES = ("multiprocessing.util", "billiard.util")
"""billiard is what Celery forks its workers with."""

LAST = -1000
"""Priority of our finalizer: after those of the app, which may make calls."""


class ProcessEnd:
    """Calls `ended` at the end of a child process. `listen` again whenever the modules may have been imported since."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._heard: set[str] = set()

    def listen(self) -> None:
        """Follow those of the modules that are there by now."""
        for name in MODULES:
            module = sys.modules.get(name)
            register = getattr(module, "register_after_fork", None)
            if name in self._heard or register is None:
                continue
            self._heard.add(name)
            beginning = _Beginning(module)
            register(self, beginning)
            if _is_child(name):
                # It has begun already: a pool's initializer calls `instrument()`.
                beginning(self)

    def heard(self) -> None:
        """The process ends."""
        self._ended()

    def stop(self) -> None:
        """Call nothing any more."""
        self._ended = _nothing


class _Beginning:
    """In a child that begins: makes its finalizer."""

    def __init__(self, module: Any) -> None:
        self._finalize = module.Finalize

    def __call__(self, end: ProcessEnd) -> None:
        self._finalize(None, end.heard, exitpriority=LAST)


def is_child() -> bool:
    """Whether this process was started by `multiprocessing`, or by Celery's copy."""
    return any(_is_child(name) for name in MODULES)


def _is_child(module_name: str) -> bool:
    """Whether this process is one that the module's package has started."""
    process = sys.modules.get(module_name.replace(".util", ".process"))
    return process is not None and getattr(process.current_process(), "_parent_pid", None) is not None


def _nothing() -> None:
    pass
