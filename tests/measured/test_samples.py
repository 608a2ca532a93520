"""The table of samples that all figures are read from, and the workload that is made of it."""

from __future__ import annotations

import math
import random
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmeter.measured.errors import MeasuredError
from ragmeter.measured.histogram import Histogram, of_cumulative
from ragmeter.measured.samples import Samples
from ragmeter.measured.workload import workload
from ragmeter.naming import semconv
from ragmeter.naming.buckets import DOLLARS

QUERIES = "ragmeter_queries_total"
READING = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["base", "rag"])), st.integers(0, 50).map(float), max_size=4
)


def queries(counts, **more):
    """A reading of the counter of queries, by instance and strategy."""
    return Samples.of(
        (QUERIES, {"instance": instance, "ragmeter_strategy": strategy, **more}, value)
        for (instance, strategy), value in counts.items()
    )


def test_sums_go_over_whatever_else_a_series_has() -> None:
    """Instances, scopes and labels of the app are added up; names that are not ours, and NaN, are not."""
    rows = [
        (QUERIES, {"ragmeter_strategy": "rag", "otel_scope_name": "ragmeter"}, 2.0),
        (QUERIES, {"ragmeter_strategy": "rag", "team": "shop", "error_type": "TimeoutError"}, 1.0),
        (QUERIES, {"ragmeter_strategy": "base"}, math.nan),
        ("http_requests_total", {"ragmeter_strategy": "rag"}, 9.0),
    ]
    samples = Samples.of(rows)
    assert samples.by(semconv.QUERIES, semconv.STRATEGY) == {"rag": 3.0}
    assert samples.sums(semconv.QUERIES, semconv.STRATEGY, semconv.ERROR_TYPE) == {
        ("rag", ""): 2.0,
        ("rag", "TimeoutError"): 1.0,
    }
    assert samples.total(semconv.COST) is None


def test_a_process_that_restarted_began_anew_at_zero() -> None:
    """Where one value of a process has fallen all its values are what it has counted since; other processes go on."""
    before = queries({("a", "base"): 10.0, ("a", "rag"): 3.0, ("b", "base"): 5.0})
    after = queries({("a", "base"): 12.0, ("a", "rag"): 1.0, ("b", "base"): 6.0, ("b", "rag"): 4.0})
    assert len(after.restarted_since(before)) == 1
    assert after.since(before).by(semconv.QUERIES, semconv.STRATEGY) == {"base": 12.0 + 1.0, "rag": 1.0 + 4.0}


@given(READING, READING)
def test_growth_is_never_below_zero_and_never_above_what_there_is(before, after):
    """Whatever two readings hold, each series has grown by something between nothing and its value."""
    grown = queries(after).since(queries(before))
    for labels, value in grown.series.get(QUERIES, {}).items():
        assert 0 <= value <= queries(after).series[QUERIES][labels]


@given(READING, READING)
def test_what_grew_in_two_steps_grew_in_one(first, step):
    """Without a restart, growth adds up."""
    second = {key: first.get(key, 0.0) + step.get(key, 0.0) for key in {*first, *step}}
    grown = queries(second).since(queries(first)).total(semconv.QUERIES)
    assert (grown or 0.0) == sum(step.values())


def test_a_distribution_is_one_whatever_the_text_of_its_bounds_is() -> None:
    """`le="1"` of a push and `le="1.0"` of a scrape are one bucket."""
    name = "ragmeter_query_duration_seconds"
    rows = [
        (f"{name}_bucket", {"le": bound, "instance": instance}, value)
        for instance, bounds in (("push", ("1", "2", "+Inf")), ("scrape", ("1.0", "2.0", "+Inf")))
        for bound, value in zip(bounds, (1.0, 3.0, 4.0), strict=True)
    ]
    found = Samples.of([*rows, (f"{name}_sum", {}, 12.0)]).histogram(semconv.QUERY_DURATION)
    assert found == Histogram((1.0, 2.0), (2.0, 4.0, 2.0), 12.0)
    assert of_cumulative({1.0: 2.0}, 1.0) is None


@pytest.mark.parametrize("spread", [0.4, 1.0])
def test_the_spread_of_costs_is_told_from_their_buckets(spread: float) -> None:
    """The standard deviation of costs from query to query is estimated within a fifth from the buckets of dollars."""
    chance = random.Random(7)
    costs = [0.012 * chance.lognormvariate(0, spread) for _ in range(2_000)]
    below = {bound: float(sum(cost <= bound for cost in costs)) for bound in (*DOLLARS, math.inf)}
    found = of_cumulative(below, sum(costs))
    assert found is not None
    assert found.mean == pytest.approx(fmean(costs))
    assert found.deviation == pytest.approx(pstdev(costs), rel=0.2)


def test_a_time_without_queries_is_an_error() -> None:
    """Where nothing was answered there is no cost of a query: the message says what to do."""
    before = queries({("a", "base"): 10.0})
    with pytest.raises(MeasuredError, match="no query in that time; choose a time"):
        workload(before.since(before), 1.0, "the page")


@pytest.mark.parametrize("labels", [{"le": "much"}, {}])
def test_a_bucket_without_a_bound_is_left_out(labels: dict[str, str]) -> None:
    """What is no distribution of ours has none, and breaks nothing."""
    name = "ragmeter_query_cost_usd_bucket"
    assert Samples.of([(name, labels, 3.0)]).histogram(semconv.QUERY_COST) is None
    whole = Samples.of([(name, labels, 3.0), (name, {"le": "1"}, 2.0), (name, {"le": "+Inf"}, 2.0)])
    assert whole.histogram(semconv.QUERY_COST) == Histogram((1.0,), (2.0, 0.0))


def test_a_series_that_is_gone_is_noticed() -> None:
    """A process that was restarted may have counted on beyond what it had, but has not all series that it had."""
    first, last = queries({("a", "rag"): 5.0, ("a", "base"): 3.0}), queries({("a", "rag"): 8.0})
    assert last.lacks(first)
    assert not first.lacks(last)
