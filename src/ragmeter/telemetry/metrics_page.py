"""The metrics page that Prometheus pulls, served by that process of an app which has something to show.

A development server that reloads, or that starts workers, runs the app's file in a parent that never answers, and in
children that do. The parent takes the port first; a child that has finished its first call asks for it. The parent
lets go of it as long as it has counted nothing itself, and serves again when the child has ended. A child knows its
parent's page by an environment variable that holds the port, the process and a word only its children know.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import secrets
import socket
import threading
import time
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler

from ragmeter.settings import VARIABLES
from ragmeter.telemetry.fork_hooks import threads_are_greenlets
from ragmeter.telemetry.otel_environment import ENDPOINT

logger = logging.getLogger("ragmeter")

VARIABLE = "RAGMETER_PAGE"
"""Environment variable by which a child knows its parent's page: port, process and word, with colons between."""

WORD_HEADER = "X-Ragmeter-Word"
RELOADED_HEADER = "X-Ragmeter-Reloaded"
RELOADER_VARIABLES = ("WERKZEUG_RUN_MAIN", "RUN_MAIN")
"""Set to `true` in the child of a reloader (Flask, Django): its parent never answers, whatever it has counted."""

HANDOVER_SECONDS = 10.0
"""How long a child waits for its parent to let go of the port."""

TAKING_BACK_TRIES, TAKING_BACK_PAUSE = 50, 0.2

LOOPBACK = {4: "127.0.0.1", 6: "::1"}


class PageState(Enum):
    """Who serves the page."""

    CLOSED = "nobody"
    SERVING = "this process"
    WAITING = "the parent process, until this one has counted a call"
    LENT = "a child process"
    TAKEN = "another process"


class MetricsPage:
    """Serves `registry` on `host`:`port`; agrees with parent and children on who does.

    Opened by `instrument()`; `used()` is said with the first call that was counted.
    """

    def __init__(self, registry: CollectorRegistry, host: str, port: int) -> None:
        self.registry = registry
        self.state = PageState.CLOSED
        self._host = host
        self._port = port
        self._word = secrets.token_hex(16)
        self._inherited = os.environ.get(VARIABLE, "")
        self._is_used = False
        self._server: _Server | None = None
        self._handing_over: int | None = None
        self._problem = ""
        self._changing = threading.Lock()

    @property
    def description(self) -> str:
        """What is served where, or why nothing is."""
        address = f"{self._host}:{self._port}"
        match self.state:
            case PageState.SERVING:
                return f"Prometheus on http://{address}/metrics"
            case PageState.WAITING:
                return f"nothing yet: the parent process serves {address} until this one has counted a call"
            case PageState.LENT:
                return f"nothing: a child process that has counted calls serves {address}"
            case PageState.TAKEN:
                return f"nothing: {address} is taken"
        return "nothing: the page is closed"

    def serve(self) -> str:
        """Serve, and return the URL; `OSError` where the port cannot be had."""
        with self._changing:
            self._serve()
        return f"http://{self._host}:{self._port}/metrics"

    def open(self) -> None:
        """Serve, or wait for the parent process to hand over its page, or say that the port is taken."""
        with self._changing:
            try:
                self._serve()
            except OSError as error:
                self._problem = error.strerror or str(error)
                self.state = PageState.WAITING if self._parents_word() else PageState.TAKEN
                if self.state is PageState.TAKEN:
                    self._say_taken()

    def used(self) -> None:
        """A call was counted here: take over from the parent; where that cannot be, say that nothing is served."""
        if self._is_used:
            return
        with self._changing:
            self._is_used = True
            if self.state is PageState.WAITING:
                self._take_over()
            elif self.state is PageState.LENT:
                self._try_to_serve()
                if self.state is PageState.LENT:
                    self._say_taken()

    def close(self) -> None:
        """Serve no longer."""
        with self._changing:
            self._forget_word()
            self.state = PageState.CLOSED
            if self._server is not None:
                self._server.stop()
                self._server = None
            self._hand_back()

    def left_by_fork(self) -> None:
        """In a forked child: the socket and the connections are the parent's."""
        if self._server is not None:
            self._server.left_by_fork()
            self._server = None
        self._hand_back()
        self.state = PageState.CLOSED

    def hand_over(self, word: str, *, reloaded: bool) -> bool:
        """Let go of the port for a child that knows our word; false when this process has something to show itself."""
        with self._changing:
            known = hmac.compare_digest(word.encode(), self._word.encode())
            if not known or self._server is None or (self._is_used and not reloaded):
                return False
            self._server.stop()
            self._server = None
            self.state = PageState.LENT
            return True

    def handed_back(self) -> None:
        """The child has ended: serve again, unless another already does."""
        # Its connection may be closed a moment before its socket is.
        for _ in range(TAKING_BACK_TRIES):
            with self._changing:
                if self.state is PageState.LENT:
                    self._try_to_serve()
                if self.state is not PageState.LENT:
                    return
            time.sleep(TAKING_BACK_PAUSE)

    def _serve(self) -> None:
        self._server = _Server(self, self._host, self._port)
        self._port = self._server.server_port
        self.state = PageState.SERVING
        os.environ[VARIABLE] = f"{self._port}:{os.getpid()}:{self._word}"

    def _try_to_serve(self) -> None:
        with contextlib.suppress(OSError):
            self._serve()

    def _take_over(self) -> None:
        """Ask the parent for its port; it serves again when the connection ends, which is when this process does."""
        self._try_to_serve()
        if self.state is PageState.SERVING:
            return
        try:
            # The bare number: a socket is closed as soon as the interpreter shuts down, and its port later.
            self._handing_over = self._asked(self._parents_word()).detach()
            self._serve()
        except OSError as error:
            self._problem = error.strerror or str(error)
            self.state = PageState.TAKEN
            self._say_taken()

    def _asked(self, word: str) -> socket.socket:
        connection = socket.create_connection((_reachable(self._host), self._port), HANDOVER_SECONDS)
        reloaded = any(os.environ.get(name) == "true" for name in RELOADER_VARIABLES)
        asking = (
            f"POST /handover HTTP/1.0\r\n{WORD_HEADER}: {word}\r\n{RELOADED_HEADER}: {str(reloaded).lower()}\r\n\r\n"
        )
        try:
            connection.sendall(asking.encode())
            is_given = b" 200 " in connection.recv(1024).partition(b"\r\n")[0]
        except OSError:
            connection.close()
            raise
        if not is_given:
            connection.close()
            raise OSError("another process of this app serves its own figures there")
        return connection

    def _hand_back(self) -> None:
        connection, self._handing_over = self._handing_over, None
        if connection is not None:
            socket.close(connection)

    def _parents_word(self) -> str:
        """The word of the process that serves on our port, when it has started this one."""
        port, _, rest = self._inherited.partition(":")
        process, _, word = rest.partition(":")
        return word if port == str(self._port) and process != str(os.getpid()) else ""

    def _forget_word(self) -> None:
        if os.environ.get(VARIABLE, "").endswith(f":{self._word}"):
            del os.environ[VARIABLE]
            if self._parents_word():
                os.environ[VARIABLE] = self._inherited

    def _say_taken(self) -> None:
        logger.warning(
            "ragmeter cannot serve metrics on %s:%d (%s). The app is not affected. Choose another port with "
            "instrument(prometheus_port=...) or %s. If the app has several processes, push with OTLP instead: set %s.",
            self._host,
            self._port,
            self._problem or "a child process that has counted calls serves there",
            VARIABLES["prometheus_port"],
            ENDPOINT,
        )


