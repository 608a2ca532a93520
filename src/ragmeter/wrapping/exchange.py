"""What goes over the wire for a call under way, and whether a call inside it is one of its own."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Self

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from ragmeter.domain.model import Request
from ragmeter.reading.declaration import Call, Reading, Target
from ragmeter.wrapping.under_way import Mark

IN_PROGRESS = otel_context.create_key("ragmeter-in-progress")
"""Context key for the exchange of the call that is under way."""

TOLD: ContextVar[Exchange | None] = ContextVar("ragmeter-told", default=None)
"""The exchange of the latest call in a context of which a client's events tell: nothing of it is in the app's own."""

Destination = tuple[str, str | None, str | None]
"""Where a request goes: the provider or database, the model, the collection."""


def family_of(request: Request) -> str:
    """Operations of one family inside each other may be one request: `parse` calls `create`."""
    return request.kind.means.family


def destination_of(request: Request) -> Destination:
    """Where a request goes."""
    return request.provider, request.model, request.collection


class Exchange:
    """What goes over the wire for the call that is under way in a context; emptied when the call is over.

    A context lives on in tasks that were started meanwhile: nothing of the app may be held by it.
    """

    __slots__ = (
        "_request",
        "_target",
        "asked",
        "instance",
        "is_over",
        "is_passed_on",
        "is_told",
        "mark",
        "question",
        "received",
        "sent",
        "surrounded",
        "was_sent",
    )

    def __init__(self, target: Target, call: Call, reading: Reading, request: Request) -> None:
        self.instance = call.instance
        self.asked = target.asked(call)
        self._target = target
        self._request = request
        self.is_over = self.is_told = self.is_passed_on = False
        self.mark: Mark | None = None
        self.sent = self.question = reading.sent
        self.received: object = None
        self.was_sent = self.surrounded = False

    @property
    def is_wired(self) -> bool:
        """Whether what goes over the wire is seen."""
        return self._target.is_wired

    @classmethod
    def of(cls, instance: Any) -> Self | None:
        """The exchange under way in the current context, if it is one of `instance`."""
        exchange = otel_context.get_value(IN_PROGRESS)
        is_its = isinstance(exchange, cls) and exchange.instance is instance and not exchange.is_over
        return exchange if is_its else None  # type: ignore[return-value]

    def sends(self, taken: object) -> bool:
        """The call makes its request: `taken` is what goes over the wire, `None` if that is of something else."""
        if taken is not None:
            self.sent, self.was_sent = taken, True
        return self.was_sent

    def covers(self, target: Target, call: Call, reading: Reading, request: Request) -> bool:
        """Whether a call inside this one is the same request once more, and no call of its own.

        The instance and the request tell, not the family: a guardrail that asks another model, a cache that searches
        elsewhere, a client that asks itself something else are calls of their own.
        """
        if self.is_over or self.is_passed_on or family_of(request) != family_of(self._request):
            return False
        if self.is_wired:
            return call.instance is self.instance and target.asked(call) is self.asked and not self.was_sent
        if destination_of(request) != destination_of(self._request):
            return False
        return self._is_same_question(target, call, reading)

    def _is_same_question(self, target: Target, call: Call, reading: Reading) -> bool:
        """Whether a call to the same destination asks the same, of what shows no request on the wire."""
        if call.instance is self.instance and target.path != self._target.path:
            # Another function of the same client may hand it on in another form.
            return True
        if call.instance is self.instance and self.asked is not None:
            return target.asked(call) is self.asked
        # What is wired shows later what it asks.
        return target.is_wired or bool(reading.sent == self.question)

    def passes_on(self) -> None:
        """A call inside this one was the same request.

        Of a call that events tell nobody sees when it returns: what comes second is none of it any more.
        """
        self.is_passed_on = self.is_told

    def surrounds(self, request: Request) -> None:
        """A call of its own is made inside this one."""
        self.surrounded = self.surrounded or family_of(request) == family_of(self._request)

    @property
    def only_passed_on(self) -> bool:
        """Whether another call made the request in its place: a client that hands on to another client."""
        return self.is_wired and self.surrounded and not self.was_sent

    def let_go(self) -> None:
        """The call has returned, and its answer is still to come: nothing of the client is kept until then."""
        self.is_over = True
        self.instance = self.asked = self.question = None

    def empty(self) -> None:
        """The call is over."""
        self.let_go()
        self.sent = self.received = None


def exchange_around(context: Context) -> Exchange | None:
    """The exchange of the call in which one that begins in `context` is made."""
    around = context.get(IN_PROGRESS)
    # A task that was started during a call goes on in its context when that is over.
    return around if isinstance(around, Exchange) and not around.is_over else TOLD.get()
