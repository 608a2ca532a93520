"""The worker: nothing lost, nothing blocked, bounded."""

from __future__ import annotations

import os
import threading
import time
import weakref

import pytest

from ragmeter.guard import Guard
from ragmeter.worker import queue as worker_module
from ragmeter.worker.queue import Worker


def make(handled, **more):
    settings = {
        "handle_slim": handled.append,
        "slim": lambda item, *, bare: (item, 0),
        "tick": lambda: None,
        "deadline": lambda: None,
        "guard": Guard(),
    }
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
    """Beyond either bound items wait without their texts, are counted as overflow, and none is lost."""
    monkeypatch.setattr(worker_module, most, 5)
    hold, done, slim = threading.Event(), [], []
    guard = Guard()
    worker = make([], handle=lambda item: (hold.wait(5), done.append(item)), handle_slim=slim.append, guard=guard)
    for number in range(50):
        worker.submit(number, characters)
    hold.set()
    assert worker.drain(5)
    assert sorted(done + slim) == list(range(50))
    assert guard.overflowed == len(slim) > 0


def test_no_call_waits_for_a_busy_worker(monkeypatch):
    """While an item is being handled and the queue is full, the thread that submits goes on."""
    monkeypatch.setattr(worker_module, "MOST_ITEMS", 0)
    busy, go_on, slim = threading.Event(), threading.Event(), []
    worker = make(slim, handle_slim=lambda item: (busy.set(), go_on.wait(30), slim.append(item)))
    worker.submit(0)
    assert busy.wait(5)
    submitted = threading.Thread(target=lambda: worker.submit(1))
    submitted.start()
    submitted.join(10)
    assert not submitted.is_alive(), "it waits for the item that is being handled"
    go_on.set()
    assert worker.drain(5)
    assert slim == [0, 1]


def test_what_waits_beyond_all_bounds_is_made_bare(monkeypatch):
    """Many times over the bounds not even answers are kept: what waits has a bound, too."""
    monkeypatch.setattr(worker_module, "MOST_ITEMS", 1)
    hold, made = threading.Event(), []
    worker = make([], handle=lambda _: hold.wait(5), slim=lambda item, *, bare: (made.append((item, bare)) or item, 0))
    for number in range(2 * worker_module.BEYOND):
        worker.submit(number)
    hold.set()
    assert worker.drain(5)
    assert [is_bare for _, is_bare in made] == sorted(is_bare for _, is_bare in made), "from a number on, all are"
    assert made[0][1] is False
    assert made[-1][1] is True


def test_when_it_is_due_next_is_asked_while_nothing_changes_that():
    """The thread looks at what is open under the lock that a flush on another thread changes it under."""
    free = []

    def deadline():
        asking = threading.Thread(target=lambda: free.append(worker.lock.acquire(blocking=False)))
        asking.start()
        asking.join()

    worker = make([], deadline=deadline)
    worker.submit(0)
    assert worker.drain(5)
    worker.stop()
    assert free
    assert not any(free)


def test_the_last_item_is_not_kept():
    """Once an item is handled nothing of it is left while the thread waits for the next one."""

    class Item:
        pass

    worker = make([], handle=lambda _: None)
    item = Item()
    reference = weakref.ref(item)
    worker.submit(item)
    del item
    assert worker.drain(5)
    deadline = time.monotonic() + 10
    while reference() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert reference() is None


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
    release, handled = threading.Event(), []
    worker = make([], handle=lambda item: handled.append(release.wait(60)))
    worker.submit(1)
    assert worker.drain(0.2) is False
    assert handled == []
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
