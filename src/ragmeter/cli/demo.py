"""`ragmeter demo`: run and measure a real RAG program, and read from the metrics what 1,000 of its queries cost."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
    "Simulated: no model ran. A server on this machine counted the tokens and took as long as a small hosted model; "
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
    serve: Annotated[bool, typer.Option("--serve", help="Serve /metrics from the start until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port for --serve; 0 takes any free one.")] = PORT,
    live: Annotated[bool, typer.Option("--live", help=f"Ask OpenAI's API, with the key in {KEY}.")] = False,
    fine_tuned: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="With --live: your fine-tuned model. Default: only the base model."),
    ] = None,
    speed: Annotated[float, typer.Option(help="How much faster than real time the simulated model answers.")] = 1.0,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            dir_okay=False,
            metavar="FILE",
            help="Write the table's figures to this file (with --history: the incidents).",
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Instead, write made-up metrics with incidents for Prometheus, over a time such as 14d.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, metavar="FILE", help="With --history: the file to write. Default: history.om."),
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --history: time between two samples. Default: 2m.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="ISO-TIME", help="With --history: its end. Default: now.")] = None,
) -> None:
    """Run and measure a real RAG program, and print what 1,000 queries cost.

    No account, no network, no key: a simulated model on this machine answers.

    Where OTEL_EXPORTER_OTLP_ENDPOINT is set, metrics also go there.
    """
    run = Run(number, database, fine_tuned, speed, port, json_file, is_live=live, is_served=serve)
    if history is not None:
        _refuse(run.changed(), "cannot be used with --history.")
        write_history(history, output, every, end, json_file)
        return
    given = {"--output": output, "--every": every, "--end": end}
    _refuse({name: value is not None for name, value in given.items()}, "can only be used with --history.")
    run.check()
    if not _measure(run, Console(stderr=True, highlight=False, soft_wrap=True)):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Run:
    """What `ragmeter demo` was asked to run: each field is one of its options."""

    number: int
    database: Database
    fine_tuned: str | None
    speed: float
    port: int
    json_file: Path | None
    is_live: bool
    is_served: bool

    @property
    def models(self) -> list[str]:
        """The models to ask: the base model, and a fine-tuned one where there is any."""
        fine_tuned = self.fine_tuned if self.is_live else FINE_TUNED_MODEL
        return [BASE_MODEL] if fine_tuned is None else [BASE_MODEL, fine_tuned]

    def changed(self) -> dict[str, bool]:
        """The options that a made-up history has no use for, and whether each was given."""
        return {
            "--serve": self.is_served,
            "--live": self.is_live,
            "--fine-tuned": self.fine_tuned is not None,
            "--questions": self.number != QUESTIONS,
            "--port": self.port != PORT,
            "--database": self.database is not Database.qdrant,
            "--speed": self.speed != 1.0,
        }

    def check(self) -> None:
        """End with an error where options do not go together, or cannot be used here."""
        if self.is_live and not os.environ.get(KEY):
            raise typer.BadParameter(f"it asks OpenAI's API, which needs a key: set {KEY}.", param_hint="--live")
        if self.fine_tuned is not None and not self.is_live:
            raise typer.BadParameter(
                "it can only be used with --live; the simulated model has one of its own.", param_hint="--fine-tuned"
            )
        if self.speed <= 0:
            raise typer.BadParameter(
                "it must be above 0: 1 is real time, 10 is ten times faster.", param_hint="--speed"
            )
        if self.json_file is not None and not self.json_file.resolve().parent.is_dir():
            raise typer.BadParameter(f"there is no folder {self.json_file.parent}.", param_hint="--json")


def _measure(run: Run, notes: Console) -> bool:
    """Run the program and print what it cost; false when something that was asked for could not be done."""
    exporters = set_up(with_prometheus=run.is_served)
    try:
        return _measure_with(exporters, run, notes)
    except (MissingPackageError, ModelError, SettingsError) as error:
        notes.print("[red]Error:[/]", Text(str(error)))
        return False
    finally:
        ragmeter.uninstrument()
        exporters.close()


def _measure_with(exporters: Exporters, run: Run, notes: Console) -> bool:
    url = _serve(exporters, run.port, notes) if run.is_served else None
    with _model(run) as base_url:
        outcome = _ask(base_url, run, exporters, notes)
    answered = _show(exporters, outcome, run, notes)
    if url is not None:
        exporters.push()
        _wait(url, notes)
    return answered and (url is not None or not run.is_served)


def _refuse(given: Mapping[str, bool], because: str) -> None:
    """End with an error where an option is given that cannot be used with the others."""
    for name, is_given in given.items():
        if is_given:
            raise typer.BadParameter(f"it {because}", param_hint=name)


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
def _model(run: Run) -> Iterator[str | None]:
    """The base URL of the model to ask: a simulated server, or none for what the environment names."""
    if run.is_live:
        yield None
        return
    with serving(Latency(speed=run.speed), list(documents().values())) as server:
        yield server.url


def _ask(base_url: str | None, run: Run, exporters: Exporters, notes: Console) -> Outcome:
    """Index the documents and ask all questions."""
    ragmeter.instrument(
        meter_provider=exporters.provider,
        providers=None if base_url is None else {"127.0.0.1": "openai"},
        fine_tuned=[model for model in run.models if model != BASE_MODEL],
    )
    texts = passages()
    with connect(base_url, os.environ.get(KEY, "simulated")) as client:
        with notes.status(f"Indexing {len(texts)} passages in {run.database} …"):
            program = Program(client, STORES[run.database]())
            program.index(texts)
        tasks = list(plan(questions(), run.number, run.models))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=notes) as progress:
            bar = progress.add_task("Asking questions", total=len(tasks))
            return ask_all(program, tasks, lambda: progress.advance(bar))


def _show(exporters: Exporters, outcome: Outcome, run: Run, notes: Console) -> bool:
    """Print the table, and write it; false when there is nothing to show."""
    # What is still collected, such as the embedding of the documents, is handed over at the end of the measuring.
    ragmeter.uninstrument()
    metrics = exporters.collect()
    rows = report.figures(metrics)
    if outcome.errors:
        failed = f"[red]{len(outcome.errors)} of {outcome.asked} questions were not answered.[/] The first error:"
        notes.print(failed, Text(outcome.errors[0]))
    if not rows:
        notes.print("[red]Error:[/] there are no queries in the metrics. Is OTEL_SDK_DISABLED set, or did all fail?")
        return False
    if run.json_file is not None:
        run.json_file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", "utf-8")
    screen = Console(highlight=False)
    screen.print(f"\nWhat 1,000 queries cost with a {'real' if run.is_live else 'simulated'} model", style="bold")
    screen.print("From the metrics; tokens are per query.\n")
    screen.print(report.render(rows))
    _explain(screen, report.spent_outside_queries(metrics), run, exporters.pushes_to)
    return len(outcome.errors) < outcome.asked


def _explain(screen: Console, spent: float | None, run: Run, pushes_to: str | None) -> None:
    """Say beneath the table what it leaves out, how to ask for it, and where else the metrics are."""
    embedded = f"cost {dollars(spent)}" if spent is not None else "is not priced"
    screen.print(f"\nEmbedding the documents {embedded}, once; that belongs to no query.")
    screen.print(f"\nThe cost column in PromQL:\n{report.COST_PER_1000_QUERIES}", soft_wrap=True)
    if not run.is_live:
        screen.print(f"\n{SIMULATED}")
    if pushes_to is not None:
        screen.print(f"\nMetrics also go to {pushes_to}", soft_wrap=True)


def _wait(url: str, notes: Console) -> None:
    """Return on Ctrl-C or SIGTERM."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    notes.print(f"\nMetrics stay on {url} until Ctrl-C")
    stop.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
