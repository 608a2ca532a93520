"""A client that offers a list of callbacks, and an event system, and no function worth wrapping."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import Any

from ragmeter.domain.model import OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage
from ragmeter.reading.declaration import Call, Events, Hook, Integration, Reader, Reading, Target

__version__ = "1.2"

MODEL = "gpt-4o-mini"
TOKENS = (40, 9)


class FakeError(Exception):
    """What the provider answers when it fails."""


class Emitter:
    """An event system: handlers by the name of their event."""

    def __init__(self) -> None:
        self.handlers: dict[str, list[Callable[..., None]]] = defaultdict(list)

    def register(self, name: str, handler: Callable[..., None]) -> None:
        self.handlers[name].append(handler)

    def unregister(self, name: str, handler: Callable[..., None]) -> None:
        self.handlers[name].remove(handler)

    def emit(self, name: str, **told: Any) -> None:
        for handler in list(self.handlers[name]):
            handler(**told)


callbacks: list[Any] = []
events = Emitter()
numbers = count()


def tell(name: str, **told: Any) -> None:
    """Tell every callback that wants to hear of it; their order is that of the list."""
    for callback in callbacks:
        getattr(callback, name)(**told)


def on_another_thread(function: Callable[..., None], **told: Any) -> None:
    """As some clients tell of success: later, without the app's context."""
    thread = threading.Thread(target=function, kwargs=told)
    thread.start()
    thread.join()


class Client:
    """`fails` lets each call fail; `inside` is called where a call would make its request."""

    def __init__(self, *, fails: bool = False, inside: Callable[[], Any] | None = None) -> None:
        self.happened: list[str] = []
        self.fails = fails
        self.inside = inside

    def answer(self) -> dict[str, Any]:
        self.happened.append("asked")
        if self.inside is not None:
            self.inside()
        if self.fails:
            raise FakeError("SENTINEL-ERROR")
        return {"text": "SENTINEL-ANSWER", "usage": TOKENS}

    def ask(self, question: str) -> dict[str, Any]:
        """Tells its callbacks, of success on another thread."""
        number = next(numbers)
        tell("before", number=number, question=question)
        try:
            answer = self.answer()
        except FakeError as error:
            tell("failure", number=number, error=error)
            raise
        on_another_thread(tell, name="success", number=number, answer=answer)
        return answer

    def call(self, question: str) -> dict[str, Any]:
        """Emits events."""
        number = next(numbers)
        events.emit("before-call", number=number, question=question)
        try:
            answer = self.answer()
        except FakeError as error:
            events.emit("call-failed", number=number, error=error)
            raise
        events.emit("after-call", number=number, answer=answer)
        return answer

    def begin_only(self, question: str) -> None:
        """A call whose end is told to nobody."""
        tell("before", number=next(numbers), question=question)


class AsyncClient(Client):
    """The same for an event loop."""

    async def ask(self, question: str) -> dict[str, Any]:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().ask(question)

    async def call(self, question: str) -> dict[str, Any]:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().call(question)


class Listener:
    """What is put into the list."""

    def __init__(self, told: Events) -> None:
        self._told = told

    def before(self, number: int, question: str) -> None:
        self._told.started(number, Call(None, (question,), {}))

    def success(self, number: int, answer: Any) -> None:
        self._told.finished(number, answer)

    def failure(self, number: int, error: BaseException) -> None:
        self._told.failed(number, error)


class Handlers:
    """What is registered with the event system."""

    def __init__(self, told: Events) -> None:
        listener = Listener(told)
        self.by_event: dict[str, Callable[..., None]] = {
            "before-call": listener.before,
            "after-call": listener.success,
            "call-failed": listener.failure,
        }


def register(emitter: Any, handlers: Any) -> None:
    for name, handler in handlers.by_event.items():
        emitter.register(name, handler)


def unregister(emitter: Any, handlers: Any) -> None:
    for name, handler in handlers.by_event.items():
        emitter.unregister(name, handler)


def is_registered(emitter: Any, handlers: Any) -> bool:
    return all(handler in emitter.handlers[name] for name, handler in handlers.by_event.items())


def read(call: Call) -> Reading:
    return Reading(Request(OperationKind.CHAT, "openai", model=MODEL), READER, sent=call.argument(0, "question"))


READER = Reader(
    lambda answer: Response(model=MODEL, text=(answer["text"],), usage=Usage(*answer["usage"])),
    prompt=lambda sent: Prompt((PromptFragment(Role.USER, sent),)),
)

INTEGRATION = Integration(
    name="fake_hooks",
    module="fake_hooks",
    distribution="fake-hooks",
    tested=("1.0", "1.4"),
    targets=(
        Hook(Target("fake_hooks:callbacks", read), Listener),
        Hook(Target("fake_hooks:events", read), Handlers, add=register, remove=unregister, holds=is_registered),
    ),
)
