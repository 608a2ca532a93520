"""`ragmeter anatomy`: one prompt taken apart, in the terminal and as a page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from ragmeter import palette
from ragmeter.cli import application
from ragmeter.cli.anatomy_page import LONG
from ragmeter.domain.model import Fate, Origin

EXAMPLE = Path(__file__).parents[1] / "examples" / "prompt.json"
ORIGINS = [origin.value.replace("_", " ") for origin in Origin]
FIGURES = rf"^({'|'.join(ORIGINS)}) +([\d,]+) +([\d.]+%) +(\S+)"


def run(*arguments: str | Path, columns: int = 100, given: str | bytes | None = None) -> Result:
    command = ["anatomy", *map(str, arguments)]
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(application(), command, input=given)


def process(path: Path, encoding: str = "utf-8", **environment: str) -> str:
    """The output of the command as a program of its own, into a pipe."""
    command = [sys.executable, "-m", "ragmeter", "anatomy", str(path)]
    environment = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": encoding, **environment}
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60, env=environment).stdout.decode(
        encoding
    )


def rows(output: str) -> dict[str, int]:
    """Tokens by origin, as the table shows them; a second row of an origin is an error."""
    found = re.findall(FIGURES, output, re.MULTILINE)
    assert len(found) == len({origin for origin, *_ in found})
    return {origin: int(tokens.replace(",", "")) for origin, tokens, *_ in found}


def chunk_rows(output: str) -> list[tuple[int, str, str]]:
    """Rank, fate and the rest of each row of the table of chunks."""
    found = re.findall(rf"^ *(\d+)[ |]+(?:● )?({'|'.join(Fate)})\b(.*)$", output, re.MULTILINE)
    return [(int(rank), fate, rest) for rank, fate, rest in found]


def unwrapped(output: str) -> str:
    """An output without its line breaks."""
    return " ".join(output.split())


@pytest.fixture
def example() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(EXAMPLE.read_text("utf-8"))
    return content


def written(folder: Path, content: Any) -> Path:
    path = folder / "prompt.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def rag(texts: list[str], model: str = "gpt-4o", **rest: Any) -> dict[str, Any]:
    """A request with these texts as numbered sources, which are its chunks."""
    sources = "\n".join(f"[{number}] {text}" for number, text in enumerate(texts, 1))
    messages = [{"role": "user", "content": f"Sources:\n{sources}\n\nWhat do they say?"}]
    return {"request": {"model": model, "messages": messages}, "chunks": texts, **rest}


KETTLE = "The warranty of the blue kettle lasts for two years from the day of purchase, heating element included."
REFUND = "Returned goods are refunded within ten working days after they have arrived in our warehouse in Bremen."
CHINESE = "电动自行车的电池在两年内最多会失去五分之一的容量。如果在此期间电池容量低于百分之七十,将免费更换。"


@pytest.mark.parametrize("how", ["--weighed", "--exact"])
def test_the_origins_sum_to_the_providers_total(example, how):
    """The picture has every origin once, and they sum to the input tokens that the response reports."""
    result = run(EXAMPLE, how)
    assert result.exit_code == 0, result.output
    tokens = rows(result.output)
    assert set(tokens) == set(ORIGINS)
    assert sum(tokens.values()) == example["response"]["usage"]["prompt_tokens"]


def test_every_chunk_is_listed_once_with_its_fate(example):
    """Each retrieved chunk has one row, with its rank, text and fate, and the sentence below counts these rows."""
    output = run(EXAMPLE).output
    found = chunk_rows(output)
    assert sorted(rank for rank, _, _ in found) == list(range(1, len(example["chunks"]) + 1))
    for rank, _, rest in found:
        chunk = example["chunks"][rank - 1]
        text = chunk if isinstance(chunk, str) else chunk["text"]
        assert text[:30].lower() in rest.lower()
    fates = [fate for _, fate, _ in sorted(found)]
    assert set(fates) == {"used", "unused", "repeated", "unsent"}
    assert f"the answer used {fates.count('used')} of {len(fates) - fates.count('unsent')} chunks" in unwrapped(output)
    needed = len(fates) - fates[::-1].index("used")
    assert f"the first {needed} of {len(fates)} would have done" in unwrapped(output)


def test_a_chunk_given_twice_is_one(tmp_path):
    """The same text twice among the chunks is one retrieved chunk, sent or not."""
    content = rag([KETTLE]) | {"chunks": [KETTLE, REFUND, KETTLE, REFUND], "response": KETTLE}
    output = run(written(tmp_path, content)).output
    assert [(rank, fate) for rank, fate, _ in chunk_rows(output)][-1] == (2, "unsent")
    assert len(chunk_rows(output)) == 2
    assert "of 4" not in output


def test_a_request_alone_is_estimated(example, tmp_path):
    """Without a response the total is an estimate and says so, and no chunk is judged."""
    del example["response"]
    output = run(written(tmp_path, example)).output
    assert "the total is an estimate too, as no response is given" in unwrapped(output)
    assert {fate for _, fate, _ in chunk_rows(output)} == {"unknown", "repeated", "unsent"}
    assert "the answer used" not in unwrapped(output)


def test_an_answer_as_text_is_judged_and_not_counted_on(tmp_path):
    """With only the text of an answer the chunks are judged, and the footnote says that the total is an estimate."""
    output = run(written(tmp_path, rag([KETTLE, REFUND], response=KETTLE))).output
    assert [fate for _, fate, _ in chunk_rows(output)] == ["used", "unused"]
    assert "as the response has no usage" in unwrapped(output)
    assert "the first of 2 would have done" in unwrapped(output)


def test_a_prompt_without_retrieved_text_says_so(tmp_path):
    """A request alone has no table of chunks; when none of those given stands in the prompt, the sentence says that."""
    content = rag([]) | {"chunks": [KETTLE, REFUND]}
    assert "None of the 2 retrieved chunks is in the prompt." in unwrapped(run(written(tmp_path, content)).output)
    output = run(written(tmp_path, content["request"])).output
    assert set(rows(output)) == {"question"}
    assert "rank" not in output


def test_an_unknown_model_is_unpriced(example, tmp_path):
    """Without a price there is no amount, not even zero."""
    example["request"]["model"] = example["response"]["model"] = "our-own-model"
    output = run(written(tmp_path, example)).output
    assert "unpriced" in output
    assert "$" not in output


def test_the_price_is_that_of_today(tmp_path):
    """A model that has become cheaper costs what it costs now: o3 2 dollars per million tokens, once 10."""
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "total_tokens": 1_000_000}
    choice = {"message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    answer = {"model": "o3", "choices": [choice], "usage": usage}
    output = run(written(tmp_path, rag([], model="o3", response=answer))).output
    assert "o3 · 1,000,000 input tokens · $2.00 · base" in output


@pytest.mark.parametrize("columns", [40, 63, 64, 80, 160])
def test_any_width_will_do(columns):
    """No line is wider than the terminal, the bar fills it, and no figure is cut in a narrow one."""
    output, wide = run(EXAMPLE, columns=columns).output, run(EXAMPLE, columns=200).output
    assert max(map(cell_len, output.splitlines())) <= columns
    assert any(set(line) == set(palette.PATTERNS.values()) and len(line) == columns for line in output.splitlines())
    assert re.findall(FIGURES, output, re.MULTILINE) == re.findall(FIGURES, wide, re.MULTILINE) != []


def test_many_chunks_and_wide_letters_stay_within_the_lines(tmp_path):
    """Thirty chunks, in letters that take two columns each, are thirty rows of at most the width."""
    content = rag([f"{CHINESE}{number}" for number in range(30)])
    output = run(written(tmp_path, content), columns=80).output
    assert [rank for rank, _, _ in chunk_rows(output)] == list(range(1, 31))
    assert max(map(cell_len, output.splitlines())) <= 80


def test_a_sliver_of_a_prompt_still_shows_in_the_bar(tmp_path):
    """An origin of a thousandth gets one cell, and the bar is not longer for it."""
    content = rag([], response="Yes.")
    content["request"]["messages"].insert(0, {"role": "system", "content": "Hi."})
    content["request"]["messages"][1]["content"] = "A very long question. " * 2_000
    _, bar, heading, *_ = run(written(tmp_path, content), columns=90).output.splitlines()
    assert bar == palette.PATTERNS[Origin.SYSTEM] + 89 * palette.PATTERNS[Origin.QUESTION]
    assert heading.startswith("origin")


def test_in_a_process_of_its_own_without_colours():
    """Piped into a file the picture has no escape sequences, and each origin has a pattern of its own in the bar."""
    output = process(EXAMPLE)
    assert "\x1b" not in output
    assert len(set(output.splitlines()[1])) == len(Origin)


@pytest.mark.parametrize(
    ("environment", "has_colours"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, True),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "COLORTERM": ""}, False),
    ],
    ids=["colours", "none", "sixteen"],
)
def test_a_terminal_gets_colours_or_patterns(environment, has_colours):
    """Each origin has its own colour; where none are wanted, or too few to tell origins apart, its own pattern."""
    output = process(EXAMPLE, FORCE_COLOR="1", **environment)
    codes = [";".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5)) for colour in palette.ORIGINS.values()]
    assert [f"38;2;{code}m" in output for code in codes] == [has_colours] * len(codes)
    shading = [pattern for pattern in palette.PATTERNS.values() if pattern not in "█·"]
    assert [pattern in output for pattern in shading] == [not has_colours] * len(shading)


def test_an_output_with_letters_only_gets_letters(tmp_path):
    """Where the encoding has no blocks and no Chinese, the picture is drawn in letters and nothing fails."""
    output = process(written(tmp_path, rag([CHINESE])), encoding="cp1252")
    assert re.search(r"^Q+C+Q+$|^Q+C+$", output.splitlines()[1])
    assert len(chunk_rows(output)) == 1


BRIEF = "Be brief."
USAGE = {"prompt_tokens": 500, "completion_tokens": 20, "total_tokens": 520}
ANSWER = {"choices": [{"message": {"role": "assistant", "content": KETTLE}}], "usage": USAGE}
QUESTION = f"Sources: {KETTLE} {REFUND} How long is the warranty?"
ASKED = [{"role": "user", "content": QUESTION}]
CHAT = [{"role": "system", "content": BRIEF}, *ASKED]
MESSAGE_USAGE = {"input_tokens": 300, "cache_read_input_tokens": 200, "output_tokens": 20}
MESSAGE = {"type": "message", "content": [{"type": "text", "text": KETTLE}], "usage": MESSAGE_USAGE}
ITEM = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": KETTLE}]}
ITEMS = {"output": [ITEM], "usage": {"input_tokens": 500, "output_tokens": 20, "total_tokens": 520}}
COMPLETION = {"choices": [{"text": KETTLE}], "usage": USAGE}
FORMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "chat": ("openai/gpt-4o", {"messages": CHAT}, ANSWER),
    "Responses": ("openai/gpt-4o", {"instructions": BRIEF, "input": QUESTION}, ITEMS),
    "Messages": ("anthropic/claude-sonnet-4-5", {"system": BRIEF, "messages": ASKED}, MESSAGE),
    "Claude as chat": ("anthropic/claude-sonnet-4-5", {"messages": CHAT}, ANSWER),
    "Claude of a router": ("openrouter/anthropic/claude-sonnet-4.5", {"messages": CHAT}, ANSWER),
    "completion": ("openai/gpt-3.5-turbo-instruct", {"prompt": QUESTION}, COMPLETION),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_request_is_known(form, tmp_path):
    """Request, answer and usage of each API are read by their form, and priced as its provider's."""
    price, body, response = FORMS[form]
    request = {"model": price.partition("/")[2], **body}
    content = {"request": request, "response": response, "chunks": [KETTLE, {"page_content": REFUND}]}
    result = run(written(tmp_path, content))
    assert result.exit_code == 0, result.output
    tokens = rows(result.output)
    assert set(tokens) - {"other"} == {"context", "question"} | ({"system"} if form != "completion" else set())
    assert sum(tokens.values()) == 500
    assert [fate for _, fate, _ in chunk_rows(result.output)] == ["used", "unused"]
    assert price in unwrapped(result.output)


