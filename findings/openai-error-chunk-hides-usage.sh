#!/usr/bin/env bash
# openai 3.57.0: a chunk of a stream that carries both an error and the counts of what was paid gives the app neither counts
# nor chunk. OpenRouter ends a stream so when a model runs out of tokens: {"error": ..., "usage": {...}, "choices": [...]}.
#
# Seen: APIError "Token limit reached"; its `body` is the error object alone, it has no `response`, and nothing that the
# stream has given mentions usage. The tokens are in the bytes only.
# Fails when the counts can be reached from the exception.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==3.57.0
"$folder/venv/bin/python" - <<'PROGRAM'
import json

import httpx2
import openai

word = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
first = {**word, "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}]}
last = {
    **word,
    "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None}],
    "error": {"code": 400, "message": "Token limit reached"},
    "usage": {"prompt_tokens": 43, "completion_tokens": 10, "total_tokens": 53},
}
body = "".join(f"data: {json.dumps(each)}\n\n" for each in (first, last)) + "data: [DONE]\n\n"


def answer(request):
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body.encode())


client = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)), max_retries=0)
given = []
try:
    for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True):
        given.append(chunk)
except openai.APIError as error:
    told = repr(error.body) + repr(getattr(error, "response", None)) + repr(given)
    print(f"openai {openai.__version__}: {type(error).__name__}: {error}; body {error.body}; chunks given: {len(given)}")
    assert [each.usage for each in given] == [None]
    assert "43" not in told and not hasattr(error, "response")
else:
    raise SystemExit("the stream ended without an error: this has changed")
print("still so: the 53 tokens that were paid cannot be seen by the app")
PROGRAM
