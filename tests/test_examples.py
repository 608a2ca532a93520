"""Examples and the README's snippets run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from ragmeter.demo.server import serving
from ragmeter.demo.simulation import Latency
from ragmeter.settings import Settings
from stack.servers import free_port

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DEFAULT_PORT = Settings().prometheus_port
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def environment(url: str) -> dict[str, str]:
    """What a program needs to take the simulated server for OpenAI."""
    return {
        **os.environ,
        "OPENAI_BASE_URL": url,
        "OPENAI_API_KEY": "simulated",
        "RAGMETER_LOUD": "1",
        "RAGMETER_PROMETHEUS_PORT": "0",
        "RAGMETER_PROVIDERS": "127.0.0.1=openai",
    }


def run(*arguments: str, url: str) -> str:
    """The output of a program whose OpenAI is the simulated server."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_each_example_runs(example):
    """An example does what it says, with any OpenAI-compatible server, and ends with where its metrics are."""
    with serving(Latency(speed=100.0), ["The warranty of the blue kettle lasts for two years."]) as server:
        assert "/metrics" in run(str(example), url=server.url)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_each_snippet_of_the_readme_runs(snippet):
    """What the README shows can be pasted and run."""
    with serving(Latency(speed=100.0), ["RAG is retrieval-augmented generation."]) as server:
        if "input(" not in snippet:
            run("-c", snippet, url=server.url)
            return
        port = free_port()
        with subprocess.Popen(
            [sys.executable, "-c", snippet],
            env={**environment(server.url), "RAGMETER_PROMETHEUS_PORT": str(port)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            page = fetched(f"http://127.0.0.1:{port}/metrics", "ragmeter_cost_usd_total")
            out, err = program.communicate("\n", timeout=60)
    assert program.returncode == 0, err
    assert f"http://127.0.0.1:{DEFAULT_PORT}/metrics" in out
    assert 'ragmeter_operations_total{gen_ai_operation_name="chat"' in page


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


def test_there_is_something_to_run():
    """The two tests above do not pass for want of examples."""
    assert EXAMPLES
    assert SNIPPETS