def test_the_provider_can_be_told(tmp_path):
    """What --provider names is whose price applies."""
    content = {"model": "openai/gpt-oss-20b", "messages": ASKED}
    output = run(written(tmp_path, content), "--provider=groq").output
    assert "groq/openai/gpt-oss-20b" in output


def test_standard_input_is_read():
    """A dash reads the file from standard input, to the same picture; a byte order mark in front is no error."""
    assert run("-", given=b"\xef\xbb\xbf" + EXAMPLE.read_bytes()).output == run(EXAMPLE).output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"model": "\xe9"}', "not in UTF-8, the encoding of JSON (byte 11)"),
        (b"no json", '"chunks": [text, ...]'),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"model": "a"}\n{"model": "b"}\n', "more than one JSON value (the second in line 2)"),
        ([{"model": "gpt-4o"}], "expected the body of a request"),
        ({"model": "gpt-4o", "messages": "text"}, "holds no prompt"),
        ({"model": "gpt-4o", "messages": []}, "there is no text in the request"),
        (rag([]) | {"chunks": "one text"}, '"chunks" must be a list'),
        (rag([]) | {"chunks": [KETTLE, {"score": 1}]}, 'number 2 of "chunks" has no text'),
        (rag([], response=[KETTLE]), '"response" holds neither an answer nor usage'),
        (rag([], response={"error": {"message": "no"}}), '"response" holds neither an answer nor usage'),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_write(content, said, tmp_path):
    """The command ends with status 2, names the file and says what is wrong or what is expected."""
    result = run(written(tmp_path, content))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "prompt.json" in result.stderr
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.json"], "absent.json: cannot be read"),
        (["[red]absent.json"], "[red]absent.json: cannot be read"),
        (["."], ".: cannot be read"),
        ([EXAMPLE, "--html", "no folder/page.html"], "no folder/page.html: cannot be written"),
        ([EXAMPLE, "--html", "."], ".: cannot be written"),
    ],
)
def test_a_file_that_cannot_be_read_or_written_is_named(arguments, said, tmp_path, monkeypatch):
    """A file that is not there, or is a folder, ends with status 2 and its name, and so does a page."""
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


