"""`ragmeter top`: the digits of the page, in a terminal of any size, through restarts and failures of the app."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner, Result

from ragmeter.cli import application
from ragmeter.cli.brush import Brush
from ragmeter.cli.top_picture import Frame
from ragmeter.measured import telling
from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.figures import Figures
from ragmeter.measured.page import read_samples
from ragmeter.measured.samples import Samples
from ragmeter.measured.watching import Sight, Watching
from stack.subprocesses import environment
from wire import Answer, Wire

PATIENCE = 60.0
BRUSHES = {
    "colours": Brush(has_colours=True, is_ascii=False),
    "patterns": Brush(has_colours=False, is_ascii=False),
    "letters": Brush(has_colours=False, is_ascii=True),
}


def page(times: int = 1) -> str:
    """A page of an app that has done the same so many times."""
    return "\n".join(
        (
            "# TYPE ragmeter_queries_total counter",
            f'ragmeter_queries_total{{ragmeter_strategy="rag"}} {1234.0 * times}',
            f'ragmeter_queries_total{{ragmeter_strategy="rag",error_type="TimeoutError"}} {3.0 * times}',
            f'ragmeter_queries_total{{ragmeter_strategy="base"}} {56.0 * times}',
            "# TYPE ragmeter_cost_usd_total counter",
            f'ragmeter_cost_usd_total{{ragmeter_strategy="rag",ragmeter_part="context"}} {12.3456789 * times}',
            f'ragmeter_cost_usd_total{{ragmeter_strategy="base",ragmeter_part="question"}} {0.0123456 * times}',
            f'ragmeter_cost_usd_total{{ragmeter_strategy="none",ragmeter_part="embedding"}} {0.00321 * times}',
            "# TYPE ragmeter_tokens_total counter",
            f'ragmeter_tokens_total{{ragmeter_part="context",ragmeter_token_rate="cache_read"}} {654321.0 * times}',
            f'ragmeter_tokens_total{{ragmeter_part="question",ragmeter_token_rate="input"}} {98765.0 * times}',
            f'ragmeter_tokens_total{{ragmeter_part="output",ragmeter_token_rate="output"}} {4321.0 * times}',
            "# TYPE ragmeter_operations_total counter",
            f'ragmeter_operations_total{{gen_ai_operation_name="search",ragmeter_price_state="priced"}} {77.0 * times}',
            f'ragmeter_operations_total{{gen_ai_response_model="ours",ragmeter_price_state="unpriced"}} {5.0 * times}',
            "# TYPE ragmeter_context_tokens_total counter",
            f'ragmeter_context_tokens_total{{ragmeter_chunk_fate="used"}} {300000.0 * times}',
            f'ragmeter_context_tokens_total{{ragmeter_chunk_fate="unused"}} {354321.0 * times}',
            "# TYPE ragmeter_context_cost_usd_total counter",
            f'ragmeter_context_cost_usd_total{{ragmeter_chunk_fate="unused"}} {6.54321 * times}',
            "",
        )
    )


def answer(text: str) -> Answer:
    return Answer((text.encode(),), content_type="text/plain")


def run(*arguments: str, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns), "TERM": "xterm"}).invoke(application(), ["top", *arguments])


def digits(figures: Figures) -> set[str]:
    """Every word with a digit in the tables and lines of figures."""
    sheets = (telling.by_strategy(figures), telling.by_origin(figures))
    cells = " ".join(cell for sheet in sheets for row in sheet.rows for cell in row)
    lines = " ".join(line.text for line in telling.lines(figures))
    return {word for word in f"{cells} {lines} {telling.headline(figures)}".split() if re.search(r"\d", word)}


@pytest.mark.parametrize(
    ("options", "header"),
    [
        (("--user=grace", "--password=hopper"), "Basic Z3JhY2U6aG9wcGVy"),
        (("--token=t0ken",), "Bearer t0ken"),
    ],
)
def test_a_page_behind_a_login_is_read_with_what_is_given(options: tuple[str, ...], header: str) -> None:
    """User and password, or a token, go with each reading, as they do with `ragmeter plan`, and are never shown."""
    with Wire(answer(page())) as wire:
        result = run(f"{wire.url}/metrics", "--once", *options)
    assert result.exit_code == 0
    assert {asked.headers["authorization"] for asked in wire.asked} == {header}
    assert "hopper" not in result.output
    assert "t0ken" not in result.output


def test_a_frame_has_the_digits_of_the_page() -> None:
    """Every figure of the page stands in the frame, to the last digit; nothing of it is in any other form."""
    with Wire(answer(page())) as wire:
        shown = run(wire.url + "/metrics", "--once")
        figures = Figures.of(read_samples(wire.url + "/metrics"))
    assert shown.exit_code == 0
    assert digits(figures) - set(shown.output.split()) == set()
    assert "1,293 queries (3 failed), $12.36+ (5 calls without a price)" in shown.output
    assert "instrument(prices=" in " ".join(shown.output.split())


def drawn(samples: Samples, width: int, brush: Brush, *, height: int | None = None, trouble: str | None = None) -> str:
    """The frame of a reading on a console of a size."""
    figures = Figures.of(samples)
    sight = Sight("http://127.0.0.1:9464/metrics", figures, figures, 3.0, "counted since the app began", trouble)
    console = Console(width=width, file=StringIO(), color_system=None, legacy_windows=False)
    lines = console.render_lines(Frame(sight, brush), console.options.update(width=width, height=height), pad=False)
    return "\n".join("".join(segment.text for segment in line) for line in lines)


@pytest.fixture(scope="module")
def reading() -> Samples:
    with Wire(answer(page())) as wire:
        return read_samples(wire.url)


@pytest.mark.parametrize("name", BRUSHES)
@pytest.mark.parametrize("width", [40, 64, 80, 120])
def test_any_width_has_the_most_important_figures(width: int, name: str, reading: Samples) -> None:
    """No line is wider than the terminal; the cost of 1,000 queries and the tokens by origin are there in any."""
    shown = drawn(reading, width, BRUSHES[name])
    assert max(map(len, shown.splitlines())) <= width
    assert {"$9.98", "$0.22", "654,321", "98,765"} <= set(shown.split())
    assert ("CCCC" in shown) == (name == "letters")


@given(st.integers(20, 120), st.integers(1, 40), st.sampled_from(list(BRUSHES.values())), st.booleans())
def test_any_size_is_kept_to(width: int, height: int, brush: Brush, is_gone: bool) -> None:
    """No frame is larger than its terminal; what all was spent is the last to go."""
    rows = [
        ("ragmeter_queries_total", {"ragmeter_strategy": "a strategy of an app with a long name"}, 7.0),
        ("ragmeter_cost_usd_total", {"ragmeter_strategy": "rag", "ragmeter_part": "context"}, 0.5),
        ("ragmeter_tokens_total", {"ragmeter_part": "context"}, 1.0),
        ("ragmeter_internal_errors_total", {"ragmeter_place": "\x1b[2Jreading"}, 1.0),
    ]
    shown = drawn(Samples.of(rows), width, brush, height=height, trouble="It is gone." if is_gone else None)
    lines = shown.splitlines()
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert "7 queries," in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("given_url", "answers", "words"),
    [
        ("localhost:9464", None, "Expected an address such as http://"),
        (None, None, "cannot be reached"),
        (None, Answer((b"no",), status=404), "answers 404"),
        (None, answer("<html>hello</html>"), "is no page of metrics"),
        (None, answer("# TYPE up gauge\nup 1\n"), "has no metrics of ragmeter"),
    ],
    ids=["no address", "nobody there", "not found", "another page", "another app's metrics"],
)
def test_a_wrong_address_is_one_sentence(given_url: str | None, answers: Answer | None, words: str) -> None:
    """A wrong URL ends at once with status 2 and one sentence that says what is wrong; no traceback."""
    if answers is None:
        shown = run(given_url or "http://127.0.0.1:9/metrics")
    else:
        with Wire(answers) as wire:
            shown = run(wire.url)
    assert shown.exit_code == 2
    (line,) = shown.stderr.splitlines()
    assert words in line


def test_money_an_hour_is_that_of_the_last_minutes() -> None:
    """The rate is the growth between two readings by the time between them; none before the second."""
    now = [1000.0]
    with Wire(answer(page(1)), answer(page(2)), answer(page(2)), answer(page(4))) as wire:
        watching = Watching(wire.url, clock=lambda: now[0])
        assert watching.sight().recent is None
        for seconds in (36.0, 300.0, 301.0):
            now[0] += seconds
            watching.again()
            recent = watching.sight().recent
            assert recent is not None
            assert recent.spend_per_hour is not None
            if seconds == 36.0:
                assert recent.spend_per_hour == pytest.approx((12.3456789 + 0.0123456 + 0.00321) * 100)
        assert recent.seconds == 301.0
        assert recent.queries == 2 * 1293


def test_what_is_new_is_counted_from_zero_and_a_restart_begins_anew() -> None:
    """`--new` leaves out what was there; after a restart all is new; a gone page is told."""
    with Wire(answer(page(3)), answer(page(5)), answer(page(1)), answer("up 1\n"), answer(page(4))) as wire:
        watching = Watching(wire.url, is_new=True)
        assert watching.sight().figures.queries == 0
        watching.again()
        assert watching.sight().figures.queries == 2 * 1293
        watching.again()
        assert watching.sight().figures.queries == 1293
        assert "restart" in watching.sight().since
        watching.again()
        assert "no metrics of ragmeter" in (watching.sight().trouble or "")
        assert watching.sight().figures.queries == 1293
        watching.again()
        assert watching.sight().figures.queries == 4 * 1293
        assert watching.sight().trouble is None
    with pytest.raises(MeasuredError):
        Watching(wire.url)


class Terminal:
    """A real terminal under tmux, in which one program runs."""

    def __init__(self, folder: Path) -> None:
        self._tmux = ("tmux", "-S", str(folder / "socket"), "-f", os.devnull)
        self._status = folder / "status"

    def start(self, *command: str, columns: int, rows: int) -> None:
        program = f"{shlex.join(command)}; echo $? > {shlex.quote(str(self._status))}; cat"
        self.do("new-session", "-d", "-x", str(columns), "-y", str(rows), program)

    def do(self, *arguments: str) -> str:
        variables = environment(TERM="xterm-256color", LC_ALL="C.UTF-8")
        done = subprocess.run(
            [*self._tmux, *arguments], env=variables, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        return done.stdout

    def screen(self) -> str:
        return self.do("capture-pane", "-p")

    def until(self, condition: Callable[[str], object]) -> str:
        """What is seen once the condition holds."""
        patience = time.monotonic() + PATIENCE
        while not condition(seen := self.screen()):
            assert time.monotonic() < patience, seen
            time.sleep(0.05)
        return seen

    def status(self) -> int:
        self.until(lambda _: self._status.exists() and self._status.read_text().strip())
        return int(self._status.read_text())


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        reason = "tmux is missing: apt-get install tmux"
        pytest.fail(reason) if os.environ.get("RAGMETER_REQUIRE_STACK") == "1" else pytest.skip(reason)
    made = Terminal(tmp_path)
    yield made
    made.do("kill-server")


@contextmanager
def changing() -> Iterator[tuple[str, list[Answer]]]:
    """A page whose answer is the first of a list, which a test changes."""
    now = [answer(page())]
    with Wire(lambda _: now[0]) as wire:
        yield wire.url + "/metrics", now


def test_in_a_real_terminal(terminal: Terminal) -> None:
    """It follows the page and the terminal's size, says when the page is gone and goes on; Ctrl-C ends it with 0."""
    with changing() as (url, now):
        command = (sys.executable, "-m", "ragmeter", "top", url, "--every", "0.1")
        terminal.start(*command, columns=80, rows=40)
        seen = terminal.until(lambda seen: "an hour" in seen)
        assert "1,293 queries (3 failed), $12.36+" in seen
        assert digits(Figures.of(read_samples(url))) - set(seen.split()) == set()
        now[0] = answer(page(2))
        terminal.until(lambda seen: "2,586 queries (6 failed), $24.72+" in seen)
        terminal.do("resize-window", "-x", "40", "-y", "10")
        seen = terminal.until(lambda seen: "1K queries" in seen and len(seen.splitlines()) <= 10)
        assert "2,586 queries" in seen
        now[0] = Answer((b"busy",), status=503)
        terminal.until(lambda seen: "answers 503" in " ".join(seen.split()) and "2,586 queries" in seen)
        now[0] = answer(page(3))
        terminal.until(lambda seen: "3,879 queries" in seen and "503" not in seen)
        terminal.do("send-keys", "C-c")
        assert terminal.status() == 0
        assert "Traceback" not in terminal.screen()
