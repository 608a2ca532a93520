"""A distribution in a few numbers. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragmeter.planning.ranges import Vector

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Spread:
    """The 10 %, 50 % and 90 % quantile of draws; infinite ones are meant: a break-even that is never reached."""

    p10: float
    p50: float
    p90: float

    @property
    def is_point(self) -> bool:
        """Whether all draws are the same, as far as quantiles tell."""
        return self.p10 == self.p90


def spread(draws: Vector) -> Spread:
    """The quantiles of draws: each is one of them, so that an infinite one makes no neighbour infinite."""
    count = len(draws)
    places = [min(count - 1, int(np.ceil(share * count)) - 1) for share in QUANTILES]
    parted = np.partition(draws, places)
    low, middle, high = (float(parted[place]) for place in places)
    return Spread(low, middle, high)


def share(of: npt.NDArray[np.bool_]) -> float:
    """The share of draws for which something is true."""
    return float(np.count_nonzero(of) / of.size)


def percent(share: float) -> str:
    """A share of draws as it is read: one that is not all or none is never shown as such."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"