STEERING = "\x1b[31m \x07 \x00 \x9b2J \u202e \ud800"


def test_texts_steer_neither_the_terminal_nor_the_page(tmp_path):
    """Control characters, turned text and halves of characters are marks on both, wherever they stand."""
    content = rag([f"{STEERING} {KETTLE}"], model=f"model {STEERING}", response=KETTLE)
    path, page = written(tmp_path, content), tmp_path / "page.html"
    assert run(path, "--html", page).exit_code == 0
    for output in (process(path), page.read_text("utf-8")):
        assert not set(STEERING.replace(" ", "")) - set("[31m2J") & set(output)
        assert output.count("\ufffd") >= 12


def test_texts_are_never_markup(tmp_path):
    """Square brackets and tags are shown as they are, in the terminal and on the page."""
    text = f"[red]Alert[/red] [/] <script>alert(1)</script> &amp; {KETTLE}"
    path, page = written(tmp_path, rag([text], model="<b>[red]model[/red]")), tmp_path / "[red]page.html"
    output = run(path, columns=160).output
    assert "[red]Alert[/red] [/] <script>alert(1)</script> &amp;" in output
    assert "<b>[red]model[/red]" in output
    assert str(page) in run(path, "--html", page).output
    source = page.read_text("utf-8")
    assert not re.search("<script|<b>", source)
    assert text in read(page).text


