"""A range is what is written: its ends are the 5 % and the 95 % quantile, on a scale that keeps it in bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmeter.planning.ranges import Range, RangeError, Scale, draw, middle, read_range

AMOUNTS = st.floats(1e-6, 1e6)
RANGES = {
    Scale.AMOUNT: Range(150.0, 850.0),
    Scale.SHARE: Range(0.6, 0.95),
    Scale.GROWTH: Range(-0.1, 0.2),
}


@pytest.mark.parametrize("scale", Scale)
def test_nine_of_ten_draws_lie_between_the_ends(scale):
    """5 % of the draws lie below the range and 5 % above it, and half on each side of its middle."""
    drawn = draw(RANGES[scale], scale, "any", draws=100_000, seed=3)
    assert np.mean(drawn < RANGES[scale].low) == pytest.approx(0.05, abs=0.004)
    assert np.mean(drawn > RANGES[scale].high) == pytest.approx(0.05, abs=0.004)
    assert np.mean(drawn < middle(RANGES[scale], scale)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("scale", Scale)
def test_draws_stay_within_what_is_possible(scale):
    """No amount is negative, no share above 1, and nothing shrinks by more than all of it."""
    wide = {Scale.AMOUNT: Range(0.001, 1e6), Scale.SHARE: Range(0.01, 0.99), Scale.GROWTH: Range(-0.99, 5.0)}[scale]
    least, most = {Scale.AMOUNT: (0, np.inf), Scale.SHARE: (0, 1), Scale.GROWTH: (-1, np.inf)}[scale]
    drawn = draw(wide, scale, "any", draws=20_000, seed=1)
    assert drawn.min() > least
    assert drawn.max() < most


def test_the_middle_of_an_amount_is_its_geometric_mean():
    """Log-normal: 150 to 850 has its median at the root of their product."""
    assert middle(Range(150, 850), Scale.AMOUNT) == pytest.approx((150 * 850) ** 0.5)


def test_draws_are_those_of_their_name_and_seed():
    """One quantity's draws do not depend on which others there are; another seed gives others."""
    first = draw(RANGES[Scale.AMOUNT], Scale.AMOUNT, "labour_rate", draws=10, seed=1)
    assert (first == draw(RANGES[Scale.AMOUNT], Scale.AMOUNT, "labour_rate", draws=10, seed=1)).all()
    assert (first != draw(RANGES[Scale.AMOUNT], Scale.AMOUNT, "labour_rate", draws=10, seed=2)).any()
    assert (first != draw(RANGES[Scale.AMOUNT], Scale.AMOUNT, "other", draws=10, seed=1)).any()


@given(AMOUNTS)
def test_a_range_of_no_width_is_a_point(value):
    """Whether written as a number or as a range with equal ends, it is that number in every draw."""
    for written in (value, [value, value]):
        read = read_range(written, Scale.AMOUNT)
        assert read.is_point
        assert middle(read, Scale.AMOUNT) == value
        assert draw(read, Scale.AMOUNT, "any", draws=1000, seed=1) == [value]


@settings(max_examples=30)
@given(AMOUNTS, st.floats(1.01, 100))
def test_more_is_more(low, factor):
    """A range that lies higher has a higher value in every single draw."""
    lower = draw(Range(low, low * 2), Scale.AMOUNT, "any", draws=500, seed=1)
    assert (draw(Range(low * factor, low * factor * 2), Scale.AMOUNT, "any", draws=500, seed=1) > lower).all()


@pytest.mark.parametrize(
    ("written", "scale", "says"),
    [
        ("many", Scale.AMOUNT, "'many' is neither a number nor a range [low, high]"),
        (True, Scale.AMOUNT, "True is neither a number nor a range [low, high]"),
        (None, Scale.AMOUNT, "None is neither a number nor a range [low, high]"),
        ([1, 2, 3], Scale.AMOUNT, "[1, 2, 3] is neither a number nor a range [low, high]"),
        ([], Scale.AMOUNT, "[] is neither a number nor a range [low, high]"),
        ([1, "2"], Scale.AMOUNT, "[1, '2'] is neither a number nor a range [low, high]"),
        (float("nan"), Scale.AMOUNT, "nan is neither a number nor a range [low, high]"),
        ([1, float("inf")], Scale.AMOUNT, "[1, inf] is neither a number nor a range [low, high]"),
        ([5, 2], Scale.AMOUNT, "the range [5, 2] begins above its end"),
        (1e300, Scale.AMOUNT, "1e+300 is too large to be summed up"),
        ([1e-300, 1], Scale.AMOUNT, "1e-300 is too small to be divided by"),
        (10**400, Scale.AMOUNT, f"{str(10**400)[:40]}… is neither a number nor a range [low, high]"),
        (1e-300, Scale.SHARE, "1e-300 is too small to be divided by"),
        ([0, 11], Scale.GROWTH, "both ends of the range [0, 11] must be above -1 and below 10"),
        (-1, Scale.AMOUNT, "-1 is not 0 or more"),
        ([0, 5], Scale.AMOUNT, "both ends of the range [0, 5] must be above 0"),
        (1.5, Scale.SHARE, "1.5 is not above 0 and up to 1"),
        (0, Scale.SHARE, "0 is not above 0 and up to 1"),
        ([0.5, 1], Scale.SHARE, "both ends of the range [0.5, 1] must be above 0 and below 1"),
        (-2, Scale.GROWTH, "-2 is not -1 or more, up to 10"),
    ],
)
def test_what_is_no_range_is_said(written, scale, says):
    """Each thing that stands where a range should is named with what is wrong with it."""
    with pytest.raises(RangeError) as caught:
        read_range(written, scale)
    assert str(caught.value) == says
