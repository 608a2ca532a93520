"""Recorded series for a time that has passed: what our rules would have written had they been there."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from . import servers

PASSES = 2
"""Rules upon recorded series find them in the second pass: the first one's blocks are seen after a restart."""


def backfill_rules(rules: Sequence[Path], *, folder: Path, data: Path, days: float) -> None:
    """Write into `data` what the recording rules in `rules` make of the last `days` days that it holds."""
    promtool = servers.find_program("promtool")
    assert promtool is not None
    end = int(time.time())
    for _ in range(PASSES):
        with servers.prometheus(folder, data=data) as url:
            command = [
                str(promtool),
                "tsdb",
                "create-blocks-from",
                "rules",
                f"--start={end - int(days * 86_400)}",
                f"--end={end}",
                f"--url={url}",
                f"--output-dir={data}",
                *(str(path) for path in rules),
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
