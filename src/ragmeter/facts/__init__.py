"""What is known of the world outside, as data: a file a subject, its rows each with the date it was read and a source.

Code reads the rows when it is imported, and none later: whoever imports it is `instrument()`, on the app's own thread.
`tests/money/test_facts.py` holds what a row must have.
"""

from __future__ import annotations

import json
import logging
import pkgutil
from dataclasses import dataclass
from typing import TypeVar

logger = logging.getLogger("ragmeter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A row of any of the files: the day on which it was read, where, and what else there is to say."""

    date: str
    source: str
    note: str = ""


Row = TypeVar("Row", bound=Fact)

_left_out: list[str] = []
"""The files that are not there, which is said once."""


def read(subject: str, kind: type[Row]) -> tuple[Row, ...]:
    """The rows of the file about a subject; none in an app that was frozen without it."""
    text = _text(f"{subject}.json")
    if text is None:
        _say_left_out(subject)
        return ()
    return tuple(kind(**row) for row in json.loads(text)["rows"])


def _text(name: str) -> bytes | None:
    """A file of this folder, which may lie in an archive; `None` where it does not."""
    try:
        return pkgutil.get_data(__name__, name)
    except OSError:
        return None


def _say_left_out(subject: str) -> None:
    if not _left_out:
        logger.warning(
            "ragmeter: this app was frozen into one file without ragmeter's data files, so some prices and names of "
            "providers are not known. Tell the tool that froze it to include ragmeter/facts/*.json."
        )
    _left_out.append(subject)
