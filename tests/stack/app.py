"""An app as a user writes one, metered by ragmeter: it asks a model with and without retrieved text.

Run as a program; the environment says where its metrics go. With ``--serve`` it prints a line when it is done and
stays until its input ends, so that its metrics can be scraped. Its server answers with known token counts: what the
queries cost is worked out in ``PER_QUERY``, apart from ragmeter.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BASE, TUNED, EMBEDDER = "base-model", "tuned-model", "embedding-model"
PRICES: dict[str, dict[str, float]] = {
    BASE: {"input": 10.0, "output": 40.0, "cache_read": 1.0, "cache_write": 12.5, "web_search": 2.0},
    TUNED: {"input": 20.0, "output": 80.0},
    EMBEDDER: {"input": 0.1},
}
"""US dollars per million tokens, and per thousand searches."""

CONTEXT = "Herons nest in colonies, high in old trees near the water, and come back to them each spring."
ELSE = "Kingfishers dig tunnels into steep banks of rivers and lay seven eggs."
"""What is retrieved beside it, with a lower score."""

QUESTION = "Where do herons nest?"
ANSWER = (
    "In colonies, high in old trees near the water, to which they come back each spring [1]. "
    "Kingfishers dig tunnels into steep banks of rivers and lay seven eggs there [2]."
)
"""It uses all that is retrieved: nothing is wasted, so no alert about waste is true."""

EMBEDDED_TOKENS = 8
OUTPUT_TOKENS = 50
INPUT_TOKENS = {False: 1000, True: 3000}
"""Without and with retrieved text in the prompt."""
CACHE_READ_TOKENS, CACHE_WRITE_TOKENS, REASONING_TOKENS = 200, 100, 20
"""Of the base model's tokens; the tuned one caches nothing."""
WEB_SEARCHES = 1
"""Of the base model in each answer."""
DOCUMENTS = ("Herons eat fish.", "Storks nest on roofs.")
INGESTED_TOKENS = 500
"""Of all documents together, which are embedded in one batch outside of any query."""

QUERIES = {"base": 4, "rag": 3, "fine_tuned": 2, "fine_tuned_rag": 1}
TEAMS = {"base": "shop", "rag": "support", "fine_tuned": "shop", "fine_tuned_rag": "support"}
FAILED = {"base": 1}
"""Queries whose only call the server refuses: they count, and cost nothing."""


def _answer_cost(model: str, with_context: bool) -> float:
    price = PRICES[model]
    full, output = INPUT_TOKENS[with_context], OUTPUT_TOKENS * price["output"]
    if model == TUNED:
        return (full * price["input"] + output) / 1e6
    cached = CACHE_READ_TOKENS * price["cache_read"] + CACHE_WRITE_TOKENS * price["cache_write"]
    tokens = ((full - CACHE_READ_TOKENS - CACHE_WRITE_TOKENS) * price["input"] + cached + output) / 1e6
    return tokens + WEB_SEARCHES * price["web_search"] / 1e3


_EMBEDDING_COST = EMBEDDED_TOKENS * PRICES[EMBEDDER]["input"] / 1e6
PER_QUERY = {
    "base": _answer_cost(BASE, False),
    "rag": _answer_cost(BASE, True) + _EMBEDDING_COST,
    "fine_tuned": _answer_cost(TUNED, False),
    "fine_tuned_rag": _answer_cost(TUNED, True) + _EMBEDDING_COST,
}
"""US dollars that one answered query costs with each strategy."""


def cost_per_1000_queries() -> dict[str, float]:
    """What 1,000 queries of this app cost with each strategy, in US dollars."""
    return {
        strategy: 1000 * PER_QUERY[strategy] * number / (number + FAILED.get(strategy, 0))
        for strategy, number in QUERIES.items()
    }


