"""How a history gets into a Prometheus: the command, with blocks so long that promtool reads the file but a few times.

promtool reads the whole file for every block it makes: two weeks in blocks of a day take 15 turns and more.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

SHORTEST_BLOCK = 2
BLOCK_FACTOR = 3
"""Prometheus' blocks are 2 hours long, or 6, 18, 54 and so on."""


def block_hours(length: timedelta) -> int:
    """The shortest length of a block that a history of this length fits into: in one, or in two where it straddles."""
    hours = SHORTEST_BLOCK
    while timedelta(hours=hours) < length:
        hours *= BLOCK_FACTOR
    return hours


def load_command(length: timedelta, file: Path, data: Path | str, promtool: Path | str = "promtool") -> tuple[str, ...]:
    """The command that makes blocks of a history's file in a data folder of Prometheus."""
    longest = f"--max-block-duration={block_hours(length)}h"
    return (str(promtool), "tsdb", "create-blocks-from", "openmetrics", longest, str(file), str(data))
