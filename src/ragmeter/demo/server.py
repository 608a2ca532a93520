"""A local server with OpenAI's API that stands in for a model, for the demo: no account, no network, no GPU.

It says in every answer that it is simulated: by the header `x-ragmeter-simulated` and by `system_fingerprint`. What it
charges for is counted by the rules of `simulation`, and it keeps its own exact counts, to hold ragmeter's against.
"""

from __future__ import annotations

import base64
import json
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from ragmeter.demo.simulation import (
    TOKEN,
    Latency,
    Sentence,
    count_prompt_tokens,
    count_tokens,
    embed,
    extract_answer,
    sentences,
)

SIMULATED = "x-ragmeter-simulated"
FINGERPRINT = "fp_simulated_by_ragmeter"
QUESTION = "Question:"
"""What stands before the question in a user message that also brings text to answer from."""


class RequestError(ValueError):
    """A request that the server cannot answer; the message says what it expects."""


@dataclass(frozen=True, slots=True)
class Served:
    """What one model was asked for: requests, and tokens in and out."""

    requests: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """A chat's answer, and what it is charged for."""

    model: str
    text: str
    input_tokens: int
    output_tokens: int

    @property
    def usage(self) -> dict[str, int]:
        """The usage object of OpenAI's API."""
        return _usage(self.input_tokens, self.output_tokens)


class SimulatedServer(ThreadingHTTPServer):
    """Answers `POST /v1/chat/completions` and `POST /v1/embeddings` on a free port of 127.0.0.1.

    `knowledge` is what the fine-tuned models (`ft:…`) have learned: they answer from it when a prompt brings no text.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, latency: Latency, knowledge: Sequence[str] = ()) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.latency = latency
        self.numbers = count(1)
        self._learned = tuple(sentence for text in knowledge for sentence in sentences(text))
        self._requests: Counter[str] = Counter()
        self._input: Counter[str] = Counter()
        self._output: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def served(self) -> Mapping[str, Served]:
        """What was asked of each model so far."""
        with self._lock:
            return {model: Served(n, self._input[model], self._output[model]) for model, n in self._requests.items()}

    def learned(self, model: str) -> tuple[Sentence, ...]:
        """What a model knows without being told."""
        return self._learned if model.startswith("ft:") else ()

    def charge(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """Enter one request into the server's own counts."""
        with self._lock:
            self._requests[model] += 1
            self._input[model] += input_tokens
            self._output[model] += output_tokens


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open between requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: SimulatedServer

    def log_message(self, *_: object) -> None:
        """Keep quiet: the demo's table is the output."""

    def do_POST(self) -> None:
        """Answer one request by its path; one that cannot be read gets status 400, an unknown path 404."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = {"/v1/chat/completions": self._chat, "/v1/embeddings": self._embeddings}.get(self.path)
        try:
            if answer is None:
                self._refuse(HTTPStatus.NOT_FOUND, f"no {self.path}: the demo's server has chat and embeddings")
            else:
                answer(_read(content))
        except RequestError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))

    def _chat(self, body: Mapping[str, Any]) -> None:
        completion = _complete(body, self.server)
        self.server.charge(completion.model, completion.input_tokens, completion.output_tokens)
        head = {"id": f"chatcmpl-simulated-{next(self.server.numbers)}", "created": int(time.time())}
        head |= {"model": completion.model, "system_fingerprint": FINGERPRINT}
        time.sleep(self.server.latency.until_first_token(completion.input_tokens))
        if body.get("stream"):
            self._stream(_events(head, completion, body), self.server.latency.of_output(1))
            return
        time.sleep(self.server.latency.of_output(completion.output_tokens))
        message = {"role": "assistant", "content": completion.text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        self._send({"object": "chat.completion", **head, "choices": [choice], "usage": completion.usage})

    def _embeddings(self, body: Mapping[str, Any]) -> None:
        model, texts = _model(body), _inputs(body)
        tokens = sum(count_tokens(text) for text in texts)
        self.server.charge(model, tokens, 0)
        time.sleep(self.server.latency.of_embedding(tokens))
        encode = _base64 if body.get("encoding_format") == "base64" else list
        data = [
            {"object": "embedding", "index": number, "embedding": encode(embed(text))}
            for number, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        self._send({"object": "list", "data": data, "model": model, "usage": usage})

    def _stream(self, events: Iterator[tuple[bytes, int]], seconds_a_token: float) -> None:
        self._start(HTTPStatus.OK, "text/event-stream", {"Transfer-Encoding": "chunked"})
        for event, tokens in events:
            time.sleep(seconds_a_token * tokens)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._send({"error": {"message": message, "type": "invalid_request_error", "code": None}}, status)

    def _send(self, answer: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        content = json.dumps(answer).encode()
        self._start(status, "application/json", {"Content-Length": str(len(content))})
        self.wfile.write(content)

    def _start(self, status: HTTPStatus, content_type: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, SIMULATED: "true", **headers}.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving(latency: Latency, knowledge: Sequence[str] = ()) -> Iterator[SimulatedServer]:
    """A simulated server that answers until the block is left."""
    server = SimulatedServer(latency, knowledge)
    thread = threading.Thread(target=server.serve_forever, name="ragmeter-simulated-server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def split_question(text: str) -> tuple[str, str]:
    """A user message as the text to answer from, empty where there is none, and the question."""
    given, marker, question = text.rpartition(QUESTION)
    return (given.strip(), question.strip()) if marker else ("", text.strip())


def _complete(body: Mapping[str, Any], server: SimulatedServer) -> Completion:
    model, messages = _model(body), body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestError("expected 'messages': a list of at least one message")
    texts = [_text(message) for message in messages]
    given, question = split_question(texts[-1])
    answer = extract_answer(question, sentences(given) or server.learned(model))
    return Completion(model, answer, count_prompt_tokens(texts), count_tokens(answer))


def _events(head: Mapping[str, Any], completion: Completion, body: Mapping[str, Any]) -> Iterator[tuple[bytes, int]]:
    """The server-sent events of a streamed answer, each with its number of tokens."""
    options = body.get("stream_options") or {}
    wants_usage = bool(options.get("include_usage"))
    common = {"object": "chat.completion.chunk", **head} | ({"usage": None} if wants_usage else {})
    yield _event(common | {"choices": [_delta({"role": "assistant", "content": ""})]}), 0
    for piece in _pieces(completion.text):
        yield _event(common | {"choices": [_delta({"content": piece})]}), 1
    yield _event(common | {"choices": [_delta({}, "stop")]}), 0
    if wants_usage:
        yield _event(common | {"choices": [], "usage": completion.usage}), 0
    yield b"data: [DONE]\n\n", 0


def _pieces(text: str) -> Iterator[str]:
    """The text token by token, each with the white space before it."""
    reached = 0
    for token in TOKEN.finditer(text):
        yield text[reached : token.end()]
        reached = token.end()


def _delta(delta: Mapping[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
    total = input_tokens + output_tokens
    return {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": total}


def _read(content: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise RequestError("expected a JSON object as body")
    return body


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("expected 'model': the name of a model")
    return model


def _text(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str):
        raise RequestError("expected in every message 'content': a text; the demo's server reads no parts")
    return content


def _inputs(body: Mapping[str, Any]) -> list[str]:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise RequestError("expected 'input': a text or a list of texts")
    return texts


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
