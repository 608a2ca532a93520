"""What every vector database owes the app and the dashboards: one set of promises for all of them.

A new database subclasses `DatabaseContract` and fills in the blanks.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import ragmeter
from ragmeter.domain.model import Chunk
from ragmeter.reading import clients
from telemetry_seen import without_host

SECRET = "sentinel-9f2c passage about the secret of the blue kettle"

BEGIN = """
import importlib, os, sys
import ragmeter
contract = getattr(importlib.import_module({module!r}), {name!r})()
database = contract.database()
"""

FORK = """
from telemetry_seen import Seen
seen = Seen()
ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
contract.search(database)
assert len(seen.calls()) == 1
assert ragmeter.flush(10)
operations = seen.total("ragmeter.operations")
assert operations
child = os.fork()
if child == 0:
    ragmeter.flush()
    assert seen.total("ragmeter.operations") == 0
    contract.search(database)
    ragmeter.flush()
    os._exit(17 if seen.total("ragmeter.operations") == operations else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
contract.search(database)
assert len(seen.calls()) == 2
print("ragmeter.search.duration")
"""

EXIT = """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
reader = PeriodicExportingMetricReader(ConsoleMetricExporter(), export_interval_millis=3_600_000)
ragmeter.instrument(meter_provider=MeterProvider([reader]))
contract.search(database)
"""


class DatabaseContract:
    """The blanks: a database with three records, `SECRET` among their texts, and every way to search it."""

    integration: ClassVar[str]
    system: ClassVar[str]
    nearest_score: ClassVar[float]
    survives_fork: ClassVar[bool] = True
    namespace: ClassVar[dict[str, str]] = {}
    billed: ClassVar[dict[str, Any]] = {}

    def database(self) -> Any:
        """A fresh embedded database: anything the other blanks take."""
        raise NotImplementedError

    def search(self, database: Any, limit: int = 2) -> Any:
        """The plainest search, for `limit` results."""
        raise NotImplementedError

    def search_nothing(self, database: Any) -> Any:
        """A search that finds nothing."""
        raise NotImplementedError

    def search_wrongly(self, database: Any) -> Any:
        """A search that the database refuses, always with the same words."""
        raise NotImplementedError

    def search_batch(self, database: Any) -> bool:
        """Two questions in one call, each for a vector that is there; false where there are no batches."""
        raise NotImplementedError

    def search_below_zero(self, database: Any) -> float:
        """A search whose best score is below zero; that score."""
        raise NotImplementedError

    def forms(self) -> dict[str, tuple[Any, int]]:
        """Every call form the installed version has: what to do with a database, and how many rows it gives."""
        raise NotImplementedError

    def originals(self) -> list[Any]:
        """The functions that are wrapped, as they are now."""
        raise NotImplementedError

    def comparable(self, result: Any) -> Any:
        """A result as a value that can be compared."""
        return repr(result)

    def test_every_form_gives_the_same_result_and_is_recorded_once(self, watch):
        """Whatever way the app searches, it gets what it would get without us, and one span and one point come out."""
        bare = {name: self.comparable(call(self.database())) for name, (call, _) in self.forms().items()}
        seen = watch(only=[self.integration])
        for done, (name, (call, rows)) in enumerate(self.forms().items(), 1):
            assert self.comparable(call(self.database())) == bare[name], name
            spans = seen.calls()
            assert len(spans) == done, name
            assert spans[-1].attributes["db.response.returned_rows"] == rows, name
        assert seen.count("ragmeter.search.duration") == len(bare)

    def test_one_schema_for_all_databases(self, watch):
        """Span and metrics have the same names and attributes whichever database is searched."""
        seen = watch(only=[self.integration])
        self.search(self.database())
        (span,) = seen.calls()
        attributes = dict(span.attributes)
        assert attributes.pop("ragmeter.search.top_score") == pytest.approx(self.nearest_score, abs=1e-6)
        namespace = {name: attributes.pop(name) for name in ("db.namespace",) if name in attributes}
        assert namespace == self.namespace
        assert {name: attributes.pop(name, None) for name in self.billed} == self.billed
        assert attributes == {
            "db.system.name": self.system,
            "db.collection.name": "shop",
            "db.query.summary": f"{attributes['db.operation.name']} shop",
            "db.operation.name": attributes["db.operation.name"],
            "db.response.returned_rows": 2,
            "ragmeter.search.top_k": 2,
        }
        assert span.name == f"{attributes['db.operation.name']} shop"
        assert span.kind.name == "CLIENT"
        labels = {"db.system.name": self.system, "db.collection.name": "shop"}
        for name in ("ragmeter.search.duration", "ragmeter.search.results"):
            assert [dict(key) for key in seen.metric(name)] == [labels], name
        order = {"ragmeter.score.order": "lower_is_nearer" if self.nearest_score == 0 else "higher_is_nearer"}
        for name in ("ragmeter.search.score", "ragmeter.search.score.negative"):
            assert [dict(key) for key in seen.metric(name)] == [labels | order], name
        (key,) = seen.metric("db.client.operation.duration")
        assert dict(key) == labels | namespace | {"db.operation.name": attributes["db.operation.name"]}
        assert seen.metric("ragmeter.search.results")[frozenset(labels.items())].total == 2

    def test_each_question_of_a_batch_has_its_own_figures(self, watch):
        """A batch is one operation; how much it found, and how near, is told for each of its questions."""
        seen = watch(only=[self.integration])
        if not self.search_batch(self.database()):
            pytest.skip("this version searches for one question at a time")
        assert len(seen.calls()) == 1
        assert "ragmeter.search.top_score" not in seen.call()
        assert seen.call()["db.operation.batch.size"] == 2
        assert seen.count("ragmeter.search.duration") == 1
        assert seen.count("ragmeter.search.results") == 2
        assert seen.count("ragmeter.search.score") == 2
        (total,) = [points.total for points in seen.metric("ragmeter.search.score").values()]
        assert total == pytest.approx(2 * self.nearest_score, abs=1e-6)

    def test_a_score_below_zero_is_counted_without_a_word(self, watch, caplog):
        """A best score below zero has its place, its sign and its amount, and the SDK has nothing to complain of."""
        seen = watch(only=[self.integration])
        score = self.search_below_zero(self.database())
        assert seen.call()["ragmeter.search.top_score"] == pytest.approx(score)
        (points,) = seen.metric("ragmeter.search.score").values()
        (below,) = seen.metric("ragmeter.search.score.negative").values()
        assert score < 0
        assert points.count == 1
        assert points.total - below == pytest.approx(score)
        assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []

    def test_an_empty_answer_is_counted(self, watch):
        """A search that finds nothing is no error, and is counted as empty."""
        seen = watch(only=[self.integration])
        self.search_nothing(self.database())
        assert seen.total("ragmeter.search.empty") == 1
        assert seen.metric("ragmeter.search.score") == {}
        assert "error.type" not in seen.call()

    def test_an_error_reaches_the_app_unchanged(self, watch):
        """A search that fails raises what it would raise without us, and is recorded with its type."""
        with pytest.raises(Exception) as bare:  # noqa: PT011 - each database has its own
            self.search_wrongly(self.database())
        seen = watch(only=[self.integration])
        with pytest.raises(type(bare.value)) as watched:
            self.search_wrongly(self.database())
        assert str(watched.value) == str(bare.value)
        (span,) = seen.calls()
        assert span.attributes["error.type"].endswith(type(bare.value).__name__)
        assert span.status.status_code.name == "ERROR"
        assert seen.metric("ragmeter.search.results") == {}

    def test_what_the_app_does_with_the_result_is_not_recorded(self, watch):
        """Emptying the result right after the call does not change how many rows were counted."""
        seen = watch(only=[self.integration])
        result = self.search(self.database())
        self.spoil(result)
        assert seen.call()["db.response.returned_rows"] == 2

    def test_a_passage_the_app_changes_is_known_as_it_was(self, watch):
        """Emptying the passages right after the call does not take their texts from the prompts they are found in."""
        seen = watch(only=[self.integration])
        with ragmeter.query():
            self.spoil(self.search(self.database()))
        ragmeter.uninstrument()
        assert seen.total("ragmeter.chunks", ragmeter_chunk_fate="unsent") == 2

    def spoil(self, result: Any) -> None:
        """Change a result as an app might, and the passages in it."""
        raise NotImplementedError

    def test_uninstrument_puts_the_originals_back(self, watch):
        """After `uninstrument()` the client's functions are the very ones it came with."""
        before = self.originals()
        watch(only=[self.integration])
        assert all(now is not then for now, then in zip(self.originals(), before, strict=True))
        ragmeter.uninstrument()
        assert all(now is then for now, then in zip(self.originals(), before, strict=True))

    def test_a_client_made_before_instrument_is_covered(self, watch):
        """The order of making the client and calling `instrument()` does not matter."""
        database = self.database()
        seen = watch(only=[self.integration])
        self.search(database)
        assert len(seen.calls()) == 1

    def test_threads_lose_nothing(self, watch):
        """Searches from many threads are all counted."""
        database = self.database()
        seen = watch(only=[self.integration])
        threads = [threading.Thread(target=self.search, args=(database,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen.count("ragmeter.search.duration") == 8

    def test_metrics_do_not_need_sampled_spans(self, watch):
        """With a sampler that drops every span the metrics are the same."""
        sampled = watch(only=[self.integration])
        self.search(self.database())
        expected = without_host(sampled.metrics())
        ragmeter.uninstrument()
        unsampled = watch(only=[self.integration], sampler=ALWAYS_OFF)
        self.search(self.database())
        assert unsampled.calls() == ()
        assert without_host(unsampled.metrics()) == expected

    def test_no_text_leaves_the_process(self, watch, caplog):
        """Neither query nor passage appears in any span, metric or log."""
        caplog.set_level(logging.DEBUG)
        caplog.clear()
        seen = watch(only=[self.integration])
        for call, _ in self.forms().values():
            call(self.database())
        assert "sentinel-9f2c" not in seen.everything()
        assert "sentinel-9f2c" not in "".join(
            record.getMessage() for record in caplog.records if "ragmeter" in record.name
        )

    def test_on_twice_is_once(self, watch):
        """A second `instrument()` changes nothing."""
        seen = watch(only=[self.integration])
        watch(only=[self.integration])
        self.search(self.database())
        assert len(seen.calls()) == 1

    def test_a_wrapped_function_kept_from_before_goes_quiet(self, watch):
        """A bound method that the app has kept works after `uninstrument()` and records nothing."""
        database = self.database()
        seen = watch(only=[self.integration])
        kept = self.bound(database)
        ragmeter.uninstrument()
        assert self.comparable(kept()) == self.comparable(self.bound(database)())
        assert seen.calls() == ()

    def test_an_untested_version_is_used_and_said_once(self, watch, monkeypatch, caplog):
        """A version outside the tested range is wrapped all the same, with one warning, and the status says so."""
        declared = clients.load(self.integration)
        module = importlib.import_module(f"ragmeter.reading.clients.{self.integration}")
        monkeypatch.setattr(module, "INTEGRATION", replace(declared, tested=("0.0.1", "0.0.2")))
        seen = watch(only=[self.integration])
        for _ in range(2):
            self.search(self.database())
        assert len(seen.calls()) == 2
        lines = [record.getMessage() for record in caplog.records if record.name == "ragmeter"]
        assert len([line for line in lines if f"{declared.distribution} " in line]) == 1, lines
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.integration]
        assert status.in_range is False

    def test_the_installed_version_is_a_tested_one(self, watch):
        """The version these tests run with lies in the range that is declared."""
        watch(only=[self.integration])
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.integration]
        assert status.in_range is True
        assert "patched" in {target.state for target in status.targets}

    def test_memory_is_bounded_and_there_is_one_thread(self, watch):
        """However many searches there are, the texts remembered and the threads of ours stay few."""
        database = self.database()
        watch(only=[self.integration])
        before, threads = chunks_alive(), set(threading.enumerate())
        for _ in range(300):
            self.search(database)
        assert ragmeter.flush(10)
        assert chunks_alive() - before <= 10
        assert [thread.name for thread in set(threading.enumerate()) - threads].count("ragmeter") == 1

    @pytest.mark.parametrize("script", ["FORK", "EXIT"])
    def test_processes_lose_nothing(self, script):
        """A forked child counts its own search and no other; a program that ends without a flush has exported all."""
        if script == "FORK" and not self.survives_fork:
            pytest.skip("this database itself cannot be used after a fork")
        begin = BEGIN.format(module=type(self).__module__, name=type(self).__name__)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", begin + {"FORK": FORK, "EXIT": EXIT}[script]],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RAGMETER_LOUD": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("ragmeter.search.duration") == 1, done.stdout

    @pytest.mark.parametrize("part", ["request", "hold", "response"])
    def test_a_fault_in_our_reader_does_not_reach_the_app(self, watch, monkeypatch, part, caplog):
        """When reading the call or its result fails the app gets its result, and one line says so."""
        bare = self.comparable(self.search(self.database()))
        self.break_reader(monkeypatch, part)
        seen = watch(only=[self.integration], loud=False)
        database = self.database()
        assert self.comparable(self.search(database)) == bare
        assert self.comparable(self.search(database)) == bare
        seen.spans()
        assert sum(seen.metric("ragmeter.internal.errors").values()) == 2
        assert len([record for record in caplog.records if record.name == "ragmeter"]) == 1

    def bound(self, database: Any) -> Any:
        """The method of the plainest search with its arguments, bound to a database as it is now."""
        raise NotImplementedError

    def break_reader(self, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
        """Make one part of the integration's reading raise."""

        def fail(*_: Any) -> Any:
            raise ValueError(SECRET)

        declared = clients.load(self.integration)
        targets = tuple(replace(target, read=_broken(target.read, part, fail)) for target in declared.targets)
        module = importlib.import_module(f"ragmeter.reading.clients.{self.integration}")
        monkeypatch.setattr(module, "INTEGRATION", replace(declared, targets=targets))


def chunks_alive():
    """How many retrieved texts are remembered by anything."""
    gc.collect()
    return sum(type(thing) is Chunk for thing in gc.get_objects())


def _broken(read, part, fail):
    def broken(call):
        reading = read(call)
        if part == "request":
            return fail()
        return replace(reading, reader=replace(reading.reader, **{part: fail}))

    return broken
