"""The nine points of the contract for one kind of outcome, kept with a fake client: what a real one will rely on.

A class derives from `OutcomeContract`, names the module of its fake client, and says how that is used.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import fakes
import ragmeter
import ragmeter.wrapping
from clients.blanks import both_kinds, collect, our_lines
from clients.promises_faults import BREAKS, fail, in_reader, in_reading
from clients.promises_memory import MOST_LEFT, ours, thread_names
from clients.promises_results import OTHERS, SUPPRESSING
from clients.promises_switching import originals
from ragmeter.reading.declaration import Hook, Integration, Receiving, Sending, Target
from telemetry_seen import Seen, without_host

Scenario = Callable[[Any], Awaitable[Any]]
"""What an app does with a client: a coroutine whose result can be compared."""

WRAPPING = str(Path(ragmeter.wrapping.__file__).parent)
TESTS = Path(__file__).parent.parent
AT: list[tuple[str, int]] = []
"""Where calls were interrupted."""

ALL_BREAKS = {**BREAKS, "piece": in_reader("take"), "with_usage": in_reading(with_usage=fail)}
"""How a reader can fail, with what no client of today makes use of in every test."""

ROUNDS = 15
THREADS, CALLS = 6, 4

BEGIN = """
import asyncio, importlib, os, sys, threading, time
import fakes, ragmeter
from telemetry_seen import Seen
contract = getattr(importlib.import_module({module!r}), {name!r})()
fakes.put_module({fake!r})
def ask(asynchronous=False):
    client = contract.client(asynchronous=asynchronous)
    return [asyncio.run(scenario(client)) for scenario in contract.forms().values()]
