"""Promise 2 of the contract: an error of ours leaves the app's call as it is, is logged once a place, and counted."""

from __future__ import annotations

import importlib
import itertools
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import SpanProcessor

from clients.blanks import ClientBlanks, both_kinds, chunks_of, entering, finished, our_lines, plain
from ragmeter.reading.declaration import (
    Call,
    Generated,
    Integration,
    Outcome,
    Reading,
    Receiving,
    Sending,
    Target,
    Unread,
)
from ragmeter.wrapping import observation, observing, wrappers
from wire import Wire


class OurError(Exception):
    """What a reader of ours raises in these tests; its message is the prompt, as it may be in reality."""


def fail(*_: Any) -> Any:
    raise OurError("SENTINEL-QUESTION")


def in_reading(**changes: Any) -> Callable[[Target], Target]:
    """A target whose readings are changed."""

    def broken(target: Target) -> Target:
        def read(call: Call) -> Reading | None:
            reading = target.read(call)
            return reading and replace(reading, **changes)

        return replace(target, read=read)

    return broken


def in_reader(part: str) -> Callable[[Target], Target]:
    """A target one part of whose reader fails."""

    def broken(target: Target) -> Target:
        def read(call: Call) -> Reading | None:
            reading = target.read(call)
            return reading and replace(reading, reader=replace(reading.reader, **{part: fail}))

        return replace(target, read=read)

    return broken


def _in_body(target: Target) -> Target:
    def outcome(result: Any) -> Outcome:
        found = target.outcome(result)
        return replace(found, body=fail) if isinstance(found, Unread) else found

    return replace(target, outcome=outcome)


BREAKS: dict[str, Callable[[Any], Any]] = {
    "read": lambda target: replace(target, read=fail),
    "read-nonsense": lambda target: replace(target, read=lambda call: object()),
    "outcome": lambda target: replace(target, outcome=fail),
    "outcome-nonsense": lambda target: replace(target, outcome=lambda result: None),
    "outcome-no-generator": lambda target: replace(target, outcome=lambda result: Generated(object())),
    "asked": lambda target: replace(target, asked=fail),
    "body": _in_body,
    "response": in_reader("response"),
    "prompt": in_reader("prompt"),
    "pieces": in_reader("pieces"),
    "hold": in_reader("hold"),
    "is_extra": in_reader("is_extra"),
    "decode": in_reader("decode"),
    "parameters": in_reader("parameters"),
    "take": lambda target: replace(target, take=fail),
}
"""How a reader can fail, by name."""


def break_integration(monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[[Target], Target]) -> None:
    """Let every target of an integration fail, until the test ends."""
    module = importlib.import_module(f"ragmeter.reading.clients.{name}")
    integration: Integration = module.INTEGRATION
    kinds = (Sending, Receiving) if broken is BREAKS["take"] else (Target,)
    targets = tuple(broken(target) if isinstance(target, kinds) else target for target in integration.targets)
    monkeypatch.setattr(module, "INTEGRATION", replace(integration, targets=targets))


class OddError(BaseException):
    """An exception of the app's own, which raises another when it is looked at."""

    @property
    def status_code(self) -> int:
        """What clients' errors have."""
        raise ValueError


def interrupted(call: Callable[[], Any], moment: int) -> bool:
    """Whether a call was interrupted, at the line of ours that is as many lines away, as by a signal's handler."""
    lines = itertools.count()

    def at_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and next(lines) == moment:
            raise KeyboardInterrupt
        return at_line

    def at_call(frame: FrameType, *_: Any) -> Any:
        ours = (wrappers.__file__, observing.__file__, observation.__file__)
        return at_line if frame.f_code.co_filename in ours else None

    tracer = sys.gettrace()
    sys.settrace(at_call)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(tracer)
    return False


def failing(*_: Any, **__: Any) -> Any:
    """Stands for a transport of the app's own."""
    raise OddError


