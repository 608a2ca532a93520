"""Calls of which a client's events tell: their start, finish and failure made into one observation each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from ragmeter.reading.declaration import Call, Target
from ragmeter.wrapping.observation import Observation
from ragmeter.wrapping.observing import Observer

MOST_OPEN = 1_000
"""Calls whose end has not been told yet: beyond it the oldest is counted without an answer, for its prompt is kept."""


class Reports:
    """What the events of one hook have told of calls that have not ended.

    A call is not in a context of ours: its end may be told on another thread, or never. All of this runs within the
    client, to which nothing that goes wrong here must come.
    """

    def __init__(self, observer: Observer, target: Target) -> None:
        self._observer = observer
        self._target = target
        self._open: OrderedDict[Hashable, Observation] = OrderedDict()

    def started(self, key: Hashable, call: Call) -> None:
        """A call begins; one of the same key that has not ended was another one, and has no answer."""
        try:
            earlier = self._open.pop(key, None)
            if earlier is not None:
                earlier.unanswered()
            observation = self._observer.begin_told(self._target, call)
            if observation is not None:
                self._open[key] = observation
            while len(self._open) > MOST_OPEN:
                self._let_go_of_oldest()
        except Exception as error:
            self._observer.guard.caught("hearing of a call", error)

    def finished(self, key: Hashable, result: Any) -> None:
        """It has given a result."""
        observation = self._ended(key)
        if observation is not None:
            observation.returned(result)

    def failed(self, key: Hashable, error: BaseException) -> None:
        """It has failed."""
        observation = self._ended(key)
        if observation is not None:
            observation.raised(error)

    def close(self) -> None:
        """No more is told: what has not ended is counted without an answer."""
        while self._open:
            self._let_go_of_oldest()

    def clear(self) -> None:
        """In a forked child: what has not ended goes on in the parent."""
        self._open.clear()

    def _ended(self, key: Hashable) -> Observation | None:
        try:
            return self._open.pop(key, None)
        except Exception as error:
            self._observer.guard.caught("hearing of a call", error)
            return None

    def _let_go_of_oldest(self) -> None:
        try:
            _, observation = self._open.popitem(last=False)
        except KeyError:
            # It has ended meanwhile, on another thread.
            return
        observation.unanswered()
