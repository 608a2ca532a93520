#!/usr/bin/env bash
# langchain-anthropic 1.7.10: of a stream's counts only those in message_delta are kept; message_start, where the input stands,
# is passed over. In message_delta the input is optional, and how long cache writes are kept is never there (MessageDeltaUsage
# of anthropic 2.14.0), though a write for an hour costs 2 times the input price and one for five minutes 1.25 times
# (https://platform.claude.com/docs/en/build-with-claude/prompt-caching). Where both are known, `invoke` and `stream` use names
# apart: `invoke` says `cache_creation: 0`. That the input is 0 is https://github.com/langchain-ai/langchain/issues/35509.
#
# Seen, for 1000 tokens of input with 50 + 100 written for five minutes and an hour, as (input, cache_creation, five minutes, hour):
# invoke 1000, 0, 50, 100; a stream that repeats the input at its end 1000, 150, none, none; one that does not 0, none, none, none.
# Fails when a stream says what `invoke` says, or the input is there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    langchain-anthropic==1.7.10 langchain-core==1.8.3 anthropic==2.14.0
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from langchain_anthropic import ChatAnthropic

INPUT = {"input_tokens": 50, "cache_read_input_tokens": 800, "cache_creation_input_tokens": 150}
LIFETIMES = {"cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 100}}
START = {
    "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "content": [], "stop_reason": None,
    "stop_sequence": None, "usage": {**INPUT, **LIFETIMES, "output_tokens": 1},
}
END = {"stop_reason": "end_turn", "stop_sequence": None}
WHOLE = {**START, **END, "content": [{"type": "text", "text": "Hello"}], "usage": {**START["usage"], "output_tokens": 100}}
repeated = {}


def events():
    return [
        {"type": "message_start", "message": START},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": END, "usage": {"output_tokens": 100, **repeated}},
        {"type": "message_stop"},
    ]


class Model(BaseHTTPRequestHandler):
    def do_POST(self):
        streamed = json.loads(self.rfile.read(int(self.headers["content-length"]))).get("stream")
        stream = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events())
        body = (stream if streamed else json.dumps(WHOLE)).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def streamed():
    first, *later = model.stream("Hi")
    for chunk in later:
        first += chunk
    return first


def told(message):
    usage = message.usage_metadata
    assert usage["output_tokens"] == 100
    names = ("cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    return usage["input_tokens"], *(usage["input_token_details"].get(name) for name in names)


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
model = ChatAnthropic(model="claude-sonnet-4-6", api_key="k", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0)
invoked, without = told(model.invoke("Hi")), told(streamed())
repeated.update(INPUT)
with_input = told(streamed())
print("invoke", invoked, "stream that repeats the input", with_input, "stream that does not", without)
assert invoked == (1000, 0, 50, 100), "this has changed"
assert with_input == (1000, 150, None, None), "this has changed"
assert without == (0, None, None, None), "this has changed"
print("still so: what a streamed call cost cannot be told")
PROGRAM
