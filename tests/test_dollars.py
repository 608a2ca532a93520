"""Money in reports keeps the figures that count, however small it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmeter.money.dollars import dollars


@pytest.mark.parametrize(
    ("amount", "least", "written"),
    [
        (1234.5, 2, "$1,234.50"),
        (0.5, 2, "$0.50"),
        (0.003, 2, "$0.0030"),
        (0.0000412, 2, "$0.000041"),
        (20.31, 4, "$20.3100"),
        (0.00002, 4, "$0.000020"),
        (0.0, 2, "$0.00"),
        (None, 2, "unpriced"),
    ],
)
def test_amounts_as_people_read_them(amount, least, written):
    """Cents at least, two figures that count at least, and no number where there is no price."""
    assert dollars(amount, least) == written


@given(st.floats(1e-12, 1e9))
def test_no_money_is_written_as_none(amount):
    """What is not zero is not written as zero, and is right to a twentieth."""
    assert float(dollars(amount).lstrip("$").replace(",", "")) == pytest.approx(amount, rel=0.05)
