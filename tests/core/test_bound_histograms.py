"""Histograms whose attribute sets are bound: they show what the SDK's own `record` would, whatever the provider."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, MetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from ragmeter.telemetry.bound_histograms import BoundHistogram

HAS_LIMIT = "cardinality_limits" in inspect.signature(MetricReader).parameters
SETS = [(("model", f"model-{number}"), ("port", 443), ("team", f"team-{number % 2}")) for number in range(6)]
POINTS = st.lists(st.tuples(st.sampled_from(SETS), st.sampled_from([0.0, 0.5, 1.0, 7.0, 1e9]), st.booleans()))
BUCKETS = [0.5, 1.0, 5.0]
SPAN = set_span_in_context(TracerProvider().get_tracer("t").start_span("s"), Context())
DELTA = {Histogram: AggregationTemporality.DELTA}
VIEWS = {
    "as it comes": (),
    "fewer attributes": (View(instrument_name="h", attribute_keys={"team"}),),
    "two streams": (
        View(instrument_name="h", name="one"),
        View(instrument_name="h", name="two", attribute_keys={"model"}),
    ),
    "dropped": (View(instrument_name="h", aggregation=DropAggregation()),),
    "exponential": (View(instrument_name="h", aggregation=ExponentialBucketHistogramAggregation()),),
}


def provider_of(*readers, views=(), **options):
    return MeterProvider(list(readers), views=list(views), shutdown_on_exit=False, **options)


def shown(reader):
    """All that a reader collects but its times."""
    data = reader.get_metrics_data()
    if data is None:
        return []
    metrics = [each for resource in data.resource_metrics for scope in resource.scope_metrics for each in scope.metrics]
    return [(metric.name, _point(point)) for metric in metrics for point in metric.data.data_points]


def _point(point):
    kept = {name: getattr(point, name) for name in ("attributes", "count", "sum", "min", "max")}
    exemplars = [(each.value, each.filtered_attributes, each.span_id) for each in point.exemplars]
    if hasattr(point, "bucket_counts"):
        return kept, point.bucket_counts, exemplars
    # Which exemplars an exponential histogram keeps is left to chance.
    return kept, point.positive, len(exemplars)


def record(points, providers, collect):
    """The same points through a bound histogram and the SDK's own; what `collect` gives of each, twice."""
    bound, own = (
        provider.get_meter("m").create_histogram("h", explicit_bucket_boundaries_advisory=BUCKETS)
        for provider in providers
    )
    ours = BoundHistogram(bound)
    collected = []
    for half in (points[: len(points) // 2], points[len(points) // 2 :]):
        for attributes, value, is_traced in half:
            context = SPAN if is_traced else Context()
            if not ours.record_again(value, attributes, context):
                ours.record(value, attributes, context)
            own.record(value, dict(attributes), context)
        collected.append(collect())
    return collected


@pytest.mark.parametrize("views", VIEWS.values(), ids=VIEWS)
@settings(max_examples=25)
@given(points=POINTS)
def test_they_show_what_the_sdk_would_show(views, points):
    """Sums, buckets, exemplars and overflow are equal, whatever the views keep of the attributes."""
    readers = InMemoryMetricReader(), InMemoryMetricReader()
    providers = [provider_of(reader, views=views) for reader in readers]
    for ours, own in record(points, providers, lambda: [shown(reader) for reader in readers]):
        assert ours == own


@settings(max_examples=25)
@given(points=POINTS)
def test_differences_and_other_readers_get_every_point(points):
    """Beside a reader of sums one of differences, whose sums end with each collection, misses and repeats nothing."""
    readers = [(InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=DELTA)) for _ in range(2)]
    providers = [provider_of(*pair, exemplar_filter=AlwaysOnExemplarFilter()) for pair in readers]
    collected = record(points, providers, lambda: [[shown(reader) for reader in pair] for pair in readers])
    assert all(ours == own for ours, own in collected)


@pytest.mark.skipif(not HAS_LIMIT, reason="this SDK keeps any number of sets apart")
@settings(max_examples=25)
@given(points=POINTS)
def test_a_set_beyond_the_limit_goes_where_the_sdk_puts_it(points):
    """What a provider has no room for is in its overflow."""
    readers = InMemoryMetricReader(), InMemoryMetricReader()
    providers = [
        provider_of(reader, views=[View(instrument_name="h", aggregation_cardinality_limit=2)]) for reader in readers
    ]
    for ours, own in record(points, providers, lambda: [shown(reader) for reader in readers]):
        assert ours == own


def test_a_further_point_of_a_set_takes_no_look_at_its_attributes():
    """That is what binding is for: after its first point a set is known, until a reader comes."""
    provider = provider_of(InMemoryMetricReader())
    histogram = BoundHistogram(provider.get_meter("m").create_histogram("h"))
    assert not histogram.record_again(1.0, SETS[0], Context())
    histogram.record(1.0, SETS[0], Context())
    if HAS_LIMIT:
        assert histogram.record_again(1.0, SETS[0], Context())
    assert not histogram.record_again(1.0, SETS[1], Context())
    if hasattr(provider, "add_metric_reader"):
        late = InMemoryMetricReader()
        provider.add_metric_reader(late)
        assert not histogram.record_again(1.0, SETS[0], Context())
        histogram.record(1.0, SETS[0], Context())
        assert [point["count"] for _, (point, *_) in shown(late)] == [1]


@pytest.mark.parametrize("version", ["1.46.0", "2.0.0b1"])
def test_a_newer_sdk_gets_every_point_the_public_way(version):
    """A version that nobody has read may let go of sums in its own time: nothing is bound to them."""
    reader = InMemoryMetricReader()
    histogram = BoundHistogram(provider_of(reader).get_meter("m").create_histogram("h"), version)
    for _ in range(2):
        assert not histogram.record_again(1.0, SETS[0], Context())
        histogram.record(1.0, SETS[0], Context())
    assert [point["count"] for _, (point, *_) in shown(reader)] == [2]
