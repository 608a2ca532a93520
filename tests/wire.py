"""A provider on the loopback interface: canned answers whatever the request, and a memory of what was asked.

Streams are sent with chunked transfer encoding, in pieces as small as wanted, with pauses, or cut off in the middle.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
MOST_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer.

    `body` is one element for a whole answer, several for a stream: one an event. `piece` cuts a stream into pieces of
    so many bytes; `pause` waits so many seconds before each event but the first; `cut` breaks the connection where the
    body would go on.
    """

    body: tuple[bytes, ...]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    chunked: bool = False
    piece: int | None = None
    pause: float = 0.0
    cut: bool = False

    def frames(self) -> list[bytes]:
        """What is sent at once: the events, each in chunks of the transfer encoding."""
        return [b"".join(_chunk(part) for part in _parts(event, self.piece)) for event in self.body]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the server has seen it; header names are in lower case, `body` is parsed when it is JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def whole(body: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON answer; underscores in header names stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer((json.dumps(body).encode(),), status, named)


def events(
    data: Iterable[Any], *, done: bool = True, named: bool = False, piece: int | None = None, pause: float = 0.0
) -> Answer:
    """A stream of server-sent events from JSON data; `named` gives each the event name in its `type`."""
    sent = [_event(item, item["type"] if named else None) for item in data]
    return Answer(
        (*sent, b"data: [DONE]\n\n") if done else tuple(sent),
        content_type=EVENT_STREAM,
        chunked=True,
        piece=piece,
        pause=pause,
    )


def cut_off(answer: Answer, after: int) -> Answer:
    """The same stream, whose connection breaks after so many events."""
    return Answer(answer.body[:after], content_type=answer.content_type, chunked=True, piece=answer.piece, cut=True)


class Wire:
    """A server for one test: gives its answers in order, the last one for ever.

    With `with`; `url` is where it listens, `asked` what it was asked last, `served`
    how often, `sent` how many events of streams that have pauses it has sent.
    """

    def __init__(self, *answers: Answer | Callable[[Asked], Answer]) -> None:
        self.asked: deque[Asked] = deque(maxlen=MOST_REMEMBERED)
        self.served = self.sent = 0
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._answers = list(answers)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.wire = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="wire", daemon=True
        )

    @property
    def url(self) -> str:
        """The address of the server, without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def gives(self, *answers: Answer | Callable[[Asked], Answer]) -> None:
        """Replace what is still to be answered."""
        with self._lock:
            self._answers = list(answers)

    def answer_to(self, asked: Asked) -> Answer:
        """Remember a request and choose its answer."""
        with self._lock:
            self.asked.append(asked)
            self.served += 1
            chosen = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return chosen(asked) if callable(chosen) else chosen

    def count_sent(self) -> None:
        """Remember that one more event is sent."""
        with self._lock:
            self.sent += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    wire: Wire

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, _parsed(self.rfile.read(length)))
        answer = self.server.wire.answer_to(asked)
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.chunked:
            self._stream(answer)
        else:
            self.send_header("content-length", str(sum(map(len, answer.body))))
            self.end_headers()
            self.wfile.write(b"".join(answer.body))

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the names the standard library calls

    def _stream(self, answer: Answer) -> None:
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        frames = answer.frames()
        if not answer.pause:
            frames = [b"".join(frames)]
        for position, frame in enumerate(frames):
            if position and self.server.wire.stopping.wait(answer.pause):
                break
            self.server.wire.count_sent()
            self.wfile.write(frame)
        if answer.cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Quiet."""


def _event(data: Any, name: str | None) -> bytes:
    head = b"" if name is None else f"event: {name}\n".encode()
    return head + b"data: " + json.dumps(data).encode() + b"\n\n"


def _parts(event: bytes, piece: int | None) -> Iterable[bytes]:
    size = piece or max(1, len(event))
    return (event[start : start + size] for start in range(0, len(event), size))


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body
