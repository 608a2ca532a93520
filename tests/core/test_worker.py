"""The worker: nothing lost, nothing blocked, bounded."""

from __future__ import annotations

import os
import threading
import time

import pytest

from ragmeter import worker as worker_module
from ragmeter.guard import Guard
from ragmeter.worker import Worker


def make(handled, **more):
    settings = {"handle_overflow": handled.append, "tick": lambda: None, "deadline": lambda: None, "guard": Guard()}
    return Worker(more.pop("handle", handled.append), **{**settings, **more})


def test_items_are_handled_in_order_on_one_thread():
    """What is submitted is handled in order, off the caller's thread, by a single one."""
    seen = []
    worker = make(seen, handle=lambda item: seen.append((item, threading.current_thread().name)))
    for number in range(100):
        worker.submit(number)
    assert worker.drain(5)
    assert [item for item, _ in seen] == list(range(100))
    assert {name for _, name in seen} == {"ragmeter"}


def test_no_thread_before_the_first_item():
    """Making a worker starts nothing: an app that forks its workers first is not harmed."""
    before = threading.active_count()
    make([])
    assert threading.active_count() == before


@pytest.mark.parametrize(("most", "characters"), [("MOST_ITEMS", 0), ("MOST_CHARACTERS", 10)])
def test_a_full_queue_loses_nothing(monkeypatch, most, characters):
    """Beyond either bound items are handled at once on the caller's thread, and counted as overflow."""
    monkeypatch.setattr(worker_module, most, 5)
    hold, done, slim = threading.Event(), [], []
    guard = Guard()
    worker = make([], handle=lambda item: (hold.wait(5), done.append(item)), handle_overflow=slim.append, guard=guard)
    # The overflow waits for the lock as long as an item is handled; here the worker is let go first.
    threading.Timer(0.2, hold.set).start()
    for number in range(50):
        worker.submit(number, characters)
    assert worker.drain(5)
    assert sorted(done + slim) == list(range(50))
    assert guard.overflowed == len(slim) > 0


def test_a_failing_item_does_not_stop_the_others(caplog):
    """An error of ours is counted and logged once, and the worker goes on."""
    seen = []
    guard = Guard()
    guard.loud = False

    def handle(item):
        if item % 2:
            raise ValueError("secret prompt text")
        seen.append(item)

    worker = make(seen, handle=handle, guard=guard)
    for number in range(6):
        worker.submit(number)
    assert worker.drain(5)
    assert seen == [0, 2, 4]
    assert guard.counts == {"accounting": 3}
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_drain_gives_up_after_its_timeout():
    """A worker that is stuck does not hold `drain` longer than asked."""
    release = threading.Event()
    worker = make([], handle=lambda item: release.wait(10))
    worker.submit(1)
    started = time.perf_counter()
    assert worker.drain(0.2) is False
    assert time.perf_counter() - started < 2
    release.set()


def test_draining_from_the_worker_itself_does_not_wait_for_itself():
    """An exporter that flushes us from our own thread returns at once."""
    answers = []
    worker = make([], handle=lambda item: answers.append(worker.drain(5)))
    worker.submit(1)
    assert worker.drain(5)
    assert answers == [True]


def test_ticks_come_when_they_are_due():
    """The deadline wakes the worker without a new item."""
    ticked = threading.Event()
    due = [time.monotonic() + 0.3]

    def tick():
        due[0] = None
        ticked.set()

    worker = make([], tick=tick, deadline=lambda: due[0])
    worker.submit(1)
    assert ticked.wait(5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_starts_empty_and_works():
    """After a fork the parent handles what waited, once, and the child has a queue and a thread of its own."""
    hold, seen = threading.Event(), []
    worker = make(seen, handle=lambda item: (hold.wait(5), seen.append(item)))
    for number in range(3):
        worker.submit(number)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        hold.set()
        worker.submit(99)
        worker.drain(5)
        os.write(writer, repr(seen).encode())
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 100).decode()
    os.waitpid(child, 0)
    hold.set()
    assert worker.drain(5)
    assert answer == "[99]"
    assert seen == [0, 1, 2]
