"""What a contributor declares to add a client: where to wrap, and how to read what passes there.

An integration only reads. It holds no tracer, no settings and no `try`: whatever it raises is caught, counted and
kept from the app by the core.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Protocol

from ragmeter.domain.model import Chunk, Parameter, Prompt, Request, Response
from ragmeter.reading.leaves import leaves_of


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a wrapped function, as a reader sees it."""

    instance: Any
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """The argument at `position` or called `name`, `default` when the app gave neither."""
        if position < len(self.arguments):
            return self.arguments[position]
        return self.keywords.get(name, default)


class Follower(Protocol):
    """What follows the outcome of one call."""

    def complete(self, outcome: Complete) -> None:
        """The whole answer is there."""

    def follow(self, outcome: Streamed) -> None:
        """The answer is a stream object, which stays what the app gets."""

    def carry(self, outcome: Unread) -> None:
        """The answer is in a body that nobody has read yet."""

    def generate(self, outcome: Generated) -> Any:
        """The answer comes out of a generator, in the place of which another one goes to the app."""


@dataclass(frozen=True, slots=True)
class Complete:
    """The call has returned its whole answer."""

    value: object

    def passed_on(self, to: Follower, result: Any) -> Any:
        """What the app gets, once the outcome is in the hands of who follows it."""
        to.complete(self)
        return result


@dataclass(frozen=True, slots=True)
class Streamed:
    """The call has returned a stream: `iterator` names the attribute it iterates.

    `connection` is what is closed (`close` or `aclose`) when the app stops early. `events` names the method of the
    stream that yields what comes over the wire, before objects for the app are made of it; `of_event` takes the text.
    """

    stream: Any
    iterator: str
    connection: Any
    events: str | None = None
    of_event: Callable[[Any], object] = leaves_of

    def passed_on(self, to: Follower, result: Any) -> Any:
        """The stream is the app's, as it is."""
        to.follow(self)
        return result


@dataclass(frozen=True, slots=True)
class Unread:
    """The call has returned a response whose body the app reads itself, as a whole or as a stream.

    `carrier` is the object that travels there, `source` its attribute from which it reads, if an app may
    read there as well. Of the methods of either, `reads` read all of the body, which `body` finds in the carrier then
    (`None` when nothing was kept). Those of `pieces` return generators. Each call of one of `reads_some` gives as
    much as is asked for, all of the rest if no size is; each of `portions` the next one as it comes, and an empty one
    at the end. `closes` close it. What these call of each other is heard once, and those that neither has do no harm.
    """

    carrier: Any
    body: Callable[[Any], object] = lambda _: None
    reads: tuple[str, ...] = ("read", "aread")
    pieces: tuple[str, ...] = ("iter_bytes", "aiter_bytes", "iter_raw", "aiter_raw")
    reads_some: tuple[str, ...] = ()
    portions: tuple[str, ...] = ()
    closes: tuple[str, ...] = ("close", "aclose")
    source: str | None = None

    def passed_on(self, to: Follower, result: Any) -> Any:
        """The response is the app's, as it is."""
        to.carry(self)
        return result


@dataclass(frozen=True, slots=True)
class Generated:
    """The call has returned a generator of either kind: the app gets one of the same kind, which is read on the way."""

    generator: Any

    def passed_on(self, to: Follower, result: Any) -> Any:  # noqa: ARG002 - as every kind of outcome
        """A generator in the place of the client's own."""
        return to.generate(self)


Outcome = Complete | Streamed | Unread | Generated


def outcome_of(result: Any) -> Outcome:
    """What a result is when nobody says more of it: a generator, or a whole answer."""
    return Generated(result) if isinstance(result, GeneratorType | AsyncGeneratorType) else Complete(result)


