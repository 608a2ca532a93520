"""The command `ragmeter`: what it prints, writes and serves, and how it says what is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import wrapt
from typer.testing import CliRunner, Result

from pages import README
from ragmeter.cli import application
from ragmeter.demo.report import COST_PER_1000_QUERIES
from ragmeter.demo.server import serving
from ragmeter.demo.simulation import Latency

QUICK = ("--questions=3", "--speed=500")
STRATEGIES = ["base", "fine_tuned", "rag", "fine_tuned_rag"]
COLUMNS = {
    "strategy",
    "cost_per_1k",
    "queries",
    "input_tokens",
    "context_tokens",
    "bloat_factor",
    "search_share",
    "p50",
    "p95",
}
PROCESS_SECONDS = 60


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing from outside decides where metrics go, or which model is asked."""
    for name in os.environ:
        if name.startswith(("OTEL_", "RAGMETER_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RAGMETER_LOUD", "1")


def run(*arguments: str) -> Result:
    """The command in this process, in a terminal of 80 columns."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(application(), list(arguments))


def test_the_table_of_the_readme_is_what_the_demo_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README shows of the demo is what whoever runs it sees, but for the times, which are the machine's."""
    monkeypatch.setenv("RAGMETER_EXACT_TOKENS", "false")
    shown, printed = table(README.read_text(encoding="utf-8")), table(run("demo", "--speed=500").output)
    assert list(shown) == STRATEGIES
    assert shown == printed


def table(page: str) -> dict[str, list[str]]:
    """The rows of the demo's table by strategy, without its search share and times."""
    rows = (line.split() for line in page.splitlines() if re.fullmatch(r"[a-z_]+ +\$[\d.]+ .*", line))
    return {strategy: [*figures[:4], figures[-1]] for strategy, *figures in rows}


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of its own, for what needs a process without this one's imports."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=PROCESS_SECONDS, check=False
    )


def table_of(output: str) -> dict[str, list[str]]:
    """The printed rows, by strategy."""
    rows = (line.split() for line in output.splitlines())
    return {first: rest for first, *rest in (row for row in rows if row) if first in STRATEGIES}


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that something else listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


@contextmanager
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The address of an OTLP receiver, and the paths and bodies it has got."""
    received: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


# --- demo


@pytest.mark.parametrize("database", ["qdrant", "chroma"])
def test_the_demo_prints_its_table_and_writes_the_same_figures(tmp_path: Path, database: str) -> None:
    """One row for each strategy in order of cost, the same in the file, and the query for the cost column."""
    file = tmp_path / "figures.json"
    result = run("demo", *QUICK, f"--database={database}", f"--json={file}")
    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text())
    assert [row["strategy"] for row in figures] == STRATEGIES
    assert all(set(row) == COLUMNS and row["queries"] == 3 for row in figures)
    table = table_of(result.stdout)
    assert list(table) == STRATEGIES
    for row in figures:
        assert table[row["strategy"]][0] == f"${row['cost_per_1k']:.4f}"
        assert table[row["strategy"]][-1] == "3"
    assert COST_PER_1000_QUERIES in result.stdout
    assert "simulated model" in result.stdout


def test_a_taken_port_is_said_and_the_table_printed_all_the_same() -> None:
    """Serving is impossible, measuring is not; the exit status tells that something was not done."""
    with taken_port() as port:
        result = run("demo", *QUICK, "--serve", f"--port={port}")
    assert result.exit_code == 1
    assert f"Cannot serve metrics on 127.0.0.1:{port}" in result.stderr
    assert "--port" in result.stderr
    assert list(table_of(result.stdout)) == STRATEGIES


def test_served_metrics_stay_until_sigterm(tmp_path: Path) -> None:
    """With --serve the page has the figures of the table after it is printed, and SIGTERM ends it in order."""
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "ragmeter", "demo", *QUICK, "--serve", "--port=0", f"--json={file}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = next(found[0] for line in process.stderr if (found := re.findall(r"stay on (http://\S+)", line)))
        with urllib.request.urlopen(url, timeout=5) as page:
            text = page.read().decode()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PROCESS_SECONDS)
    assert process.returncode == 0
    served = {
        strategy: float(number)
        for strategy, number in re.findall(r'ragmeter_queries_total\{.*ragmeter_strategy="(\w+)".*\} (\S+)', text)
    }
    assert served == {row["strategy"]: row["queries"] for row in json.loads(file.read_text())}


def test_metrics_are_pushed_where_an_endpoint_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an OTLP endpoint in the environment the same metrics arrive there."""
    with collector() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{url}/v1/metrics")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        result = run("demo", *QUICK)
    assert result.exit_code == 0, result.output
    assert url in result.stdout
    assert {path for path, _ in received} == {"/v1/metrics"}
    assert b"ragmeter.cost.usd" in received[-1][1]
    assert b"ragmeter-demo" in received[-1][1]


