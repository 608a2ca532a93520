"""What made-up calls are counted as: by the ledger, the prices and the telemetry that count those of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.context import Context

from ragmeter.anatomy.weights import Weigher
from ragmeter.demo.history import shop
from ragmeter.demo.history.calls import Call
from ragmeter.demo.history.meters import Meters, Point
from ragmeter.domain import strategy
from ragmeter.domain.query import Ending, QueryHandle
from ragmeter.guard import Guard
from ragmeter.ledger.ledger import Ledger, Until
from ragmeter.ledger.metering import Metered, meter_inference, meter_other
from ragmeter.money.price_table import card_of
from ragmeter.naming.metric import Profile
from ragmeter.naming.semconv import METRICS
from ragmeter.telemetry.instruments import Instruments
from ragmeter.telemetry.metrics import Telemetry

MOST_VALUES = 100
"""Values of a label, as the setting `max_label_values` has it: the shop has fewer."""

OF_ITSELF = frozenset(metric.name for metric in METRICS if metric.of_itself)


class Books:
    """Counts one query after the other, each by itself, and nothing of ragmeter's own state."""

    def __init__(self) -> None:
        self._meters = Meters(but=OF_ITSELF)
        guard = Guard()
        # A mistake ends the command: there is no app that it would harm.
        guard.loud = True
        self._telemetry = Telemetry(
            Instruments(self._meters),
            labels=shop.LABELS,
            most_values=MOST_VALUES,
            profile=Profile.RELEASED,
            guard=guard,
        )
        # There are no scopes that would remember a query once it is posted.
        self._ledger = Ledger(self._telemetry.count_query, forget=lambda _: None)
        self._cards = {model: card_of(prices, model) for model, prices in shop.PRICES.items()}
        self._weigher = Weigher()

    def points_of(self, calls: Sequence[Call], labels: Mapping[str, str], ending: Ending) -> list[Point]:
        """All that the calls of one query are counted as."""
        handle = QueryHandle(ending, labels=dict(labels), started=0)
        for call in calls:
            metered = self._metered(call, alone=ending is Ending.OPERATION)
            self._telemetry.count_operation(metered, Context(), labels, standard=True)
            self._ledger.add(handle, metered, labels, call.chunks)
        handle.ended = int(1e9 * (calls[-1].ended + shop.OWN_SECONDS))
        self._ledger.end(handle)
        # Whatever no answer came for is posted too: the next query is another one's.
        self._ledger.settle(Until.EVERYTHING)
        points = self._meters.taken()
        self._telemetry.totals.clear()
        return points

    def _metered(self, call: Call, *, alone: bool) -> Metered:
        operation = call.operation
        card = self._cards.get(operation.model or "")
        if not operation.request.kind.is_inference:
            return meter_other(operation, card, self._weigher, alone=alone)
        tuned = strategy.is_fine_tuned(operation.model)
        return meter_inference(operation, call.dissection, card, self._weigher, fine_tuned=tuned)
