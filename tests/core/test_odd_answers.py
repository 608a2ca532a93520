"""Whatever a provider answers: no operation is lost, no total falls, nothing passes that no exporter could write."""

from __future__ import annotations

import importlib
import json
import math
import os
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from mutations import mutated

import ragmeter
from ragmeter.domain import gate
from ragmeter.reading import clients
from ragmeter.reading.declaration import Call, Reading, Target
from ragmeter.wrapping.streams import StreamReading
from recorded import Recording, recordings
from telemetry_seen import Distribution, Seen
from wire import Answer, Wire, whole

INPUTS = int(os.environ.get("RAGMETER_FUZZ_INPUTS", "900"))
CALLS = int(os.environ.get("RAGMETER_FUZZ_CALLS", "240"))
"""How many odd answers the tests make; set the variables to 6000 and 3000 for the long run."""

CHECK_EVERY = 150
SEED = 20_261_129
CLIENTS = tuple(name for name in clients.names() if name in {each.library for each in recordings()})
URLS = {
    "anthropic": "https://api.anthropic.com",
    "groq": "https://api.groq.com",
    "together": "https://api.together.xyz",
}


def usable() -> list[Recording]:
    """Recorded answers that the wrapped clients read: those of 200 whose body is JSON or events."""
    return [each for each in recordings() if each.is_operation and each.status == 200 and each.library in CLIENTS]


def bodies(recording: Recording) -> list[Any]:
    """The JSON of an answer: one body, or that of each event."""
    (body,) = recording.answer().body
    text = body.decode()
    if not recording.streaming:
        return [json.loads(text)]
    lines = [line.partition("data:")[2].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line.startswith("{")]


def reading_of(recording: Recording, request: Any) -> Reading | None:
    """What the real integration reads of a call with this body."""
    integration = importlib.import_module(f"ragmeter.reading.clients.{recording.library}").INTEGRATION
    target = next(each for each in integration.targets if isinstance(each, Target))
    client = type("Client", (), {"base_url": URLS.get(recording.library, "https://api.openai.com")})()
    options = SimpleNamespace(method="post", url=recording.path, json_data=request)
    return target.read(Call(client, (None, options), {}))


def totals(seen: Seen) -> dict[tuple[str, Any], float]:
    """Every sum that may only grow, and every count."""
    found: dict[tuple[str, Any], float] = {}
    for name, points in seen.metrics().items():
        for labels, value in points.items():
            numbers = value if isinstance(value, Distribution) else (value,)
            assert all(math.isfinite(each) and each >= 0 for each in numbers), (name, labels, value)
            assert all(len(text) <= gate.LONGEST_NAME for _, text in labels if isinstance(text, str)), (name, labels)
            found |= {(f"{name}/{at}", labels): number for at, number in enumerate(numbers)}
    return found


def read_now(read, _):
    read()


def submit(reading: Reading, answer: Any, sent: Any) -> None:
    """Hand a finished call to the running ragmeter, as the wrapper does."""
    from ragmeter.wrapping.observation import Observation

    observer = ragmeter._running[0].observer
    request = observer._known(reading.request)
    target = SimpleNamespace(path="odd:answers", is_wired=True, asked=lambda _: None)
    observation = Observation(observer, target, Call(object(), (), {}), reading=reading, request=request, parent={})
    observation._exchange.sends(sent)
    observation.finish(answer, None)


def test_no_odd_answer_loses_an_operation_or_lowers_a_total(watch):
    """Recorded answers, changed in some place: each is an operation, no sum falls, span and metric agree on money."""
    random, kept = Random(SEED), usable()
    seen = watch(loud=False, labels=["team"])
    before: dict[tuple[str, Any], float] = {}
    for number in range(INPUTS):
        recording = random.choice(kept)
        request = recording.body if random.random() < 0.5 else mutated(recording.body, random)
        reading = reading_of(recording, request if isinstance(request, dict) else recording.body)
        if reading is None:
            reading = reading_of(recording, recording.body)
        assert reading is not None
        given = bodies(recording)
        odd = [mutated(each, random) if random.random() < 0.7 else each for each in given]
        if recording.streaming:
            guard = ragmeter._running[0].guard
            stream = StreamReading(reading.reader, guard, lambda _: None, ahead=read_now, hides_extra=False)
            for each in odd:
                stream.keep(json.dumps(each))
            answer = stream.fold
        else:
            answer = partial(read, reading, json.dumps(odd[0]).encode())
        submit(reading, answer, json.dumps(request).encode())
        if number % CHECK_EVERY == CHECK_EVERY - 1 or number == INPUTS - 1:
            after = totals(seen)
            fallen = {key: (value, after.get(key)) for key, value in before.items() if after.get(key, -1) < value}
            assert not fallen
            assert seen.total("ragmeter.operations") == number + 1
            before = after
    told = [dict(span.attributes or {}) for span in seen.spans()]
    assert len(told) == INPUTS
    money = math.fsum(span.get("ragmeter.cost.amount", 0.0) for span in told)
    assert seen.total("ragmeter.cost.usd") == pytest.approx(money, rel=1e-9)
    assert seen.total("ragmeter.internal.errors") == 0


def read(reading: Reading, taken: Any) -> Any:
    """An answer as the worker reads it."""
    return reading.reader.response(reading.reader.decode(taken))


def client_of(library: Any, name: str) -> Any:
    """The class of a library's client, which is called as the library is."""
    return next(getattr(library, each) for each in dir(library) if each.lower() == name)


def asked(client: Any, recording: Recording) -> Any:
    """What the app gets from a client: what it says of itself, or its error."""
    try:
        result = client.post(recording.path, body=recording.body, cast_to=object, stream=False)
        return type(result), repr(result)
    except Exception as error:  # noqa: BLE001
        return type(error), str(error)


def test_no_odd_answer_reaches_the_app_otherwise_than_without_us(watch):
    """Through the real clients: the same objects and errors as without ragmeter, and every call counted."""
    random = Random(SEED)
    kept = [each for each in usable() if not each.streaming]
    libraries = {name: client_of(importlib.import_module(name), name) for name in CLIENTS}
    chosen = [(each, mutated(bodies(each)[0], random)) for each in random.choices(kept, k=CALLS)]
    answers = [odd_answer(body, random) for _, body in chosen]
    with Wire(*answers) as wire:
        made_of = {name: made(base_url=wire.url, api_key="k", max_retries=0) for name, made in libraries.items()}
        bare = [asked(made_of[recording.library], recording) for recording, _ in chosen]
        wire.gives(*answers)
        seen = watch(loud=False)
        told = [asked(made_of[recording.library], recording) for recording, _ in chosen]
        for client in made_of.values():
            client.close()
    assert told == bare
    assert seen.total("ragmeter.operations") == CALLS
    assert seen.total("ragmeter.internal.errors") == 0
    totals(seen)


def odd_answer(body: Any, random: Random) -> Answer:
    """Most odd answers are JSON all the same; some are a page, or cut in the middle."""
    what = random.random()
    if what < 0.9:
        return whole(body)
    text = json.dumps(body).encode()
    return Answer((b"<html>Please log in</html>" if what < 0.95 else text[: len(text) // 2],))
