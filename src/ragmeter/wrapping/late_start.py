"""A call that only makes a generator: its request is made, and its time begins, with the first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ragmeter.guard import Guard
from ragmeter.reading.declaration import Call, Generated, Target
from ragmeter.wrapping.generators import Steps, handed_on
from ragmeter.wrapping.observation import Moment, Observation, now


class LateStart:
    """What stands in for the observation of such a call until it begins; it may turn out to be none."""

    def __init__(
        self, target: Target, call: Call, begin: Callable[[Moment | None], Observation | None], guard: Guard
    ) -> None:
        self.call = call
        self._target = target
        self._begin = begin
        self._guard = guard
        self._made = now()

    def enter(self) -> None:
        """Nothing is asked yet."""

    def leave(self) -> None:
        """Nothing was entered."""

    def returned(self, result: Any) -> Any:
        """A generator in the place of the one that was made; what is none has made its request after all."""
        try:
            outcome = self._target.outcome(result)
            if isinstance(outcome, Generated):
                return handed_on(outcome.generator, self._first_step)
        except Exception as error:
            self._guard.caught("reading an answer", error)
        observation = self._begin(self._made)
        return result if observation is None else observation.returned(result)

    def raised(self, error: BaseException) -> None:
        """The call has raised before there was a generator."""
        observation = self._begin(self._made)
        if observation is not None:
            observation.raised(error)

    def _first_step(self) -> Steps:
        observation = self._begin(None)
        return Steps() if observation is None else observation.steps()
