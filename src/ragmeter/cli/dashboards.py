"""`ragmeter dashboards`: dashboards and alerts as files, or put straight into a Grafana."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import typer
from rich.console import Console
from rich.text import Text

from ragmeter.dashboards.options import RUNBOOKS, OptionError, Options
from ragmeter.version import VERSION

REQUIRED = {"grafana_foundation_sdk": "grafana-foundation-sdk", "grafana_client": "grafana-client", "yaml": "pyyaml"}
"""What is imported, and what it is called where it is installed from."""

GRAFANA_SECONDS = 30.0
TOKEN = "GRAFANA_TOKEN"
KEPT = ".before"
"""What the name of limits that were replaced ends with; no pattern for rule files matches it."""

Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME", help="A label of your app; repeatable. Default: team, feature."),
]

app = typer.Typer(no_args_is_help=True, help="Grafana dashboards and alerts of ragmeter's metrics.")


class DashboardsError(RuntimeError):
    """Files that cannot be written or a Grafana that does not take them; the message says why."""


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write the files; created if missing.")],
    *,
    labels: Labels = None,
    budget: Annotated[float, typer.Option(metavar="USD", help="What a month may cost; 0 means no budget.")] = 0.0,
    datasource: Annotated[
        str, typer.Option(metavar="UID", help="Uid of Prometheus in Grafana, for alerts that Grafana evaluates.")
    ] = "prometheus",
    runbooks: Annotated[
        str,
        typer.Option(metavar="URL", help="The page that alerts link to. Default: ragmeter's own.", show_default=False),
    ] = RUNBOOKS,
    force: Annotated[bool, typer.Option("--force", help="Replace files that were changed.")] = False,
) -> None:
    """Write dashboards, provisioning, recording rules and alerts as files for Grafana and Prometheus."""
    screen = Console(highlight=False, soft_wrap=True)
    with _errors_told():
        from ragmeter.dashboards.files import files

        options = _options(labels, budget=budget, datasource=datasource, runbooks=runbooks)
        wanted = files(options)
        states = _states(folder, wanted)
        if not force:
            _refuse_changed(folder, states)
        kept = _write(folder, wanted, states)
    for path, state in states.items():
        screen.print(Text(f"{state:<10}{folder / path}"))
    if kept is not None:
        screen.print(Text(f"\nYour limits are kept in {kept}: copy what you had set into the new file."))
    screen.print(Text(next_steps(folder)))


@app.command()
def push(
    *,
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Grafana's address, as in a browser.")],
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN, metavar="TOKEN", help="Token of a service account with the role Editor.", show_default=False
        ),
    ] = None,
    folder: Annotated[str, typer.Option(metavar="NAME", help="Folder in Grafana; created if missing.")] = "ragmeter",
    labels: Labels = None,
) -> None:
    """Put the dashboards into a Grafana; they replace those of an earlier version.

    Others on this machine can see a token on the command line: set GRAFANA_TOKEN instead.
    """
    screen = Console(highlight=False, soft_wrap=True)
    with _errors_told():
        from ragmeter.dashboards.boards import boards

        options = _options(labels)
        address = _address(url)
        grafana = _connect(address, _token(token, address))
        for title, link in _push(grafana, _shown(address), folder, boards(options)):
            screen.print(Text(f"{title}\n  {link}"))
    screen.print(
        "\nAlerts and the panels over months need rules in Prometheus: ragmeter dashboards export writes their files."
    )


@contextmanager
def _errors_told() -> Iterator[None]:
    """Say what is wrong and exit: 2 when the extra is not installed, 1 when files or Grafana refuse."""
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    missing = [name for module, name in REQUIRED.items() if find_spec(module) is None]
    if missing:
        print(
            f"ragmeter dashboards needs {', '.join(missing)}: pip install 'ragmeter[dashboards]'",
            file=sys.stderr,
        )
        raise typer.Exit(2)
    try:
        yield
    except DashboardsError as error:
        notes.print("[red]Error:[/]", Text(str(error)))
        raise typer.Exit(1) from error


def _options(labels: Sequence[str] | None, **more: Any) -> Options:
    chosen = more if labels is None else {"labels": tuple(labels), **more}
    try:
        return Options(**chosen)
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error


# --- export


def _states(folder: Path, wanted: Mapping[str, str]) -> dict[str, str]:
    """What writing does to each file: it is new, unchanged or replaced."""
    states: dict[str, str] = {}
    for path, text in wanted.items():
        try:
            found = (folder / path).read_bytes()
        except FileNotFoundError:
            states[path] = "new"
        except OSError as error:
            raise DashboardsError(f"{folder / path} cannot be read: {error.strerror}") from error
        else:
            states[path] = "unchanged" if found == text.encode() else "replaced"
    return states


def _refuse_changed(folder: Path, states: Mapping[str, str]) -> None:
    changed = [path for path, state in states.items() if state == "replaced"]
    if changed:
        listed = "\n".join(f"  {folder / path}" for path in changed)
        raise DashboardsError(
            f"these files were changed, or come from another version or other options:\n{listed}\n"
            "Nothing was written. --force replaces them, and keeps a copy of the limits that you have set."
        )


def _write(folder: Path, wanted: Mapping[str, str], states: Mapping[str, str]) -> Path | None:
    """Write what is new or replaced; returns where limits that were replaced are kept."""
    from ragmeter.dashboards.files import LIMITS

    kept: Path | None = None
    for path, text in wanted.items():
        file = folder / path
        if states[path] == "unchanged":
            continue
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if path == LIMITS and states[path] == "replaced":
                kept = file.replace(_free(file.with_name(file.name + KEPT)))
            file.write_bytes(text.encode())
        except OSError as error:
            raise DashboardsError(f"{file} cannot be written: {error.strerror}") from error
    return kept


def _free(path: Path) -> Path:
    """A name that no file has: the path itself, or with a number. Limits that were kept before are kept too."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def next_steps(folder: Path) -> str:
    """What is left to do with the files."""
    from ragmeter.dashboards.files import GRAFANA_ALERTS, LIMITS, PROVIDER
    from ragmeter.dashboards.provisioning import PATH

    return f"""
What is left to do
  Prometheus  name the rules in its configuration and reload it:  rule_files: [{folder / "prometheus"}/*.yaml]
  Limits      set budget, floors and factors in {folder / LIMITS}
  Grafana     either  ragmeter dashboards push --url URL
              or copy {folder / "grafana"}/*.json to {PATH}
              and {folder / PROVIDER} to its provisioning/dashboards
  Alerts      come from Prometheus and its Alertmanager. If you have no Alertmanager, let Grafana evaluate them: copy
              {folder / GRAFANA_ALERTS} to its provisioning/alerting"""


