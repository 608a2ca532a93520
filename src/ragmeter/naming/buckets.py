"""The bounds of every histogram's buckets."""

from __future__ import annotations

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Buckets of the conventions' duration metrics (D14)."""
DB_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
TOKENS = tuple(float(4**power) for power in range(14))
"""Buckets of the conventions' token metrics (T14)."""
DOLLARS = (1e-6, *(float(f"{step}e{power}") for power in range(-5, 1) for step in (1, 2, 3, 5)), 10.0)
"""One LLM call costs from a millionth of a dollar to some dollars."""
PROMPT_SIZES = (
    *(20.0, 50.0, 100.0, 200.0, 300.0, 500.0, 750.0),
    *(1e3 * step for step in (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024)),
)
"""Finer than the conventions' set, whose steps are fourfold: percentiles of a prompt's size are read from these."""
SEARCH_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0),
)
"""Finer than the conventions' set for databases, for the same reason."""
FRACTIONS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
RANKS = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
COUNTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
SCORES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Similarities, distances and keyword scores alike. None below zero: Prometheus then has no sum and no count, and the
SDK takes no value below zero."""
QUERY_SECONDS = (
    *(0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 60.0, 120.0),
)
"""Finer than the conventions' set: percentiles of an answer's time are read from these."""
