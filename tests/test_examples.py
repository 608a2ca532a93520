"""Examples and the README's snippets run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ragmeter.demo.server import serving
from ragmeter.demo.simulation import Latency

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def run(*arguments: str, url: str) -> str:
    """The output of a program whose OpenAI is the simulated server."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={
            **os.environ,
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "simulated",
            "RAGMETER_LOUD": "1",
            "RAGMETER_PROMETHEUS_PORT": "0",
            "RAGMETER_PROVIDERS": "127.0.0.1=openai",
        },
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
        run("-c", snippet, url=server.url)


def test_there_is_something_to_run():
    """The two tests above do not pass for want of examples."""
    assert EXAMPLES
    assert SNIPPETS
