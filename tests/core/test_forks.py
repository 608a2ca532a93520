"""Processes that fork, and how they end: each counts its own work, and all of it arrives."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap

import pytest

from otlp_receiver import Receiver
from shop import answer
from wire import Wire

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

BEGIN = """
import atexit, concurrent.futures, multiprocessing, os, sys
import ragmeter
before_instrument = []
@atexit.register
def called_last():
    for call in before_instrument:
        call()
def instrument():
    ragmeter.instrument(providers={"127.0.0.1": "openai"})
if __name__ in ("__main__", "__mp_main__") and "IN_CHILDREN" not in os.environ:
    instrument()
import openai
forking = multiprocessing.get_context("fork")
def ask(*_):
    client = openai.OpenAI(base_url=os.environ["WIRE"], api_key="k", max_retries=0)
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
    client.close()
def twice():
    ask(), ask()
def run_processes(method):
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=twice) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
def run_pool(method):
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context(method), instrument) as pool:
        list(pool.map(ask, range(4)))
"""
PROGRAMS = {
    "multiprocessing, forked": (6, "ask(); run_processes('fork'); ask()"),
    "multiprocessing, from a fork server": (5, "if __name__ == '__main__':\n    run_processes('forkserver'); ask()"),
    "multiprocessing, spawned": (5, "if __name__ == '__main__':\n    run_processes('spawn'); ask()"),
    "a pool that is closed and joined": (
        4,
        "pool = forking.Pool(2)\npool.map(ask, range(4)); pool.close(); pool.join()",
    ),
    "an executor": (
        4,
        "with concurrent.futures.ProcessPoolExecutor(2, forking) as pool:\n    list(pool.map(ask, range(4)))",
    ),
    "a bare fork": (4, "ask()\nchild = os.fork()\nask()\nif child == 0: sys.exit(0)\nos.waitpid(child, 0)\nask()"),
    "a fork in a fork": (
        3,
        "ask()\nfor _ in range(2):\n    child = os.fork()\n    if child: sys.exit(os.waitpid(child, 0)[1])\n    ask()",
    ),
    "a child whose first call is too long to wait with its prompt": (
        2,
        "ask()\nif os.fork(): sys.exit(os.wait()[1])\nragmeter.worker.queue.MOST_CHARACTERS = 0\nask()",
    ),
    "a call in a handler of the interpreter's exit that is older than we": (2, "before_instrument.append(ask); ask()"),
}


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_the_work_of_a_pool_arrives_that_is_instrumented_in_its_processes_alone(method, tmp_path, monkeypatch):
    """`instrument()` called in the children of a pool, as its initializer: the work of each of them arrives."""
    monkeypatch.setenv("IN_CHILDREN", "1")
    monkeypatch.setitem(PROGRAMS, method, (4, f"if __name__ == '__main__':\n    run_pool({method!r})"))
    test_the_work_of_every_process_arrives_once(method, tmp_path)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_work_of_every_process_arrives_once(name, tmp_path):
    """However a process was begun and ends: its operations, queries, durations and spans arrive, and no one else's."""
    calls, body = PROGRAMS[name]
    program = tmp_path / "program.py"
    program.write_text(BEGIN + body + "\n")
    with Wire(answer) as wire, Receiver() as receiver:
        done = subprocess.run(
            [sys.executable, str(program)],
            env={**os.environ, "RAGMETER_LOUD": "1", "WIRE": wire.url, **receiver.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert len(wire.asked) == calls
        for metric in ("ragmeter.operations", "ragmeter.queries", "gen_ai.client.operation.duration"):
            assert receiver.total(metric) == calls, metric
        assert len(receiver.spans) == calls


STUCK = """
import os, threading, ragmeter.worker.handing_in
ragmeter.worker.handing_in.EXIT_SECONDS = 0.3
ragmeter.instrument(providers={"127.0.0.1": "openai"})
import openai
def ask():
    client = openai.OpenAI(base_url=os.environ["WIRE"], api_key="k", max_retries=0)
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
ask(), ragmeter.flush()
held = threading.Event()
def be_stuck():
    with ragmeter._running[0].worker.lock:
        held.set()
        threading.Event().wait()
threading.Thread(target=be_stuck, daemon=True).start()
held.wait()
ask(), ask()
"""


def child_tells(program):
    """What a forked child prints; it must not raise."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
        env={**os.environ, "RAGMETER_LOUD": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_forked_childs_health_begins_at_zero():
    """Failures of ours, overflows and labels that were full belong to the parent: its child reports none of them."""
    done = child_tells("""
        import os, sys
        sys.path[:0] = ["tests"]
        import ragmeter
        from telemetry_seen import Seen
        seen = Seen()
        ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
        runtime = ragmeter._running[0]
        names = ("ragmeter.internal.errors", "ragmeter.overflowed", "ragmeter.labels.overflowed")
        runtime.guard.caught("somewhere", ValueError())
        runtime.guard.overflowed = 3
        runtime.telemetry.caps.overflowed["team"] = 2
        print([seen.total(name) for name in names], flush=True)
        child = os.fork()
        if child == 0:
            print([seen.total(name) for name in names], ragmeter.status().internal_errors, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    """)
    assert done.stdout.splitlines() == ["[1.0, 3.0, 2.0]", "[0, 0.0, 0] 0"]


def test_a_forked_childs_ranks_begin_at_zero():
    """What the parent has counted by rank is the parent's: its child counts its own chunks alone."""
    done = child_tells("""
        import os, sys
        sys.path[:0] = ["tests"]
        import ragmeter
        from telemetry_seen import Seen
        seen = Seen()
        from ragmeter.domain.model import KnownChunk
        from ragmeter.domain.query import Ending, QueryHandle
        from ragmeter.ledger.entries import report_of
        ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
        def retrieved(number):
            chunks = tuple(KnownChunk((rank, 1), rank=rank) for rank in range(number))
            report = report_of(QueryHandle(Ending.SCOPE), (), {}, chunks)
            ragmeter._running[0].telemetry.count_query(report)
            print(seen.total("ragmeter.rank.chunks"), flush=True)
        retrieved(2)
        child = os.fork()
        if child == 0:
            retrieved(1)
            os._exit(0)
        os.waitpid(child, 0)
    """)
    assert done.stdout.splitlines() == ["2.0", "1.0"]


@pytest.mark.parametrize("exporter", ["prometheus", "otlp"])
def test_no_fork_hook_of_the_sdk_is_brought_to_an_app(exporter):
    """Our own providers register none of the SDK's fork hooks, which start threads; hooks of others are untouched."""
    done = child_tells(f"""
        import os
        registered, register = [], os.register_at_fork
        def noted(**hooks):
            registered.extend(str(hook.__module__) for hook in hooks.values())
            register(**hooks)
        os.register_at_fork = noted
        os.environ.update(OTEL_METRICS_EXPORTER={exporter!r}, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
        import ragmeter
        ragmeter.instrument(prometheus_port=0)
        os.register_at_fork(after_in_child=os.getpid)
        print(sorted(name for name in registered if name.startswith("opentelemetry") or name == "posix"))
        os._exit(0)
    """)
    assert done.stdout.strip() == "['posix']"


def test_gevent_is_said_once():
    """Where gevent has replaced threads one line says how forked children are measured; nothing is forked here."""
    done = child_tells("""
        import sys, types
        sys.modules["gevent.monkey"] = types.SimpleNamespace(is_module_patched=lambda name: name == "threading")
        import ragmeter
        for _ in range(2):
            ragmeter.instrument(prometheus_port=0)
            ragmeter.uninstrument()
    """)
    assert done.stderr.count("gevent") == 1
    assert "fork hooks" in done.stderr


def test_a_fork_starts_no_thread():
    """While a process forks nothing of ours starts a thread in the child, whatever is exported where."""
    done = child_tells("""
        import os, sys, threading
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
        import ragmeter
        ragmeter.instrument()
        started, start = [], threading.Thread.start
        threading.Thread.start = lambda thread: (started.append(thread.name), start(thread))
        child = os.fork()
        if child == 0:
            print(started, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        os._exit(0)
    """)
    assert done.stdout.strip() == "[]"


def test_a_forked_worker_serves_the_page_of_an_idle_parent():
    """Forked from a process that only waits, as servers do with preloading, a worker's calls are on the page."""
    with Wire(answer) as wire:
        done = child_tells(f"""
            import os, sys, time, urllib.request
            import ragmeter
            with __import__("socket").create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            ragmeter.instrument(prometheus_port=port, providers={{"127.0.0.1": "openai"}})
            import openai
            def page():
                for _ in range(100):
                    try:
                        return urllib.request.urlopen(f"http://127.0.0.1:{{port}}/metrics").read().decode()
                    except OSError:
                        time.sleep(0.1)
            said, heard = os.pipe()
            child = os.fork()
            if child == 0:
                openai.OpenAI(base_url={wire.url!r}, api_key="k").embeddings.create(model="e", input="x")
                ragmeter.flush(20)
                print(ragmeter.status().exporter == f"Prometheus on http://127.0.0.1:{{port}}/metrics", flush=True)
                print(page().count("ragmeter_operations_total{{"), flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            print(page().count("ragmeter_operations_total{{"))
            print(ragmeter.status().exporter == f"Prometheus on http://127.0.0.1:{{port}}/metrics", flush=True)
        """)
    assert done.stdout.splitlines() == ["True", "1", "0", "True"]
    assert done.stderr == ""


def test_what_is_finished_is_counted_at_the_end_though_our_thread_is_stuck():
    """When the time for the end is over, what waits is counted and exported without its prompts, and that is said."""
    with Wire(answer) as wire, Receiver() as receiver:
        done = subprocess.run(
            [sys.executable, "-c", STUCK],
            env={**os.environ, "RAGMETER_LOUD": "0", "WIRE": wire.url, **receiver.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert receiver.total("ragmeter.operations") == receiver.total("ragmeter.queries") == 3
        assert done.stderr.count("ragmeter: the process ends with ") == 1


def test_a_forked_childs_differences_are_its_own():
    """On an app's provider that exports differences a child exports what it has counted: never less than nothing.

    Its report has the same: nothing of its parent's, and all of its own whatever was exported.
    """
    done = child_tells("""
        import os, sys
        sys.path[:0] = ["tests", "tests/queries"]
        import openai, ragmeter
        from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
        from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
        from shop import QUESTION, answer
        from wire import Wire
        reader = InMemoryMetricReader(preferred_temporality={ObservableCounter: AggregationTemporality.DELTA})
        provider = MeterProvider([reader], shutdown_on_exit=False)
        ragmeter.instrument(meter_provider=provider, providers={"127.0.0.1": "openai"})
        guard = ragmeter._running[0].guard

        def work(url, number):
            client = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
            for _ in range(number):
                client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}])
                guard.overflowed += 1
            assert ragmeter.flush(10)

        def tell():
            data = reader.get_metrics_data()
            metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
            points = [(m.name, point) for m in metrics for point in m.data.data_points]
            values = {name: point.value for name, point in points if hasattr(point, "value")}
            assert min(values.values()) >= 0
            report = ragmeter.report()
            said = [word for warning in report.warnings for word in warning.split() if "queue" in warning][:1]
            exported = (values[name] for name in ("ragmeter.queries", "ragmeter.overflowed"))
            print(*exported, report.queries, *said, flush=True)

        with Wire(answer) as wire:
            work(wire.url, 3)
            tell()
            work(wire.url, 1)
            child = os.fork()
            if child == 0:
                work(wire.url, 2)
                tell()
                os._exit(0)
            os.waitpid(child, 0)
            tell()
    """)
    assert done.stdout.splitlines() == ["3 3.0 3 3", "2 2.0 2 2", "1 1.0 4 4"]
