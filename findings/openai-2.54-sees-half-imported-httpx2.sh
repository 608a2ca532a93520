#!/usr/bin/env bash
# openai 2.54.0 runs on httpx, and still asks `sys.modules` for httpx2 on every request: it takes what is there for the whole
# library. While another thread of the program imports httpx2 for the first time (another client, a price library), the module
# is there without its classes, and the app's own call raises.
#
# Seen: AttributeError: partially initialized module 'httpx2' has no attribute ..., for as long as that import takes.
# Here the moment is held still: httpx2 is in sys.modules as the import system puts it there before it runs it.
# Fails when such a call succeeds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai==2.54.0 httpx==0.28.1 httpx2==2.16.2
"$folder/venv/bin/python" - <<'PROGRAM'
import importlib.util
import sys

import httpx
import openai

body = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
}
transport = httpx.MockTransport(lambda request: httpx.Response(200, json=body))
client = openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport), max_retries=0)


def ask():
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}]).choices[0].message.content


assert ask() == "Hi" and "httpx2" not in sys.modules
spec = importlib.util.find_spec("httpx2")
sys.modules["httpx2"] = importlib.util.module_from_spec(spec)
spec._initializing = True
try:
    ask()
except AttributeError as error:
    print(f"openai {openai.__version__}: AttributeError: {error}")
else:
    raise SystemExit("the call succeeded beside a half-imported httpx2: this has changed")
del sys.modules["httpx2"]
assert ask() == "Hi"
print("still so: an import of httpx2 in another thread breaks calls that do not use it")
PROGRAM