def test_live_without_a_key_says_what_to_set() -> None:
    """No key, no call: the message names the variable."""
    result = run("demo", "--live")
    assert result.exit_code == 2
    assert "OPENAI_API_KEY" in result.stderr


def test_live_asks_the_server_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --live the client's own settings hold, only the base model is asked, and an unknown host is unpriced."""
    with serving(Latency(speed=500)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "a key")
        result = run("demo", "--questions=2", "--live")
        requests = {model: served.requests for model, served in server.served().items()}
    assert result.exit_code == 0, result.output
    assert requests == {"gpt-4o-mini": 4, "text-embedding-3-small": 3}
    table = table_of(result.stdout)
    assert set(table) == {"base", "rag"}
    assert [row[0] for row in table.values()] == ["unpriced", "unpriced"]
    assert "simulated" not in result.stdout.lower()


def test_a_model_that_cannot_be_reached_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not there ends the demo with a message and no traceback."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    result = run("demo", "--questions=1", "--live")
    assert result.exit_code == 1
    assert "could not be embedded: Connection error" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed=0"], "above 0"),
        (["--questions=0"], "questions"),
        (["--json=/no/such/folder/figures.json"], "no folder"),
        (["--fine-tuned=ft:mine"], "--live"),
        (["--database=oracle"], "qdrant"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_at_once(arguments: list[str], said: str) -> None:
    """Wrong values end with status 2 and say what would do."""
    result = run("demo", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_setting_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong environment variable is named, by both commands."""
    monkeypatch.setenv("RAGMETER_ONLY", "oracle")
    for command in (["demo", *QUICK], ["doctor"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "RAGMETER_ONLY" in result.stderr


@pytest.mark.parametrize(
    ("missing", "database", "said"),
    [
        ("openai", "qdrant", "ragmeter[demo]"),
        ("qdrant_client", "qdrant", "ragmeter[demo]"),
        ("chromadb", "chroma", "pip install chromadb"),
    ],
)
def test_a_missing_client_is_said_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, missing: str, database: str, said: str
) -> None:
    """Without a package the demo needs, its message has the command that installs it."""
    monkeypatch.setitem(sys.modules, missing, None)
    result = run("demo", *QUICK, f"--database={database}")
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extras_one_line_says_how_to_install_them(missing: str) -> None:
    """The command's own libraries missing is one line and status 2, no traceback."""
    ended = python(f"import sys; sys.modules[{missing!r}] = None\nfrom ragmeter.cli import main; main()", "doctor")
    assert ended.returncode == 2
    assert ended.stderr == f"The command ragmeter needs {missing}: pip install 'ragmeter[cli]'\n"
    assert ended.stdout == ""


# --- doctor


def test_the_doctor_shows_what_would_be_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each client has its version, its range and its functions; one that is skipped says so; then all is as before."""
    import openai._base_client

    original = vars(openai._base_client.SyncAPIClient)["request"]
    monkeypatch.setenv("RAGMETER_SKIP", "groq")
    result = run("doctor")
    assert result.exit_code == 0, result.output
    table = result.stdout.partition(" does not have")[0]
    rows = {line.split()[0]: line for line in reversed(table.splitlines()) if line.strip()}
    assert openai.__version__ in rows["openai"]
    assert re.search(r"in range\s+(\d+) of \1", rows["openai"])
    assert re.search(r"[1-9]\d* of \d+", rows["qdrant"])
    assert "skipped by the settings" in rows["groq"]
    assert "Foreign tools" in result.stdout
    assert vars(openai._base_client.SyncAPIClient)["request"] is original


def test_the_doctor_shows_what_the_environment_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting that a variable gives is shown with its value, but for hosts; a misspelt variable is told."""
    monkeypatch.setenv("RAGMETER_LABELS", "team,feature")
    monkeypatch.setenv("RAGMETER_PROVIDERS", "https://user:secret@gateway.internal=openai")
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", "9999")
    monkeypatch.setenv("RAGMETER_STREAM_USGE", "true")
    result = run("doctor")
    assert result.exit_code == 0, result.output
    shown = result.stdout.splitlines()
    assert "Set by RAGMETER_LABELS: labels = team, feature" in shown
    assert "Set by RAGMETER_PROVIDERS: providers" in shown
    assert "Set by OTEL_EXPORTER_PROMETHEUS_PORT: prometheus_port = 9999" in shown
    assert "RAGMETER_STREAM_USGE sets nothing; did you mean RAGMETER_STREAM_USAGE?" in shown
    assert "secret" not in result.output


@pytest.mark.parametrize("switch", ["RAGMETER_ENABLED=false", "OTEL_SDK_DISABLED=true"])
def test_the_doctor_says_what_switches_ragmeter_off(monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    """Where the environment switches ragmeter off, that is said, with status 1: nothing is measured."""
    monkeypatch.setenv(*switch.split("="))
    result = run("doctor")
    assert result.exit_code == 1
    assert f"ragmeter is switched off by {switch}: nothing is measured." in result.stdout
    assert "in other versions" not in result.stdout


def test_the_doctor_warns_of_a_client_it_cannot_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed client without any of the functions is shown as unmeasured, with status 1."""
    monkeypatch.setenv("RAGMETER_ONLY", "groq")
    (tmp_path / "groq").mkdir()
    (tmp_path / "groq" / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom ragmeter.cli import main; main()"
    ended = python(code, "doctor")
    assert ended.returncode == 1
    assert re.search(r"groq .*0 of \d+: nothing", ended.stdout)


def test_the_doctor_names_what_calls_meet_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool whose wrapper stands on the class that apps use is named, with the function it stands in front of."""
    import openai

    monkeypatch.setattr(openai.OpenAI, "request", wrapt.FunctionWrapper(openai.OpenAI.request, print), raising=False)
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "In front of openai._base_client:SyncAPIClient.request: openai.OpenAI.request by" in result.stdout
    assert "not measured" not in result.stdout


def test_the_doctor_warns_of_what_leads_past_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that calls reach instead of ours is named, and what to do about it is said."""
    monkeypatch.setenv("RAGMETER_ONLY", "groq")
    (tmp_path / "groq").mkdir()
    (tmp_path / "groq" / "__init__.py").write_text("")
    above = "class SyncAPIClient:\n    def request(self): pass\n"
    (tmp_path / "groq" / "_base_client.py").write_text(above)
    below = "from groq._base_client import SyncAPIClient\nclass Groq(SyncAPIClient):\n    def request(self): pass\n"
    (tmp_path / "groq" / "_streaming.py").write_text(below)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom ragmeter.cli import main; main()"
    ended = python(code, "doctor")
    assert "groq._base_client:SyncAPIClient.request: groq._streaming.Groq.request by groq._streaming" in ended.stdout
    assert "Calls that go there are not measured: call instrument() after that tool is set up." in ended.stdout


def test_the_doctor_names_what_a_frozen_app_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Integrations that were left out when an app was frozen into one file are named."""
    monkeypatch.setitem(sys.modules, "ragmeter.reading.clients.groq", None)
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "This app was frozen without the integrations groq." in result.stdout


def test_the_doctor_reads_from_a_page_what_has_no_price() -> None:
    """The page of a running app names what it could not price, our failures, full labels, and queries in no request."""
    page = """# TYPE ragmeter_operations_total counter
ragmeter_operations_total{gen_ai_response_model="gpt-4o",gen_ai_provider_name="a",ragmeter_price_state="priced"} 7.0
ragmeter_operations_total{gen_ai_response_model="m",gen_ai_provider_name="b",ragmeter_price_state="unpriced",x="1"} 2.0
ragmeter_operations_total{gen_ai_response_model="m",gen_ai_provider_name="b",ragmeter_price_state="unpriced",x="2"} 3.0
# TYPE ragmeter_internal_errors_total counter
ragmeter_internal_errors_total{ragmeter_place="reading a response"} 4.0
# TYPE ragmeter_labels_overflowed_total counter
ragmeter_labels_overflowed_total{ragmeter_label="team"} 6.0
# TYPE ragmeter_queries_total counter
ragmeter_queries_total{ragmeter_strategy="base"} 8.0
# TYPE ragmeter_queries_unscoped_total counter
ragmeter_queries_unscoped_total 8.0
"""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *arguments: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    result = run("doctor", f"--metrics=http://127.0.0.1:{server.server_port}/metrics")
    server.shutdown()
    server.server_close()
    assert "Unpriced models: b m (5 calls)" in result.stdout
    assert "gpt-4o" not in result.stdout
    assert "reading a response (4)" in result.stdout
    assert "under `other`: team (6 times)" in result.stdout
    assert "outside of any scope or request span: 8 of 8" in result.stdout
    assert "with ragmeter.query():" in result.stdout


@pytest.mark.parametrize("url", ["file:///etc/hostname", "http://127.0.0.1:9/metrics"])
def test_a_page_that_cannot_be_read_is_a_clear_error(url: str) -> None:
    """A wrong address is named in one line."""
    result = run("doctor", f"--metrics={url}")
    assert result.exit_code == 1
    assert "--metrics" in result.stderr
    assert "Traceback" not in result.output
