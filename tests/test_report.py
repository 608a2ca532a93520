"""`ragmeter.report()` and the line at exit: the figures of the page, read in the process, and nobody is disturbed."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import ragmeter
from ragmeter.measured.collected import samples_of
from ragmeter.measured.figures import Figures
from ragmeter.measured.page import read_samples
from ragmeter.measured.samples import Samples
from ragmeter.money.dollars import dollars
from ragmeter.run_report import Report
from stack import app
from stack.servers import free_port
from stack.subprocesses import environment

TESTS = Path(__file__).parent
SETTINGS = {"prices": app.PRICES, "fine_tuned": [app.TUNED], "providers": {"127.0.0.1": "openai"}}


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the page of a process that is instrumented and has no providers of its own."""
    for name in os.environ:
        if name.startswith(("OTEL_", "RAGMETER_")) and name != "RAGMETER_EXACT_TOKENS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("RAGMETER_LOUD", "1")
    port = free_port()
    ragmeter.instrument(prometheus_port=port, labels=["team", "feature"], **SETTINGS)  # type: ignore[arg-type]
    yield f"http://127.0.0.1:{port}/metrics"
    ragmeter.uninstrument()


def asked() -> None:
    """The app of tests/stack asks all its queries, and all of them are accounted for."""
    with app.model_server() as url:
        app.run(url)
    assert ragmeter.flush(10)


def test_the_report_is_the_page_of_the_same_moment(page):
    """Every figure, distributions included, is that of the page, to the last digit; and again after more calls."""
    for _ in range(2):
        asked()
        report, read = ragmeter.report(), Report.of(read_samples(page))
        assert report == read
        assert str(report) == str(read)
    assert report.queries == 2 * (sum(app.QUERIES.values()) + sum(app.FAILED.values()))
    assert report.retrieval.p95 is not None
    for spent in report.strategies:
        if spent.queries:
            assert spent.cost_per_1k == pytest.approx(app.cost_per_1000_queries()[spent.strategy])


def test_the_providers_of_the_app_are_left_alone(watch):
    """The report has what the app's own reader has, but for distributions; differences are not taken from a reader."""
    seen = watch(labels=["team", "feature"], **SETTINGS)
    asked()
    report = ragmeter.report()
    read = Figures.of(samples_of(seen._reader.get_metrics_data()))
    assert report.retrieval.p50 is None
    assert read.retrieval.p50 is not None
    for name in ("spend", "queries", "strategies", "parts", "cached_share", "context", "price_states", "warnings"):
        assert getattr(report, name) == getattr(read, name), name


def test_without_instrument_the_report_says_so():
    """A library may ask for a report: without `instrument()` it is empty, and says what to do."""
    report = ragmeter.report()
    assert (report.spend, report.queries, report.strategies) == (None, 0, ())
    assert "ragmeter.instrument()" in str(report)
    assert "ragmeter.instrument()" in report._repr_html_()


class Texts(HTMLParser):
    """The texts and the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_notebook_shows_the_same_digits():
    """All cells of the text stand in the notebook's table; a name with tags in it stays a name."""
    rows = [
        ("ragmeter_queries_total", {"ragmeter_strategy": "<script>x</script>"}, 3.0),
        ("ragmeter_cost_usd_total", {"ragmeter_strategy": "<script>x</script>", "ragmeter_part": "context"}, 0.1234567),
        ("ragmeter_tokens_total", {"ragmeter_strategy": "<script>x</script>", "ragmeter_part": "context"}, 1234.0),
    ]
    report = Report.of(Samples.of(rows))
    page = Texts(report._repr_html_())
    assert page.tags <= {"div", "p", "b", "table", "tr", "th", "td", "span"}
    words = " ".join(page.texts).split()
    assert [word for word in str(report).split() if word not in words and not word.endswith(":")] == []
    assert "<script>x</script>" in page.texts


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import ragmeter
from stack import app
ragmeter.instrument(prices=app.PRICES, providers={{"127.0.0.1": "openai"}}, prometheus_port=0)
import openai
def ask(url):
    messages = [{{"role": "user", "content": app.QUESTION}}]
    openai.OpenAI(base_url=url, api_key="k", max_retries=0).chat.completions.create(model=app.BASE, messages=messages)
{body}
"""

ASK = "with app.model_server() as url: ask(url)"
LINE = f"ragmeter: 1 query, {dollars(app.PER_QUERY['base'])}"
FORKING = f"{ASK}\nimport os\nif os.fork() == 0: sys.exit()\nos.wait()"
PROCESS = """
import multiprocessing
with app.model_server() as url:
    child = multiprocessing.get_context("fork").Process(target=ask, args=(url,))
    child.start(); child.join()
"""


def in_a_terminal(body, **variables):
    """What a program writes to stderr, which is a terminal."""
    leader, follower = pty.openpty()
    program = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(tests=str(TESTS), body=body)]
    with subprocess.Popen(program, stderr=follower, stdout=subprocess.DEVNULL, env=environment(**variables)) as running:
        os.close(follower)
        said = b""
        while piece := read(leader):
            said += piece
    os.close(leader)
    assert running.returncode == 0, said
    return re.findall(r"ragmeter: \d[^\r\n]*", said.decode())


def read(leader):
    """What comes next; nothing once the other end is closed, which Linux calls an error."""
    try:
        return os.read(leader, 65_536)
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("body", "variables", "lines"),
    [
        (ASK, {}, 1),
        (ASK, {"RAGMETER_EXIT_LINE": "false"}, 0),
        ("pass", {}, 0),
        (FORKING, {}, 1),
        (PROCESS, {}, 0),
        (f"{ASK}\nsys.stderr = None", {}, 0),
    ],
    ids=["asked", "switched off", "nothing measured", "a fork", "a child of multiprocessing", "no stderr"],
)
def test_a_terminal_is_told_at_the_end_what_the_run_has_cost(body, variables, lines):
    """One line in a terminal, none where it is switched off or nothing was measured, and none from any child."""
    said = in_a_terminal(body, **variables)
    assert len(said) == lines
    assert all(line.startswith(LINE) for line in said)


@pytest.mark.parametrize(("variables", "lines"), [({}, 0), ({"RAGMETER_EXIT_LINE": "true"}, 1)])
def test_a_log_gets_the_line_only_if_asked(variables, lines):
    """Where stderr is a file or a pipe, as a server's, the line is written only if the setting says so."""
    program = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(tests=str(TESTS), body=ASK)]
    done = subprocess.run(program, env=environment(**variables), capture_output=True, text=True, check=True)
    assert done.stderr.count(LINE) == lines