"""

FORK = """
seen = Seen()
ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
calls = len(ask())
assert contract.operations(seen) == calls
child = os.fork()
if child == 0:
    ask(), ask(True)
    os._exit(17 if contract.counted(seen) == 2 * calls else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
ask()
assert contract.operations(seen) == 2 * calls
print("right")
"""

EXIT = """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
reader = PeriodicExportingMetricReader(ConsoleMetricExporter(), export_interval_millis=3_600_000)
ragmeter.instrument(meter_provider=MeterProvider([reader]))
ask()
"""

LATE = """
import importlib
sys.modules.pop({fake!r})
seen = Seen()
ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
assert {fake!r} not in sys.modules, "ragmeter has imported the client"
calls = len(ask())
assert contract.operations(seen) == calls
print("right")
"""


async def turns() -> None:
    """Let the event loop go round as often as any generator takes that it closes by itself."""
    for _ in range(100):
        await asyncio.sleep(0)


class OutcomeContract:
    """The blanks: a fake client, the ways to take its answer, and the ways to leave it."""

    fake: ClassVar[str]
    tokens: ClassVar[tuple[int, int]] = (40, 9)

    def client(self, *, asynchronous: bool, **options: Any) -> Any:
        """A client of the fake; also the module's own after it was imported anew."""
        return getattr(importlib.import_module(self.fake), "AsyncClient" if asynchronous else "Client")(**options)

    def standing(self) -> dict[str, Any]:
        """What stands at the targets now, by identity."""
        return {path: id(found) for path, found in originals(self.integration).items()}

    def operations(self, seen: Seen) -> float:
        """How many calls were counted."""
        return seen.operations()

    def counted(self, seen: Seen) -> float:
        """The same where others have timed them."""
        return seen.total("ragmeter.operations")

    def call_span(self, seen: Seen) -> Mapping[str, Any]:
        """The attributes of the span of the only call."""
        return seen.span()

    @property
    def all_tokens(self) -> int:
        """Tokens of one call, and of all that was made within it."""
        return sum(self.tokens)

    def forms(self) -> dict[str, Scenario]:
        """Every way to ask and take all of the answer: one operation each, with `tokens`."""
        raise NotImplementedError

    def endings(self) -> dict[str, Scenario]:
        """Every way to leave an answer before its end, or to fail: one operation each."""
        raise NotImplementedError

    def answer_methods(self) -> tuple[str, ...]:
        """The methods of the client that are wrapped."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def fake_is_there(self) -> Iterator[None]:
        """The integration stands among the others for as long as a test takes."""
        put = fakes.put_module(self.fake)
        yield
        ragmeter.uninstrument()
        put.take_back()

    @property
    def integration(self) -> Integration:
        return importlib.import_module(self.fake).INTEGRATION  # type: ignore[no-any-return]

    async def told(self, scenario: Scenario, *, asynchronous: bool, **options: Any) -> Any:
        """What the app gets of a scenario, or its error, and what has happened in the client, in order."""
        client = self.client(asynchronous=asynchronous, **options)
        try:
            result = await scenario(client)
        except BaseException as error:  # noqa: BLE001
            result = type(error), str(error)
        collect()
        await turns()
        return result, client.happened

    async def compared(
        self, watch: Callable[..., Seen], scenario: Scenario, *, asynchronous: bool, **settings: Any
    ) -> tuple[Seen, Any]:
        """Play a scenario without ragmeter and with it: the same must come of it."""
        bare = await self.told(scenario, asynchronous=asynchronous)
        seen = watch(**settings)
        told = await self.told(scenario, asynchronous=asynchronous)
        assert told == bare
        return seen, told

    def all_forms(self) -> Scenario:
        async def each(client: Any) -> Any:
            return [await scenario(client) for scenario in self.forms().values()]

        return each

    # 1: the app gets the same

    @both_kinds
    async def test_an_answer_is_the_same_and_counted(self, watch, asynchronous):
        """However the app takes an answer, it gets what it gets without us, and each call is one operation."""
        for form, scenario in self.forms().items():
            seen, _ = await self.compared(watch, scenario, asynchronous=asynchronous)
            assert self.operations(seen) == 1, form
            assert seen.total("ragmeter.queries") == 1, form
            assert seen.total("ragmeter.tokens") == self.all_tokens, form
            span = self.call_span(seen)
            assert (span["gen_ai.usage.input_tokens"], span["gen_ai.usage.output_tokens"]) == self.tokens, form
            ragmeter.uninstrument()

    @both_kinds
    async def test_the_context_is_the_apps_own(self, watch, asynchronous):
        """Between our steps and afterwards nothing of ours is in the app's context; the client's own steps have it."""
        watch()
        before = otel_context.get_current()
        for scenario in (*self.forms().values(), *self.endings().values()):
            await self.told(scenario, asynchronous=asynchronous)
            assert otel_context.get_current() is before

    # 2: our errors

    @both_kinds
    @pytest.mark.parametrize("name", ALL_BREAKS)
    async def test_a_failing_reader_harms_no_call(self, watch, asynchronous, monkeypatch, caplog, name):
        """Whatever part of a reader raises, the app gets the same, and each of our errors is said once and counted."""
        kinds = (Sending, Receiving) if name == "take" else (Target,)
        broken = [broken_one(each, ALL_BREAKS[name], kinds) for each in self.integration.targets]
        changed = replace(self.integration, targets=tuple(broken))
        monkeypatch.setattr(sys.modules[f"ragmeter.reading.clients.{self.fake}"], "INTEGRATION", changed)
        asks = name in ("is_extra", "with_usage")
        seen, _ = await self.compared(watch, self.all_forms(), asynchronous=asynchronous, loud=False, stream_usage=asks)
        everything = seen.everything() + "".join(our_lines(caplog.records))
        assert "SENTINEL-QUESTION" not in everything
        assert len(our_lines(caplog.records)) == len(set(our_lines(caplog.records)))

    @both_kinds
    async def test_a_call_that_cannot_be_begun_leaves_no_span_open(self, watch, asynchronous, monkeypatch):
        """Where a reader fails as a call begins, no span was started that nobody would end."""
        broken = [broken_one(each, BREAKS["asked"], (Target,)) for each in self.integration.targets]
        changed = replace(self.integration, targets=tuple(broken))
        monkeypatch.setattr(sys.modules[f"ragmeter.reading.clients.{self.fake}"], "INTEGRATION", changed)
        seen, spans = watch(loud=False), OpenSpans()
        seen.tracer_provider.add_span_processor(spans)
        await self.told(self.all_forms(), asynchronous=asynchronous)
        assert ragmeter.flush(10)
        assert spans.open == 0

    async def test_a_signal_at_any_moment_leaves_the_context_as_it_was(self, watch):
        """What a signal raises between any two lines of ours comes through, and the context is the one before."""
        watch()
        client = self.client(asynchronous=False)
        before, moments = otel_context.get_current(), 0
        for scenario in self.forms().values():
            moment = 0
            while interrupted(lambda: self.played_out(scenario, client), moment):  # noqa: B023
                assert otel_context.get_current() is before, f"after line {moment}: {AT[-1]}"
                moment += 1
            moments += moment
        assert moments > 50

    def played_out(self, scenario: Scenario, client: Any) -> None:
        """A scenario of the synchronous client, which waits for nothing."""
        try:
            scenario(client).send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return

    # 3: once, however it ends

    @both_kinds
    async def test_a_call_is_recorded_once_however_it_ends(self, watch, asynchronous, caplog):
        """A call that is left, closed, thrown into, forgotten or that fails does what it does without us, once."""
        for ending, scenario in self.endings().items():
            seen, told = await self.compared(watch, scenario, asynchronous=asynchronous)
            assert self.operations(seen) == 1, (ending, told)
            assert seen.total("ragmeter.queries") == 1, ending
            assert our_lines(caplog.records) == [], ending
            ragmeter.uninstrument()

    # 4: what is reported

    @both_kinds
    async def test_metrics_depend_neither_on_sampling_nor_on_content(self, watch, asynchronous, caplog):
        """With spans or without, with content or without, metrics are the same; no text is there unless asked."""

        async def played(**settings: Any) -> Seen:
            seen = watch(**settings)
            for scenario in (*self.forms().values(), *self.endings().values()):
                with ragmeter.query(name="step"):
                    await self.told(scenario, asynchronous=asynchronous)
            seen.spans()
            ragmeter.uninstrument()
            return seen

        with caplog.at_level(logging.DEBUG):
            sampled = await played(sampler=ALWAYS_ON)
            reported = sampled.everything() + "".join(our_lines(caplog.records))
        dropped = await played(sampler=ALWAYS_OFF)
        captured = await played(capture_content=True)
        metrics = [without_host(each.metrics()) for each in (sampled, dropped, captured)]
        assert metrics[0] == metrics[1] == metrics[2]
        assert "SENTINEL" not in reported
        assert "SENTINEL-QUESTION" in captured.everything()

    # 5 and 6: switching, versions

    @both_kinds
    async def test_on_twice_is_once_and_off_is_as_before(self, watch, asynchronous):
        """`instrument()` twice counts once; `uninstrument()` puts the same functions back; kept methods go quiet."""
        before = self.standing()
        seen = watch()
        assert not [path for path, was in before.items() if self.standing()[path] == was]
        ragmeter.instrument()
        client = self.client(asynchronous=asynchronous)
        kept = [getattr(client, name) for name in self.answer_methods()]
        for scenario in self.forms().values():
            await scenario(client)
        assert self.operations(seen) == len(self.forms())
        ragmeter.uninstrument()
        assert self.standing() == before
        for name, method in zip(self.answer_methods(), kept, strict=True):
            setattr(client, name, method)
        for scenario in self.forms().values():
            await scenario(client)
        assert self.counted(seen) == len(self.forms())

    async def test_an_untested_version_is_said_once_and_used(self, watch, monkeypatch, caplog):
        """A version outside the tested range is wrapped all the same, with one warning; the status says so."""
        changed = replace(self.integration, tested=("0.1", "0.2"))
        monkeypatch.setattr(sys.modules[f"ragmeter.reading.clients.{self.fake}"], "INTEGRATION", changed)
        seen = watch()
        for _ in range(2):
            await self.told(self.all_forms(), asynchronous=False)
        assert self.operations(seen) == 2 * len(self.forms())
        (line,) = our_lines(caplog.records)
        assert self.integration.distribution in line
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.integration.name]
        assert status.in_range is False
        assert {target.state for target in status.targets} == {"patched"}

    # 7: processes, threads, tasks

    def run(self, script: str, before: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script in a fresh interpreter, with `ask()` making a call of every form."""
        begin = BEGIN.format(module=type(self).__module__, name=type(self).__name__, fake=self.fake)
        folders = [str(TESTS), str(TESTS / "outcomes"), str(TESTS / "clients")]
        paths = [*folders, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "RAGMETER_LOUD": "1"}
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", begin + before + textwrap.dedent(script)],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )

    @pytest.mark.parametrize("script", [FORK, LATE], ids=["fork", "imported later"])
    def test_a_forked_child_and_a_late_import_are_right(self, script):
        """A forked child counts its own calls; a client imported later is wrapped then, and not imported by us."""
        done = self.run(script.format(fake=self.fake) if "{fake" in script else script)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "right\n"

    def test_the_interpreters_exit_loses_nothing(self):
        """A program that ends right after its calls, without a flush, has exported its metrics."""
        done = self.run(EXIT)
        assert done.returncode == 0, done.stderr
        for name in ("ragmeter.queries", "ragmeter.tokens", "ragmeter.operations"):
            assert f'"name": "{name}"' in done.stdout
        assert done.stderr == ""

    async def test_threads_and_tasks_lose_nothing(self, watch):
        """Calls from many threads and tasks at once are all counted, with all their tokens."""
        seen = watch()
        forms = self.forms().values()

        def work(_: int) -> None:
            client = self.client(asynchronous=False)
            for _ in range(CALLS):
                for scenario in forms:
                    self.played_out(scenario, client)

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        client = self.client(asynchronous=True)
        await asyncio.gather(*(scenario(client) for _ in range(THREADS * CALLS) for scenario in forms))
        operations = 2 * THREADS * CALLS * len(forms)
        assert self.operations(seen) == seen.total("ragmeter.queries") == operations
        assert seen.total("ragmeter.tokens") == operations * self.all_tokens

    # 8: memory

    async def test_memory_is_bounded(self, watch):
        """After many calls, taken and left, no object of ours and no thread of ours is left over."""
        watch(sampler=ALWAYS_OFF)
        scenarios = (*self.forms().values(), *self.endings().values())

        async def turn() -> None:
            for asynchronous in (False, True):
                for scenario in scenarios:
                    client = self.client(asynchronous=asynchronous)
                    try:
                        await scenario(client)
                    except Exception:  # noqa: BLE001
                        continue

        for _ in range(3):
            await turn()
        assert ragmeter.flush(10)
        before, threads = await ours(), thread_names()
        for _ in range(ROUNDS):
            await turn()
        assert ragmeter.flush(30)
        left = await ours() - before
        assert max(left.values(), default=0) <= MOST_LEFT, left
        assert thread_names() - threads == set()

    # 9: once, whatever is around it

    @both_kinds
    @pytest.mark.parametrize("key", SUPPRESSING)
    async def test_suppressed_calls_are_not_recorded(self, watch, asynchronous, key):
        """Under another instrumentation's suppression key calls pass and nothing is recorded."""
        seen = watch()
        with within(key):
            await self.told(self.all_forms(), asynchronous=asynchronous)
        assert seen.spans() == ()
        assert seen.metric("ragmeter.operations") == {}

    @both_kinds
    async def test_inside_the_official_instrumentation_only_what_is_ours_is_recorded(self, watch, asynchronous):
        """Where the official instrumentation records calls, it has the spans and the standard metrics to itself."""
        seen = watch()
        with within(OTHERS):
            await self.told(self.all_forms(), asynchronous=asynchronous)
        assert seen.spans() == ()
        assert not [name for name in seen.metrics() if name.startswith("gen_ai.")]
        assert self.counted(seen) == len(self.forms())


def broken_one(declared: Any, breaks: Callable[[Any], Any], kinds: tuple[type, ...]) -> Any:
    """A target that fails; of a hook, the one by which it reads its calls."""
    if isinstance(declared, Hook):
        return replace(declared, calls=broken_one(declared.calls, breaks, kinds))
    return breaks(declared) if isinstance(declared, kinds) else declared


class OpenSpans(SpanProcessor):
    """How many spans have started and not ended."""

    def __init__(self) -> None:
        self.open = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.open += 1

    def on_end(self, span: Any) -> None:
        self.open -= 1


class within:  # noqa: N801 - read as a word
    """A context with this key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        self._token = otel_context.attach(otel_context.set_value(self._key, True))

    def __exit__(self, *_: object) -> None:
        otel_context.detach(self._token)


def interrupted(call: Callable[[], Any], moment: int) -> bool:
    """Whether a call was interrupted at the line of our wrapping that is as many lines away, as by a signal."""
    lines = itertools.count()

    def at_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and next(lines) == moment:
            AT.append((frame.f_code.co_name, frame.f_lineno))
            raise KeyboardInterrupt
        return at_line

    def at_call(frame: FrameType, *_: Any) -> Any:
        return at_line if frame.f_code.co_filename.startswith(WRAPPING) else None

    tracer = sys.gettrace()
    sys.settrace(at_call)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(tracer)
    return False