class ModelServer(BaseHTTPRequestHandler):
    """Answers like an OpenAI-compatible server, in known token counts."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        """Answer one request by its path."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/embeddings"):
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            tokens = INGESTED_TOKENS if len(texts) > 1 else EMBEDDED_TOKENS
            usage = {"prompt_tokens": tokens, "total_tokens": tokens}
            data = [{"object": "embedding", "index": at, "embedding": [0.0, 1.0]} for at in range(len(texts))]
            self._send({"object": "list", "model": body["model"], "data": data, "usage": usage})
        elif body["model"] not in PRICES:
            self._send({"error": {"message": "no such model", "type": "invalid_request_error"}}, status=404)
        elif body.get("stream"):
            self._send_stream(body)
        else:
            message = {"role": "assistant", "content": ANSWER}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._send(_completion(body, "chat.completion", [choice]) | {"usage": _usage(body)})

    def _send_stream(self, body: dict[str, Any]) -> None:
        deltas: list[dict[str, Any]] = [{"content": "In "}, {"content": "colonies."}]
        chunks = [
            _completion(body, "chat.completion.chunk", [{"index": 0, "delta": delta, "finish_reason": None}])
            for delta in deltas
        ]
        chunks.append(_completion(body, "chat.completion.chunk", []) | {"usage": _usage(body)})
        events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self._write(events.encode(), 200, "text/event-stream")

    def _send(self, answer: dict[str, Any], status: int = 200) -> None:
        self._write(json.dumps(answer).encode(), status, "application/json")

    def _write(self, content: bytes, status: int, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _completion(body: dict[str, Any], kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "completion-1", "object": kind, "created": 1, "model": body["model"], "choices": choices}


def _usage(body: dict[str, Any]) -> dict[str, Any]:
    tokens = INPUT_TOKENS[CONTEXT in body["messages"][-1]["content"]]
    usage: dict[str, Any] = {
        "prompt_tokens": tokens,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": tokens + OUTPUT_TOKENS,
    }
    if body["model"] == BASE:
        usage["prompt_tokens_details"] = {
            "cached_tokens": CACHE_READ_TOKENS,
            "cache_write_tokens": CACHE_WRITE_TOKENS,
        }
        usage["completion_tokens_details"] = {"reasoning_tokens": REASONING_TOKENS}
        usage["server_tool_use"] = {"web_search_requests": WEB_SEARCHES}
    return usage


@contextmanager
def model_server() -> Iterator[str]:
    """The base URL of a model server on a free loopback port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), ModelServer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def run(url: str) -> None:
    """Embed documents; ask all queries, half of the base ones as streams; fail, search in vain and where nothing is."""
    import openai
    from qdrant_client import QdrantClient, models

    import ragmeter

    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    store = QdrantClient(":memory:")
    for name in ("birds", "empty"):
        store.create_collection(name, models.VectorParams(size=2, distance=models.Distance.COSINE))
    client.embeddings.create(model=EMBEDDER, input=list(DOCUMENTS))
    points = [(CONTEXT, [0.0, 1.0]), (ELSE, [1.0, 0.5])]
    store.upsert(
        "birds",
        [models.PointStruct(id=at, vector=vector, payload={"text": text}) for at, (text, vector) in enumerate(points)],
    )

    def search(collection: str) -> list[str]:
        embedded = client.embeddings.create(model=EMBEDDER, input=QUESTION).data[0].embedding
        found = store.query_points(collection, query=embedded, limit=2, with_payload=True).points
        return [point.payload["text"] for point in found if point.payload]

    def ask(model: str, context: list[str]) -> None:
        question = {"role": "user", "content": "\n".join([*context, QUESTION])}
        # With context it is the second turn of a conversation, which sends the first one again.
        before = [question, {"role": "assistant", "content": ANSWER}] if context else []
        messages: Any = [*before, question]
        client.chat.completions.create(model=model, messages=messages)

    def ask_in_pieces(model: str) -> None:
        stream = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
        for _ in stream:
            pass

    for strategy, number in QUERIES.items():
        model = TUNED if strategy.startswith("fine_tuned") else BASE
        for turn in range(number):
            with ragmeter.query(team=TEAMS[strategy], feature="answers"):
                if strategy == "base" and turn % 2:
                    ask_in_pieces(model)
                else:
                    ask(model, search("birds") if strategy.endswith("rag") else [])
    store.query_points("empty", query=[0.0, 1.0], limit=1)
    with suppress(ValueError):
        store.query_points("missing", query=[0.0, 1.0], limit=1)
    try:
        with ragmeter.query():
            ask("no-such-model", [])
    except openai.NotFoundError:
        pass


def main(arguments: list[str]) -> None:
    """Meter the app while it runs.

    ``--serve`` keeps its metrics up until the input ends, ``--again`` asks all queries once more for each line of it.
    """
    import ragmeter

    ragmeter.instrument(
        service_name="app",
        prices=PRICES,
        fine_tuned=[TUNED],
        labels=["team", "feature"],
        providers={"127.0.0.1": "openai"},
        profile="both",
    )
    with model_server() as url:
        run(url)
        if "--again" in arguments:
            for _ in sys.stdin:
                ragmeter.flush()
                print("done", flush=True)
                run(url)
    if "--serve" in arguments:
        ragmeter.flush()
        print("done", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
