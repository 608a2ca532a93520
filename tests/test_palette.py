"""The colours that are drawn with are told apart, by readers with the usual forms of colour blindness too."""

from __future__ import annotations

from itertools import combinations

import pytest

from ragmeter import palette
from ragmeter.domain import strategy
from ragmeter.domain.model import Fate, Origin

Triple = tuple[float, float, float]

SIGHT: dict[str, tuple[Triple, Triple, Triple]] = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""What becomes of linear red, green and blue: Machado, Oliveira and Fernandes, 2009, severity 1."""

XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE = (0.9505, 1.0, 1.089)
"""sRGB and its white, D65."""


def linear(colour: str) -> Triple:
    values = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return red, green, blue


def times(matrix: tuple[Triple, Triple, Triple], vector: Triple) -> Triple:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def lab(colour: Triple) -> Triple:
    seen = tuple(min(1.0, max(0.0, value)) for value in colour)
    x, y, z = (
        value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
        for value in (a / b for a, b in zip(times(XYZ, seen), WHITE, strict=True))  # type: ignore[arg-type]
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: str, other: str, sight: str) -> float:
    pair = (lab(times(SIGHT[sight], linear(colour))) for colour in (one, other))
    return float(sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) ** 0.5)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(
    ("colours", "least"),
    [
        (palette.ORIGINS, 23),
        (palette.PARTS, 16),
        (palette.FATES, 24),
        (palette.STRATEGIES, 42),
        (palette.DRIVERS, 40),
    ],
    ids=["origins", "parts", "fates", "strategies", "drivers"],
)
def test_any_two_colours_are_told_apart(colours, least, sight):
    """No two origins, parts, fates, strategies or drivers look alike to anyone: they are this far apart in CIELAB."""
    assert min(distance(one, other, sight) for one, other in combinations(colours.values(), 2)) >= least


def test_a_driver_looks_like_no_strategy():
    """Drivers of a bill stand on one page with strategies, and have colours of their own."""
    pairs = ((one, other) for one in palette.DRIVERS.values() for other in palette.STRATEGIES.values())
    assert min(distance(one, other, "usual") for one, other in pairs) >= 40


def test_every_origin_and_fate_has_its_own():
    """Each origin has one colour, pattern and letter, each fate and each strategy one colour."""
    for drawn, of in ((palette.ORIGINS, Origin), (palette.PATTERNS, Origin), (palette.LETTERS, Origin)):
        assert set(drawn) == set(of)
        assert len(set(drawn.values())) == len(drawn)
    assert set(palette.FATES) == set(Fate)
    assert set(palette.STRATEGIES) == {*strategy.STRATEGIES, strategy.NONE}
