"""Fixtures for every test: a real in-memory OpenTelemetry SDK, and a ragmeter that is loud about its own errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

pytest.register_assert_rewrite("clients", "contract", "recorded", "telemetry_seen", "wire")

# A limit of time fails on a busy machine, and says nothing of the code. The examples are the same in each run, so that
# a change is judged by what it changed; RAGMETER_EXPLORE=1 looks for new ones.
hypothesis.settings.register_profile(
    "ragmeter", deadline=None, derandomize=os.environ.get("RAGMETER_EXPLORE", "") in ("", "0")
)
hypothesis.settings.load_profile("ragmeter")

# What most users have is tested; the tests of exact counts ask for them.
os.environ.setdefault("RAGMETER_EXACT_TOKENS", "false")

import ragmeter  # noqa: E402
from telemetry_seen import Seen  # noqa: E402


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Seen]]:
    """Instruments with in-memory providers and the given settings; the test's end takes it back.

    `loud=False` is ragmeter as apps run it: its own errors are swallowed and counted.
    """

    def start(*, sampler: Sampler = ALWAYS_ON, loud: bool = True, **settings: Any) -> Seen:
        monkeypatch.setenv("RAGMETER_LOUD", "1" if loud else "0")
        seen = Seen(sampler)
        ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider, **settings)
        return seen

    yield start
    ragmeter.uninstrument()


@pytest.fixture
def seen(watch: Callable[..., Seen]) -> Seen:
    """Ragmeter as it comes, with everything it reports."""
    return watch()


@pytest.fixture
def seen_unsampled(watch: Callable[..., Seen]) -> Seen:
    """The same, with a sampler that drops every span."""
    return watch(sampler=ALWAYS_OFF)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of how many recordings every figure was equal, when those tests ran."""
    counted = [
        report
        for outcome in ("passed", "failed", "skipped")
        for report in terminalreporter.getreports(outcome)
        if "test_recordings.py" in report.nodeid and getattr(report, "when", "") in ("call", "setup")
    ]
    ran = {_recording(report.nodeid) for report in counted if not (report.when == "setup" and report.passed)}
    bad = {_recording(report.nodeid) for report in counted if report.failed}
    skipped = {_recording(report.nodeid) for report in counted if report.skipped}
    ran, bad, skipped = ran - {None}, bad - {None}, skipped - bad - {None}
    if ran:
        told = len(ran) - len(skipped)
        terminalreporter.write_line(
            f"recordings: {told - len(bad)} of {told} told in every figure"
            + (f", {len(skipped)} not callable with the installed clients" if skipped else "")
        )


def _recording(nodeid: str) -> str | None:
    name = nodeid.partition("[")[2].rstrip("]")
    return next((part for part in name.split(":") if part.endswith(".yaml")), None)
