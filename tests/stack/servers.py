"""Starts Debian's Prometheus, Alertmanager and vmagent on free loopback ports, in a folder of the test, and stops them.

The programs come from ``scripts/get-prometheus`` or from the PATH.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml

PROJECT = Path(__file__).resolve().parents[2]
FETCHED = PROJECT / ".cache" / "prometheus" / "usr" / "bin"
TEMPLATES = PROJECT / ".cache" / "prometheus" / "usr" / "share" / "prometheus" / "alertmanager"
PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool", "vmagent", "victoria-metrics")
READY_SECONDS = 30.0
LOADING_SECONDS = 300.0

# Prometheus' own OTLP receiver makes job and instance of the resource and leaves the rest of it, and the
# scope, off the series. vmagent keeps them all: this does the same to what it sends on.
RELABEL = [
    {
        "source_labels": ["service_namespace", "service_name"],
        "separator": "/",
        "regex": "/?(.+)",
        "target_label": "job",
    },
    {"source_labels": ["service_instance_id"], "regex": "(.+)", "target_label": "instance"},
    {"action": "labeldrop", "regex": "service_.*|telemetry_.*|scope_.*|process_.*|host_.*|os_.*"},
]


class ServerError(RuntimeError):
    """A program did not start, or ended early; the message holds the end of its log."""


def find_program(name: str) -> Path | None:
    """The path of a program, the fetched one before one on the PATH; None if there is neither."""
    fetched = FETCHED / name
    if fetched.exists():
        return fetched
    # Only Debian puts "prometheus-" before Alertmanager's name.
    found = shutil.which(name) or shutil.which(name.removeprefix("prometheus-"))
    return Path(found) if found else None


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when ``url`` answers 200; raise ServerError if the process ends or time is up first."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    ending = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise ServerError(f"{process.args!r} does not answer at {url} (exit code {process.poll()}):\n{ending}")


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while the block runs, which starts when the URL ``ready`` answers; ``log`` is its output.

    It runs in ``folder``, or where the test runs.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder
        )
    try:
        wait_until_ready(ready, process, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def prometheus(
    folder: Path,
    *,
    targets: Sequence[str] = (),
    rules: Sequence[Path] = (),
    alertmanager: str | None = None,
    data: Path | None = None,
) -> Iterator[str]:
    """Run a Prometheus that scrapes ``targets`` ("host:port") twice a second; yields its base URL.

    ``rules`` are rule files, ``alertmanager`` is the base URL of one, ``data`` is where blocks already lie.
    """
    address = f"127.0.0.1:{free_port()}"
    config = folder / "prometheus.yml"
    jobs = [{"job_name": "ragmeter", "static_configs": [{"targets": list(targets)}]}] if targets else []
    alerting = {"alertmanagers": [{"static_configs": [{"targets": [urlsplit(alertmanager).netloc]}]}]}
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
                "storage": {"tsdb": {"out_of_order_time_window": "1h"}},
                "rule_files": [str(path) for path in rules],
                "alerting": alerting if alertmanager else {},
                "scrape_configs": jobs,
            }
        )
    )
    command: list[str | Path] = [
        required("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={data or folder / 'prometheus-data'}",
        "--storage.tsdb.retention.time=90d",
        f"--web.listen-address={address}",
        "--web.enable-remote-write-receiver",
    ]
    with running(command, log=folder / "prometheus.log", ready=f"http://{address}/-/ready"):
        yield f"http://{address}"


@contextmanager
def alertmanager(folder: Path, webhook_url: str) -> Iterator[str]:
    """Run an Alertmanager that posts every alert to ``webhook_url`` at once; yields its base URL."""
    address = f"127.0.0.1:{free_port()}"
    config = folder / "alertmanager.yml"
    route = {"receiver": "webhook", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    receiver = {"name": "webhook", "webhook_configs": [{"url": webhook_url, "send_resolved": True}]}
    config.write_text(yaml.safe_dump({"route": route, "receivers": [receiver]}))
    command: list[str | Path] = [
        required("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager-data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    # scripts/get-prometheus made the fetched one look for its templates where it is started.
    where = TEMPLATES if TEMPLATES.is_dir() else folder
    ready = f"http://{address}/-/ready"
    with running(command, log=folder / "alertmanager.log", ready=ready, folder=where):
        yield f"http://{address}"


def load_history(openmetrics: Path, data: Path) -> None:
    """Make blocks in the folder ``data`` of the samples in a file, for a Prometheus that starts there afterwards."""
    # promtool reads the whole file for each block: few long ones take seconds, days take minutes.
    command = ["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=500h", openmetrics, data]
    subprocess.run([required("promtool"), *command], check=True, capture_output=True, timeout=LOADING_SECONDS)


@contextmanager
def otlp_gateway(folder: Path, *, prometheus_url: str) -> Iterator[str]:
    """Run a vmagent that hands OTLP metrics on to a Prometheus; yields the URL that an exporter posts to.

    Debian builds Prometheus without its OTLP receiver; vmagent names series as that receiver does.
    """
    address = f"127.0.0.1:{free_port()}"
    relabel = folder / "relabel.yml"
    relabel.write_text(yaml.safe_dump(RELABEL))
    command: list[str | Path] = [
        required("vmagent"),
        f"-httpListenAddr={address}",
        f"-remoteWrite.url={prometheus_url}/api/v1/write",
        "-remoteWrite.forcePromProto",
        f"-remoteWrite.tmpDataPath={folder / 'vmagent-data'}",
        "-remoteWrite.flushInterval=200ms",
        "-opentelemetry.usePrometheusNaming",
        f"-remoteWrite.relabelConfig={relabel}",
    ]
    with running(command, log=folder / "vmagent.log", ready=f"http://{address}/health"):
        yield f"http://{address}/opentelemetry/v1/metrics"


@contextmanager
def victoria_metrics(folder: Path, *, targets: Sequence[str] = ()) -> Iterator[str]:
    """Run a VictoriaMetrics that scrapes ``targets`` ("host:port") twice a second; yields its base URL.

    It answers Prometheus' API, and takes OTLP metrics at ``/opentelemetry/v1/metrics``.
    """
    address = f"127.0.0.1:{free_port()}"
    config = folder / "scrape.yml"
    jobs = [{"job_name": "ragmeter", "static_configs": [{"targets": list(targets)}]}] if targets else []
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": "500ms"}, "scrape_configs": jobs}))
    command: list[str | Path] = [
        required("victoria-metrics"),
        f"-httpListenAddr={address}",
        f"-storageDataPath={folder / 'victoria-data'}",
        "-retentionPeriod=1d",
        "-opentelemetry.usePrometheusNaming",
        "-search.latencyOffset=0s",
        f"-promscrape.config={config}",
    ]
    with running(command, log=folder / "victoria.log", ready=f"http://{address}/health"):
        yield f"http://{address}"


def required(name: str) -> Path:
    """The path of a program; raises ServerError if it is missing."""
    path = find_program(name)
    if path is None:
        raise ServerError(f"{name} is missing: run scripts/get-prometheus")
    return path
