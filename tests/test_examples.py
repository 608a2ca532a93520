"""Examples and the snippets of README and docs run as they stand, and their pages are looked at while they are up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pages import CONTRIBUTING, DOCS, README, ROOT, blocks, commands
from ragmeter.demo.server import serving
from ragmeter.demo.simulation import Latency
from ragmeter.naming.metric import Profile
from ragmeter.naming.prometheus_names import label_name
from ragmeter.naming.semconv import metrics_of
from ragmeter.settings import Settings
from stack.names import series_names
from stack.servers import free_port

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DEFAULT_PORT = Settings().prometheus_port
SNIPPETS = [(page.name, text) for page in (README, *DOCS) for text in blocks(page, "python")]
PASSAGES = ["The warranty of the blue kettle lasts for two years.", "RAG is retrieval-augmented generation."]
OPTIONAL = {"error_type"}
"""A label of what has failed only."""
PLAIN = r"^import ragmeter\n+ragmeter\.instrument\(.*\)\n+"
"""The lines that zero code does without."""


def environment(url: str, **more: str) -> dict[str, str]:
    """What a program needs to take the simulated server for OpenAI; the rest is as a user has it."""
    ours = ("OTEL_", "RAGMETER_", "OPENAI_")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
        "OPENAI_BASE_URL": url,
        "OPENAI_API_KEY": "simulated",
        "RAGMETER_LOUD": "1",
        "RAGMETER_PROMETHEUS_PORT": "0",
        "RAGMETER_PROVIDERS": "127.0.0.1=openai",
        **more,
    }


def run(*command: str, variables: Mapping[str, str], folder: Path) -> str:
    """The output of a program."""
    done = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_and_look(*command: str, url: str, folder: Path) -> tuple[str, str]:
    """The output of a program that waits for Enter, and its page of metrics before Enter was pressed."""
    port = free_port()
    with subprocess.Popen(
        command,
        env=environment(url, RAGMETER_PROMETHEUS_PORT=str(port)),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        page = fetched(f"http://127.0.0.1:{port}/metrics", "ragmeter_queries_total{")
        out, err = program.communicate("\n", timeout=60)
    assert program.returncode == 0, err
    assert 'ragmeter_operations_total{gen_ai_operation_name="chat"' in page
    return out.replace(str(port), str(DEFAULT_PORT)), page


def fetched(url: str, wanted: str) -> str:
    """The page a user would look at, as soon as it shows what is wanted."""
    page = ""
    end = time.monotonic() + 60
    while wanted not in page and time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            page = answer.read().decode()
        time.sleep(0.2)
    assert wanted in page
    return page


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_each_example_runs(example, tmp_path):
    """An example runs with any OpenAI-compatible server, and its metrics can be looked at where it says they are."""
    with serving(Latency(speed=100.0), PASSAGES) as server:
        out, page = run_and_look(sys.executable, str(example), url=server.url, folder=tmp_path)
    assert f"http://127.0.0.1:{DEFAULT_PORT}/metrics" in out
    assert 'ragmeter_strategy="rag",team="support"' in page
    assert {name: labels - OPTIONAL for name, labels in written(page).items()} == declared(written(page))


def written(page: str) -> dict[str, set[str]]:
    """The labels of each of our metrics on a page, without those that every series of the app has."""
    of_all = {"otel_scope_name", "otel_scope_version", "otel_scope_schema_url", "le", "team"}
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    series = {name: metric for metric in metrics_of(Profile.OWN) for name in series_names(metric)}
    found: dict[str, set[str]] = {}
    for sample in samples:
        if sample.name in series:
            found.setdefault(series[sample.name].name, set()).update(set(sample.labels) - of_all)
    assert len(found) > 15
    return found


def declared(names: Iterable[str]) -> dict[str, set[str]]:
    """The labels that each metric is declared with, and that the page about telemetry gives it."""
    own = {metric.name: metric for metric in metrics_of(Profile.OWN)}
    return {name: {label_name(label) for label in own[name].labels} - OPTIONAL for name in names}


@pytest.mark.parametrize(("page", "snippet"), SNIPPETS, ids=[f"{page}-{at}" for at, (page, _) in enumerate(SNIPPETS)])
def test_each_snippet_runs(page, snippet, tmp_path):
    """What a page shows can be pasted and run; where it waits, the page of metrics is there as it says."""
    with serving(Latency(speed=100.0), PASSAGES) as server:
        if "input(" in snippet:
            out, _ = run_and_look(sys.executable, "-c", snippet, url=server.url, folder=tmp_path)
            assert f"http://127.0.0.1:{DEFAULT_PORT}/metrics" in out
        else:
            run(sys.executable, "-c", snippet, variables=environment(server.url), folder=tmp_path)


def test_the_first_snippet_without_ragmeter_runs_with_zero_code(tmp_path):
    """The README's command for an unchanged program is one that serves its page, with nothing else set."""
    (command,) = (command for command in commands(README) if command.startswith("opentelemetry-instrument"))
    program, *arguments = command.split()
    plain, removed = re.subn(PLAIN, "", blocks(README, "python")[0])
    assert removed == 1
    assert "ragmeter" not in plain
    (tmp_path / arguments[-1]).write_text(plain)
    folder = Path(sys.executable).parent
    with serving(Latency(speed=100.0), PASSAGES) as server:
        program_here, python = (
            str(folder / program),
            [sys.executable if each == "python" else each for each in arguments],
        )
        run_and_look(program_here, *python, url=server.url, folder=tmp_path)


def test_there_is_something_to_run():
    """The tests above do not pass for want of examples."""
    assert EXAMPLES
    assert {page for page, _ in SNIPPETS} >= {"README.md", "anatomy.md"}
    assert blocks(CONTRIBUTING, "python")
