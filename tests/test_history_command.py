"""What `ragmeter demo --history` writes: OpenMetrics text, and how the command answers."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ragmeter.cli import application
from ragmeter.demo.history.generation import Period, generate
from ragmeter.demo.history.loading import block_hours, load_command
from ragmeter.demo.history.openmetrics import bound_text, series, write
from ragmeter.demo.history.recorded import recorded
from ragmeter.demo.history.series import History, Line
from ragmeter.naming import hourly_series, semconv
from ragmeter.naming.metric import InstrumentKind, Metric

FRIDAY = datetime(2026, 5, 1, 15, 42, tzinfo=UTC)


def total(metric: Metric, history: History) -> float:
    """What all lines of a metric grew by in all."""
    return float(sum(line.growth.sum() for line in history.of(metric)))


# --- the text


def written(history: History) -> str:
    file = io.StringIO()
    write(history, file)
    return file.getvalue()


def test_the_same_period_gives_the_same_text() -> None:
    """A history is deterministic: the same text again, another one with another seed."""
    period = Period(timedelta(hours=1), FRIDAY)
    once = written(generate(period))
    assert once == written(generate(period))
    assert once != written(generate(period, seed=1))


SAMPLE = re.compile(r'(\w+)\{((?:\w+="[^"]*",?)*)\} (\S+) (\d+)')


def test_the_text_is_openmetrics_with_all_samples() -> None:
    """Each series has one sample a step under job and instance; each family its type; the text ends as it must."""
    period = Period(timedelta(hours=2), FRIDAY)
    history = generate(period)
    lines = written(history).splitlines()
    assert lines[-1] == "# EOF"
    types = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE"))
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for line in lines:
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value, time = match.groups()
            assert labels.startswith('job="shop",instance="shop-1"')
            family = re.sub("_(total|bucket|sum|count)$", "", name)
            assert types[family if family in types else name] in ("counter", "histogram", "gauge")
            found.setdefault((name, labels), []).append((int(time), float(value)))
    end = int(FRIDAY.timestamp())
    assert all(
        [time for time, _ in samples] == list(range(end - 7200 + 120, end + 1, 120)) for samples in found.values()
    )
    assert len(found) == sum(1 for line in history.lines for _ in series(line, ()))
    for (name, labels), samples in found.items():
        if name.endswith("_bucket") and 'le="+Inf"' in labels:
            own = labels.replace(',le="+Inf"', "")
            assert samples == found[name.replace("_bucket", "_count"), own]
    spent = sum(samples[-1][1] for (name, _), samples in found.items() if name == "ragmeter_cost_usd_total")
    assert spent == pytest.approx(total(semconv.COST, history), rel=1e-6)


@pytest.fixture(scope="module")
def released() -> History:
    """A history with the release in it, and a day after."""
    return generate(Period(timedelta(days=9), FRIDAY))


def test_counters_fall_once_when_the_release_restarts_the_program(released: History) -> None:
    """Counters and buckets only grow, but for the one restart, where they begin anew; buckets hold those below them."""
    (restart,) = released.restarts
    (start,) = (each.start.timestamp() for each in released.incidents if each.alert == "RagmeterContextBloat")
    assert released.times[restart - 1] <= start < released.times[restart]
    fell = set()
    for line in released.lines:
        if line.metric.kind is InstrumentKind.GAUGE:
            continue
        buckets = []
        for name, _, samples in series(line, released.restarts):
            falls = np.flatnonzero(np.diff(samples) < 0) + 1
            assert set(falls.tolist()) <= {restart}, name
            fell.update(falls.tolist())
            if name.endswith("_bucket"):
                buckets.append(samples)
            elif not name.endswith("_count"):
                assert samples[restart] == pytest.approx(line.growth[restart]), name
                assert samples[-1] == pytest.approx(line.growth[restart:].sum()), name
        assert all((lower <= higher).all() for lower, higher in pairwise(buckets)), line.metric.name
    assert fell == {restart}


def test_a_value_beyond_all_bounds_is_counted() -> None:
    """What is larger than the last bound stands in the bucket without one, in the count and in the sum."""
    metric = semconv.SEARCH_RESULTS
    buckets = np.zeros((len(metric.buckets) + 1, 2), dtype=np.int64)
    buckets[0, 0] = buckets[-1, 1] = 1
    found = {
        (name, labels.get("le", "")): values.tolist()
        for name, labels, values in series(Line(metric, (), np.array([0, 300]), buckets), ())
    }
    stem = "ragmeter_search_results"
    assert found[f"{stem}_bucket", "100.0"] == [1, 1]
    assert found[f"{stem}_bucket", "+Inf"] == found[f"{stem}_count", ""] == [1, 2]
    assert found[f"{stem}_sum", ""] == [0, 300]


def test_the_size_is_bounded(released: History) -> None:
    """A history has no more series than a small service: two weeks of it load within a minute."""
    assert sum(1 for line in released.lines for _ in series(line, ())) < 1_500


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (0.0, "0.0"),
        (1e-6, "1e-06"),
        (0.0001, "0.0001"),
        (1.0, "1.0"),
        (262144.0, "262144.0"),
        (4.0**10, "1.048576e+06"),
        (4.0**13, "6.7108864e+07"),
        (float("inf"), "+Inf"),
    ],
)
def test_bounds_are_written_as_a_scrape_has_them(bound: float, text: str) -> None:
    """A bucket's bound is the text that Prometheus' own client writes: one series, however it came."""
    assert bound_text(bound) == text


SHOPS = ("shop-1", "shop-2", "shop-3")


@pytest.mark.parametrize("every", [timedelta(minutes=2), timedelta(hours=1)])
def test_hourly_series_of_many_shops_are_the_same(every: timedelta) -> None:
    """Recorded series have a sample an hour, once for each shop, and cost what the history did."""
    history = generate(Period(timedelta(hours=30), FRIDAY.replace(minute=0), every))
    file = io.StringIO()
    number = recorded(history, file, jobs=SHOPS)
    samples = [line for line in file.getvalue().splitlines() if not line.startswith("#")]
    assert len(samples) == number * 30
    assert {int(line.split()[-1]) % 3600 for line in samples} == {0}
    assert {line.partition("{")[0] for line in samples} == {each.name for each in hourly_series.ALL}
    for job in SHOPS:
        costs = [line.split()[-2] for line in samples if line.startswith(f'{hourly_series.COST.name}{{job="{job}"')]
        assert sum(map(float, costs)) == pytest.approx(total(semconv.COST, history), rel=1e-6)


def test_an_hour_that_is_not_over_has_no_sample() -> None:
    """The last sample is that of the last whole hour, and holds what grew in it alone."""
    history = generate(Period(timedelta(minutes=162), FRIDAY))
    file = io.StringIO()
    recorded(history, file)
    queries = [line.split() for line in file.getvalue().splitlines() if line.startswith(hourly_series.QUERIES.name)]
    end = FRIDAY.replace(minute=0).timestamp()
    assert {float(time) for *_, time in queries} == {end - 3600, end}
    inside = (history.times > end - 3600) & (history.times <= end)
    expected = sum(line.growth[inside].sum() for line in history.of(semconv.QUERIES))
    assert sum(float(value) for _, value, time in queries if float(time) == end) == expected


# --- the command


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(application(), ["demo", *arguments])


def test_the_command_writes_the_history_and_its_incidents(tmp_path: Path) -> None:
    """The file holds the period asked for; the command to load it and the planted incidents are said, and written."""
    target, planted = tmp_path / "shop.om", tmp_path / "incidents.json"
    result = run(
        "--history=7d", "--every=4m", "--end=2026-05-01T15:43:10+02:00", f"--output={target}", f"--json={planted}"
    )
    assert result.exit_code == 0, result.output
    period = Period(timedelta(days=7), datetime(2026, 5, 1, 13, 40, tzinfo=UTC), timedelta(minutes=4))
    with target.open() as opened:
        first = next(line for line in opened if line.startswith("ragmeter_"))
    assert first.split()[-1] == str(int(period.start.timestamp()) + 240)
    assert target.read_bytes()[-6:] == b"# EOF\n"
    target.unlink()  # half a gigabyte
    assert f"promtool tsdb create-blocks-from openmetrics --max-block-duration=486h {target} " in result.stdout
    assert "2026-04-30 11:00 to 12:00" in result.stdout
    assert "RagmeterRetrievalEmpty" in result.stdout
    assert json.loads(planted.read_text()) == [
        {
            "name": "re-index loses documents",
            "start": "2026-04-30T11:00:00+00:00",
            "end": "2026-04-30T12:00:00+00:00",
            "alert": "RagmeterRetrievalEmpty",
            "strategy": "rag",
            "collection": "faq",
        }
    ]


def test_a_history_ends_now_and_is_found_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options the file is history.om, and its last sample not older than a step."""
    monkeypatch.chdir(tmp_path)
    before = datetime.now(UTC).timestamp()
    result = run("--history=1h")
    assert result.exit_code == 0, result.output
    assert "Incidents: none" in result.stdout
    last = int(Path("history.om").read_text().splitlines()[-2].split()[-1])
    assert before - 120 <= last <= datetime.now(UTC).timestamp()
    assert last % 120 == 0


