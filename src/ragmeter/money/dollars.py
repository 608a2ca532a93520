"""Amounts of money as people read them."""

from __future__ import annotations

from math import floor, log10


def dollars(amount: float | None, least: int = 2) -> str:
    """US dollars with so many places at least, and small amounts with two figures that count: $0.0031, not $0.00."""
    if amount is None:
        return "unpriced"
    places = least if amount <= 0 else max(least, 1 - floor(log10(amount)))
    return f"${amount:,.{places}f}"
