"""The example stack, as far as it can be held against the real programs without Docker."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from typer.main import get_command

from ragmeter.cli import application
from ragmeter.cli.history import DEFAULT_EVERY
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.provisioning import PATH
from ragmeter.demo.history.loading import load_command

from .servers import PROJECT, free_port, required, running

STACK = PROJECT / "examples" / "stack"
COMPOSE = yaml.safe_load((STACK / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BUILT = "ragmeter-demo:local"


def read(name: str) -> Any:
    """One of the stack's YAML files."""
    return yaml.safe_load((STACK / name).read_text())


def mounts(service: str) -> dict[str, str]:
    """What of the repository, or which volume, a service has at which path."""
    pairs = (volume.split(":") for volume in SERVICES[service].get("volumes", ()))
    return {where: what for what, where, *_ in pairs}


def published() -> Iterator[tuple[str, str, str]]:
    """Address, port on the host and port in the container, of every service."""
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            address, host, container = port.split(":")
            yield address, host, container


def programs_run() -> Iterator[list[str]]:
    """Every command line of ours, also those within a shell's."""
    for service in SERVICES.values():
        command = service.get("command", [])
        if command[:1] == ["ragmeter"]:
            yield command
        elif service.get("entrypoint") == ["sh", "-c"]:
            (script,) = command
            yield from (shlex.split(found) for found in re.findall(r"\bragmeter [^&|;]*", script))


# --- docker-compose.yml


def test_images_are_pinned() -> None:
    """No image is taken as it happens to be on the day: each has a tag, and none moves as `latest` does."""
    for name, service in SERVICES.items():
        _, _, tag = service["image"].partition(":")
        assert service["image"] == BUILT or re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-slim)?", tag), name
        assert ("build" in service) == (service["image"] == BUILT), name


def test_ports_are_open_to_this_machine_only() -> None:
    """Nothing listens for the network, and no two services on one port."""
    ports = list(published())
    assert {address for address, _, _ in ports} == {"127.0.0.1"}
    assert len({host for _, host, _ in ports}) == len(ports)


def test_what_is_mounted_is_in_the_repository() -> None:
    """Every file and folder that a container is given exists, and every volume is declared."""
    for name in SERVICES:
        for what in mounts(name).values():
            if what.startswith("."):
                assert (STACK / what).resolve().exists(), f"{name}: {what}"
            else:
                assert what in COMPOSE["volumes"], f"{name}: {what}"


def test_nothing_is_taken_from_the_environment() -> None:
    """Compose replaces nothing: each dollar sign is doubled, meant for the shell in the container."""
    text = (STACK / "docker-compose.yml").read_text()
    assert re.sub(r"\$\$", "", text).count("$") == 0


def test_services_wait_for_what_has_a_health() -> None:
    """Who waits until another is healthy waits for one that has a check, and for nobody that is not there."""
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            assert wait["condition"] != "service_healthy" or "healthcheck" in SERVICES[other], f"{name} -> {other}"


def test_the_apps_commands_parse() -> None:
    """Each `ragmeter` command has only options that it knows."""
    commands = list(programs_run())
    assert len(commands) == 3
    for _, name, *arguments in commands:
        command = get_command(application()).commands[name]
        command.make_context(name, list(arguments))


def test_the_history_is_loaded_as_the_command_advises() -> None:
    """promtool gets what `ragmeter demo --history` says for a history of that length: else it takes minutes."""
    (days,) = re.findall(r"--history (\d+)d", SERVICES["history"]["command"][0])
    command = load_command(timedelta(days=int(days)), Path("/history/history.om"), "/prometheus")
    assert shlex.join(command) in SERVICES["load-history"]["command"][0]


def test_the_image_has_all_that_the_package_is_built_from() -> None:
    """What the Dockerfile copies exists and is not kept from Docker."""
    let_in = (STACK / "app.Dockerfile.dockerignore").read_text().splitlines()
    lines = (line.split() for line in (STACK / "app.Dockerfile").read_text().splitlines())
    copied = [name for first, *names in lines if first == "COPY" for name in names[:-1]]
    assert "pyproject.toml" in copied
    for name in copied:
        assert (PROJECT / name).exists()
        assert f"!{name}" in let_in