def test_the_command_writes_what_is_made_up(tmp_path: Path) -> None:
    """The file is what the rules would have recorded of the period asked for, and its history as a whole."""
    target = tmp_path / "shop.om"
    result = run("--history=1h30m", "--every=60s", "--end=2026-05-01T15:42:59", f"--output={target}")
    assert result.exit_code == 0, result.output
    history = generate(Period(timedelta(minutes=90), FRIDAY, timedelta(minutes=1)))
    hourly = io.StringIO()
    recorded(history, hourly)
    assert "job_strategy_model:ragmeter_cost_usd_total:increase1h{" in hourly.getvalue()
    assert target.read_text() == hourly.getvalue() + written(history)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--history=fourteen"], "--history"),
        (["--history=0d"], "--history"),
        (["--history=-3d"], "--history"),
        (["--history=365d"], "--history"),
        (["--history=3m"], "--history"),
        (["--history=1h", "--every=10m"], "--every"),
        (["--history=1h", "--every=1s"], "--every"),
        (["--history=1h", "--every=often"], "--every"),
        (["--history=1h", "--end=yesterday"], "--end"),
        (["--history=1h", "--end=0001-01-01"], "--end"),
        (["--history=1h", "--output=/no/such/folder/file"], "--output"),
        (["--history=1h", "--json=/no/such/folder/file"], "--json"),
        (["--history=1h", "--output=/dev/null"], "--output"),
        (["--history=1h", "--output=same", "--json=same"], "--json"),
        (["--history=1h", "--questions=5"], "--questions"),
        (["--history=1h", "--database=chroma"], "--database"),
        (["--history=1h", "--serve"], "--serve"),
        (["--history=1h", "--live"], "--live"),
        (["--output=file.om"], "--output"),
        (["--every=2m"], "--every"),
        (["--end=2026-05-01"], "--end"),
    ],
)
def test_a_bad_option_is_named(
    arguments: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be done ends at once with the name of the option, and writes nothing."""
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("days", "hours"), [(0.05, 2), (0.25, 6), (2, 54), (7, 486), (14, 486), (30, 1458)])
def test_blocks_are_long_enough(days: float, hours: int) -> None:
    """The command names the shortest of Prometheus' block lengths that the history fits into."""
    length = timedelta(days=days)
    assert block_hours(length) == hours
    assert f"--max-block-duration={hours}h" in load_command(length, Path("a.om"), "data")
