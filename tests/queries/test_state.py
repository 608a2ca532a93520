"""How the metering itself is, as metrics: what is wrapped, what waits, which labels are full."""

from __future__ import annotations

from importlib.metadata import version

import ragmeter


def test_the_wrapped_clients_are_there_before_any_call(metered, shop):
    """A process is seen with its clients and their versions as soon as they are wrapped, also while nobody asks."""
    clients = {dict(key)["ragmeter.client"]: dict(key) for key in metered.metric("ragmeter.clients")}
    assert clients["openai"] == {
        "ragmeter.client": "openai",
        "ragmeter.client.version": version("openai"),
        "ragmeter.client.range": "tested",
    }
    assert set(metered.metric("ragmeter.clients").values()) == {1}


def test_the_queue_is_empty_once_everything_is_accounted_for(metered, shop):
    """The queue has its own gauge, which is 0, and not absent, when nothing waits."""
    shop.ask([])
    assert metered.metric("ragmeter.queue.operations") == {frozenset(): 0}


def test_a_full_label_is_seen(watch, shop):
    """How often a value went under `other` is counted by label, and not at all while there is room."""
    seen = watch(labels=["team"], max_label_values=1)
    with ragmeter.query(team="first"):
        shop.ask([])
    assert seen.metric("ragmeter.labels.overflowed") == {}
    with ragmeter.query(team="second"):
        shop.ask([])
    assert {dict(key)["ragmeter.label"] for key in seen.metric("ragmeter.labels.overflowed")} == {"team"}


def test_after_uninstrument_nothing_claims_to_be_metered(metered, shop):
    """Clients and queue vanish when ragmeter stops: an alert on a silent app must not be held back by old gauges."""
    assert metered.metric("ragmeter.clients")
    ragmeter.uninstrument()
    data = metered._reader.get_metrics_data()
    names = {
        metric.name
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.data.data_points
    }
    assert names.isdisjoint({"ragmeter.clients", "ragmeter.queue.operations"})


def test_a_process_counts_once_however_often_it_is_instrumented(metered, shop):
    """Instrumenting again and again on one provider leaves one value of each client and one queue, none of the past."""
    for _ in range(3):
        ragmeter.uninstrument()
        ragmeter.instrument(tracer_provider=metered.tracer_provider, meter_provider=metered.meter_provider)
    assert set(metered.metric("ragmeter.clients").values()) == {1}
    assert metered.metric("ragmeter.queue.operations") == {frozenset(): 0}
