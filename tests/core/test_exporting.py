"""Where metrics go when the app has no providers: served to Prometheus, or pushed by OTLP; and zero code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

import ragmeter

TESTS = Path(__file__).parents[1]
ASK = """
import openai
client = openai.OpenAI(base_url={url!r} + "/v1", api_key="k")
client.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": "hello"}}])
"""


@pytest.fixture
def wire():
    from shop import answer
    from wire import Wire

    with Wire(answer) as server:
        yield server


def run(program, *before, **environment):
    return subprocess.run(
        [*(before or [sys.executable]), "-c", program] if not before else [*before, program],
        env={**os.environ, "RAGMETER_LOUD": "1", "RAGMETER_PROVIDERS": "127.0.0.1=openai", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_metrics_are_served_on_loopback():
    """Without providers of the app the metrics page is up as soon as `instrument()` returns, and gone afterwards."""
    ragmeter.instrument(prometheus_port=0)
    try:
        url = ragmeter.status().exporter.partition(" on ")[2]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url) as page:
            assert page.status == 200
    finally:
        ragmeter.uninstrument()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_a_taken_port_is_said_and_the_app_lives(caplog):
    """When the port is taken one line says what to do, and the app goes on, instrumented."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ragmeter.instrument(prometheus_port=port)
        try:
            assert "RAGMETER_PROMETHEUS_PORT" in caplog.text
            assert str(port) in ragmeter.status().exporter
            assert ragmeter.status().active
        finally:
            ragmeter.uninstrument()


def test_zero_code(wire, tmp_path):
    """`opentelemetry-instrument` finds ragmeter, and the unchanged program's metrics come out at its exit."""
    program = tmp_path / "app.py"
    program.write_text(ASK.format(url=wire.url))
    done = run(
        str(program),
        str(Path(sys.executable).parent / "opentelemetry-instrument"),
        sys.executable,
        OTEL_METRICS_EXPORTER="console",
        OTEL_TRACES_EXPORTER="console",
        OTEL_LOGS_EXPORTER="none",
    )
    assert done.returncode == 0, done.stderr
    assert '"ragmeter.queries"' in done.stdout
    assert '"name": "chat gpt-4o-mini"' in done.stdout


class Collector(BaseHTTPRequestHandler):
    """An OTLP endpoint that remembers the paths and bodies it is sent."""

    received: list[tuple[str, bytes]] = []  # noqa: RUF012 - one for the class, as the server makes the instances

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Quiet."""


def test_an_otlp_endpoint_gets_metrics_and_spans_also_at_exit(wire):
    """With an OTLP endpoint everything is pushed there before a short-lived process ends, without a flush."""
    Collector.received.clear()
    server = HTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, daemon=True).start()
    done = run(
        "import ragmeter\nragmeter.instrument()\n" + ASK.format(url=wire.url),
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
    )
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, done.stderr
    sent = dict(Collector.received)
    assert b"ragmeter.cost.usd" in sent["/v1/metrics"]
    assert b"chat gpt-4o-mini" in sent["/v1/traces"]


def test_instrument_imports_no_client_and_asks_no_network():
    """`instrument()` imports none of the clients, loads no price table and opens no connection."""
    program = """
import socket, sys
def refuse(*_): raise AssertionError("network")
socket.socket.connect = refuse
import ragmeter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
ragmeter.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider())
heavy = {"openai", "anthropic", "groq", "together", "chromadb", "qdrant_client", "genai_prices", "pydantic", "grpc"}
print(sorted(heavy & set(sys.modules)))
"""
    done = run(program)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
