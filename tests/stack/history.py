"""Histories of the demo in the data folder of a Prometheus, as `ragmeter demo --history` says to load them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from ragmeter.demo.history import openmetrics
from ragmeter.demo.history.generation import EVERY, Period, generate, rounded_down
from ragmeter.demo.history.loading import load_command
from ragmeter.demo.history.recorded import recorded

from . import servers


def period_until_now(days: float, every: timedelta = EVERY) -> Period:
    """The last days: Prometheus answers a question about now with what is not older than five minutes."""
    return Period(timedelta(days=days), rounded_down(datetime.now(UTC), every), every)


def loaded_history(folder: Path, days: float) -> Path:
    """The data folder of a Prometheus that has the last `days` days of the made-up shop."""
    return loaded(folder, period_until_now(days))


def loaded(folder: Path, period: Period) -> Path:
    """The data folder of a Prometheus that has the made-up shop's metrics of a period."""
    history = generate(period)
    return _loaded(folder, period, lambda file: openmetrics.write(history, file))


def loaded_hourly(folder: Path, period: Period, copies: int) -> Path:
    """The data folder of a Prometheus that has only the hourly recorded series of a period, of many shops."""
    history = generate(period)
    jobs = [f"shop-{number}" for number in range(1, copies + 1)]

    def write(file: TextIO) -> None:
        recorded(history, file, jobs=jobs)
        file.write(openmetrics.END)

    return _loaded(folder, period, write)


def _loaded(folder: Path, period: Period, write: Callable[[TextIO], object]) -> Path:
    file, data = folder / "history.om", folder / "history-data"
    with file.open("w") as opened:
        write(opened)
    command = load_command(period.length, file, data, servers.required("promtool"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=servers.LOADING_SECONDS, check=False)
    # Two weeks are two gigabytes of text.
    file.unlink()
    assert done.returncode == 0, done.stderr
    return data
