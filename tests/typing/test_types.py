"""What a user's type checker sees of ragmeter, and what the page about the public names says of them."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

import ragmeter
import ragmeter.run_report
import ragmeter.settings
import ragmeter.status_report
from pages import ROOT, blocks

pytest.importorskip("mypy")

HERE = Path(__file__).parent
RIGHT, WRONG = HERE / "right_uses.py", HERE / "wrong_uses.py"
API = ROOT / "docs" / "api.md"


def test_every_public_name_is_on_the_page():
    """The page has each public function with its arguments, each public class, and the fields of status and report."""
    page = API.read_text(encoding="utf-8")
    for name in ragmeter.__all__:
        (arguments,) = re.findall(rf"^\| `{name}\((.*?)\)` \|", page, re.MULTILINE)
        assert arguments == signature_of(getattr(ragmeter, name))
    for name in (*ragmeter.settings.__all__, *ragmeter.status_report.__all__, *ragmeter.run_report.__all__):
        assert re.search(rf"\b{name}\b", page), name
    told = set(re.findall(r"`(\w+)`", page))
    for room in (ragmeter.status_report, ragmeter.run_report):
        for name in room.__all__:
            assert {each.name for each in fields(getattr(room, name))} <= told


def signature_of(function: Callable[..., object]) -> str:
    """The arguments of a function as the page writes them: without types and defaults."""
    code = inspect.unwrap(function).__code__
    positional = code.co_varnames[: code.co_argcount]
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount :][: bool(code.co_flags & inspect.CO_VARKEYWORDS)]
    return ", ".join((*positional, *("*",)[: len(keywords)], *keywords, *(f"**{name}" for name in rest)))


def messages(*files: Path) -> list[tuple[str, int, str]]:
    """What mypy says, as strict as it is, of files of an app: file name, line, message."""
    found = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent"),
            *("--hide-error-codes", "--no-error-summary", f"--cache-dir={ROOT / '.mypy_cache' / 'typing'}"),
            *map(str, files),
        ],
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode in (0, 1), found.stdout + found.stderr
    lines = (re.fullmatch(r"(.+?):(\d+): error: (.*)", line) for line in found.stdout.splitlines())
    return [(Path(line[1]).name, int(line[2]), line[3]) for line in lines if line is not None]


def test_right_uses_pass_and_run(tmp_path):
    """A type checker has nothing to say of an app that uses every function, nor of what the page shows; it runs."""
    shown = []
    for number, snippet in enumerate(blocks(API, "python")):
        shown.append(tmp_path / f"shown_{number}.py")
        shown[-1].write_text(snippet, encoding="utf-8")
    assert shown
    assert messages(RIGHT, *shown) == []
    path = os.pathsep.join((str(ROOT / "src"), os.environ.get("PYTHONPATH", "")))
    ran = subprocess.run(
        [sys.executable, str(RIGHT)],
        env={**os.environ, "PYTHONPATH": path, "RAGMETER_LOUD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_each_wrong_use_is_an_error_that_says_why():
    """A misspelt setting, a wrong value, a missing attribute: each line is an error, with the words behind it."""
    expected = {
        number: words
        for number, line in enumerate(WRONG.read_text(encoding="utf-8").splitlines(), 1)
        if (words := line.partition("  # ")[2])
    }
    found = messages(WRONG)
    assert {number for _, number, _ in found} == set(expected)
    said = {number: [message for _, line, message in found if line == number] for number in expected}
    assert [words for number, words in expected.items() if not any(words in message for message in said[number])] == []
