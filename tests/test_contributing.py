"""CONTRIBUTING followed word by word: the skeleton of a client makes one that is measured, and what is named exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ragmeter
from pages import CONTRIBUTING, ROOT, blocks, prose

PACKAGE = Path(ragmeter.__file__).parent
DECLARATION, SKELETON = blocks(CONTRIBUTING, "python")
CLIENT = """
class Client:
    def search(self, collection, question):
        if not question:
            raise ValueError("nothing is asked")
        return [{"id": "a", "text": "The warranty lasts for two years.", "score": 0.9}, {"id": "b", "score": 0.1}]
"""
PROGRAM = """
import ragmeter
from telemetry_seen import Seen

seen = Seen()
ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
from mydb.client import Client

assert len(Client().search("faq", "How long is the warranty?")) == 2
try:
    Client().search("faq", "")
except ValueError:
    pass
(mydb,) = [each for each in ragmeter.status().integrations if each.name == "mydb"]
print(mydb.installed, mydb.in_range, [target.state for target in mydb.targets])
for span in seen.spans():
    print(span.name, span.attributes.get("ragmeter.search.top_score"), span.attributes.get("error.type"))
print(seen.count("ragmeter.search.duration"))
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The package as a contributor has changed it, beside an installed client."""
    shutil.copytree(PACKAGE, tmp_path / "ragmeter", ignore=shutil.ignore_patterns("__pycache__"))
    integrations = tmp_path / "ragmeter" / "reading" / "clients"
    (integrations / "mydb.py").write_text(SKELETON)
    (tmp_path / "mydb").mkdir()
    (tmp_path / "mydb" / "__init__.py").write_text("")
    (tmp_path / "mydb" / "client.py").write_text(CLIENT)
    metadata = tmp_path / "mydb_client-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mydb-client\nVersion: 1.2\n")
    return tmp_path


def test_the_skeleton_of_a_client_measures_it(clone):
    """The skeleton, put where the page says, gives spans and metrics for the client that it declares."""
    paths = os.pathsep.join((str(clone), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": paths, "RAGMETER_LOUD": "1"},
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1.2 True ['patched']",
        "search faq 0.9 None",
        "search faq None ValueError",
        "2",
    ]


def test_the_declaration_of_groq_is_all_there_is():
    """The page's shortest client is the real one, to the letter."""
    assert (PACKAGE / "reading" / "clients" / "groq.py").read_text().endswith(DECLARATION)


def test_the_diffs_are_of_what_is_there():
    """Each line that a diff of the page adds, and each one beside it, stands in the file that the diff names."""
    diffs = blocks(CONTRIBUTING, "diff")
    assert diffs
    for part in (part for diff in diffs for part in diff.split("--- a/")[1:]):
        name, *lines = part.splitlines()
        assert lines[0] == f"+++ b/{name}"
        there = (ROOT / name).read_text(encoding="utf-8").splitlines()
        shown = [line[1:] for line in lines[1:] if line[0] in "+ "]
        assert [line for line in shown if line not in there] == []


def test_what_the_page_names_exists():
    """Every file and folder that the page names is there: of the package, the tests or the whole clone."""
    named = re.findall(r"`([\w./-]+(?:\.(?:py|md|txt)|/))`", prose(CONTRIBUTING))
    assert len(named) > 40
    roots = (ROOT, PACKAGE, PACKAGE / "dashboards", ROOT / "tests" / "anatomy")
    assert [name for name in named if "mydb" not in name and not any((root / name).exists() for root in roots)] == []
