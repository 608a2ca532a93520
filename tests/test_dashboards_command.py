"""`ragmeter dashboards`: the files it writes and keeps, and what it does with a Grafana, by the real client."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from ragmeter.cli import application
from ragmeter.dashboards.boards import boards
from ragmeter.dashboards.files import files
from ragmeter.dashboards.options import Options

TOKEN = "glsa_a-secret-of-the-test"
WRITTEN = files(Options())
LIMITS = "prometheus/ragmeter-limits.yaml"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token and no proxy from outside."""
    for name in ("GRAFANA_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, **environment: str) -> Result:
    """The command in this process; a token must never be in its output."""
    result = CliRunner(env={"COLUMNS": "200", **environment}).invoke(application(), ["dashboards", *arguments])
    assert TOKEN not in result.output
    return result


def contents(folder: Path) -> dict[str, str]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# --- export


def test_export_writes_every_file_and_says_what_to_do(tmp_path: Path) -> None:
    """A new folder has all files afterwards, each is named, and the next steps name Prometheus and Grafana."""
    folder = tmp_path / "new" / "folder"
    result = run("export", str(folder))
    assert result.exit_code == 0, result.output
    assert contents(folder) == WRITTEN
    assert all(f"new       {folder / path}" in result.output for path in WRITTEN)
    assert f"rule_files: [{folder}/prometheus/*.yaml]" in result.output
    assert "ragmeter dashboards push --url" in result.output


def test_every_file_can_be_read() -> None:
    """Dashboards are JSON under their uid, everything else is YAML."""
    for path, text in WRITTEN.items():
        if path.endswith(".json"):
            assert json.loads(text)["uid"] == Path(path).stem
        else:
            assert yaml.safe_load(text)


def test_export_again_changes_nothing(tmp_path: Path) -> None:
    """What is there already is left as it is, to the last change of time."""
    run("export", str(tmp_path))
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in WRITTEN}
    result = run("export", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert {path: (tmp_path / path).stat().st_mtime_ns for path in WRITTEN} == before
    assert result.output.count("unchanged ") == len(WRITTEN)


def test_export_leaves_what_was_edited_and_writes_nothing(tmp_path: Path) -> None:
    """Edited limits are named, and neither they nor any other file is written."""
    edited = tmp_path / LIMITS
    edited.parent.mkdir()
    edited.write_text("groups: []\n")
    result = run("export", str(tmp_path))
    assert result.exit_code == 1
    assert str(edited) in result.output
    assert "--force" in result.output
    assert contents(tmp_path) == {LIMITS: "groups: []\n"}


def test_force_replaces_what_was_edited_and_keeps_the_limits(tmp_path: Path) -> None:
    """With --force all files are as shipped, the edited limits lie beside, under a name that no rule pattern takes."""
    run("export", str(tmp_path))
    (tmp_path / LIMITS).write_text("groups: []\n")
    result = run("export", str(tmp_path), "--force")
    assert result.exit_code == 0, result.output
    kept = contents(tmp_path)
    assert kept.pop(f"{LIMITS}.before") == "groups: []\n"
    assert kept == WRITTEN
    assert f"{LIMITS}.before" in result.output


def test_options_reach_the_files(tmp_path: Path) -> None:
    """Labels become variables, the budget a limit, the uid and the page of the alerts are those given."""
    options = (
        "--label=tenant",
        "--label=app.area",
        "--budget=2500",
        "--datasource=mimir",
        "--runbooks=https://w.test/r",
    )
    assert run("export", str(tmp_path), *options).exit_code == 0
    written = contents(tmp_path)
    variables = {each["name"] for each in json.loads(written["grafana/ragmeter-overview.json"])["templating"]["list"]}
    assert variables >= {"tenant", "app_area"}
    assert "team" not in variables
    assert "vector(2500)" in written[LIMITS]
    assert "mimir" in written["grafana/provisioning/alerting/ragmeter.yaml"]
    assert set(re.findall(r"runbook_url: '?(.*)#", written["prometheus/ragmeter-alerts.yaml"])) == {"https://w.test/r"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--label=1st"], "1st"), (["--label=a", "--label=a"], "keep one"), (["--budget=-1"], "budget -1")],
)
def test_options_that_no_dashboard_can_have(tmp_path: Path, arguments: list[str], said: str) -> None:
    """What Prometheus would not take is refused before anything is written, and the message says what would do."""
    result = run("export", str(tmp_path / "new"), *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Where a file stands in the way of the folder, the message says which."""
    (tmp_path / "taken").write_text("")
    result = run("export", str(tmp_path / "taken"))
    assert result.exit_code == 1
    assert str(tmp_path / "taken") in result.output
    assert isinstance(result.exception, SystemExit)


# --- push


@dataclass
class Grafana:
    """A Grafana as far as its API is needed: it keeps folders and dashboards, and takes one token."""

    url: str = ""
    folders: list[dict[str, Any]] = field(default_factory=list)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    """Given in place of the API's own answers, by method and path: status, type (or where to) and content."""

    def answer(self, call: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
        if call in self.answers:
            return self.answers[call]
        if call == "GET /grafana/api/folders":
            return 200, "application/json", json.dumps(self.folders).encode()
        if call == "POST /grafana/api/folders":
            self.folders.append({"uid": f"folder-{len(self.folders)}", "title": body["title"]})
            return 200, "application/json", json.dumps(self.folders[-1]).encode()
        if call == "POST /grafana/api/dashboards/db":
            uid = body["dashboard"]["uid"]
            if uid in self.dashboards and not body["overwrite"]:
                return 412, "application/json", b'{"message": "version-mismatch"}'
            self.dashboards[uid] = body
            said = {"uid": uid, "url": f"/grafana/d/{uid}/board", "status": "success"}
            return 200, "application/json", json.dumps(said).encode()
        return 404, "text/html", b"<html>not here</html>"


def handler(grafana: Grafana) -> type[BaseHTTPRequestHandler]:
    """Answers for ``grafana`` whoever brings the token or the password."""
    allowed = (f"Bearer {TOKEN}", "Basic YWRtaW46YWRtaW4=")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            status, kind, content = 401, "application/json", b'{"message": "Invalid API key"}'
            if self.headers.get("Authorization") in allowed:
                status, kind, content = grafana.answer(f"{self.command} {self.path}", body)
            self.send_response(status)
            self.send_header("Location" if status == 302 else "Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@contextmanager
def serving(grafana: Grafana) -> Iterator[Grafana]:
    """Serve it on loopback below the path /grafana, as behind a proxy."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(grafana))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    grafana.url = f"http://127.0.0.1:{server.server_port}/grafana"
    try:
        yield grafana
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with serving(Grafana()) as served:
        yield served


def test_push_makes_the_folder_and_all_dashboards(grafana: Grafana) -> None:
    """An empty Grafana has the folder and every dashboard under its uid afterwards; their addresses are told."""
    result = run("push", f"--url={grafana.url}", f"--token={TOKEN}")
    assert result.exit_code == 0, result.output
    assert [folder["title"] for folder in grafana.folders] == ["ragmeter"]
    wanted = {board["uid"]: {**board, "id": None} for board in boards(Options()).values()}
    assert {uid: body["dashboard"] for uid, body in grafana.dashboards.items()} == wanted
    assert {body["folderUid"] for body in grafana.dashboards.values()} == {"folder-0"}
    assert all(f"{grafana.url}/d/{uid}/board" in result.output for uid in wanted)


def test_push_again_replaces_them_in_the_same_folder(grafana: Grafana) -> None:
    """A second push makes no second folder and takes the place of the first, also with other labels."""
    run("push", f"--url={grafana.url}", GRAFANA_TOKEN=TOKEN)
    result = run("push", f"--url={grafana.url}/", "--label=tenant", GRAFANA_TOKEN=f"{TOKEN}\n")
    assert result.exit_code == 0, result.output
    assert len(grafana.folders) == 1
    assert len(grafana.dashboards) == len(boards(Options()))
    variables = grafana.dashboards["ragmeter-overview"]["dashboard"]["templating"]["list"]
    assert "tenant" in {each["name"] for each in variables}


def test_push_into_a_folder_that_is_there(grafana: Grafana) -> None:
    """A folder found by its title is used."""
    grafana.folders = [{"uid": "a", "title": "Other"}, {"uid": "b", "title": "Costs"}]
    assert run("push", f"--url={grafana.url}", "--folder=Costs", GRAFANA_TOKEN=TOKEN).exit_code == 0
    assert {body["folderUid"] for body in grafana.dashboards.values()} == {"b"}
    assert len(grafana.folders) == 2


def test_push_with_user_and_password_in_the_address(grafana: Grafana) -> None:
    """They do in place of a token, and are not printed."""
    result = run("push", "--url=" + grafana.url.replace("//", "//admin:admin@"))
    assert result.exit_code == 0, result.output
    assert grafana.dashboards
    assert "admin:" not in result.output


FOLDERS, BOARDS = "GET /grafana/api/folders", "POST /grafana/api/dashboards/db"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({FOLDERS: (401, "application/json", b'{"message": "Invalid API key"}')}, "does not accept the token"),
        ({FOLDERS: (403, "application/json", b'{"message": "no"}')}, "may not list folders (403)"),
        ({BOARDS: (403, "application/json", b'{"message": "no"}')}, "role Editor"),
        ({FOLDERS: (404, "text/html", b"<html>")}, "has no Grafana API"),
        ({FOLDERS: (200, "text/html", b"<html>log in</html>")}, "not like Grafana"),
        ({FOLDERS: (200, "application/json", b"<html>")}, "not like Grafana"),
        ({FOLDERS: (200, "application/json", b'{"status": "ok"}')}, "not like Grafana"),
        ({FOLDERS: (200, "application/json", b'["ok"]')}, "not like Grafana"),
        ({"POST /grafana/api/folders": (200, "application/json", b"{}")}, "not like Grafana"),
        ({FOLDERS: (302, "https://login.test/", b"")}, "redirects to https://login.test/"),
        ({BOARDS: (400, "application/json", b'{"message": "Cannot save provisioned dashboard"}')}, "provisioned"),
        ({BOARDS: (500, "application/json", b'{"message": "database is locked"}')}, "database is locked"),
    ],
)
def test_what_a_grafana_refuses(grafana: Grafana, answers: dict[str, tuple[int, str, bytes]], said: str) -> None:
    """Each refusal is told in words, with what to do, and never as a traceback."""
    grafana.answers = answers
    result = run("push", f"--url={grafana.url}", GRAFANA_TOKEN=TOKEN)
    assert result.exit_code == 1
    assert said in result.output
    assert isinstance(result.exception, SystemExit)


def test_a_wrong_token(grafana: Grafana) -> None:
    """Neither the right nor the wrong token is repeated."""
    result = run("push", f"--url={grafana.url}", "--token=glsa_wrong")
    assert result.exit_code == 1
    assert "does not accept the token (401)" in result.output
    assert "glsa_wrong" not in result.output


def test_a_wrong_path(grafana: Grafana) -> None:
    """An address without Grafana's path is told as that."""
    result = run("push", "--url=" + grafana.url.removesuffix("/grafana"), GRAFANA_TOKEN=TOKEN)
    assert result.exit_code == 1
    assert "has no Grafana API (404)" in result.output


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9/ cannot be reached: Connection refused"),
        ("http://name.invalid", "http://name.invalid/ cannot be reached"),
        ("grafana.example.com", "expected Grafana's address"),
        ("ftp://grafana.example.com", "expected Grafana's address"),
        ("http://127.0.0.1:99999", "expected Grafana's address"),
    ],
)
def test_an_address_where_no_grafana_is(url: str, said: str) -> None:
    """The message names the address and the system's reason, in one line."""
    result = run("push", f"--url={url}", GRAFANA_TOKEN=TOKEN)
    assert result.exit_code == 1
    assert said in result.output
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize(("token", "said"), [("", "no token"), ("two words", "characters that no token has")])
def test_a_token_that_is_none(token: str, said: str) -> None:
    """Without a token, or with something else in its place, nothing is asked of Grafana."""
    result = run("push", "--url=http://127.0.0.1:9", GRAFANA_TOKEN=token)
    assert result.exit_code == 1
    assert said in result.output


@pytest.mark.parametrize("command", [["export", "somewhere"], ["push", "--url=http://127.0.0.1:9"]])
def test_without_the_extra_it_says_what_to_install(tmp_path: Path, command: list[str]) -> None:
    """Where the extra is missing the command names it; the command line itself still runs."""
    code = (
        "import importlib.util, sys; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'grafana_client' else find(name, *more)\n"
        "sys.modules['grafana_client'] = None\n"
        "from ragmeter.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "dashboards", *command],
        cwd=tmp_path,
        env={**os.environ, "GRAFANA_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "ragmeter dashboards needs grafana-client: pip install 'ragmeter[dashboards]'\n"
    assert list(tmp_path.iterdir()) == []