class Faults(ClientBlanks):
    """Every part of an integration fails, and the app does not notice."""

    @both_kinds
    @pytest.mark.parametrize("name", BREAKS)
    async def test_a_failing_reader_harms_no_call(self, watch, asynchronous, monkeypatch, caplog, name):
        """Whatever part of a reader raises: answers, streams and raw responses are the same, said once, counted."""
        break_integration(monkeypatch, self.library, BREAKS[name])

        async def scenario(client: Any) -> Any:
            answers = [plain(await self.ask(client))]
            raw = await finished(self.method(client, "with_raw_response")(**self.question))
            answers.append(plain(await finished(raw.parse())))
            async with entering(self.method(client, "with_streaming_response")(**self.question)) as unread:
                answers.append(plain(await finished(unread.parse())))
            return answers, await chunks_of(await self.ask(client, stream=True))

        answers = (self.whole(), self.whole(), self.whole(), self.stream())
        asks = name == "is_extra"
        seen, told = await self.compared(
            watch,
            scenario,
            *answers,
            asynchronous=asynchronous,
            same_request=not asks,
            loud=False,
            stream_usage=asks,
        )
        assert len(told) == 2
        everything = seen.everything() + "".join(our_lines(caplog.records))
        assert "SENTINEL-QUESTION" not in everything
        if asks and not self.asks_for_usage:
            return
        lines = our_lines(caplog.records)
        assert len(lines) == len(set(lines)) >= 1
        assert all("ragmeter failed" in line for line in lines)
        assert seen.total("ragmeter.internal.errors") >= 1

    @both_kinds
    async def test_a_reader_that_fails_still_leaves_an_operation(self, watch, asynchronous, monkeypatch):
        """When the answer cannot be read, the call still counts, with its time and without tokens."""
        break_integration(monkeypatch, self.library, BREAKS["response"])

        async def scenario(client: Any) -> Any:
            return plain(await self.ask(client))

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=asynchronous, loud=False)
        assert seen.operations() == 1
        assert seen.metric("gen_ai.client.token.usage") == {}

    async def test_a_failing_span_processor_of_the_app_costs_no_operation(self, watch):
        """A processor, an exception or a log handler of the app's that fails in our hands harms and loses nothing."""

        class Failing(SpanProcessor):
            def on_start(self, span: Any, parent_context: Any = None) -> None:
                raise ValueError

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise ValueError

        handler = Handler()
        logging.getLogger("ragmeter").addHandler(handler)
        try:
            with Wire(self.whole()) as wire:
                bare = await self.told(self.ask, wire.url, asynchronous=False)
                seen = self.watched(watch, loud=False)
                seen.tracer_provider.add_span_processor(Failing())
                assert await self.told(self.ask, wire.url, asynchronous=False) == bare
                client = self.client(wire.url)
                request = client._client.send
                client._client.send = failing
                with pytest.raises(OddError):
                    await self.ask(client)
                client._client.send = request
                client.close()
            assert seen.operations() == 2
            assert seen.total("ragmeter.queries") == 2
        finally:
            logging.getLogger("ragmeter").removeHandler(handler)

    async def test_a_signal_at_any_moment_leaves_the_context_as_it_was(self, watch):
        """What a signal raises between any two lines of ours comes through, and the context is the one before."""
        self.watched(watch)
        with Wire(self.whole()) as wire:
            client = self.client(wire.url)
            await self.ask(client)
            before = otel_context.get_current()
            moments = 0
            while interrupted(lambda: self.method(client)(**self.question), moments):
                assert otel_context.get_current() == before, f"after line {moments}"
                moments += 1
            client.close()
        assert moments > 50

    async def test_one_integration_that_cannot_be_loaded_costs_no_other(self, watch, monkeypatch, caplog):
        """An integration that cannot even be loaded is said and counted; the others work."""
        others = [name for name in ("openai", "groq", "together", "anthropic") if name != self.library]
        module = importlib.import_module(f"ragmeter.reading.clients.{others[0]}")
        monkeypatch.delattr(module, "INTEGRATION")

        async def scenario(client: Any) -> Any:
            return plain(await self.ask(client))

        seen, _ = await self.compared(watch, scenario, self.whole(), asynchronous=False, loud=False)
        assert seen.operations() == 1
        assert len(our_lines(caplog.records)) == 1
