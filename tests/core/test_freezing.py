"""An app frozen into one file: what the freezer is told, and what is said where something was left out."""

from __future__ import annotations

import ast
import importlib.metadata
import logging
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import ragmeter
from ragmeter.freezing.register import register_of
from ragmeter.reading import clients

PROJECT = Path(__file__).parents[2] / "pyproject.toml"

INSTRUMENT = """
import logging, sys
logging.basicConfig(format="%(message)s")
for name in {missing}:
    sys.modules[name] = None
import ragmeter
from opentelemetry.sdk.metrics import MeterProvider
ragmeter.instrument(meter_provider=MeterProvider(shutdown_on_exit=False))
"""


def test_the_hook_is_registered():
    """PyInstaller finds the folder of our hook by its entry point."""
    (declared,) = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["pyinstaller40"].items()
    assert declared[0] == "hook-dirs"
    (folder,) = importlib.metadata.EntryPoint(*declared, "pyinstaller40").load()()
    assert (Path(folder) / "hook-ragmeter.py").is_file()


def test_an_integration_left_out_is_said_once(watch, monkeypatch, caplog):
    """Integrations without their modules cost no others; one line names those that are wanted, the status all."""
    for name in ("anthropic", "groq", "together"):
        monkeypatch.setitem(sys.modules, f"ragmeter.reading.clients.{name}", None)
    with caplog.at_level(logging.WARNING, "ragmeter"):
        watch(skip=["together"])
    (line,) = [record.getMessage() for record in caplog.records]
    assert "without the integrations anthropic, groq," in line
    status = ragmeter.status()
    assert status.missing == ("anthropic", "groq", "together")
    assert "openai" in {each.name for each in status.integrations}
    assert status.internal_errors == 0


def test_the_price_library_left_out_is_said_once():
    """Without genai-prices the app goes on, and one line says that prices are missing."""
    environment = {**os.environ, "RAGMETER_LOUD": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INSTRUMENT.format(missing=["genai_prices"])],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "the package genai-prices is not installed with this app" in line


HOSTS = """
from ragmeter.reading.providers import provider_of_url
print(provider_of_url("https://cloud.databricks.com", "cloud.databricks.com"), ragmeter.status().internal_errors)
"""


def run_from(place: Path) -> subprocess.CompletedProcess[str]:
    """An app with the copy of the package that lies there, which asks for a host that only our data files know."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INSTRUMENT.format(missing=[]) + HOSTS],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RAGMETER_LOUD": "1", "PYTHONPATH": str(place)},
        cwd=place.parent,
        check=False,
    )


def test_an_app_frozen_without_clients_knows_what_it_lacks(tmp_path):
    """Where neither module nor folder is left, the list that the wheel was built with still names every integration."""
    package = Path(ragmeter.__file__).parent
    shutil.copytree(package, tmp_path / "ragmeter", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "ragmeter" / "reading" / "clients"
    (folder / "_register.py").write_text(register_of(package / "reading" / "clients"))
    for name in ("groq", "together"):
        (folder / f"{name}.py").unlink()
    done = run_from(tmp_path)
    (line,) = done.stderr.splitlines()
    assert "without the integrations groq, together," in line


def test_the_list_in_the_wheel_imports_every_client():
    """Tools that follow the imports they find in code take in every integration."""
    tree = ast.parse(register_of(Path(clients.__file__).parent))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(clients.names())
    assert {"openai", "qdrant", "langchain"} <= imported


def test_data_files_left_out_are_said_once(tmp_path):
    """Without the data files the app goes on, and one line says which are missing."""
    package = Path(ragmeter.__file__).parent
    shutil.copytree(package, tmp_path / "ragmeter", ignore=shutil.ignore_patterns("*.json", "__pycache__"))
    done = run_from(tmp_path)
    assert done.stdout.split() == ["cloud.databricks.com", "0"], done.stderr
    (line,) = done.stderr.splitlines()
    assert "ragmeter/facts/*.json" in line


def test_data_files_are_read_from_an_archive(tmp_path):
    """An app in one archive, which Python imports from as it is, has all that the files say."""
    archive = shutil.make_archive(str(tmp_path / "app"), "zip", Path(ragmeter.__file__).parent.parent, "ragmeter")
    done = run_from(Path(archive))
    assert (done.stdout.split(), done.stderr) == (["databricks", "0"], "")


def test_a_version_is_known_without_metadata(watch, monkeypatch, caplog):
    """Where a client's metadata was left out it is measured all the same, under the version it tells itself."""
    import openai  # noqa: F401 - the app has imported it

    known = importlib.metadata.version

    def version(distribution):
        if distribution == "openai":
            raise importlib.metadata.PackageNotFoundError(distribution)
        return known(distribution)

    installed = known("openai")
    monkeypatch.setattr(importlib.metadata, "version", version)
    watch()
    (status,) = [each for each in ragmeter.status().integrations if each.name == "openai"]
    assert (status.installed, status.in_range) == (installed, True)
    monkeypatch.delattr("openai.__version__")
    assert next(each.installed for each in ragmeter.status().integrations if each.name == "openai") == installed
    monkeypatch.delattr("openai._version.__version__")
    (status,) = [each for each in ragmeter.status().integrations if each.name == "openai"]
    assert (status.installed, status.in_range) == ("unknown", None)
    assert "patched" in {target.state for target in status.targets}
    ragmeter.uninstrument()
    watch()
    assert not caplog.records
