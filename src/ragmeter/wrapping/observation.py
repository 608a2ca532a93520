"""One call from its start to its end, however that comes; and what goes over the wire meanwhile."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from ragmeter.domain.by_identity import ByIdentity
from ragmeter.domain.model import Request, Response
from ragmeter.guard import Guard
from ragmeter.reading.declaration import Call, Complete, Generated, Reading, Streamed, Target, Unread
from ragmeter.reading.errors import error_type_of, is_refusal
from ragmeter.reading.leaves import leaves_of
from ragmeter.reading.shapes.fields import size_of
from ragmeter.wrapping.bodies import HeardBody
from ragmeter.wrapping.exchange import IN_PROGRESS, Exchange
from ragmeter.wrapping.generators import Steps, handed_on
from ragmeter.wrapping.records import Answer, Pieces, Record, no_answer
from ragmeter.wrapping.scopes import Scopes
from ragmeter.wrapping.streams import StreamReading, read_on_the_way
from ragmeter.wrapping.under_way import UnderWay

NO_CALL = Call(None, (), {})
"""In place of the app's arguments once the call is over: an observation may live as long as a stream."""

NO_CONTEXT = Context()
"""The same for the app's context, and all that it has put there."""

PROCESS_EXIT = "process_exit"
"""Error type of a call that was under way when the process ended.

Nothing was raised, so it is no exception's name: `SystemExit` would say that the program called `sys.exit()`, and that
its call has seen it.
"""


Moment = tuple[int, float]
"""A time in nanoseconds since the epoch, and what the clock for durations showed then."""


def now() -> Moment:
    """The time."""
    return time.time_ns(), time.perf_counter()


class Host(Protocol):
    """What an observation is made by: it starts spans, knows the queries and takes finished records."""

    guard: Guard
    scopes: Scopes
    under_way: UnderWay

    @property
    def sink(self) -> Callable[[Record | Pieces], None]:
        """Where finished records go, and what is read of streams before they are over."""

    def start_span(self, request: Request, started: int, parent: Context) -> tuple[Span | None, Context]:
        """A span for `request`, or none where another instrumentation has already started one."""


