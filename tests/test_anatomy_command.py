"""`ragmeter anatomy`: one prompt taken apart, in the terminal and as a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ragmeter.cli import application

EXAMPLE = Path(__file__).parents[1] / "examples" / "prompt.json"


def run(*arguments: str | Path, columns: int = 100) -> Result:
    environment = {"COLUMNS": str(columns), "RAGMETER_EXACT_TOKENS": "false"}
    return CliRunner(env=environment).invoke(application(), ["anatomy", *map(str, arguments)])


def rows(output: str) -> dict[str, int]:
    """Tokens by origin, as the table shows them."""
    found = re.findall(r"^(tools|system|history|context|tool results|question|other) +([\d,]+) ", output, re.MULTILINE)
    return {origin: int(tokens.replace(",", "")) for origin, tokens in found}


@pytest.fixture
def example() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(EXAMPLE.read_text("utf-8"))
    return content


def written(folder: Path, content: Any) -> Path:
    path = folder / "prompt.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize("how", ["--weighed", "--exact"])
def test_the_origins_sum_to_the_providers_total(example, how):
    """The picture has every origin once, and they sum to the input tokens that the response reports."""
    result = run(EXAMPLE, how)
    assert result.exit_code == 0, result.output
    tokens = rows(result.output)
    assert set(tokens) == {"tools", "system", "history", "context", "question"}
    assert sum(tokens.values()) == example["response"]["usage"]["prompt_tokens"]


def test_every_chunk_is_listed_with_its_fate(example):
    """Each retrieved chunk has a row with what became of it, and the sentence below says what would have done."""
    output = run(EXAMPLE).output
    fates = re.findall(r"^ +\d+ +(used|unused|repeated|unsent|unknown)\b", output, re.MULTILINE)
    assert len(fates) == len(example["chunks"])
    assert {"used", "unused", "repeated", "unsent"} <= set(fates)
    assert "would have done" in output


def test_a_request_alone_is_estimated(example, tmp_path):
    """Without a response the total is an estimate and says so, and no chunk is called unused."""
    output = run(written(tmp_path, example["request"])).output
    assert "estimate" in output
    assert "unused" not in output


def test_an_unknown_model_is_unpriced(example, tmp_path):
    """Without a price there is no amount, not even zero."""
    example["request"]["model"] = example["response"]["model"] = "our-own-model"
    output = run(written(tmp_path, example)).output
    assert "unpriced" in output
    assert "$" not in output


@pytest.mark.parametrize(
    ("request_body", "origins"),
    [
        ({"model": "gpt-4o", "instructions": "Be brief.", "input": "What is RAG?"}, {"system", "question"}),
        (
            {"model": "claude-sonnet-4-5", "system": "Be brief.", "messages": [{"role": "user", "content": "Hello?"}]},
            {"system", "question"},
        ),
        ({"model": "gpt-3.5-turbo-instruct", "prompt": "Once upon a time"}, {"question"}),
    ],
    ids=["Responses", "Messages", "completion"],
)
def test_every_form_of_request_is_known(request_body, origins, tmp_path):
    """Responses, Anthropic's messages and legacy completions are told by their form."""
    result = run(written(tmp_path, request_body))
    assert set(rows(result.output)) == origins


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no json", "is no JSON"),
        ([1, 2], "expected the body of a request"),
        ({"model": "gpt-4o"}, "holds no prompt"),
        ({"request": {"messages": []}, "chunks": "one text"}, '"chunks" must be a list'),
    ],
)
def test_a_file_without_a_prompt_says_what_is_expected(content, said, tmp_path):
    """A file that cannot be used ends with status 2 and the form that could."""
    result = run(written(tmp_path, content))
    assert result.exit_code == 2
    assert said in result.output


def test_a_missing_file_is_named(tmp_path):
    """A file that is not there ends with status 2 and its name."""
    result = run(tmp_path / "absent.json")
    assert result.exit_code == 2
    assert "absent.json" in result.output.replace("\n", "")


def test_texts_are_never_markup(example, tmp_path):
    """Square brackets and tags in a prompt are shown as they are, in the terminal and on the page."""
    text = "[red]Alert[/red] <script>alert(1)</script> & more of the same text, to be long enough"
    example["chunks"] = [text]
    example["request"]["messages"][-1]["content"] = f"Context: {text}\n\nWhat is it?"
    assert "[red]Alert[/red]" in run(written(tmp_path, example)).output
    page = tmp_path / "page.html"
    assert run(written(tmp_path, example), "--html", page).exit_code == 0
    assert "<script>" not in page.read_text("utf-8")
    assert "[red]Alert[/red]" in page.read_text("utf-8")


class Text(HTMLParser):
    """The text of a page, and the addresses it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.loads: list[str] = []

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_holds_the_whole_prompt_and_loads_nothing(example, tmp_path):
    """Every text of the prompt stands on the page, whatever stands on it, and nothing is loaded from anywhere."""
    page = tmp_path / "page.html"
    result = run(EXAMPLE, "--html", page)
    assert result.exit_code == 0
    parsed = Text()
    parsed.feed(page.read_text("utf-8"))
    for message in example["request"]["messages"]:
        if isinstance(message.get("content"), str):
            assert " ".join(message["content"].split()) in " ".join(parsed.text.split())
    assert parsed.loads == []


def test_in_a_process_of_its_own_without_colours():
    """Piped into a file the picture has no escape sequences."""
    command = [sys.executable, "-m", "ragmeter", "anatomy", str(EXAMPLE)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in result.stdout
    assert rows(result.stdout)


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_any_width_will_do(columns):
    """No line is longer than the terminal, and the figures are there in a narrow one too."""
    output = run(EXAMPLE, columns=columns).output
    assert max(map(len, output.splitlines())) <= columns
    assert rows(output)
