"""What a contributor declares to add a client: where to wrap, and how to read what passes there.

An integration only reads. It holds no tracer, no settings and no `try`: whatever it raises is caught, counted and
kept from the app by the core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Complete:
    """The call has returned its whole answer."""

    value: object


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


@dataclass(frozen=True, slots=True)
class Unread:
    """The call has returned a response whose body the app reads itself, as a whole or as a stream.

    `carrier` is the object that travels to that later place (it has a dictionary `extensions`, `close` and perhaps
    `aclose`); `body` gives what was read once it is closed, `None` when nothing was kept.
    """

    carrier: Any
    body: Callable[[], object]


Outcome = Complete | Streamed | Unread


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

    `with_usage` is the same call, asking for usage in its stream.
    """

    request: Request
    reader: Reader
    with_usage: Callable[[Call], Call] | None = None
    sent: object = None


@dataclass(frozen=True, slots=True)
class Target:
    """A function to wrap, as `module:Class.attribute`, and how a call of it is read (`None`: not ours to record).

    `outcome` tells what kind of result it has returned. `is_wired` says that its request and answer pass through a
    `Sending` and a `Receiving`: a call made meanwhile, on another instance or once it was sent, is then one of its own.
    So is one on the same instance with another object that stands for the request, which `asked` gives.
    """

    path: str
    read: Callable[[Call], Reading | None]
    outcome: Callable[[Any], Outcome] = Complete
    is_wired: bool = False
    asked: Callable[[Call], object] = lambda _: None


@dataclass(frozen=True, slots=True)
class Sending:
    """A function inside the call of a target that makes what goes over the wire, from its call and its result.

    `take` gives the immutable request: what was really sent, whatever the app had given.
    """

    path: str
    take: Callable[[Call, Any], object]


@dataclass(frozen=True, slots=True)
class Receiving:
    """A function inside the call of a target that is given the whole answer, before objects for the app are made of it.

    `take` gives the immutable answer, `None` for one that is not there as a whole. It is known then even when what the
    client makes of it raises.
    """

    path: str
    take: Callable[[Call], object]


@dataclass(frozen=True, slots=True)
class Resumption:
    """A function after which an `Unread` response goes on as a stream: `outcome` finds it in the wrapped instance."""

    path: str
    carrier: Callable[[Any], Any]
    outcome: Callable[[Any], Outcome]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A function of a framework that returns passages: only these are taken, for the search it makes is recorded below.

    `hold` takes the immutable leaves of its result that `chunks` reads off the caller's thread, and is `None` for one
    without passages.
    """

    path: str
    hold: Callable[[Any], Sequence[Any] | None]
    chunks: Callable[[Sequence[Any]], Sequence[Chunk]]


@dataclass(frozen=True, slots=True)
class Silence:
    """A function of the client that would record the same call a second time; it returns `None` while we do."""

    path: str


AnyTarget = Target | Sending | Receiving | Resumption | Retrieval | Silence
"""All that can be declared of a function of a client."""


@dataclass(frozen=True, slots=True)
class Integration:
    """One client library: its distribution, the range of versions it was tested with, and what to wrap in it."""

    name: str
    distribution: str
    tested: tuple[str, str]
    targets: tuple[AnyTarget, ...]

    @property
    def package(self) -> str:
        """The package that is imported, which often has another name than the distribution."""
        return self.targets[0].path.partition(":")[0].partition(".")[0]
