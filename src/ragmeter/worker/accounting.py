"""The worker's work: from a finished call's references to spans, totals and distributions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context

from ragmeter.anatomy.dissecting import Dissector
from ragmeter.anatomy.parts import Dissection
from ragmeter.anatomy.ranking import named_chunks, order_shows_distances, scores_are_distances
from ragmeter.anatomy.wire_order import on_the_wire
from ragmeter.domain import gate
from ragmeter.domain.model import (
    KnownChunk,
    Operation,
    Parameter,
    PriceState,
    Prompt,
    PromptFragment,
    Request,
    Response,
    Role,
    Within,
)
from ragmeter.domain.pausing import Pause, pausing
from ragmeter.domain.query import Ending, QueryHandle
from ragmeter.guard import Guard
from ragmeter.ledger.entries import QueryReport
from ragmeter.ledger.ledger import Ledger
from ragmeter.ledger.metering import Metered, meter_barely, meter_inference, meter_other
from ragmeter.money.price_updates import PriceUpdates
from ragmeter.money.pricebook import PriceBook
from ragmeter.naming import semconv
from ragmeter.reading.declaration import Reader
from ragmeter.settings import Settings
from ragmeter.telemetry.exceptions import log_exception
from ragmeter.telemetry.metrics import Telemetry
from ragmeter.telemetry.spans import Tracing
from ragmeter.telemetry.totals import OTHER
from ragmeter.wrapping.observation import PROCESS_EXIT
from ragmeter.wrapping.records import Item, Pieces, Record, Retrieved
from ragmeter.wrapping.scopes import Scopes

NOT_TUNED = False
"""What a model is taken for when nobody can tell."""

MOST_MODELS = 4_096
"""Models without a price that are named at once."""


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """A model without a known price, or what else a provider has billed, and how many operations it was used for."""

    provider: str
    model: str
    operations: int


Result = TypeVar("Result")


class Accounting:
    """Takes records and ended queries, one at a time, under the worker's lock."""

    def __init__(
        self,
        settings: Settings,
        guard: Guard,
        tracing: Tracing,
        telemetry: Telemetry,
        scopes: Scopes,
        *,
        pause: Pause,
    ) -> None:
        self._guard = guard
        self._tracing = tracing
        self.telemetry = telemetry
        self._pause = pause
        newer = settings.price_updates
        self._prices = PriceBook(
            settings.prices,
            builtin=settings.builtin_prices,
            fine_tuned=settings.fine_tuned,
            updates=None if newer is None else PriceUpdates(Path(newer), pause=pause),
            pause=pause,
        )
        self._scopes = scopes
        self._tenant_label = settings.tenant_label
        self.dissector = Dissector(exact=settings.exact_tokens is not False, pause=pause)
        self.ledger = Ledger(self._post, scopes.forget, pause)
        self.unpriced: Counter[tuple[str, str]] = Counter()

    def handle(self, item: Item) -> None:
        """Account for a finished call, a query the app has left or what it has retrieved; read a part of a stream."""
        self._handle(item, complete=True)

    def handle_slim(self, item: Item) -> None:
        """The same for what came without its texts, or when there is no time: nothing is looked for, nothing loaded."""
        self._handle(item, complete=False)

    def _handle(self, item: Item, *, complete: bool) -> None:
        match item:
            case QueryHandle():
                self._end_query(item)
            case Retrieved():
                self._take_in(item, complete=complete)
            case Pieces():
                with pausing(self._pause):
                    item.read()
            case Record():
                self._account(item, complete=complete)

    def tick(self) -> None:
        """Post the queries that have waited long enough, let go of texts that were held long enough."""
        self.ledger.expire(time.monotonic())
        self.dissector.memory.expire()

    def next_deadline(self) -> float | None:
        """When `tick` is due next, on the monotonic clock."""
        deadlines = (self.ledger.next_deadline(), self.dissector.memory.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def clear(self) -> None:
        """In a forked child: what was collected is the parent's."""
        self.ledger = Ledger(self._post, self._scopes.forget, self._pause)
        self.telemetry.totals.clear()
        self.unpriced.clear()

    def _account(self, record: Record, *, complete: bool) -> None:
        metered: Metered | None = None
        within: tuple[Metered, ...] = ()
        chunks: tuple[KnownChunk, ...] = ()
        try:
            with pausing(self._pause):
                operation = self._operation(record, complete=complete)
            labels = {**record.labels, **record.query.labels}
            tenant = self._tenant(labels)
            if complete:
                chunks = self._stage("remembering chunks", (), self._remember, operation, tenant)
            metered = self._meter(operation, record.query, tenant, complete=complete)
            if operation.response.within:
                meter = partial(self._within, metered, record.query, tenant, complete=complete)
                within = self._stage("metering what was made within a call", within, meter)
            for each in (metered, *within):
                self._count(each, record, labels)
        finally:
            self._stage("ending a span", None, self._end_span, record, metered, within)
            if metered is not None:
                # What a provider has retrieved itself it has put into the prompt as well: it is never unsent.
                own = () if any(each.answers for each in (metered, *within)) else chunks
                self.ledger.add(record.query, metered, record.labels, own, within)
            else:
                record.query.finished += 1

    def _within(self, around: Metered, query: QueryHandle, tenant: str, *, complete: bool) -> tuple[Metered, ...]:
        """What the provider has made within a call, as far as it can be read, each an operation of the same query."""
        given = gate.within(around.operation.response.within)
        found: list[Metered] = []
        while (told := self._stage("reading what was made within a call", None, _next, given)) is not None:
            operation = operation_within(around.operation, told)
            found.append(self._meter(operation, query, tenant, complete=complete, ingests=around.ingests))
        return tuple(found)

    def _count(self, metered: Metered, record: Record, labels: Mapping[str, str]) -> None:
        operation = metered.operation
        context = trace.set_span_in_context(record.current, Context())
        count = partial(self.telemetry.count_operation, standard=record.standard)
        self._stage("counting an operation", None, count, metered, context, labels)
        if record.standard and operation.error_type not in (None, PROCESS_EXIT):
            self._stage("logging an exception", None, log_exception, operation, context)
        if metered.cost.state is PriceState.UNPRICED:
            self._count_unpriced(operation.request.provider, _unpriced(operation))

    def _count_unpriced(self, provider: str, name: str) -> None:
        """Names come from outside: those beyond the first are counted together."""
        is_kept = (provider, name) in self.unpriced or len(self.unpriced) < MOST_MODELS
        self.unpriced[(provider, name) if is_kept else (OTHER, OTHER)] += 1

    def _stage(self, station: str, otherwise: Result, step: Callable[..., Result], *arguments: Any) -> Result:
        """One station of a record's way: when it fails, the others go on with what stands in for its result."""
        try:
            return step(*arguments)
        except Exception as error:
            self._guard.caught(station, error)
            return otherwise

    def _remember(self, operation: Operation, tenant: str) -> tuple[KnownChunk, ...]:
        is_distance = scores_are_distances(operation)
        named = named_chunks(operation)
        return self.dissector.remember(named, tenant, operation.request.collection, is_distance=is_distance)

    def _take_in(self, item: Retrieved, *, complete: bool) -> None:
        chunks: tuple[KnownChunk, ...] = ()
        try:
            if complete:
                tenant = self._tenant({**item.labels, **item.query.labels})
                with pausing(self._pause):
                    read = item.read(item.held)
                chunks = self.dissector.remember(read, tenant, is_distance=order_shows_distances(read))
        finally:
            self.ledger.add_chunks(item.query, chunks, item.labels)

    def _tenant(self, labels: Mapping[str, str]) -> str:
        """Whose texts these are: those of one tenant are never looked for in the prompts of another."""
        return "" if self._tenant_label is None else labels.get(self._tenant_label, "")

    def _operation(self, record: Record, *, complete: bool) -> Operation:
        reader, kind = record.reading.reader, record.request.kind.value
        # Reading is the integration's code: when it fails, time, error and span of the call are still worth having.
        response = self._stage(f"reading the answer of {kind}", Response(), self._response, record)
        prompt = Prompt()
        parameters: Mapping[str, Parameter] = {}
        if complete:
            sent = self._stage(f"reading the request of {kind}", None, reader.decode, record.sent)
            prompt = self._stage(f"reading the prompt of {kind}", prompt, _prompt, reader, sent)
            model = response.model or record.request.model
            prompt = self._stage("ordering a prompt", prompt, on_the_wire, prompt, record.request.provider, model)
            parameters = self._stage(f"reading the parameters of {kind}", parameters, _parameters, reader, sent)
        return Operation(
            request=record.request,
            response=response,
            prompt=prompt,
            started=record.started,
            duration=record.duration,
            parameters=parameters,
            time_to_first_chunk=record.time_to_first_chunk,
            time_per_output_chunk=_per_chunk(record, response.pieces),
            error_type=gate.name(record.error_type),
            is_refused=record.is_refused,
        )

    def _response(self, record: Record) -> Response:
        return gate.response(record.answer(), self._pause)

    def _meter(
        self, operation: Operation, query: QueryHandle, tenant: str, *, complete: bool, ingests: bool | None = None
    ) -> Metered:
        """One operation measured; `ingests` is given where the call that it was made within tells."""
        is_inference = operation.request.kind.is_inference
        own = self.ledger.own_chunks(query) if is_inference else ()
        find_card = partial(self._prices.card, operation, load=complete)
        card = self._stage("finding a price", None, find_card)
        weigher = self.dissector.weigher
        bare = partial(meter_barely, operation)
        if ingests or not is_inference:
            meter_rest = partial(meter_other, alone=query.ending is Ending.OPERATION, ingests=ingests)
            return self._stage("metering", None, meter_rest, operation, card, weigher) or bare()
        fine_tuned = self._stage("telling a fine-tuned model", NOT_TUNED, self._prices.is_fine_tuned, operation)
        # Without its anatomy a call is still counted and priced: all of its input is then in `other`.
        unread = Dissection(unread=operation.prompt.unread)
        dissection = self._stage("taking a prompt apart", unread, self.dissector.dissect, operation, own, tenant)
        meter = partial(meter_inference, fine_tuned=fine_tuned, pause=self._pause)
        return self._stage("metering", None, meter, operation, dissection, card, weigher) or bare()

    def _end_span(self, record: Record, metered: Metered | None, within: tuple[Metered, ...]) -> None:
        if record.span is None:
            return
        if metered is None:
            record.span.end(record.started + int(record.duration * 1e9))
        else:
            for each in within:
                self._stage("adding a span", None, self._tracing.add_span, record.span, each)
            self._tracing.end_span(record.span, metered)

    def _end_query(self, handle: QueryHandle) -> None:
        self.ledger.end(handle)
        # Posting a query ends its span; here are those that were posted while they were open, or had no call at all.
        span, is_complete = handle.span, handle.finished >= len(handle.begun)
        if isinstance(span, trace.Span) and span.is_recording() and is_complete and (handle.posted or not handle.begun):
            attributes = {semconv.STRATEGY: handle.strategy}
            self._tracing.end_query(span, handle.ended or time.time_ns(), attributes, handle.error_type)

    def _post(self, report: QueryReport) -> None:
        self._stage("counting a query", None, self.telemetry.count_query, report, _context_of(report))
        span = report.handle.span
        if isinstance(span, trace.Span) and span.is_recording() and report.handle.ended is not None:
            self._tracing.end_query(span, report.handle.ended, _query_attributes(report), report.error_type)


def operation_within(around: Operation, told: Within) -> Operation:
    """An operation that the provider has made within another: all that is known of it, at the time of that one.

    What the call's own provider made it made where, and at the tier at which, it served the call.
    """
    asked, served = around.request, around.response
    is_own = told.provider in (None, asked.provider)
    request = Request(told.kind, told.provider or asked.provider, told.model)
    response = Response(told.model, usage=told.usage)
    if is_own:
        request = replace(
            request,
            server_address=asked.server_address,
            server_port=asked.server_port,
            service_tier=asked.service_tier,
            speed=asked.speed,
        )
        response = replace(
            response, service_tier=served.service_tier, speed=served.speed, inference_geo=served.inference_geo
        )
    texts = told.texts if told.kind.means.embeds else ()
    prompt = Prompt(tuple([PromptFragment(Role.USER, text) for text in texts]))
    return Operation(request, response, prompt, around.started, around.duration, is_within=True, shares_request=is_own)


def _parameters(reader: Reader, sent: Any) -> Mapping[str, Parameter]:
    return gate.parameters(reader.parameters(sent))


def _prompt(reader: Reader, sent: Any) -> Prompt:
    return gate.prompt(reader.prompt(sent))


def _next(given: Iterator[Within]) -> Within | None:
    return next(given, None)


def _per_chunk(record: Record, pieces: int) -> float | None:
    """The mean time from one piece of a stream to the next; no clock is read for each, which the app would wait for."""
    first, end = record.time_to_first_chunk, record.time_to_end
    return None if first is None or end is None or pieces < 2 else (end - first) / (pieces - 1)


def _unpriced(operation: Operation) -> str:
    """What has no price: a model, else the units that were billed."""
    usage = operation.response.usage
    return operation.model or ", ".join(usage.units if usage is not None else ()) or "unknown"


def _context_of(report: QueryReport) -> Context | None:
    span = report.handle.span
    return trace.set_span_in_context(span) if isinstance(span, trace.Span) else None


def _query_attributes(report: QueryReport) -> Mapping[str, str | int | float | None]:
    return {
        semconv.STRATEGY: report.strategy,
        semconv.COST_AMOUNT: report.cost,
        semconv.COST_CURRENCY: None if report.cost is None else "USD",
        semconv.QUERY_OPERATIONS: len(report.operations) or None,
    }
