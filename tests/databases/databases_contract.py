"""What every vector database owes the app and the dashboards: one set of promises for all of them.

A new database subclasses `DatabaseContract` and fills in the blanks.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import ragmeter
from ragmeter import integrations
from telemetry_seen import without_host

SECRET = "sentinel-9f2c passage about the secret of the blue kettle"


class DatabaseContract:
    """The blanks: a database with three records, `SECRET` among their texts, and every way to search it."""

    integration: ClassVar[str]
    system: ClassVar[str]
    nearest_score: ClassVar[float]

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
            spans = seen.spans()
            assert len(spans) == done, name
            assert spans[-1].attributes["db.response.returned_rows"] == rows, name
        assert seen.count("ragmeter.search.duration") == len(bare)

    def test_one_schema_for_all_databases(self, watch):
        """Span and metrics have the same names and attributes whichever database is searched."""
        seen = watch(only=[self.integration])
        self.search(self.database())
        (span,) = seen.spans()
        attributes = dict(span.attributes)
        assert attributes.pop("ragmeter.search.top_score") == pytest.approx(self.nearest_score, abs=1e-6)
        assert attributes == {
            "db.system.name": self.system,
            "db.collection.name": "shop",
            "db.operation.name": attributes["db.operation.name"],
            "db.response.returned_rows": 2,
            "ragmeter.search.top_k": 2,
        }
        assert span.name == f"{attributes['db.operation.name']} shop"
        assert span.kind.name == "CLIENT"
        labels = {"db.system.name": self.system, "db.collection.name": "shop"}
        for name in ("ragmeter.search.duration", "ragmeter.search.results", "ragmeter.search.score"):
            assert [dict(key) for key in seen.metric(name)] == [labels], name
        (key,) = seen.metric("db.client.operation.duration")
        assert dict(key) == labels | {"db.operation.name": attributes["db.operation.name"]}
        assert seen.metric("ragmeter.search.results")[frozenset(labels.items())].total == 2

    def test_an_empty_answer_is_counted(self, watch):
        """A search that finds nothing is no error, and is counted as empty."""
        seen = watch(only=[self.integration])
        self.search_nothing(self.database())
        assert seen.total("ragmeter.search.empty") == 1
        assert seen.metric("ragmeter.search.score") == {}
        assert "error.type" not in seen.span()

    def test_an_error_reaches_the_app_unchanged(self, watch):
        """A search that fails raises what it would raise without us, and is recorded with its type."""
        with pytest.raises(Exception) as bare:  # noqa: PT011 - each database has its own
            self.search_wrongly(self.database())
        seen = watch(only=[self.integration])
        with pytest.raises(type(bare.value)) as watched:
            self.search_wrongly(self.database())
        assert str(watched.value) == str(bare.value)
        (span,) = seen.spans()
        assert span.attributes["error.type"].endswith(type(bare.value).__name__)
        assert span.status.status_code.name == "ERROR"
        assert seen.metric("ragmeter.search.results") == {}

    def test_what_the_app_does_with_the_result_is_not_recorded(self, watch):
        """Emptying the result right after the call does not change how many rows were counted."""
        seen = watch(only=[self.integration])
        result = self.search(self.database())
        self.spoil(result)
        assert seen.span()["db.response.returned_rows"] == 2

    def spoil(self, result: Any) -> None:
        """Change a result as an app might."""
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
        assert len(seen.spans()) == 1

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
        assert unsampled.spans() == ()
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

    def break_reader(self, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
        """Make one part of the integration's reading raise."""

        def fail(*_: Any) -> Any:
            raise ValueError(SECRET)

        from dataclasses import replace

        declared = integrations.load(self.integration)
        targets = tuple(replace(target, read=_broken(target.read, part, fail)) for target in declared.targets)
        module = __import__(f"ragmeter.integrations.{self.integration}", fromlist=["INTEGRATION"])
        monkeypatch.setattr(module, "INTEGRATION", replace(declared, targets=targets))


def _broken(read, part, fail):
    from dataclasses import replace

    def broken(call):
        reading = read(call)
        if part == "request":
            return fail()
        return replace(reading, reader=replace(reading.reader, **{part: fail}))

    return broken
