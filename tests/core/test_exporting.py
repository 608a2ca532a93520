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
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import ragmeter
from otlp_receiver import Receiver
from ragmeter.telemetry import otel_environment
from ragmeter.telemetry.otel_environment import Signal

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


@pytest.fixture
def told(monkeypatch):
    """Where metrics go under an environment."""

    def told(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        ragmeter.instrument(prometheus_port=0)
        try:
            return ragmeter.status().exporter
        finally:
            ragmeter.uninstrument()

    return told


def test_exporters_that_the_environment_switches_off_are_off(wire):
    """With `none` for metrics and traces nothing is served and nothing is sent, though an endpoint is named."""
    with Receiver() as receiver:
        done = run(
            "import ragmeter\nragmeter.instrument()\n" + ASK.format(url=wire.url) + "print(ragmeter.status().exporter)",
            OTEL_METRICS_EXPORTER="none",
            OTEL_TRACES_EXPORTER="none",
            **receiver.environment,
        )
        assert done.stdout.strip() == "nothing: OTEL_METRICS_EXPORTER=none", done.stderr
        assert (receiver.total("ragmeter.operations"), receiver.spans) == (0, [])


def test_spans_alone_may_be_switched_off(wire):
    """With `none` for traces alone metrics still arrive."""
    with Receiver() as receiver:
        program = "import ragmeter\nragmeter.instrument()\n" + ASK.format(url=wire.url)
        done = run(program, OTEL_TRACES_EXPORTER="none", **receiver.environment)
        assert done.returncode == 0, done.stderr
        assert (receiver.total("ragmeter.operations"), receiver.spans) == (1, [])


def test_named_exporters_stand_above_what_is_usual(told):
    """A page is served where `prometheus` is named, also beside OTLP; an unknown exporter is said and left out."""
    endpoint = "http://127.0.0.1:9"
    exporter = told(OTEL_METRICS_EXPORTER="otlp,prometheus", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert exporter.startswith(f"OTLP to {endpoint}, Prometheus on http://127.0.0.1:")
    assert told(OTEL_METRICS_EXPORTER="prometheus").startswith("Prometheus on ")


def test_an_unknown_exporter_is_said(told, caplog):
    """The usual one is used instead."""
    assert told(OTEL_METRICS_EXPORTER="zipkin").startswith("Prometheus on ")
    assert "no exporter zipkin" in caplog.text


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://vendor.example/otlp"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:55680"}, "grpc"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"},
            "http/protobuf",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/m"},
            "http/protobuf",
        ),
    ],
)
def test_the_protocol_is_the_one_that_is_named_or_the_endpoints(environment, protocol):
    """The variable of the signal, then that of all, then the port's, then the specification's default."""
    assert otel_environment.protocol(Signal.METRICS, environment) == protocol


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://collector:4318", "http://collector:4318"),
        ("https://user:secret@collector.example:4318/v1/metrics", "https://collector.example:4318/v1/metrics"),
        ("https://collector.example/otlp?api_key=secret#secret", "https://collector.example/otlp"),
        ("https://collector.example/v1/3f9d2c7b1a5e4d60/metrics", "https://collector.example/v1/…/metrics"),
        ("https://collector.example/secret-0f7a2b9c-4d1e-4a/x", "https://collector.example/…/x"),
        ("user:secret@collector:4317", "collector:4317"),
        ("http://[::1]:4318", "http://[::1]:4318"),
        ("http://collector:secret", "http://collector"),
        ("https://", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, shown):
    """Names, passwords, queries and keys in a path are no part of what is shown of an address."""
    assert otel_environment.without_secrets(address) == shown


def test_the_status_shows_an_address_without_its_secrets(told):
    """What the status and `ragmeter doctor` say of an endpoint has no password in it."""
    address = "https://user:secret@collector.example:4318/v1/metrics"
    said = told(OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_TRACES_EXPORTER="none")
    assert said.endswith("OTLP to https://collector.example:4318/v1/metrics")


def test_zero_code_without_a_collector_has_a_page(wire, tmp_path):
    """Where zero code would push to an endpoint nobody named or listens at, there is a page, and one line says so."""
    program = tmp_path / "app.py"
    program.write_text(
        ASK.format(url=wire.url) + "import ragmeter\nragmeter.flush()\nprint(ragmeter.status().exporter)"
    )
    done = run(
        str(program),
        str(Path(sys.executable).parent / "opentelemetry-instrument"),
        sys.executable,
        RAGMETER_PROMETHEUS_PORT="0",
        OTEL_LOGS_EXPORTER="none",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Prometheus on http://127.0.0.1:")
    assert done.stderr.count("OTEL_EXPORTER_OTLP_ENDPOINT") == 1


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


def test_a_provider_that_exports_nothing_is_said():
    """The status tells where the app's meter provider has no reader: nothing that is counted arrives anywhere."""
    for readers, said in (([], "has no reader"), ([InMemoryMetricReader()], "the app's meter provider")):
        ragmeter.instrument(meter_provider=MeterProvider(readers, shutdown_on_exit=False))
        try:
            assert ragmeter.status().exporter.endswith(said)
        finally:
            ragmeter.uninstrument()
