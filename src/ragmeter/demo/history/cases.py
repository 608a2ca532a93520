"""Which kinds of queries a stream has at each step, and how many of each: by how they end and what was planted. Pure.

All queries of one kind go the same way, so that a few of them, drawn at random, stand for thousands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from ragmeter.demo.history.shop import Stream
from ragmeter.demo.history.traffic import Floats, Traffic


class Outcome(Enum):
    """How a query ends. Where a search fails or finds nothing the customer is told so, and no model is asked."""

    ANSWERED = auto()
    LEFT = auto()
    """The customer went away before the end of the stream."""
    REFUSED = auto()
    EMPTY = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of queries: `sent` chunks go into each prompt, searches are `slow` where the index is."""

    stream: Stream
    outcome: Outcome
    sent: int
    slow: bool

    @property
    def is_asked(self) -> bool:
        """Whether a model is asked."""
        return self.outcome not in (Outcome.EMPTY, Outcome.FAILED)

    @property
    def is_told(self) -> bool:
        """Whether the whole answer came."""
        return self.outcome is Outcome.ANSWERED


def cases(stream: Stream, traffic: Traffic) -> Iterator[tuple[Case, Floats]]:
    """The kinds of queries that come by one stream, and how many of each come in an hour, at each step."""
    for outcome, share in _outcomes(stream, traffic):
        for sent in np.unique(traffic.sent).tolist():
            for slow, slow_share in ((False, 1 - traffic.slow), (True, traffic.slow)):
                queries = traffic.queries * share * slow_share * (traffic.sent == sent)
                if queries.any():
                    yield Case(stream, outcome, sent, slow), queries


def _outcomes(stream: Stream, traffic: Traffic) -> Iterator[tuple[Outcome, Floats]]:
    """The share of the queries that end in each way, at each step."""
    found = (1 - traffic.failing) * (1 - traffic.empty)
    accepted = found * (1 - stream.refused)
    yield Outcome.ANSWERED, accepted * (1 - stream.broken_off)
    yield Outcome.LEFT, accepted * stream.broken_off
    yield Outcome.REFUSED, found * stream.refused
    yield Outcome.EMPTY, (1 - traffic.failing) * traffic.empty
    yield Outcome.FAILED, traffic.failing