class Page(HTMLParser):
    """The text of a page, the addresses it loads, and what is folded up."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.loads: list[str] = []
        self.labels: list[str] = []
        self.folded = 0

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        self.labels += [value or "" for name, value in attrs if name == "data-label"]
        self.folded += tag == "details"


def read(path: Path) -> Page:
    parsed = Page()
    parsed.feed(path.read_text("utf-8"))
    parsed.close()
    return parsed


def test_the_page_holds_the_whole_prompt_and_loads_nothing(example, tmp_path):
    """Every text of the prompt stands on the page to the letter, each stretch labelled, and nothing is loaded."""
    page = tmp_path / "page.html"
    assert run(EXAMPLE, "--html", page).exit_code == 0
    parsed = read(page)
    shown = re.sub(r"\s+", "", parsed.text)
    contents = [message["content"] for message in example["request"]["messages"]]
    texts = [text if isinstance(text, str) else text[0]["text"] for text in contents if text]
    assert len(texts) == 5
    for text in texts:
        assert re.sub(r"\s+", "", text) in shown
    expected = {"tools", "system", "history", "question", "tool results", "repeated chunk 1", "used chunk 2"}
    assert expected <= set(parsed.labels)
    assert parsed.loads == re.findall(r"url\(|@import|<script|<link", page.read_text("utf-8")) == []


def test_the_page_has_the_figures_of_the_picture(example, tmp_path):
    """Tokens of the origins and the fates of the chunks are the same in both."""
    page = tmp_path / "page.html"
    assert run(EXAMPLE, "--html", page).exit_code == 0
    source = page.read_text("utf-8")
    found = re.findall(r'</span>([a-z ]+)<td class="number">(\d+)<td class="number">[\d.]+%', source)
    output = run(EXAMPLE).output
    assert {origin: int(tokens) for origin, tokens in found} == rows(output)
    chunks = re.findall(r'<tr><td>(\d+)<td class="fate"><span.*?</span>(\w+)', source)
    assert [(int(rank), fate) for rank, fate in chunks] == [(rank, fate) for rank, fate, _ in chunk_rows(output)]


def test_long_texts_are_folded_up_and_whole(tmp_path):
    """Of 400,000 characters each long stretch is folded, and opened it has every character."""
    texts = [f"{number}: " + f"{KETTLE} {number * 7_919}. " * 95 for number in range(40)]
    assert sum(map(len, texts)) > 400_000
    page = tmp_path / "page.html"
    assert run(written(tmp_path, rag(texts)), "--html", page, "--weighed").exit_code == 0
    parsed = read(page)
    assert parsed.folded == 40
    assert all(len(text) > LONG and text.strip() in parsed.text for text in texts)