def test_nobody_can_log_in() -> None:
    """There is no password to be known: everyone is a viewer, and no administrator is made."""
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    for name in STACK.iterdir():
        assert not re.search(r"password:|secret:|token:", name.read_text(), re.IGNORECASE), name


# --- Prometheus and Alertmanager


def test_prometheus_takes_its_configuration_with_our_rules(programs: None, tmp_path: Path) -> None:
    """promtool finds no fault in it, nor in the rules that are mounted, of which it counts three files."""
    if "version 2." in check("promtool", "--version"):
        pytest.skip("Prometheus 2 knows no translation_strategy")
    text = (STACK / "prometheus.yml").read_text()
    inside = next(where for where, what in mounts("prometheus").items() if what.endswith("dashboards/prometheus"))
    assert text.count(inside) == 1
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace(inside, str(PROJECT / "dashboards" / "prometheus")))
    said = check("promtool", "check", "config", str(config))
    assert "3 rule files found" in said


def test_alertmanager_takes_its_configuration(programs: None) -> None:
    """amtool finds no fault in it."""
    said = check("amtool", "check-config", str(STACK / "alertmanager.yml"))
    assert "1 receivers" in said


def test_the_services_find_each_other() -> None:
    """Every address in a configuration is that of a service, at a port it listens on."""
    listens = {"prometheus:9090", "alertmanager:9093", "webhook:8080", "collector:4318"}
    names = "|".join(SERVICES)
    found = set()
    for path in STACK.glob("*.y*ml"):
        found |= set(re.findall(rf"(?:https?://|\")((?:{names}):\d+)", path.read_text()))
    assert found == listens


def check(program: str, *arguments: str) -> str:
    """What a program says about a file that it finds in order."""
    done = subprocess.run([required(program), *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- Grafana and the collector


def test_grafana_finds_the_dashboards_where_they_are_mounted() -> None:
    """The provider's folder is that of the JSON files; so is the page that Grafana opens with."""
    inside = mounts("grafana")
    assert inside[PATH] == "../../dashboards/grafana"
    home = PurePosixPath(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == PATH
    assert (PROJECT / "dashboards" / "grafana" / home.name).exists()


def test_grafana_has_the_data_source_that_its_alerts_name() -> None:
    """The Prometheus of the stack has the uid that the alerts are made for, and windows for the history's samples."""
    source, manager = read("grafana-datasources.yaml")["datasources"]
    assert source["uid"] == Options().datasource
    assert source["isDefault"] is True
    assert source["jsonData"]["alertmanagerUid"] == manager["uid"]
    assert source["jsonData"]["timeInterval"] == DEFAULT_EVERY


def test_the_collector_hands_on_what_it_takes() -> None:
    """Every part of its pipelines is configured, every configured part is used, and metrics go to Prometheus."""
    config = read("collector.yaml")
    pipelines = config["service"]["pipelines"]
    for kind in ("receivers", "processors", "exporters"):
        assert {part for pipeline in pipelines.values() for part in pipeline[kind]} == set(config[kind])
    (exporter,) = pipelines["metrics"]["exporters"]
    assert config["exporters"][exporter]["endpoint"] == "http://prometheus:9090/api/v1/otlp"
    assert "--web.enable-otlp-receiver" in SERVICES["prometheus"]["command"]


# --- the webhook


def test_the_webhook_prints_alerts(tmp_path: Path) -> None:
    """An alert becomes its status, name, labels, summary and runbook; what is none is refused, and it lives on."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    alert = {
        "status": "firing",
        "labels": {"alertname": "RagmeterCostSpike", "ragmeter_strategy": "rag"},
        "annotations": {"summary": "rag costs $9.00 an hour", "runbook_url": "https://runbooks.test#cost-spike"},
    }
    log = tmp_path / "webhook.log"
    with running([sys.executable, "-u", STACK / "webhook.py", "127.0.0.1", str(port)], log=log, ready=url):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(url, data=b"no alerts", timeout=5)
        with urllib.request.urlopen(url, data=json.dumps({"alerts": [alert]}).encode(), timeout=5) as answer:
            assert answer.status == 200
    assert log.read_text().splitlines()[-3:] == [
        "[firing] RagmeterCostSpike (ragmeter_strategy=rag)",
        "    rag costs $9.00 an hour",
        "    https://runbooks.test#cost-spike",
    ]