@dataclass(frozen=True, slots=True)
class Reader:
    """How one kind of operation is read. All of it but `hold`, `take` and `is_extra` runs off the caller's thread.

    What the app may change is taken on its own thread: `hold` takes a whole answer, `take` a piece of a stream, as
    immutable leaves. `decode` makes of what was taken (bytes, a text, leaves; of the request, too) what the others
    read.
    `prompt` and `parameters` read the request; `response` reads a whole answer, `pieces` folds the next pieces of a
    stream into what the earlier ones gave. `is_extra` knows the piece that only exists because usage was asked for.
    """

    response: Callable[[Any], Response]
    prompt: Callable[[Any], Prompt] = lambda _: Prompt()
    pieces: Callable[[Response, Sequence[Any]], Response] | None = None
    hold: Callable[[Any], object] = leaves_of
    take: Callable[[Any], object] = leaves_of
    decode: Callable[[Any], Any] = lambda taken: taken
    is_extra: Callable[[Any], bool] = lambda _: False
    parameters: Callable[[Any], Mapping[str, Parameter]] = lambda _: {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a call before it is made gave: `sent` are the immutable leaves of what its prompt is read from.

    `with_usage` is the same call, asking for usage in its stream. `is_lazy` says that the call only makes a generator,
    with whose first step the request is made: its time begins there, and one that is never asked is no operation. That
    goes without saying of a function that is a generator function itself.
    """

    request: Request
    reader: Reader
    with_usage: Callable[[Call], Call] | None = None
    sent: object = None
    is_lazy: bool = False


Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""What is called in a function's stead: `(wrapped, instance, arguments, keywords)`."""


class Wrappers(Protocol):
    """What makes the wrapper of each kind of target; `function` is what it is to stand around."""

    def observing(self, target: Target, function: Any) -> Wrapper:
        """Records each call."""

    def sending(self, target: Sending) -> Wrapper:
        """Takes what is sent."""

    def receiving(self, target: Receiving) -> Wrapper:
        """Takes what is received."""

    def resuming(self, target: Resumption) -> Wrapper:
        """Goes on with a body that was not read."""

    def noting(self, target: Retrieval, function: Any) -> Wrapper:
        """Takes passages."""

    def silencing(self) -> Wrapper:
        """Answers in the function's place."""


class Installer(Protocol):
    """What puts each kind of target where it belongs; `imported` is called once that is done."""

    def wrap(self, target: Wrapped, imported: Callable[[], None]) -> None:
        """Put a wrapper around a function."""

    def listen(self, target: Hook, imported: Callable[[], None]) -> None:
        """Put a listener among the client's own."""


class Declared(Protocol):
    """All that can be declared of a client: what stands at `path`, which is written `module:Class.attribute`."""

    @property
    def path(self) -> str:
        """Where it stands."""

    def put(self, installer: Installer, imported: Callable[[], None]) -> None:
        """Put what this kind of target needs there."""


class Wrapped(ABC):
    """A function of a client that is wrapped."""

    __slots__ = ()

    path: str

    def put(self, installer: Installer, imported: Callable[[], None]) -> None:
        """Put a wrapper around it."""
        installer.wrap(self, imported)

    @abstractmethod
    def wrapper(self, wrappers: Wrappers, function: Any) -> Wrapper:
        """The wrapper for this kind of target."""


@dataclass(frozen=True, slots=True)
class Target(Wrapped):
    """A function to wrap, as `module:Class.attribute`, and how a call of it is read (`None`: not ours to record).

    `outcome` tells what kind of result it has returned. `is_wired` says that its request and answer pass through a
    `Sending` and a `Receiving`: a call made meanwhile, on another instance or once it was sent, is then one of its own.
    So is one on the same instance with another object that stands for the request, which `asked` gives.
    """

    path: str
    read: Callable[[Call], Reading | None]
    outcome: Callable[[Any], Outcome] = outcome_of
    is_wired: bool = False
    asked: Callable[[Call], object] = lambda _: None

    def wrapper(self, wrappers: Wrappers, function: Any) -> Wrapper:
        """Records each call."""
        return wrappers.observing(self, function)


@dataclass(frozen=True, slots=True)
class Sending(Wrapped):
    """A function inside the call of a target that makes what goes over the wire, from its call and its result.

    `take` gives the immutable request: what was really sent, whatever the app had given.
    """

    path: str
    take: Callable[[Call, Any], object]

    def wrapper(self, wrappers: Wrappers, function: Any) -> Wrapper:  # noqa: ARG002 - as every kind of target
        """Takes what is sent."""
        return wrappers.sending(self)


@dataclass(frozen=True, slots=True)
class Receiving(Wrapped):
    """A function inside the call of a target that is given the whole answer, before objects for the app are made of it.

    `take` gives the immutable answer, `None` for one that is not there as a whole. It is known then even when what the
    client makes of it raises.
    """

    path: str
    take: Callable[[Call], object]

    def wrapper(self, wrappers: Wrappers, function: Any) -> Wrapper:  # noqa: ARG002 - as every kind of target
        """Takes what is received."""
        return wrappers.receiving(self)


@dataclass(frozen=True, slots=True)
class Resumption(Wrapped):
    """A function after which an `Unread` response goes on as a stream: `outcome` finds it in the wrapped instance."""

    path: str
    carrier: Callable[[Any], Any]
    outcome: Callable[[Any], Outcome]

    def wrapper(self, wrappers: Wrappers, function: Any) -> Wrapper:  # noqa: ARG002 - as every kind of target
        """Goes on with a body that was not read."""
        return wrappers.resuming(self)


@dataclass(frozen=True, slots=True)
class Retrieval(Wrapped):
    """A function of a framework that returns passages: only these are taken, for the search it makes is recorded below.

    `hold` takes the immutable leaves of its result that `chunks` reads off the caller's thread, and is `None` for one
    without passages.
    """

    path: str
    hold: Callable[[Any], Sequence[Any] | None]
    chunks: Callable[[Sequence[Any]], Sequence[Chunk]]

    def wrapper(self, wrappers: Wrappers, function: Any) -> Wrapper:
        """Takes passages."""
        return wrappers.noting(self, function)


@dataclass(frozen=True, slots=True)
class Silence(Wrapped):
    """A function of the client that would record the same call a second time; it returns `None` while we do."""

    path: str

    def wrapper(self, wrappers: Wrappers, function: Any) -> Wrapper:  # noqa: ARG002 - as every kind of target
        """Answers in the function's place."""
        return wrappers.silencing()


class Events(Protocol):
    """Where a listener says what a client's events tell; `key` is what the events of one call have in common.

    Each is called on whatever thread the client calls it on. What is never told to have ended has no answer.
    """

    def started(self, key: Hashable, call: Call) -> None:
        """A call begins."""

    def finished(self, key: Hashable, result: Any) -> None:
        """It has given a result."""

    def failed(self, key: Hashable, error: BaseException) -> None:
        """It has failed."""


def _append(listeners: Any, listener: Any) -> None:
    listeners.append(listener)


def _take_out(listeners: Any, listener: Any) -> None:
    # By identity: the app's own may say that they equal anything.
    for at, each in enumerate(listeners):
        if each is listener:
            del listeners[at]
            return


def _holds(listeners: Any, listener: Any) -> bool:
    return any(each is listener for each in listeners)


@dataclass(frozen=True, slots=True)
class Hook:
    """A list of callbacks or an event system of a client, that stands at the path of `calls`.

    `listener` makes what is registered there, beside the app's own, when the client is imported; `add` and `remove`
    register it and take it away, `holds` says whether it is still there. `calls` reads the calls that its events tell.

    The listener's methods run within the client, on its thread and between the app and its answer: they do no more than
    to find the key and what is told, and hand both on. What `Events` is told harms no call; what they raise themselves
    goes to the client as any listener's error does.
    """

    calls: Target
    listener: Callable[[Events], Any]
    add: Callable[[Any, Any], None] = _append
    remove: Callable[[Any, Any], None] = _take_out
    holds: Callable[[Any, Any], bool] = _holds

    @property
    def path(self) -> str:
        """Where the list or the event system stands."""
        return self.calls.path

    def put(self, installer: Installer, imported: Callable[[], None]) -> None:
        """Put a listener of ours there."""
        installer.listen(self, imported)


@dataclass(frozen=True, slots=True)
class Integration:
    """One client library and what to wrap in it.

    `name` is what settings and metrics call it, and its file is called so; `module` is what the app imports, which may
    be one of many in a namespace (`google.genai`); `distribution` is what is installed, of which the versions `tested`
    are known.
    """

    name: str
    module: str
    distribution: str
    tested: tuple[str, str]
    targets: tuple[Declared, ...]
