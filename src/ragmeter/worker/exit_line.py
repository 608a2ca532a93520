"""The line at a process's end that says what it has cost."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ragmeter.measured.figures import Figures
from ragmeter.measured.telling import in_one_line
from ragmeter.worker.process_end import is_child


class ExitLine:
    """Writes the line to stderr: if it is `wanted`, or, where nobody said (`None`), if somebody looks at a terminal.

    Children of a process never write it: a pool of workers would write many.
    """

    def __init__(self, *, wanted: bool | None, figures: Callable[[], Figures]) -> None:
        self._wanted = wanted
        self._figures = figures
        self._is_forked = False

    def forked(self) -> None:
        """In a forked child."""
        self._is_forked = True

    def write(self) -> None:
        """Write it, unless nothing was measured."""
        # An app without a console has no stderr.
        if self._is_forked or is_child() or sys.stderr is None:
            return
        wanted = sys.stderr.isatty() if self._wanted is None else self._wanted
        if wanted and (line := in_one_line(self._figures())) is not None:
            print(line, file=sys.stderr, flush=True)
