"""`ragmeter demo`: run and measure a real RAG program, and read from the metrics what 1,000 of its queries cost."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

import ragmeter
from ragmeter.cli.history import write_history
from ragmeter.demo import report
from ragmeter.demo.exporters import Exporters, PortTakenError, set_up
from ragmeter.demo.passages import documents, passages, questions
from ragmeter.demo.program import BASE_MODEL, FINE_TUNED_MODEL, ModelError, Outcome, Program, ask_all, connect, plan
from ragmeter.demo.server import serving
from ragmeter.demo.simulation import Latency
from ragmeter.demo.stores import STORES, MissingPackageError
from ragmeter.money.dollars import dollars
from ragmeter.settings import SettingsError

KEY = "OPENAI_API_KEY"
QUESTIONS = 60
PORT = 9464
SIMULATED = (
    "Simulated: no model ran. A server on this machine counted the tokens and took the time of a small hosted model; "
    "the program, the vector database and the measuring are real. --live asks a real model."
)


class Database(StrEnum):
    """The embedded vector databases to choose from."""

    qdrant = "qdrant"
    chroma = "chroma"


def demo(
    *,
    number: Annotated[
        int, typer.Option("--questions", metavar="N", min=1, help="Questions asked with each strategy.")
    ] = QUESTIONS,
    database: Annotated[Database, typer.Option(help="Embedded vector database.")] = Database.qdrant,
    serve: Annotated[bool, typer.Option("--serve", help="Serve /metrics from the start, and on until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port for --serve; 0 takes any free one.")] = PORT,
    live: Annotated[bool, typer.Option("--live", help=f"Ask OpenAI's API, with the key in {KEY}.")] = False,
    fine_tuned: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="With --live: a fine-tuned model of yours; else the base model only."),
    ] = None,
    speed: Annotated[float, typer.Option(help="How much faster than real time the simulated model answers.")] = 1.0,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            dir_okay=False,
            metavar="FILE",
            help="Write the table's figures (with --history: the incidents) here.",
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Instead, write made-up metrics of this length (such as 14d) for Prometheus, with incidents.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, metavar="FILE", help="With --history: the file to write, else history.om."),
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --history: time between two samples, else 2m.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="ISO-TIME", help="With --history: its end, else now.")] = None,
) -> None:
    """Run and measure a real RAG program, and print what 1,000 queries cost.

    No account, no network, no key: a simulated model on this machine answers.

    Where OTEL_EXPORTER_OTLP_ENDPOINT is set, metrics also go there.
    """
    if history is not None:
        live_run = {"--serve": serve, "--live": live, "--fine-tuned": fine_tuned is not None}
        changed = {
            "--questions": number != QUESTIONS,
            "--port": port != PORT,
            "--database": database is not Database.qdrant,
            "--speed": speed != 1.0,
        }
        _refuse(live_run | changed, "does not go with --history.")
        write_history(history, output, every, end, json_file)
        return
    given = {"--output": output, "--every": every, "--end": end}
    _refuse({name: value is not None for name, value in given.items()}, "is for --history.")
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    if live and not os.environ.get(KEY):
        raise typer.BadParameter(f"asks OpenAI's API and needs a key: set {KEY}.", param_hint="--live")
    if fine_tuned is not None and not live:
        raise typer.BadParameter("is for --live; the simulated model has one of its own.", param_hint="--fine-tuned")
    if speed <= 0:
        raise typer.BadParameter("must be above 0: 1 is real time, 10 ten times faster.", param_hint="--speed")
    if json_file is not None and not json_file.resolve().parent.is_dir():
        raise typer.BadParameter(f"no folder {json_file.parent}.", param_hint="--json")
    models = [BASE_MODEL, *([fine_tuned] if fine_tuned else [])] if live else [BASE_MODEL, FINE_TUNED_MODEL]
    exporters = set_up(with_prometheus=serve)
    try:
        url = _serve(exporters, port, notes) if serve else None
        with _model(live=live, speed=speed) as base_url:
            outcome = _run(base_url, database=database, models=models, number=number, exporters=exporters, notes=notes)
        answered = _show(exporters, outcome, json_file, notes, live=live)
        if url is not None:
            exporters.push()
            _wait(url, notes)
    except (MissingPackageError, ModelError, SettingsError) as error:
        notes.print("[red]Error:[/]", Text(str(error)))
        raise typer.Exit(1) from error
    finally:
        ragmeter.uninstrument()
        exporters.close()
    if not answered or (serve and url is None):
        raise typer.Exit(1)


def _refuse(given: Mapping[str, bool], because: str) -> None:
    """End with an error where an option is given that does not go with the others."""
    for name, is_given in given.items():
        if is_given:
            raise typer.BadParameter(because, param_hint=name)


def _serve(exporters: Exporters, port: int, notes: Console) -> str | None:
    """Serve the metrics; where the port is taken say so and go on, the table needs none."""
    try:
        url = exporters.serve(port)
    except PortTakenError as error:
        notes.print("[red]Error:[/]", Text(str(error)))
        return None
    notes.print(f"Metrics are served on {url}")
    return url


@contextmanager
def _model(*, live: bool, speed: float) -> Iterator[str | None]:
    """The base URL of the model to ask: a simulated server, or none for what the environment names."""
    if live:
        yield None
        return
    with serving(Latency(speed=speed), list(documents().values())) as server:
        yield server.url


def _run(
    base_url: str | None,
    *,
    database: Database,
    models: Sequence[str],
    number: int,
    exporters: Exporters,
    notes: Console,
) -> Outcome:
    """Index the documents and ask all questions."""
    ragmeter.instrument(
        meter_provider=exporters.provider,
        providers=None if base_url is None else {"127.0.0.1": "openai"},
        fine_tuned=[model for model in models if model != BASE_MODEL],
    )
    texts = passages()
    with connect(base_url, os.environ.get(KEY, "simulated")) as client:
        with notes.status(f"Indexing {len(texts)} passages in {database} …"):
            program = Program(client, STORES[database]())
            program.index(texts)
        tasks = list(plan(questions(), number, models))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=notes) as progress:
            bar = progress.add_task("Asking questions", total=len(tasks))
            return ask_all(program, tasks, lambda: progress.advance(bar))


def _show(exporters: Exporters, outcome: Outcome, json_file: Path | None, notes: Console, *, live: bool) -> bool:
    """Print the table, and write it; false when there is nothing to show."""
    # What is still collected, such as the embedding of the documents, is handed over at the end of the measuring.
    ragmeter.uninstrument()
    metrics = exporters.collect()
    rows = report.figures(metrics)
    if outcome.errors:
        failed = f"[red]{len(outcome.errors)} of {outcome.asked} questions were not answered[/], the first because of:"
        notes.print(failed, Text(outcome.errors[0]))
    if not rows:
        notes.print("[red]Error:[/] there are no queries in the metrics. Is OTEL_SDK_DISABLED set, or did all fail?")
        return False
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", "utf-8")
    screen = Console(highlight=False)
    screen.print(f"\nWhat 1,000 queries cost with a {'real' if live else 'simulated'} model", style="bold")
    screen.print("From the metrics; tokens are per query.\n")
    screen.print(report.render(rows))
    spent = report.spent_outside_queries(metrics)
    embedded = f"cost {dollars(spent)}" if spent is not None else "is not priced"
    screen.print(f"\nEmbedding the documents {embedded}, once; they belong to no query.")
    screen.print(f"\nThe cost column in PromQL:\n{report.COST_PER_1000_QUERIES}", soft_wrap=True)
    if not live:
        screen.print(f"\n{SIMULATED}")
    if exporters.pushes_to is not None:
        screen.print(f"\nMetrics also go to {exporters.pushes_to}", soft_wrap=True)
    return len(outcome.errors) < outcome.asked


def _wait(url: str, notes: Console) -> None:
    """Return on Ctrl-C or SIGTERM."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    notes.print(f"\nMetrics stay on {url} until Ctrl-C")
    stop.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
