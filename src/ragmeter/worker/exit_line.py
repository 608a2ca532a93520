"""The line at a process's end that says what it has cost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ragmeter.worker.process_end import is_child

if TYPE_CHECKING:
    from ragmeter.measured.collected import Counted


class ExitLine:
    """Writes the line to stderr: if it is `wanted`, or, where nobody said (`None`), if somebody looks at a terminal.

    Children of a process never write it: a pool of workers would write many. `counted` gives the totals of the process.
    What takes them for figures is imported when the line is written: most processes write none.
    """

    def __init__(self, *, wanted: bool | None, counted: Callable[[], Counted]) -> None:
        self._wanted = wanted
        self._counted = counted
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
        if wanted and (line := _line(self._counted())) is not None:
            print(line, file=sys.stderr, flush=True)


def _line(counted: Counted) -> str | None:
    from ragmeter.measured.collected import rows_of
    from ragmeter.measured.figures import Figures
    from ragmeter.measured.samples import Samples
    from ragmeter.measured.telling import in_one_line

    return in_one_line(Figures.of(Samples.of(rows_of(counted))))
