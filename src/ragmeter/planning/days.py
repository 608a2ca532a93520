"""Days of a month, and how many tell of a day's traffic."""

from __future__ import annotations

DAYS = 365.25 / 12
"""Days in a month."""

LEAST_DAYS = 0.9
"""A shorter time says nothing of how many queries come in a day, as nights and working hours differ."""
