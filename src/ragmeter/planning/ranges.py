"""A number, or a range in which it lies in nine of ten cases, and how such a range is drawn from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import TypeGuard
from zlib import crc32

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
"""One value for each draw; a point has one value for all of them."""

Z95 = 1.6448536269514722
"""The 95 % quantile of the standard normal distribution."""


class Scale(StrEnum):
    """On which scale a quantity is normally distributed.

    The logarithm of an amount is, so that it stays above zero; the logarithm of the odds of a share, so that it stays
    between 0 and 1; the logarithm of the factor of a growth, so that -0.5 and +1.0 a month are equally far from none.
    """

    AMOUNT = "amount"
    SHARE = "share"
    GROWTH = "growth"


@dataclass(frozen=True, slots=True)
class Range:
    """From the 5 % to the 95 % quantile of a quantity; a point where both are the same."""

    low: float
    high: float

    @property
    def is_point(self) -> bool:
        """Whether the quantity is known."""
        return self.low == self.high


BOUNDS: dict[Scale, tuple[float, float]] = {
    Scale.AMOUNT: (0.0, float("inf")),
    Scale.SHARE: (0.0, 1.0),
    Scale.GROWTH: (-1.0, 10.0),
}
"""Between which two numbers a quantity lies; the ends are points only."""

SMALLEST, LARGEST = 1e-15, 1e15
"""Between them are shares, and both ends of a range of amounts: sums and quotients of such numbers are numbers too."""

WITHIN = {
    Scale.AMOUNT: "0 or more",
    Scale.SHARE: "above 0 and up to 1",
    Scale.GROWTH: "-1 or more, up to 10",
}
"""The bounds of a point in words: of what is divided by a share there is no share of nothing."""

Transform = Callable[[Vector], Vector]


def _odds_logarithm(value: Vector) -> Vector:
    return np.log(value / (1.0 - value))


def _share_of(value: Vector) -> Vector:
    return 1.0 / (1.0 + np.exp(-value))


TRANSFORMS: dict[Scale, tuple[Transform, Transform]] = {
    Scale.AMOUNT: (np.log, np.exp),
    Scale.SHARE: (_odds_logarithm, _share_of),
    Scale.GROWTH: (np.log1p, np.expm1),
}
"""To the scale on which a quantity is normal, and back."""


def middle(of: Range, scale: Scale) -> float:
    """The median of a range: for amounts the geometric mean of its ends."""
    return of.low if of.is_point else float(_quantiles(of, scale, np.zeros(1))[0])


def draw(of: Range, scale: Scale, name: str, *, draws: int, seed: int) -> Vector:
    """Draws of a quantity, of a point one; those of one name and seed are the same, whatever else is drawn."""
    if of.is_point:
        return np.array([of.low])
    generator = np.random.Generator(np.random.PCG64([seed, crc32(name.encode())]))
    return _quantiles(of, scale, generator.standard_normal(draws))


def _quantiles(of: Range, scale: Scale, normals: Vector) -> Vector:
    forth, back = TRANSFORMS[scale]
    low, high = forth(np.array([of.low, of.high]))
    return back((low + high) / 2 + normals * (high - low) / (2 * Z95))


class RangeError(ValueError):
    """What stands where a number or a range should; the message says what is wrong with it."""


def read_range(value: object, scale: Scale) -> Range:
    """A range from a number or a pair of numbers. Raises `RangeError` for anything else, and what is out of bounds."""
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    ends = [float(each) for each in numbers if _is_number(each)]
    if len(ends) != len(numbers) or len(ends) not in (1, 2):
        raise RangeError(f"{_shown(value)} is neither a number nor a range [low, high]")
    read = Range(ends[0], ends[-1])
    if read.low > read.high:
        raise RangeError(f"the range [{read.low:g}, {read.high:g}] begins above its end")
    _check_bounds(read, scale)
    _check_size(read, scale)
    return read


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 10**300
    return isinstance(value, float) and isfinite(value)


def _check_bounds(read: Range, scale: Scale) -> None:
    least, most = BOUNDS[scale]
    if read.is_point:
        if not least <= read.low <= most or (scale is Scale.SHARE and not read.low):
            raise RangeError(f"{read.low:g} is not {WITHIN[scale]}")
        return
    if not least < read.low <= read.high < most:
        inner = f"above {least:g}" if most == float("inf") else f"above {least:g} and below {most:g}"
        raise RangeError(f"both ends of the range [{read.low:g}, {read.high:g}] must be {inner}")


def _check_size(read: Range, scale: Scale) -> None:
    if abs(read.low) > LARGEST or abs(read.high) > LARGEST:
        raise RangeError(f"{read.high:g} is too large to be summed up")
    if read.low < SMALLEST and (scale is Scale.SHARE or (scale is Scale.AMOUNT and not read.is_point)):
        raise RangeError(f"{read.low:g} is too small to be divided by")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