class _Server(ThreadingHTTPServer):
    """Serves the page on a thread of its own; stops by itself in a process it was not made in."""

    daemon_threads = True

    def __init__(self, page: MetricsPage, host: str, port: int) -> None:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        self.address_family = family
        self.page = page
        self._process = os.getpid()
        super().__init__((str(address[0]), port), _Handler)
        threading.Thread(target=self._run, name="ragmeter page", daemon=True).start()

    def server_bind(self) -> None:
        """Bind without asking for the host's name, which may take seconds."""
        if os.name != "nt":  # there it would let two processes have one port
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def service_actions(self) -> None:
        """Leave the loop in a forked child: where threads are greenlets, they are there as well."""
        if self._process != os.getpid():
            raise _LeftByForkError

    def handle_error(self, *_: Any) -> None:
        """A reader that went away is nothing to print a traceback for."""
        logger.debug("ragmeter: a reader of the metrics page has gone")

    def stop(self) -> None:
        """End the loop and free the port."""
        self.shutdown()
        self.server_close()

    def left_by_fork(self) -> None:
        """In a forked child: close our copy of the socket, at once where there is no loop that could use it."""
        if not threads_are_greenlets():
            self.server_close()

    def _run(self) -> None:
        try:
            self.serve_forever()
        except _LeftByForkError:
            self.server_close()


def _reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`, which may stand for all of its addresses."""
    try:
        address = ip_address(host)
    except ValueError:
        return host or LOOPBACK[4]
    return LOOPBACK[address.version] if address.is_unspecified else host


class _LeftByForkError(Exception):
    """Ends a server's loop in a forked child."""


class _Handler(MetricsHandler, BaseHTTPRequestHandler):
    """Answers Prometheus with the page, and a child process with the port."""

    @property
    def _page(self) -> MetricsPage:
        return cast("_Server", self.server).page

    def do_GET(self) -> None:
        """The page; an error of a collector is an answer with status 500, and is said."""
        self.registry = self._page.registry
        try:
            super().do_GET()
        except OSError:
            raise
        except Exception as error:
            logger.warning("ragmeter: the metrics page cannot be written (%s)", type(error).__name__)
            self.send_error(500)

    def do_POST(self) -> None:
        """A child asks for the port. The connection stays open, and ends with the child."""
        word, reloaded = self.headers.get(WORD_HEADER, ""), self.headers.get(RELOADED_HEADER) == "true"
        page = self._page
        if not page.hand_over(word, reloaded=reloaded):
            self.send_error(403)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.recv(1)
        page.handed_back()
