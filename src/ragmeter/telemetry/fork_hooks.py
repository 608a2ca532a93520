"""The SDK's fork hooks are left out of what is ours, and whether threads are greenlets.

opentelemetry-sdk starts threads in a child while `os.fork` has not returned yet: readers and processors of every
release, and since 1.45 each provider, which looks for its resource on a pool of threads. Under gevent starting a thread
lets another greenlet of the copied parent run first, in the child: it goes on as the parent would, and forks again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SDK = "opentelemetry.sdk"
REGISTER = "register_at_fork"
"""The function of `os` that is not there on every system."""


@contextmanager
def without_fork_hooks() -> Iterator[None]:
    """What is made inside registers no fork hook of the SDK; hooks of others are registered as ever."""
    register: Callable[..., None] | None = getattr(os, REGISTER, None)
    if register is None:
        yield
        return

    def register_others(**hooks: Callable[[], object]) -> None:
        others = {
            when: hook for when, hook in hooks.items() if not str(getattr(hook, "__module__", "")).startswith(SDK)
        }
        if others:
            register(**others)

    setattr(os, REGISTER, register_others)
    try:
        yield
    finally:
        setattr(os, REGISTER, register)


def threads_are_greenlets() -> bool:
    """Whether gevent has put its greenlets in the place of threads."""
    patched = getattr(sys.modules.get("gevent.monkey"), "is_module_patched", None)
    return patched is not None and bool(patched("threading"))
