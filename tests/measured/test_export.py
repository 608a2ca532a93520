"""`ragmeter export focus` from real servers: its rows sum to what the app has counted, across a restart."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ragmeter.cli import application
from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.hours import hours_of
from ragmeter.measured.times import TimeRange
from ragmeter.naming import semconv
from stack import app, dear_app

from .conftest import RUNS, Measured
from .test_server import SERVERS


def hours_around(span: TimeRange) -> TimeRange:
    """The whole hours that a time lies in."""
    start, last = (each.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for each in (span.start, span.end))
    return TimeRange(start, last + timedelta(hours=1))


def export(url: str, output: Path, span: TimeRange, *options: str) -> Result:
    between = ("--from", span.start.isoformat(), "--to", span.end.isoformat())
    command = ["export", "focus", "--prometheus", url, "--output", str(output), *between, *options]
    return CliRunner(env={"COLUMNS": "120"}).invoke(application(), command)


@pytest.mark.parametrize("name", SERVERS)
def test_rows_sum_to_what_the_app_has_counted(measured: Measured, name: str, tmp_path: Path) -> None:
    """Tokens by meter and dollars by strategy are those of all three runs; the hours before have no row."""
    around = hours_around(measured.span)
    wide = TimeRange(around.start - timedelta(hours=30), around.end)
    result = export(measured.urls[name], tmp_path / "focus.csv", wide)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "focus.csv").open(encoding="utf-8")))
    assert f"{len(rows):,} rows of FOCUS 1.4" in result.output
    assert "Counters began anew 1 times" in result.output
    assert {row["ChargePeriodStart"] for row in rows} <= {
        f"{around.start + number * timedelta(hours=1):%Y-%m-%dT%H:00:00Z}" for number in range(2)
    }
    tokens: dict[str, float] = defaultdict(float)
    costs: dict[str, float] = defaultdict(float)
    for row in rows:
        tokens[row["SkuMeter"]] += float(row["ConsumedQuantity"])
        costs[row["x_Strategy"]] += float(row["EffectiveCost"])
    of_base = sum(app.QUERIES[strategy] for strategy in ("base", "rag"))
    answered = sum(app.QUERIES.values())
    assert tokens["Cache Read Input Tokens"] == RUNS * of_base * app.CACHE_READ_TOKENS
    assert tokens["Cache Write Input Tokens"] == RUNS * of_base * app.CACHE_WRITE_TOKENS
    assert tokens["Reasoning Output Tokens"] == RUNS * of_base * app.REASONING_TOKENS
    assert tokens["Output Tokens"] == RUNS * (answered * app.OUTPUT_TOKENS - of_base * app.REASONING_TOKENS)
    assert tokens["Web Searches"] == RUNS * of_base * app.WEB_SEARCHES
    assert tokens["Ingestion Tokens"] == RUNS * app.INGESTED_TOKENS
    for strategy in app.QUERIES:
        assert costs[strategy] == pytest.approx(RUNS * dear_app.cost_of_a_run(strategy), rel=1e-9), strategy
    prices = {
        (row["x_Model"], row["SkuMeter"]): float(row["ListUnitPrice"]) for row in rows if row["x_Model"] == app.BASE
    }
    price = dear_app.PRICES[app.BASE]
    assert prices[app.BASE, "Input Tokens"] == pytest.approx(price["input"])
    assert prices[app.BASE, "Cache Read Input Tokens"] == pytest.approx(price["cache_read"])
    assert prices[app.BASE, "Reasoning Output Tokens"] == pytest.approx(price["output"])


def test_a_day_is_the_sum_of_its_hours(measured: Measured) -> None:
    """Hour by hour is the same as in one go: what grows from one range to the next is lost in none."""
    around = hours_around(measured.span)
    whole = TimeRange(around.start - timedelta(hours=2), around.end)

    def spent(span: TimeRange) -> float:
        hours = hours_of(measured.urls["prometheus"], span, (semconv.COST,))
        return sum(hour.grown.total(semconv.COST) or 0.0 for hour in hours.read())

    (first, second) = (TimeRange(whole.start, around.start), around)
    with pytest.raises(MeasuredError, match="none from"):
        spent(first)
    assert spent(second) == pytest.approx(spent(whole))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--sub-account", "team"),
            'No call of that time has the label team: an app declares its labels with .*"team"',
        ),
        (
            ("--from", "2026-05-01T10:15Z"),
            "2026-05-01T10:15:00Z is within one: write 2026-05-01T10:00Z or 2026-05-01T11:00Z",
        ),
        (("--output", "focus.xlsx"), "ends with neither .csv nor .parquet: its ending chooses the format"),
        (("--output", "nowhere/focus.csv"), "There is no folder nowhere"),
    ],
)
def test_what_cannot_be_exported_is_said_in_a_sentence(
    measured: Measured, options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Exit code 2, one sentence that says what to do, and no file."""
    around = hours_around(measured.span)
    result = export(measured.urls["prometheus"], tmp_path / "focus.csv", around, *options)
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert re.search(said, result.output), result.output
    assert list(tmp_path.iterdir()) == []
