"""Servers that run the app's file in a parent and in children: the process that answers is the one that is served."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from shop import answer
from wire import Wire

APP = """
import multiprocessing, os, subprocess, sys
import ragmeter
ragmeter.instrument(prometheus_port=int(os.environ["PORT"]), providers={"127.0.0.1": "openai"})
import openai

def ask():
    openai.OpenAI(base_url=os.environ["WIRE"], api_key="k").embeddings.create(model="e", input="x")
    ragmeter.flush(20)

def lines():
    # Byte by byte: what a child has read ahead its parent would miss.
    line = b""
    while byte := os.read(0, 1):
        line += byte
        if byte == b"\\n":
            yield line.decode().strip()
            line = b""

def answer():
    for line in lines():
        if line == "end":
            return
        if line == "ask":
            ask()
        print(os.getpid(), ragmeter.status().exporter, flush=True)
"""
STARTS = {
    # As the reloaders of Flask and Django do: the same program again, with a copy of the environment.
    "again": "if os.environ.get('AGAIN'):\n    answer()\nelse:\n"
    "    subprocess.run([sys.executable, __file__], env={**os.environ, 'AGAIN': '1'})\n    answer()",
    # As the reloader and the workers of uvicorn do.
    "spawned": "if __name__ == '__main__':\n"
    "    child = multiprocessing.get_context('spawn').Process(target=answer)\n"
    "    child.start(), child.join(), answer()",
}


class Process:
    """A program that is told what to do line by line, and tells its process and where its metrics are."""

    def __init__(self, *arguments, **environment):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def told(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        if line != "end":
            process, _, exporter = self._process.stdout.readline().strip().partition(" ")
            return int(process), exporter
        return None

    def end(self):
        """Its stderr."""
        return self._process.communicate(timeout=60)[1]


@contextmanager
def processes():
    """Starts programs that share a port for their page and a provider."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = []

    def start(*arguments, **environment):
        started.append(Process(*arguments, WIRE=wire.url, PORT=str(port), **environment))
        return started[-1]

    with Wire(answer) as wire:
        try:
            yield start, port
        finally:
            for process in started:
                process._process.kill()
                process._process.communicate()


def page(port):
    """The series of operations on the page, and `None` where no page is."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as found:
                return sum(line.startswith(b"ragmeter_operations_total{") for line in found)
        except OSError:
            time.sleep(0.1)
    return None


@pytest.mark.parametrize("start", STARTS)
def test_the_child_that_answers_is_served(start, tmp_path):
    """A parent that only starts the app hands its page to the child with the child's first call, and gets it back."""
    program = tmp_path / "main.py"
    program.write_text(APP + STARTS[start] + "\n")
    with processes() as (run, port):
        server = run(str(program))
        child, exporter = server.told("tell")
        assert page(port) == 0, "the page is up before the first call"
        assert exporter.startswith("nothing yet: the parent process serves")
        assert server.told("ask") == (child, f"Prometheus on http://127.0.0.1:{port}/metrics")
        assert page(port) == 1
        server.told("end")
        parent, exporter = server.told("tell")
        assert parent != child
        for _ in range(100):
            if exporter.startswith("Prometheus"):
                break
            time.sleep(0.1)
            exporter = server.told("tell")[1]
        assert exporter == f"Prometheus on http://127.0.0.1:{port}/metrics"
        assert page(port) == 0
        server.told("ask")
        assert page(port) == 1
        server.told("end")
        assert server.end() == ""


def test_a_process_that_has_counted_keeps_its_page(tmp_path):
    """A parent that has made calls itself keeps its page; the child says once that its own figures are on none."""
    program = tmp_path / "main.py"
    program.write_text(APP + "if 'AGAIN' not in os.environ:\n    ask()\n" + STARTS["again"] + "\n")
    with processes() as (run, port):
        server = run(str(program))
        assert server.told("ask")[1] == f"nothing: 127.0.0.1:{port} is taken"
        assert server.told("ask")[1] == f"nothing: 127.0.0.1:{port} is taken"
        assert page(port) == 1
        server.told("end")
        server.told("end")
        said = server.end()
    assert said.count("cannot serve metrics") == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in said


def test_the_second_of_two_workers_says_that_the_port_is_taken(tmp_path):
    """Of two workers the first to count is served; the second says what to do, and both live."""
    program = tmp_path / "main.py"
    program.write_text(
        APP + "if os.environ.get('AGAIN'):\n    ask(), ask()\n"
        "    os.write(1, ragmeter.status().exporter.encode() + b'\\n'), answer()\n"
        "else:\n    again = {**os.environ, 'AGAIN': '1'}\n"
        "    workers = [subprocess.Popen([sys.executable, __file__], env=again) for _ in range(2)]\n"
        "    [worker.wait() for worker in workers]\n"
    )
    with processes() as (run, port):
        server = run(str(program))
        told = sorted(server._process.stdout.readline().strip() for _ in range(2))
        assert told == [f"Prometheus on http://127.0.0.1:{port}/metrics", f"nothing: 127.0.0.1:{port} is taken"]
        assert page(port) == 1
        said = server.end()
    assert said.count("cannot serve metrics") == 1


def test_nobody_else_is_handed_the_page(tmp_path):
    """A page is handed over to who knows the word that children inherit, and to no one else."""
    program = tmp_path / "main.py"
    program.write_text(APP + "answer()\n")
    with processes() as (run, port):
        server = run(str(program))
        server.told("tell")
        for header in ({}, {"X-Ragmeter-Word": "guessed"}):
            asking = urllib.request.Request(f"http://127.0.0.1:{port}/handover", b"", header, method="POST")
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(asking, timeout=10)
        assert page(port) == 0


def test_a_reloaded_app_is_served_whatever_its_parent_has_called(tmp_path):
    """An app that makes a call while it is imported makes it in its reloader too, which never answers: it lets go."""
    program = tmp_path / "main.py"
    program.write_text(APP + "ask()\n" + STARTS["again"].replace("'AGAIN': '1'", "'AGAIN': '1', 'RUN_MAIN': 'true'"))
    with processes() as (run, port):
        server = run(str(program))
        assert server.told("ask")[1] == f"Prometheus on http://127.0.0.1:{port}/metrics"
        server.told("end")
        server.told("end")
        assert server.end() == ""


def test_uninstrument_leaves_the_environment_as_it_was(tmp_path):
    """What children know their parent's page by is gone with the page."""
    program = tmp_path / "main.py"
    program.write_text(
        "import os, ragmeter\nbefore = dict(os.environ)\n"
        "ragmeter.instrument(prometheus_port=int(os.environ['PORT']))\nragmeter.uninstrument()\n"
        "assert dict(os.environ) == before\nprint(os.getpid(), 'right')\n"
    )
    with processes() as (run, _):
        assert run(str(program)).end() == ""
