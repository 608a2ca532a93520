"""A running app's traffic, read back from real servers and from its page: the figures are those it was made with."""

from __future__ import annotations

import base64
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.http import Access
from ragmeter.measured.page import read_page
from ragmeter.measured.server import read_server
from ragmeter.measured.times import TimeRange, between, last
from stack import app, dear_app

from .conftest import RUN, RUNS, Measured

SERVERS = ("prometheus", "victoria_metrics")
DAY = 86_400.0
NOW = between("2026-11-30T00:00Z", "2026-11-30T12:00Z").end


def asked(strategy: str) -> int:
    """Queries of a strategy in one run, with those that failed."""
    return app.QUERIES[strategy] + app.FAILED.get(strategy, 0)


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_tells_what_each_query_cost_across_a_restart(measured: Measured, name: str) -> None:
    """Queries, tokens and dollars are those of all three runs to the last count, with a restart between them."""
    read = read_server(measured.urls[name], measured.span)
    assert set(read.strategies) == set(app.QUERIES)
    for strategy, traffic in read.strategies.items():
        assert traffic.queries == RUNS * asked(strategy), strategy
        cost = dear_app.cost_of_a_run(strategy) / asked(strategy)
        assert traffic.cost_per_query == pytest.approx(cost, rel=1e-9), strategy
        assert sum(traffic.cost.values()) == pytest.approx(cost, rel=1e-9), strategy
        answered = app.QUERIES[strategy] / asked(strategy)
        inputs = app.INPUT_TOKENS[strategy.endswith("rag")]
        embedded = app.EMBEDDED_TOKENS if strategy.endswith("rag") else 0
        assert sum(traffic.tokens.values()) == pytest.approx((inputs + app.OUTPUT_TOKENS + embedded) * answered)
        assert traffic.error_rate == pytest.approx(1 - answered)
        cached = app.CACHE_READ_TOKENS / inputs if not strategy.startswith("fine_tuned") else 0.0
        assert traffic.cached_share == pytest.approx(cached)
        assert traffic.latency_p50 is not None
        assert traffic.latency_p95 is not None
        assert traffic.latency_p50 <= traffic.latency_p95
    assert sum(read.strategies["rag"].context_tokens.values()) > 0
    assert any("Counters began anew 1 times" in note for note in read.notes)


@pytest.mark.parametrize("name", SERVERS)
def test_queries_a_day_are_those_of_the_time_that_has_samples(measured: Measured, name: str) -> None:
    """A range that is longer than the metrics makes no difference, and is told."""
    long = TimeRange(measured.span.end - timedelta(days=14), measured.span.end)
    read, short = read_server(measured.urls[name], long), read_server(measured.urls[name], measured.span)
    assert read.days == short.days < measured.span.length.total_seconds() / DAY
    assert read.queries_per_day == pytest.approx(RUNS * RUN / read.days)
    assert read.queries_per_day == short.queries_per_day
    assert "of the 14.00 days asked for" in read.notes[0]


def test_two_readings_of_a_page_tell_the_same_as_the_servers(measured: Measured) -> None:
    """All that is a mean of a query is equal, by each of the three ways; the time differs."""
    for name in SERVERS:
        read = read_server(measured.urls[name], measured.span)
        assert set(read.strategies) == set(measured.page.strategies) == set(app.QUERIES)
        for strategy, traffic in read.strategies.items():
            page = measured.page.strategies[strategy]
            assert page.queries == asked(strategy)
            for figure in MEANS:
                assert getattr(traffic, figure) == pytest.approx(getattr(page, figure)), (name, strategy, figure)


MEANS = (
    *("tokens", "cost", "cost_per_query", "cached_share", "price_states", "models", "error_rate", "context_tokens"),
    "cost_deviation",
)
"""Figures of a strategy that do not depend on how many queries there were and how fast they were."""


# --- who may ask


