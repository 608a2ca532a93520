#!/usr/bin/env bash
# google-genai 3.6.1: `generate_content` with a Python function as a tool asks the model, runs the function and asks again, all in
# one call of the app. The answer's `usage_metadata` counts the last request only, and what it keeps of the ones before
# (`automatic_function_calling_history`) are their texts, without counts. A chat does the same.
#
# Seen: two requests that were answered with 1010 and 2020 tokens; the app is shown 2020, for the call and for the chat.
# Fails when the sum can be read from the answer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check google-genai==3.6.1 httpx2==2.16.2
"$folder/venv/bin/python" - <<'PROGRAM' 2>"$folder/warnings" || { cat "$folder/warnings"; exit 1; }
import httpx2
from google import genai
from google.genai import types

TOTALS = (1010, 2020)
requests = []


def answer(request):
    requests.append(request)
    again = (len(requests) - 1) % 2
    part = {"text": "It is raining."} if again else {"functionCall": {"name": "weather", "args": {"town": "Bonn"}}}
    usage = {"promptTokenCount": TOTALS[again] - 10, "candidatesTokenCount": 10, "totalTokenCount": TOTALS[again]}
    candidate = {"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [part]}}
    return httpx2.Response(200, json={"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"})


def weather(town: str) -> str:
    """The weather in a town."""
    return "rain"


options = types.HttpOptions(httpx_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
client = genai.Client(api_key="k", http_options=options)
config = types.GenerateContentConfig(tools=[weather])
for name, ask in {
    "generate_content": lambda: client.models.generate_content(model="gemini-2.5-flash", contents="Weather?", config=config),
    "chat": lambda: client.chats.create(model="gemini-2.5-flash", config=config).send_message("Weather?"),
}.items():
    requests.clear()
    said = ask()
    assert said.text == "It is raining." and len(requests) == 2
    shown = said.usage_metadata.total_token_count
    print(f"google-genai {genai.__version__}, {name}: {sum(TOTALS)} tokens in {len(requests)} requests, shown {shown}")
    assert shown == TOTALS[1], "the sum is shown: this has changed"
    kept = said.model_dump_json()
    assert str(TOTALS[0]) not in kept and str(sum(TOTALS)) not in kept, "the first request's counts are there: this has changed"
print("still so: the tokens of all requests but the last cannot be seen by the app")
PROGRAM
