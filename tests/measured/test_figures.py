"""Figures read from samples: parts sum to wholes, what is not known is no zero, warnings say what to do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmeter.domain.model import Fate, Origin, PriceState
from ragmeter.measured import telling
from ragmeter.measured.figures import Figures
from ragmeter.measured.samples import Samples
from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import label_name, metric_name

LABELS = {
    semconv.STRATEGY: ("base", "rag", "none", "our\x1bown"),
    semconv.PART: (*(origin.value for origin in Origin), "output", "embedding"),
    semconv.PRICE_STATE: tuple(state.value for state in PriceState),
    semconv.CHUNK_FATE: tuple(fate.value for fate in Fate),
    semconv.TOKEN_RATE: ("input", "cache_read"),
    semconv.OPERATION_NAME: ("chat", "search"),
    semconv.ERROR_TYPE: ("", "TimeoutError"),
    semconv.RESPONSE_MODEL: ("gpt", "<b>"),
}
COUNTERS = (
    *(semconv.QUERIES, semconv.COST, semconv.PART_TOKEN_COUNT, semconv.OPERATIONS, semconv.CONTEXT_TOKENS),
    *(semconv.CONTEXT_COST, semconv.SEARCH_EMPTY, semconv.UNSCOPED, semconv.OVERFLOWED, semconv.INTERNAL_ERRORS),
)
DOLLARS = (semconv.COST, semconv.CONTEXT_COST)


@st.composite
def series(draw):
    """One series of one of our counters."""
    metric = draw(st.sampled_from(COUNTERS))
    labels = {label_name(name): draw(st.sampled_from(LABELS[name])) for name in metric.labels if name in LABELS}
    value = draw(st.floats(0, 1e6) if metric in DOLLARS else st.integers(0, 10**9).map(float))
    return metric_name(metric), labels, value


READINGS = st.lists(series(), max_size=30).map(Samples.of)


def sample(metric, value, **labels):
    """A row of a table, its labels without what all of ours begin with."""
    named = {label_name(getattr(semconv, name.upper())): text for name, text in labels.items()}
    return metric_name(metric), named, value


def near(left, right):
    return math.isclose(left or 0.0, right or 0.0, rel_tol=1e-9, abs_tol=1e-12)


@given(READINGS)
def test_parts_sum_to_wholes(samples):
    """Strategies and parts add up to all money, strategies to all queries, states of prices to all calls."""
    figures = Figures.of(samples)
    assert near(sum(each.cost or 0.0 for each in figures.strategies), figures.spend)
    assert near(sum(amount.cost or 0.0 for amount in figures.parts.values()), figures.spend)
    assert sum(each.queries for each in figures.strategies) == figures.queries == samples.total(semconv.QUERIES) or (
        figures.queries == 0
    )
    assert sum(amount.tokens for amount in figures.parts.values()) == (samples.total(semconv.PART_TOKEN_COUNT) or 0)
    assert sum(figures.price_states.values()) == (samples.total(semconv.OPERATIONS) or 0)
    assert all(0 <= each.failed <= each.queries for each in figures.strategies)
    for share in (figures.cached_share, figures.unused_share):
        assert share is None or 0 <= share <= 1


@given(READINGS, READINGS)
def test_growth_adds_to_what_was_there(first, more):
    """Money and queries of an earlier reading and of the growth since are those of the later reading."""
    rows = [
        (name, dict(labels), value)
        for each in (first, more)
        for name, found in each.series.items()
        for labels, value in found.items()
    ]
    later = Samples.of(rows)
    before, grown, after = Figures.of(first), Figures.of(later.since(first), 60.0), Figures.of(later)
    assert math.isclose((before.spend or 0) + (grown.spend or 0), after.spend or 0, rel_tol=1e-9, abs_tol=1e-6)
    assert before.queries + grown.queries == after.queries
    assert grown.spend_per_hour is None or near(grown.spend_per_hour, (grown.spend or 0) * 60)


@given(READINGS)
def test_whatever_is_read_can_be_shown(samples):
    """Any figures become text that steers no terminal, in lines of 80 columns but for long tables."""
    text = "\n".join(telling.in_text(Figures.of(samples)))
    assert "\x1b" not in text
    assert "nan" not in text


def test_what_is_not_known_is_no_zero():
    """Without a reading there is no money, share or time; calls without a price are no calls for nothing."""
    nothing = Figures.of(Samples({}))
    assert nothing.is_empty
    assert (nothing.spend, nothing.spend_per_hour, nothing.cached_share, nothing.unused_share, nothing.wasted) == (
        *(None,) * 5,
    )
    unpriced = Figures.of(
        Samples.of(
            [
                sample(semconv.QUERIES, 1.0, strategy="rag"),
                sample(semconv.OPERATIONS, 1.0, strategy="rag", price_state="unpriced", response_model="ours"),
                sample(semconv.OPERATIONS, 1.0, strategy="rag", price_state="priced", operation_name="search"),
                sample(semconv.COST, 0.0, strategy="rag", part="search", price_state="priced"),
            ]
        ),
        seconds=10.0,
    )
    assert (unpriced.spend, unpriced.spend_per_hour, unpriced.strategies[0].cost_per_1k) == (None, None, None)
    assert telling.in_one_line(unpriced) == "ragmeter: 1 query, unpriced"
    assert telling.in_one_line(nothing) is None


def test_a_run_in_one_line():
    """The line at exit has queries, money by strategy, what the money lacks, and the share of context in vain."""
    figures = Figures.of(
        Samples.of(
            [
                sample(semconv.QUERIES, 8.0, strategy="rag"),
                sample(semconv.QUERIES, 4.0, strategy="base"),
                sample(semconv.COST, 0.0241, strategy="rag", part="context"),
                sample(semconv.COST, 0.0069, strategy="base", part="question"),
                sample(semconv.OPERATIONS, 2.0, strategy="base", price_state="unpriced"),
                sample(semconv.CONTEXT_TOKENS, 55.0, strategy="rag", chunk_fate="used"),
                sample(semconv.CONTEXT_TOKENS, 40.0, strategy="rag", chunk_fate="unused"),
                sample(semconv.CONTEXT_TOKENS, 5.0, strategy="rag", chunk_fate="repeated"),
                sample(semconv.CONTEXT_TOKENS, 900.0, strategy="rag", chunk_fate="unknown"),
            ]
        )
    )
    assert telling.in_one_line(figures) == (
        "ragmeter: 12 queries, $0.031+ (2 calls without a price) (rag $0.024, base $0.0069+), "
        "45 % of the context unused"
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (sample(semconv.OPERATIONS, 3.0, price_state="unpriced", provider_name="openai", response_model="x"), "prices"),
        (sample(semconv.UNSCOPED, 3.0), "with ragmeter.query():"),
        (sample(semconv.OVERFLOWED, 3.0), "more processes"),
        (sample(semconv.LABELS_OVERFLOWED, 3.0, label="team"), "max_label_values"),
        (sample(semconv.INTERNAL_ERRORS, 3.0, station="reading"), "report"),
    ],
)
def test_each_warning_says_what_to_do(row, words):
    """Each thing that is wrong is one sentence with its number and the remedy, and no other warning."""
    (warning,) = Figures.of(Samples.of([row])).warnings
    assert words in warning
    assert "3" in warning
    name, labels, _ = row
    assert Figures.of(Samples.of([(name, labels, 0.0)])).warnings == ()