# --- push


def _address(url: str) -> SplitResult:
    """Grafana's address with a path that ends in a slash: what the API's paths are added to."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise DashboardsError("--url: expected Grafana's address, such as https://grafana.example.com")
    return parts._replace(path=parts.path.rstrip("/") + "/", fragment="")


def _shown(address: SplitResult) -> str:
    """An address as it may be printed: without a password."""
    return urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2], query=""))


def _token(token: str | None, address: SplitResult) -> str | None:
    """The token, which an address with user and password does without."""
    given = (token or "").strip()
    if not given and not (address.username and address.password):
        raise DashboardsError(
            f"no token. In Grafana, under Administration, make a service account with the role Editor and set {TOKEN}."
        )
    if not (given.isascii() and given.isprintable()) or " " in given:
        raise DashboardsError("this is not a token: it contains blanks or other characters that no token has.")
    return given or None


def _connect(address: SplitResult, token: str | None) -> Any:
    """A client of Grafana's API; its package has no types."""
    from grafana_client.api import GrafanaApi

    grafana = GrafanaApi.from_url(urlunsplit(address), token, timeout=GRAFANA_SECONDS)
    # A redirect would turn what is written into a question, and could carry the token elsewhere.
    grafana.client.s.max_redirects = 0
    return grafana


def _push(
    grafana: Any, address: str, folder: str, dashboards: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Create or replace each dashboard; yields its title and its address."""
    uid = _folder_uid(grafana, address, folder)
    for dashboard in dashboards.values():
        message = f"ragmeter {VERSION}"
        order = {"dashboard": {**dashboard, "id": None}, "folderUid": uid, "overwrite": True, "message": message}
        with _grafana_errors(address, f"write the dashboard {dashboard['title']}"):
            link = urljoin(address, grafana.dashboard.update_dashboard(order)["url"])
        yield dashboard["title"], link


def _folder_uid(grafana: Any, address: str, folder: str) -> str:
    """The uid of the folder of that title (or uid), which is made if it is missing."""
    with _grafana_errors(address, "list folders"):
        for found in grafana.folder.get_all_folders():
            if folder in (found["title"], found["uid"]):
                return str(found["uid"])
    with _grafana_errors(address, f"make the folder {folder}"):
        return str(grafana.folder.create_folder(folder)["uid"])


@contextmanager
def _grafana_errors(address: str, what: str) -> Iterator[None]:
    """Turn the client's errors into what to do; `what` is done in the block."""
    from grafana_client.client import GrafanaException
    from niquests.exceptions import TooManyRedirects

    try:
        yield
    except GrafanaException as error:
        raise DashboardsError(_refused(address, what, error.status_code, str(error.message))) from error
    except TooManyRedirects as error:
        target = error.response.headers.get("Location") if error.response is not None else None
        raise DashboardsError(f"{address} redirects to {target}: give Grafana's own address.") from error
    except (ValueError, TypeError, KeyError) as error:
        # What came is not JSON, or not what Grafana answers.
        raise DashboardsError(
            f"{address} answers, but not like Grafana. Is it the address of Grafana itself?"
        ) from error
    except OSError as error:
        raise DashboardsError(f"{address} cannot be reached: {_reason(error)}") from error


def _refused(address: str, what: str, status: int, message: str) -> str:
    if status == 401:
        return f"{address} does not accept the token (401). Does it belong to this Grafana, and has it expired?"
    if status == 403:
        return f"the token may not {what} (403). Its service account needs the role Editor."
    if status == 404:
        return f"{address} has no Grafana API (404). Behind a proxy its address has a path, such as /grafana."
    if status == 0:
        return f"{address} did not answer within {GRAFANA_SECONDS:g} s."
    return f"Grafana would not {what}: {message}"


def _reason(error: BaseException) -> str:
    """What the system said: the innermost error of those that the client's libraries wrap around it."""
    inner = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return (inner.strerror if isinstance(inner, OSError) else None) or str(inner)
