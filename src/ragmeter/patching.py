"""A target wrapped now, or when its module is imported, and put back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import wrapt

from ragmeter.guard import Guard

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""What wrapt calls: `(wrapped, instance, arguments, keywords)`."""


class PatchState(StrEnum):
    """Where a target stands: its module is not imported yet, it is wrapped, or this version has no such function."""

    WAITING = "waiting"
    PATCHED = "patched"
    ABSENT = "absent"
    SKIPPED = "skipped"


@dataclass(slots=True)
class Patch:
    """One target, `module:Class.attribute`, and what has become of it."""

    path: str
    state: PatchState = PatchState.WAITING
    parent: Any = None
    attribute: str = ""
    original: Any = None
    wrapper: Any = None


class Patching:
    """All patches of one `instrument()`; `undo` restores what it finds unchanged and silences the rest."""

    def __init__(self, guard: Guard) -> None:
        self.patches: dict[str, Patch] = {}
        self._guard = guard
        self._active = True

    def wrap(self, path: str, make_wrapper: Callable[[Any], Wrapper], imported: Callable[[], None]) -> None:
        """Wrap the function at `path`; `make_wrapper` gets the original, `imported` is called once it is there.

        Never imports the module: if the app has not done so yet, the patch waits for it.
        """
        patch = Patch(path)
        self.patches[path] = patch
        module_name = path.partition(":")[0]

        def apply(module: Any) -> None:
            if not self._active:
                return
            try:
                _apply(patch, module, make_wrapper)
                imported()
            except Exception as error:
                self._guard.caught("patching", error)

        if module_name in sys.modules:
            apply(sys.modules[module_name])
        else:
            wrapt.register_post_import_hook(apply, module_name)

    def undo(self) -> None:
        """Put the originals back. A function that someone else has wrapped since stays, and only passes calls on."""
        self._active = False
        for patch in self.patches.values():
            if patch.state is PatchState.PATCHED and vars(patch.parent).get(patch.attribute) is patch.wrapper:
                setattr(patch.parent, patch.attribute, patch.original)
            patch.state = PatchState.WAITING


def _apply(patch: Patch, module: Any, make_wrapper: Callable[[Any], Wrapper]) -> None:
    *parents, attribute = patch.path.partition(":")[2].split(".")
    parent = module
    for name in parents:
        parent = getattr(parent, name, None)
    # Only what the class itself defines: an inherited function would be wrapped twice.
    original = vars(parent).get(attribute) if parent is not None else None
    if original is None:
        patch.state = PatchState.ABSENT
        return
    patch.parent, patch.attribute, patch.original = parent, attribute, original
    patch.wrapper = wrapt.FunctionWrapper(original, make_wrapper(original))
    setattr(parent, attribute, patch.wrapper)
    patch.state = PatchState.PATCHED