@contextmanager
def guarded(url: str, admitted: str) -> Iterator[str]:
    """A gate before a server that lets only one `Authorization` pass."""

    class Gate(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != admitted:
                self.send_error(401)
                return
            with urllib.request.urlopen(f"{url}{self.path}") as answer:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer.read())

        def log_message(self, *arguments: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("access", "admitted"),
    [
        (Access("ada", "s3cret"), f"Basic {base64.b64encode(b'ada:s3cret').decode()}"),
        (Access(token="t0ken"), "Bearer t0ken"),
    ],
    ids=["password", "token"],
)
def test_a_server_that_wants_to_know_who_asks_is_told(measured: Measured, access: Access, admitted: str) -> None:
    """With a password or a token the figures come; without, the error says what is wanted, and no secret."""
    with guarded(measured.urls["prometheus"], admitted) as url:
        assert read_server(url, measured.span, access=access).strategies
        with pytest.raises(MeasuredError, match="answers 401: it wants a user and a password, or a token, and none"):
            read_server(url, measured.span)
        with pytest.raises(MeasuredError, match="what was given is not accepted") as refused:
            read_server(url.replace("//", "//eve:gu3ss@"), measured.span)
    assert "gu3ss" not in str(refused.value)
    assert "s3cret" not in repr(access)
    assert "t0ken" not in repr(access)


# --- what goes wrong

Reading = Callable[[Measured], object]
WRONG: dict[str, tuple[Reading, str]] = {
    "nobody is there": (
        lambda known: read_server("http://127.0.0.1:9", known.span),
        r"http://127.0.0.1:9/.* cannot be reached \(.*refused\); does it run, and is this its address\?",
    ),
    "no address": (
        lambda known: read_server("prometheus", known.span),
        "Expected an address such as http://127.0.0.1:9090, got prometheus",
    ),
    "another path": (
        lambda known: read_server(f"{known.urls['prometheus']}/graph", known.span),
        r"does not answer as Prometheus does \(status \d+\); give the address below which /api/v1/query is found",
    ),
    "a matcher that is none": (
        lambda known: read_server(known.urls["prometheus"], known.span, matchers="job"),
        "refuses a query: .*parse error",
    ),
    "other metrics only": (
        lambda known: read_server(known.urls["victoria_metrics"], known.span, matchers='job="other"'),
        'has no metrics of ragmeter with job="other": is the app measured, and does this server scrape',
    ),
    "a range before the data": (
        lambda known: read_server(
            known.urls["prometheus"], TimeRange(known.span.start - timedelta(days=2), known.span.start)
        ),
        r"has metrics of ragmeter from 20.* UTC to 20.* UTC, none from 20.*: choose a range within",
    ),
    "no page": (
        lambda known: read_page(f"{known.urls['prometheus']}/nothing", 1),
        "answers 404; is this the address of a /metrics page",
    ),
    "a page of others": (
        lambda known: read_page(f"{known.urls['prometheus']}/metrics", 1),
        r"has no metrics of ragmeter; was ragmeter.instrument\(\) called in that process",
    ),
    "no time between": (lambda _: read_page("http://127.0.0.1:9/metrics", 0), "between no time and a day apart"),
    "no length": (lambda _: last("fortnight", NOW), "Expected a length of time such as 14d, 36h or 90m, got 'fortn"),
    "no moment": (
        lambda _: between("yesterday", "2026-11-30"),
        "Expected a time such as 2026-05-01T12:00Z, .* got 'yest",
    ),
    "one time zone": (
        lambda _: between("2026-11-29T00:00+02:00", "2026-11-30T00:00"),
        "Only one of .* has a time zone: write both with one, or both without one for UTC",
    ),
    "an empty range": (
        lambda _: between("2026-11-30T00:00Z", "2026-11-30T02:00+02:00"),
        "is empty: its start must lie before its end",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_read_is_said_in_a_sentence(measured: Measured, wrong: str) -> None:
    """Every way in which a reading fails is an error of ours, which says what to do."""
    reading, message = WRONG[wrong]
    with pytest.raises(MeasuredError) as raised:
        reading(measured)
    assert re.search(message, str(raised.value))


def test_times_without_a_time_zone_are_in_utc() -> None:
    """Both ends of a range are read alike, and a length ends now."""
    assert between("2026-11-29", "2026-11-30T12:00") == between("2026-11-29T02:00+02:00", "2026-11-30T12:00Z")
    assert last("1d12h", NOW) == between("2026-11-29T00:00", "2026-11-30T12:00")
