"""The commands of the benchmarks run against the build at hand, and say what they measure."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import openai
import pytest
from benchmarks import curves
from benchmarks.growth import exponent, measure
from benchmarks.installed import without_the_client
from benchmarks.profiling import CALLER_ROWS, WORKER_ROWS, profile, table

UNDRAWN = sorted(set(curves.CURVES) - {"live", "pieces"})


def test_a_profile_times_each_station_of_a_call_and_leaves_the_client_as_it_was():
    request = openai.OpenAI.request
    found = profile("small", batches=1, steps=2)
    told = table("small chat", found)
    assert all(f"| {row} |" in told for row in (*WORKER_ROWS, *CALLER_ROWS)), told
    assert not found.missing, "a station was renamed: name it anew in benchmarks/profiling.py"
    # Those that a chat without retrieval may pass in no time at all.
    quick = {"remembering chunks", "prompt: judging the answer", "finding a price"}
    assert {row for row, taken in {**found.worker, **found.caller}.items() if not taken} <= quick
    assert openai.OpenAI.request is request


def test_curves_print_an_exponent_for_each_thread_and_draw_each_curve(tmp_path: Path, capsys):
    curves.main(["live", "pieces", "--sizes", "1", "3", "--rounds", "1", "--plots", str(tmp_path)])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 4
    assert all("1 … 3 |" in row for row in rows)
    for name in ("live", "pieces"):
        drawn = ElementTree.parse(tmp_path / f"{name}.svg").getroot()
        assert len(drawn.findall("{*}polyline")) == 2


@pytest.mark.parametrize("name", UNDRAWN)
def test_every_curve_can_be_measured(name):
    with without_the_client():
        measured = measure(curves.CURVES[name], [2], 0.0, rounds=1)
    assert measured.costs[2].worker


def test_sizes_without_time_are_named(capsys):
    curves.main(["settling", "--sizes", "1", "2", "--seconds", "1e-9"])
    assert "(no time for 2)" in capsys.readouterr().out


def test_an_unknown_curve_is_refused_with_the_names_there_are(capsys):
    with pytest.raises(SystemExit):
        curves.main(["prompts"])
    assert "no curve is called prompts; there are prompt, quoted" in capsys.readouterr().err


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_is_the_power_of_the_growth(power):
    assert exponent([(size, 7 * size**power) for size in (1, 10, 200)]) == pytest.approx(power)
