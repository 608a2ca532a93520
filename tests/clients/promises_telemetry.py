"""Promise 4 of the contract: metrics depend neither on sampling nor on content, and no text leaves the process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import ragmeter
from clients.blanks import ClientBlanks, both_kinds, chunks_of, finished, first_of, our_lines
from telemetry_seen import Seen, without_host
from wire import Wire, cut_off, whole

SENTINELS = ("SENTINEL-QUESTION", "SENTINEL-SYSTEM", "SENTINEL-ANSWER", "SENTINEL-ERROR")


class TelemetryPromises(ClientBlanks):
    """What is reported, and what never is."""

    async def play(self, url: str, *, asynchronous: bool) -> None:
        """All kinds of calls: answered, streamed, failed, cut, raw, left early."""
        client = self.client(url, asynchronous=asynchronous)

        async def whole_call() -> None:
            await self.ask(client)

        async def raw_call() -> None:
            await finished(self.method(client, "with_raw_response")(**self.question))

        async def read_stream() -> None:
            await chunks_of(await self.ask(client, stream=True))

        async def leave_stream() -> None:
            stream = await self.ask(client, stream=True)
            await first_of(stream)
            await finished(stream.close())

        for step in (whole_call, raw_call, whole_call, read_stream, read_stream, leave_stream):
            try:
                with ragmeter.query(name="step"):
                    await step()
            except Exception:  # noqa: BLE001
                continue
        await finished(client.close())

    def answers(self) -> tuple[Any, ...]:
        """What the provider gives in `play`."""
        failed = whole({"error": {"message": "SENTINEL-ERROR", "type": "server_error"}}, 500)
        return self.whole(), self.whole(), failed, self.stream(), cut_off(self.stream(), 2), self.stream()

    async def played(self, watch: Callable[..., Seen], *, asynchronous: bool, **settings: Any) -> Seen:
        seen = self.watched(watch, **settings)
        with Wire(*self.answers()) as wire:
            await self.play(wire.url, asynchronous=asynchronous)
        return seen

    @both_kinds
    async def test_metrics_do_not_depend_on_sampling(self, watch, asynchronous):
        """With a sampler that drops every span, every metric has the same points with the same values."""
        sampled = await self.played(watch, asynchronous=asynchronous, sampler=ALWAYS_ON)
        with_spans = without_host(sampled.metrics())
        assert len(sampled.spans()) == 12
        ragmeter.uninstrument()
        dropped = await self.played(watch, asynchronous=asynchronous, sampler=ALWAYS_OFF)
        assert without_host(dropped.metrics()) == with_spans
        assert dropped.spans() == ()
        assert dropped.operations() == 6
        assert dropped.total("ragmeter.queries") == 6

    @both_kinds
    async def test_metrics_do_not_depend_on_content(self, watch, asynchronous):
        """Capturing content changes no metric, and shows the texts on the spans alone."""
        without = await self.played(watch, asynchronous=asynchronous)
        metrics = without_host(without.metrics())
        ragmeter.uninstrument()
        captured = await self.played(watch, asynchronous=asynchronous, capture_content=True)
        assert without_host(captured.metrics()) == metrics
        assert "SENTINEL-QUESTION" in captured.everything()
        assert "SENTINEL-ANSWER" in captured.everything()
        assert "SENTINEL" not in repr(captured.metrics())

    @both_kinds
    async def test_no_text_is_reported_unless_asked(self, watch, asynchronous, caplog):
        """Neither prompt nor answer nor error message is in any span, metric or log line of ours."""
        with caplog.at_level(logging.DEBUG):
            seen = await self.played(watch, asynchronous=asynchronous)
            reported = seen.everything() + "".join(our_lines(caplog.records))
        assert [sentinel for sentinel in SENTINELS if sentinel in reported] == []

    @both_kinds
    async def test_how_fast_a_stream_comes_is_told(self, watch, asynchronous):
        """The time between chunks fits into the stream that was read to its end; one that was left early has none."""
        seen = self.watched(watch)
        with Wire(self.stream(), self.stream()) as wire:
            client = self.client(wire.url, asynchronous=asynchronous)
            await chunks_of(await self.ask(client, stream=True))
            left = await self.ask(client, stream=True)
            await first_of(left)
            await finished(left.close())
            await finished(client.close())
        (between,) = seen.metric("gen_ai.client.operation.time_per_output_chunk").values()
        assert between.count == 1
        span = seen.spans()[0]
        lasted = (span.end_time - span.start_time) / 1e9
        assert 0 < between.total <= lasted - span.attributes["gen_ai.response.time_to_first_chunk"]

    @both_kinds
    async def test_spans_and_metrics_agree(self, watch, asynchronous):
        """The tokens on the spans, in the standard metric and in ours are the same, summed over all kinds of calls."""
        seen = await self.played(watch, asynchronous=asynchronous)
        calls = [
            dict(span.attributes or {}) for span in seen.spans() if "gen_ai.operation.name" in (span.attributes or {})
        ]
        assert len(calls) == 6
        for position, kind in enumerate(("input", "output")):
            on_spans = sum(call.get(f"gen_ai.usage.{kind}_tokens", 0) for call in calls)
            assert on_spans == self.tokens_told(seen)[position] >= 3 * self.tokens[position]
        cost = sum(call.get("ragmeter.cost.amount", 0.0) for call in calls)
        assert abs(sum(seen.metric("ragmeter.cost.usd").values()) - cost) < 1e-12
