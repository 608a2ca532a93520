"""Each kind of target put where it belongs: a wrapper around a function, a listener among those of a client."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ragmeter.reading.declaration import Hook, Wrapped
from ragmeter.wrapping.listening import Listening
from ragmeter.wrapping.observing import Observer
from ragmeter.wrapping.patching import Patching
from ragmeter.wrapping.reports import Reports
from ragmeter.wrapping.wrappers import Wrappers


class Installing:
    """Puts what integrations declare into the clients, for one observer."""

    def __init__(self, observer: Observer, patching: Patching) -> None:
        self._observer = observer
        self._patching = patching
        self._wrappers = Wrappers(observer)
        self._reports: list[Reports] = []

    def wrap(self, target: Wrapped, imported: Callable[[], None]) -> None:
        """Put a wrapper around a function."""
        self._patching.wrap(target.path, partial(self._wrappers.wrapper, target), imported)

    def listen(self, target: Hook, imported: Callable[[], None]) -> None:
        """Put a listener among the client's own."""
        reports = Reports(self._observer, target.calls)
        self._reports.append(reports)
        self._patching.put(Listening(target, reports, imported))

    def forked(self) -> None:
        """In a forked child: calls of which clients tell go on in the parent."""
        for reports in self._reports:
            reports.clear()
