"""What differs between clients in the contract they share, and how a test speaks to both of their kinds.

Every scenario is written once, as a coroutine: `finished`, `chunks_of` and `entering` take what a synchronous client
gives as well as what an asynchronous one gives.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any, ClassVar

import pytest

from telemetry_seen import Seen
from wire import Answer, Wire, events, whole

Scenario = Callable[[Any], Awaitable[Any]]
both_kinds = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


class ClientBlanks:
    """The blanks: what a client is called, how it is asked, and what its provider sends."""

    library: ClassVar[str]
    client_class: ClassVar[str]
    operation: ClassVar[str]
    """The method that asks, as a path on the client."""
    question: ClassVar[Mapping[str, Any]]
    """Its arguments; the prompt says `SENTINEL-QUESTION`."""
    body: ClassVar[Mapping[str, Any]]
    """A whole answer, with usage of `tokens`; it says `SENTINEL-ANSWER`."""
    events: ClassVar[tuple[Mapping[str, Any], ...]]
    """The same answer as a stream."""
    hollow: ClassVar[tuple[Mapping[str, Any], ...]]
    """Answers that lack what one expects of an answer, as compatible servers send them."""
    stream_error: ClassVar[Mapping[str, Any]]
    """The event with which the provider ends a stream when it fails."""
    named_events: ClassVar[bool] = False
    asks_for_usage: ClassVar[bool] = True
    """Whether `stream_usage=True` makes this client ask for usage."""
    tokens: ClassVar[tuple[int, int]]
    """Input and output tokens of `body` and of `events`."""

    def client(self, url: str, *, asynchronous: bool = False, **options: Any) -> Any:
        """A client that talks to `url`."""
        made = getattr(self.module, f"{'Async' if asynchronous else ''}{self.client_class}")
        return made(base_url=self.base_url(url), api_key="key", **{"max_retries": 0, **options})

    def base_url(self, url: str) -> str:
        """The base URL the client needs, to talk to the server at `url`."""
        return url

    @property
    def module(self) -> Any:
        """The client library."""
        return importlib.import_module(self.library)

    def method(self, client: Any, form: str = "") -> Any:
        """The method that asks; `form` is `with_raw_response`, `with_streaming_response` or nothing."""
        resource, _, name = self.operation.rpartition(".")
        found = attrgetter(resource)(client)
        return getattr(getattr(found, form) if form else found, name)

    async def ask(self, client: Any, **more: Any) -> Any:
        """Ask, and take the answer or the stream."""
        return await finished(self.method(client)(**self.question, **more))

    def whole(self) -> Answer:
        """The whole answer, as the provider sends it."""
        return whole(self.body)

    def stream(self, told: Iterable[Mapping[str, Any]] | None = None, **settings: Any) -> Answer:
        """The stream, or other events, as the provider sends them."""
        told = self.events if told is None else told
        return events(told, named=self.named_events, done=not self.named_events, **settings)

    async def told(self, scenario: Scenario, url: str, *, asynchronous: bool, **options: Any) -> Any:
        """What the app gets from a scenario: what it returns, or the error it ends in."""
        client = self.client(url, asynchronous=asynchronous)
        try:
            return await scenario(client)
        except Exception as error:  # noqa: BLE001
            return type(error), str(error), getattr(error, "status_code", None), getattr(error, "body", None)
        finally:
            await finished(client.close())

    async def compared(
        self,
        watch: Callable[..., Seen],
        scenario: Scenario,
        *answers: Answer,
        asynchronous: bool,
        same_request: bool = True,
        **settings: Any,
    ) -> tuple[Seen, Any]:
        """Play a scenario without ragmeter and with it: the app must get the same, and the server be asked the same."""
        with Wire(*answers) as wire:
            bare = await self.told(scenario, wire.url, asynchronous=asynchronous)
            asked = [(each.method, each.path, each.body) for each in wire.asked]
            wire.asked.clear()
            wire.gives(*answers)
            seen = self.watched(watch, **settings)
            told = await self.told(scenario, wire.url, asynchronous=asynchronous)
            assert told == bare
            if same_request:
                assert [(each.method, each.path, each.body) for each in wire.asked] == asked
        return seen, told

    def watched(self, watch: Callable[..., Seen], **settings: Any) -> Seen:
        """Instrument, with the loopback server standing for the library's own provider."""
        return watch(providers={"127.0.0.1": self.library}, **settings)

    def tokens_told(self, seen: Seen) -> tuple[float, float]:
        """Input and output tokens in the standard metric."""
        return tuple(  # type: ignore[return-value]
            sum(
                value.total
                for key, value in seen.metric("gen_ai.client.token.usage").items()
                if ("gen_ai.token.type", kind) in key
            )
            for kind in ("input", "output")
        )


async def finished(value: Any) -> Any:
    """What a call gave, awaited where it has to be."""
    return await value if inspect.isawaitable(value) else value


async def chunks_of(stream: Any) -> list[Any]:
    """All chunks of a stream, as plain data."""
    return [plain(chunk) async for chunk in each_of(stream)]


async def each_of(stream: Any) -> AsyncIterator[Any]:
    """The chunks of a stream of either kind."""
    if hasattr(stream, "__aiter__"):
        async for chunk in stream:
            yield chunk
    else:
        for chunk in stream:
            yield chunk


async def first_of(stream: Any) -> Any:
    """The first chunk of a stream, which stays where it is."""
    return await stream.__anext__() if hasattr(stream, "__anext__") else next(stream)


@asynccontextmanager
async def entering(manager: Any) -> AsyncIterator[Any]:
    """A context manager of either kind."""
    if hasattr(manager, "__aenter__"):
        async with manager as entered:
            yield entered
    else:
        with manager as entered:
            yield entered


def plain(answer: Any) -> Any:
    """An answer's type and data."""
    with warnings.catch_warnings():
        # Old clients warn of values newer servers send.
        warnings.simplefilter("ignore")
        return type(answer), answer.model_dump() if hasattr(answer, "model_dump") else answer


def collect() -> None:
    """Collect garbage, also what only the finalizers of the first round set free."""
    gc.collect()
    gc.collect()


def our_lines(records: Iterable[Any]) -> list[str]:
    """The log lines of ragmeter and of OpenTelemetry."""
    return [record.getMessage() for record in records if record.name.startswith(("ragmeter", "opentelemetry"))]
