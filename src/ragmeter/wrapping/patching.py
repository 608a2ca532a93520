"""A target wrapped now, or when its module is imported, and put back."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partialmethod
from typing import Any

import wrapt

from ragmeter.guard import Guard
from ragmeter.reading.declaration import Wrapper
from ragmeter.wrapping.bypasses import Slot, asks_above, attribute_of, heirs, leads_to, maker_of, references
from ragmeter.wrapping.listening import Listening
from ragmeter.wrapping.patch_state import Front, PatchState
from ragmeter.wrapping.wrapped_function import WrappedFunction, is_method, wrapped


@dataclass(frozen=True, slots=True)
class _Link:
    """What was put where: held by the wrapper itself, so that we keep no class or function of the app alive."""

    slot: Slot
    before: Any
    after: Any

    def undo(self) -> None:
        """Put back what was there, unless someone has changed it since."""
        if self.slot.get() is self.after:
            self.slot.put(self.before)


@dataclass(slots=True)
class Patch:
    """One target, `module:Class.attribute`, and what has become of it."""

    path: str
    make_wrapper: Callable[[Any], Wrapper]
    imported: Callable[[], None]
    state: PatchState = PatchState.WAITING
    parent: Any = None
    attribute: str = ""
    original: Any = None
    wrappers: list[weakref.ref[WrappedFunction]] = field(default_factory=list)

    def apply(self, module: Any) -> None:
        """Wrap the target in its imported module."""
        *parents, self.attribute = self.path.partition(":")[2].split(".")
        parent = module
        for name in parents:
            parent = getattr(parent, name, None)
        # Only what the class itself defines: an inherited function would be wrapped twice.
        original = vars(parent).get(self.attribute) if parent is not None else None
        if original is None:
            self.state = PatchState.ABSENT
            return
        self.parent, self.original = parent, original
        self._wrap(attribute_of(parent, self.attribute), method=is_method(parent, original))
        self.state = PatchState.PATCHED

    def reach(self, heir: type) -> None:
        """Wrap what a class below the target has instead of our wrapper, as near to the client as can be.

        Inside the wrapper of another tool rather than around it: there the client's own results are seen.
        """
        slot = attribute_of(heir, self.attribute)
        found = slot.get()
        if not _is_function(found) or leads_to(found, self._ours()):
            return
        originals = _inside(self.original)
        inner = [] if id(found) in originals else list(references(found, lambda held: id(held) in originals))
        for reference in inner:
            self._wrap(reference, method=is_method(self.parent, self.original))
        if not inner and not asks_above(heir, self.attribute, found):
            self._wrap(slot, method=is_method(heir, found))

    def undo(self) -> None:
        """Put the originals back. A function that someone else has wrapped since stays, and only passes calls on."""
        for reference in reversed(self.wrappers):
            wrapper = reference()
            if wrapper is not None:
                wrapper._self_link.undo()  # noqa: SLF001 - wrapt wants the name so
        self.wrappers.clear()
        self.state = PatchState.WAITING

    def fronts(self) -> Iterator[Front]:
        """The functions of others that stand before ours now, on the class of the target and those below it."""
        if self.state is not PatchState.PATCHED:
            return
        ours = self._ours()
        for owner in (self.parent, *heirs(self.parent, self.attribute)):
            found = vars(owner).get(self.attribute)
            if id(found) in ours or not _is_function(found):
                continue
            leads = leads_to(found, ours)
            if leads or owner is self.parent or not asks_above(owner, self.attribute, found):
                yield Front(f"{_name_of(owner)}.{self.attribute}", maker_of(found), leads)

    def _wrap(self, slot: Slot, *, method: bool) -> None:
        before = slot.get()
        wrapper, after = wrapped(before, self.make_wrapper, method=method)
        wrapper._self_link = _Link(slot, before, after)  # noqa: SLF001 - as above
        self.wrappers.append(weakref.ref(wrapper))
        slot.put(after)

    def _ours(self) -> frozenset[int]:
        links = (wrapper._self_link for wrapper in (reference() for reference in self.wrappers) if wrapper is not None)  # noqa: SLF001
        return frozenset(identity for link in links for identity in (id(link.after), id(_bare(link.after))))


Patches = Mapping[str, Patch | Listening]
"""What is put in place, by its path."""


class Patching:
    """All patches of one `instrument()`; `undo` restores what it finds unchanged and silences the rest."""

    def __init__(self, guard: Guard) -> None:
        self.patches: dict[str, Patch | Listening] = {}
        self._declared: set[str] = set()
        self._guard = guard
        self._active = True

    def declare(self, paths: Iterable[str]) -> None:
        """Say what is going to be wrapped: what a class below one of these has of its own may be another of them."""
        self._declared.update(paths)

    def wrap(self, path: str, make_wrapper: Callable[[Any], Wrapper], imported: Callable[[], None]) -> None:
        """Wrap the function at `path`; `make_wrapper` gets the original, `imported` is called once it is there."""
        self.put(Patch(path, make_wrapper, imported))

    def put(self, patch: Patch | Listening) -> None:
        """Put something in its place.

        Never imports the module: if the app has not done so yet, the patch waits for it.
        """
        path = patch.path
        self.patches[path] = patch
        module_name = path.partition(":")[0]
        if module_name in sys.modules:
            self.apply(patch, sys.modules[module_name])
            return
        # The hook stays for as long as the process lives, whatever is imported: we do not.
        this = weakref.ref(self)

        def apply(module: Any) -> None:
            patching = this()
            if patching is not None:
                patching.apply(patching.patches[path], module)

        wrapt.register_post_import_hook(apply, module_name)

    def apply(self, patch: Patch | Listening, module: Any) -> None:
        """Wrap the target of a patch in its module, which is there now."""
        if not self._active:
            return
        try:
            patch.apply(module)
            patch.imported()
        except Exception as error:
            self._guard.caught("patching", error)
        self._reach(patch)

    def _reach(self, patch: Patch | Listening) -> None:
        for heir in heirs(patch.parent, patch.attribute):
            try:
                if f"{heir.__module__}:{heir.__qualname__}.{patch.attribute}" not in self._declared:
                    patch.reach(heir)
            except Exception as error:
                self._guard.caught("looking for bypasses", error)

    def undo(self) -> None:
        """Put the originals back; from now on nothing more is wrapped."""
        self._active = False
        for patch in reversed(self.patches.values()):
            try:
                patch.undo()
            except Exception as error:
                self._guard.caught("putting back", error)


def _inside(function: Any) -> frozenset[int]:
    """The identities of a function and of all that it wraps: any of them may be what another tool has taken."""
    found = [function, _bare(function)]
    while (inner := getattr(found[-1], "__wrapped__", None)) is not None and len(found) < 20:
        found.append(inner)
    return frozenset(map(id, found))


def _is_function(found: Any) -> bool:
    return callable(_bare(found)) or isinstance(found, partialmethod)


def _bare(function: Any) -> Any:
    return function.__func__ if isinstance(function, staticmethod | classmethod) else function


def _name_of(owner: Any) -> str:
    return f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else str(owner.__name__)
