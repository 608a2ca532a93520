"""A listener of ours among those of a client, put there when its module is imported and taken away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ragmeter.reading.declaration import Hook
from ragmeter.wrapping.patch_state import Front, PatchState
from ragmeter.wrapping.reports import Reports


class Listening:
    """One hook and what has become of it: among patches it is one of them."""

    # There is no class whose heirs would lead past it.
    parent = None

    def __init__(self, hook: Hook, reports: Reports, imported: Callable[[], None]) -> None:
        self.path = hook.path
        self.attribute = hook.path.partition(":")[2]
        self.imported = imported
        self._hook = hook
        self._reports = reports
        self._module: Any = None
        self._listener: Any = None
        self._state = PatchState.WAITING

    @property
    def state(self) -> PatchState:
        """Where it stands; `shadowed` where the app has put other listeners there instead of all."""
        if self._state is PatchState.PATCHED and not self._hook.holds(self._holder(), self._listener):
            return PatchState.SHADOWED
        return self._state

    def apply(self, module: Any) -> None:
        """Register the listener in the imported module."""
        self._module = module
        holder = self._holder()
        if holder is None:
            self._state = PatchState.ABSENT
            return
        self._listener = self._hook.listener(self._reports)
        self._hook.add(holder, self._listener)
        self._state = PatchState.PATCHED

    def reach(self, heir: type) -> None:
        """Nothing lies below it."""

    def undo(self) -> None:
        """Take the listener away, wherever the app has put it since; those of the app stay."""
        if self._state is PatchState.PATCHED:
            self._hook.remove(self._holder(), self._listener)
        self._state, self._module, self._listener = PatchState.WAITING, None, None
        self._reports.close()

    def fronts(self) -> Iterator[Front]:
        """Nobody stands before it: each listener is told by itself."""
        return iter(())

    def _holder(self) -> Any:
        holder = self._module
        for name in self.attribute.split("."):
            holder = getattr(holder, name, None)
        return holder