class Observation:
    """One call from its start to its end, however that comes: `enter`, then `leave` and `returned`, or `raised`."""

    def __init__(
        self,
        observer: Host,
        target: Target,
        call: Call,
        *,
        reading: Reading,
        request: Request,
        parent: Context,
        hides_extra: bool = False,
        began: Moment | None = None,
    ) -> None:
        self._observer = observer
        self._target = target
        self._reading = reading
        self._request = request
        self._hides_extra = hides_extra
        self.call = call
        # What is the integration's comes first: when it fails, there is nothing to be taken back.
        self._exchange = Exchange(target, call, reading, request)
        self._started, self._clock = began or now()
        self._span, context = observer.start_span(request, self._started, parent)
        self._query, self._labels = observer.scopes.enter(parent)
        self._current = trace.get_current_span(parent) if self._span is None else self._span
        self._answer_size = 0
        self._parent = parent
        self._context = otel_context.set_value(IN_PROGRESS, self._exchange, context)
        self._marks = NO_CONTEXT
        # A list with one element: `pop` is atomic, so whoever comes first finishes the call.
        self._unfinished = [True]
        self._body: HeardBody | None = None
        self._forgotten: weakref.finalize[Any, Any] | None = None
        self._stream: StreamReading | None = None

    def enter(self) -> None:
        """The client's own call begins: its context is current until `leave`."""
        self._exchange.mark = self._observer.under_way.add(self)
        otel_context.attach(self._context)

    def begin_told(self) -> Exchange:
        """The call is not made in a context of ours: events tell of it."""
        self._exchange.mark = self._observer.under_way.add(self)
        self._exchange.is_told = True
        self._let_go()
        return self._exchange

    def leave(self) -> None:
        """It has ended, and the context is what it was."""
        # Whoever has put another context in the place of ours, takes it away. A coroutine may be closed from another.
        # Not by a token, for a signal can come before it is stored, and is swallowed where one is given back.
        if otel_context.get_current() is self._context:
            otel_context.attach(self._parent)

    def enter_step(self) -> None:
        """One step of a generator begins, in whatever context the app asks for it: ours is around it until `leave`."""
        self._parent = around = otel_context.get_current()
        self._context = Context({**around, **self._marks}) if around else self._marks
        otel_context.attach(self._context)

    def leave_step(self) -> None:
        """The step has ended: between two of them nothing of ours is in the app's context, nor its context kept."""
        if otel_context.get_current() is self._context:
            otel_context.attach(self._parent)
        self._context = self._parent = NO_CONTEXT

    def _let_go(self) -> None:
        self.call, self._context, self._parent = NO_CALL, NO_CONTEXT, NO_CONTEXT

    def raised(self, error: BaseException) -> None:
        """The call, or a signal on the way, has raised what goes on to the app."""
        self.leave()
        self._let_go()
        # What the client made of an answer may raise although the answer has come, and was paid.
        received = self._exchange.received
        self.finish(no_answer if received is None else self._answer(received), error)

    def _answer(self, taken: object) -> Answer:
        self._answer_size = size_of(taken)
        return partial(_read, self._reading, taken)

    def returned(self, result: Any) -> Any:
        """The client's call has returned `result`: what goes on to the app, the same but for a generator."""
        self._let_go()
        try:
            return self._target.outcome(result).passed_on(self, result)
        except Exception as error:
            self.finish(no_answer, None)
            self._observer.guard.caught("reading an answer", error)
            return result

    def steps(self, generator: Any = None) -> Steps:
        """The call is a generator whose first step begins: each step is made in a context of ours."""
        around = self._parent
        self._marks = Context({name: value for name, value in self._context.items() if around.get(name) is not value})
        self._let_go()
        self._exchange.mark = self._observer.under_way.add(self)
        steps = self._read_steps()
        steps.enter, steps.leave, steps.generator = self.enter_step, self.leave_step, generator
        return steps

    def resumed(self, outcome: Any) -> None:
        """The raw response on which this observation travelled is now read as a stream."""
        if self._body is None:
            return
        self._body.let_go()
        self._body = None
        try:
            self.follow(outcome)
        except Exception:
            self.unanswered()
            raise

    def complete(self, outcome: Complete) -> None:
        """The whole answer is there."""
        hold, received = self._reading.reader.hold, self._exchange.received
        taken = received if hold is leaves_of and received is not None else hold(outcome.value)
        self.finish(self._answer(taken), None)

    def follow(self, outcome: Streamed) -> None:
        """The answer is a stream object, which stays what the app gets."""
        read_on_the_way(outcome, self._new_stream())

    def generate(self, outcome: Generated) -> Any:
        """The answer comes out of a generator, in the place of which another one goes to the app."""
        steps = self._read_steps()
        return handed_on(outcome.generator, lambda: steps)

    def _read_steps(self) -> Steps:
        stream = self._new_stream()
        return Steps(stream.took, stream.end)

    def _new_stream(self) -> StreamReading:
        stream: StreamReading

        def finish(error: BaseException | None) -> None:
            self._answer_size = stream.kept
            self.finish(stream.fold, error, stream.first, stream.last)

        def ahead(read: Answer, size: int) -> None:
            self._observer.sink(Pieces(read, size))

        reader, guard = self._reading.reader, self._observer.guard
        stream = StreamReading(reader, guard, finish, ahead=ahead, hides_extra=self._hides_extra)
        self._stream = stream
        return stream

    @property
    def is_unread(self) -> bool:
        """Whether the answer is in a body that has not been read to its end."""
        return self._body is not None

    def carry(self, outcome: Unread) -> None:
        """The answer is in a body that nobody has read yet."""
        carrier = outcome.carrier
        self._exchange.let_go()
        earlier = TRAVELLING.get(carrier)
        if earlier is not None and earlier.is_unread:
            # A call inside this one has returned it, or an earlier one that was answered from a cache since: what is
            # read of it is that one's answer.
            self.unanswered()
            return
        try:
            self._forgotten = weakref.finalize(carrier, self.forgotten)
        except TypeError:
            # Nobody would say when it is forgotten.
            self.unanswered()
            return
        self._forgotten.atexit = False
        self._body = HeardBody(carrier, self._finish_unread)
        TRAVELLING.put(carrier, self)
        self._body.hear(replace(outcome, body=partial(self._body_in, outcome.body)))

    def _body_in(self, body: Callable[[Any], object], carrier: Any) -> object:
        try:
            return body(carrier)
        except Exception as error:
            # The app is in the middle of its own reading.
            self._observer.guard.caught("reading a body", error)
            return None

    def _finish_unread(self, body: object, error: BaseException | None) -> None:
        self.finish(no_answer if body is None else self._answer(body), error)

    def forgotten(self) -> None:
        """The body is gone, and nobody has read it to its end."""
        if self._body is not None:
            self._body.over()

    def unanswered(self) -> None:
        """Nobody tells any more how the call ends."""
        self.finish(no_answer, None)

    def finish(
        self, answer: Answer, error: BaseException | None, first: float | None = None, last: float | None = None
    ) -> None:
        """Hand the call over to the worker, the first time this is called."""
        if not self._is_unfinished():
            return
        try:
            if self._exchange.only_passed_on:
                self._step_aside()
            elif error is None:
                self._hand_over(answer, first=first, last=last)
            else:
                self._hand_over(answer, error_type_of(error), is_refused=self._is_refusal(error), first=first)
        except Exception as failure:
            self._observer.guard.caught("handing over a call", failure)
        finally:
            self._stream = self._body = None
            if self._forgotten is not None:
                self._forgotten.detach()
            self._exchange.empty()
            self._observer.under_way.discard(self._exchange.mark)

    def cut_off(self) -> None:
        """The process ends: be counted now if the request has gone out, and not once more later.

        A stream ends with what it has given, as when the app lets go of it. Of what is not wired nobody sees when its
        request goes out: its call has begun with it.
        """
        try:
            if self._stream is not None:
                self._stream.end()
            elif self._body is not None:
                self._body.over()
            elif (self._exchange.was_sent or not self._exchange.is_wired) and self._is_unfinished():
                self._observer.under_way.discard(self._exchange.mark)
                # The exchange stays: what the call still makes on its way is no call of its own.
                received = self._exchange.received
                if received is None:
                    self._hand_over(no_answer, PROCESS_EXIT)
                else:
                    self._hand_over(self._answer(received))
        except Exception as failure:
            self._observer.guard.caught("handing over a call", failure)

    def leave_to_parent(self) -> None:
        """In a forked child: the call goes on in the parent, and is counted there."""
        if self._is_unfinished():
            self._query.begun.pop()
        self._exchange.empty()

    def _is_unfinished(self) -> bool:
        """Whether it was, until now."""
        try:
            return self._unfinished.pop()
        except IndexError:
            return False

    def _hand_over(
        self,
        answer: Answer,
        error_type: str | None = None,
        *,
        is_refused: bool = False,
        first: float | None = None,
        last: float | None = None,
    ) -> None:
        duration = time.perf_counter() - self._clock
        exchange = self._exchange
        record = Record(
            request=self._request,
            reading=self._reading,
            span=self._span,
            current=self._current,
            query=self._query,
            labels=self._labels,
            started=self._started,
            duration=duration,
            sent=exchange.sent,
            answer=answer,
            sent_size=size_of(exchange.sent),
            answer_size=self._answer_size,
            time_to_first_chunk=None if first is None else first - self._clock,
            time_to_end=None if last is None else last - self._clock,
            error_type=error_type,
            is_refused=is_refused,
        )
        self._observer.sink(record)

    def _is_refusal(self, error: BaseException) -> bool:
        try:
            return is_refusal(error)
        except Exception as failure:
            # An attribute of the app's own exception may raise: what is counted of the call does not hang on it.
            self._observer.guard.caught("reading an error", failure)
            return False

    def _step_aside(self) -> None:
        """The call that was made inside of this one is the operation; this one is no second."""
        self._query.begun.pop()
        if self._span is not None:
            self._span.end()


def _read(reading: Reading, taken: object) -> Response:
    return reading.reader.response(reading.reader.decode(taken))


TRAVELLING: ByIdentity[Observation] = ByIdentity()
"""Calls by the object on which they travel to where their body is read: that may be after `uninstrument()`."""
