"""How the cost of a call grows with what: `python -m benchmarks curves [NAME …] [--quick] [--plots DIRECTORY]`.

Each point is the least of some rounds, microseconds of CPU while Python's garbage collector rests. The exponent is the
slope of the logarithms by least squares.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

import ragmeter
from benchmarks.cases import (
    ANSWER,
    ANSWERS,
    CHUNKS,
    EVENTS,
    MESSAGES,
    Given,
    Step,
    _answer,
    _chat,
    _client,
    completion,
    given,
)
from benchmarks.growth import OWN, Cost, Curve, Measured, Rounds, added, beside_bare, exponent, last_exponent, measure
from benchmarks.installed import PATIENCE, drain, instrumented, without_the_client
from benchmarks.plot import svg
from benchmarks.slices import cut

MODEL = "gpt-4o-mini"
STREAMED, EMBEDDING = "gpt-4.1", "text-embedding-3-small"
SECONDS, QUICK_SECONDS = 200.0, 30.0
ROUNDS = 7
CALLS = 10
"""Small calls of one round."""

TEMPLATE = (
    "Product {number}: the article is in stock and is sent within {days} days. It comes with a guarantee of two years, "
    "which begins when it is delivered, and can be returned within thirty days if its packing is whole. Its place in the "
    "store is {place}; whoever wants to see it there asks at the desk on the ground floor. Orders above fifty pounds are "
    "sent without a charge, and gifts are wrapped for two pounds each."
)
PROSE = " ".join(CHUNKS)


def _from_template(number: int) -> str:
    random = Random(number)
    return TEMPLATE.format(number=number, days=random.randint(1, 99), place=f"{random.randint(1, 9_999)}-{number}")


def _small() -> Any:
    return _chat(MODEL, _answer())


def _small_step(create: Any, calls: int = CALLS) -> Step:
    def step() -> None:
        for _ in range(calls):
            create(model=MODEL, messages=MESSAGES)

    return step


def _asking(prompt: str, chunks: Sequence[str]) -> Step:
    """A query that is given chunks, with a prompt that nobody has sent yet."""
    create, turn = _chat(MODEL, _answer(300_000, ANSWER)), count()

    def step() -> None:
        with ragmeter.query():
            ragmeter.context(chunks)
            content = f"{prompt}\n\nQuestion {next(turn)}: what is fact 3?"
            create(model=MODEL, messages=[{"role": "user", "content": content}])

    return step


def _text(length: int) -> str:
    """Prose of that length: of a long one each part has words of its own."""
    pieces = (f"{part} {sentence}" for part in count() for sentence in PROSE.split(". "))
    found, size = [], 0
    while size < length:
        found.append(next(pieces))
        size += len(found[-1]) + 2
    return ". ".join(found)[:length]


def prompt_rounds(length: int) -> Rounds:
    """A prompt of so many characters, all of them in 20 chunks as they were retrieved."""
    chunks = cut(_text(length), 20)
    yield from added(_asking("\n\n".join(chunks), chunks))


def quoted_rounds(length: int) -> Rounds:
    """The same with each sentence quoted, on a line of its own."""
    chunks = cut(_text(length), 20)
    yield from added(_asking("\n\n".join("> " + chunk.replace(". ", ".\n> ") for chunk in chunks), chunks))


def remembered_rounds(number: int) -> Rounds:
    """So many chunks of one template that were retrieved earlier, and a short prompt of that template."""
    create, turn = _chat(MODEL, _answer(300, ANSWER)), count(1_000_000)

    def before() -> None:
        for first in range(0, number, 100):
            with ragmeter.query():
                ragmeter.context([_from_template(each) for each in range(first, min(first + 100, number))])
        # Posted: what is left of them is what is remembered.
        ragmeter.flush(PATIENCE)

    def step() -> None:
        content = "> " + _from_template(next(turn)).replace(". ", ".\n> ")
        create(model=MODEL, messages=[{"role": "user", "content": content}])

    yield from added(step, before)


def _in_trace(number: int) -> otel_context.Context:
    """A context in a trace whose spans nobody records here: its query is open for half a minute."""
    return trace.set_span_in_context(NonRecordingSpan(SpanContext(number, number, is_remote=True)))


def _open_queries(numbers: Iterator[int], number: int) -> None:
    for _ in range(number):
        token = otel_context.attach(_in_trace(next(numbers)))
        try:
            ragmeter.context(["A text of the house that was found for a query which is still open."])
        finally:
            otel_context.detach(token)
    drain()


def live_rounds(number: int) -> Rounds:
    """So many queries that are open, and a small chat beside them in a trace of its own."""
    create, numbers = _small(), count(1)

    def step() -> None:
        for _ in range(CALLS):
            token = otel_context.attach(_in_trace(next(numbers)))
            create(model=MODEL, messages=MESSAGES)
            otel_context.detach(token)

    yield from added(step, lambda: _open_queries(numbers, number), calls=CALLS)


def settling_rounds(number: int) -> Rounds:
    """So many open queries that are posted together: what one of them costs."""
    numbers = count(1)
    with instrumented(exact_tokens=False):
        while True:
            _open_queries(numbers, number)
            began = time.thread_time_ns()
            ragmeter.flush(PATIENCE)
            yield Cost(None, (time.thread_time_ns() - began) / 1e3 / number)


def waiting_rounds(number: int) -> Rounds:
    """So many searches and embeddings that wait for an answer, and a chat with a long question beside them."""
    from openai.types import CreateEmbeddingResponse

    vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}
    body = {"object": "list", "model": EMBEDDING, "data": [vector], "usage": {"prompt_tokens": 9, "total_tokens": 9}}
    create, question, turn = _small(), _text(4_000), count()
    ANSWERS[EMBEDDING] = given(CreateEmbeddingResponse.model_validate(body))
    embed = _client().embeddings.create

    def before() -> None:
        for each in range(number):
            embed(
                model=EMBEDDING, input=f"What does product {each} cost, and when does it come?", encoding_format="float"
            )
            ragmeter.context([_from_template(each)])

    def step() -> None:
        create(model=MODEL, messages=[{"role": "user", "content": f"{question} {next(turn)}?"}])

    yield from added(step, before)


def _labelled(create: Any, number: int) -> None:
    for each in range(number):
        with ragmeter.query(team=f"team {each}"):
            create(model=MODEL, messages=MESSAGES)


def label_rounds(number: int) -> Rounds:
    """So many values of a label that were counted, and a small chat under the first of them."""
    create = _small()

    def step() -> None:
        for _ in range(CALLS):
            _labelled(create, 1)

    yield from added(step, lambda: _labelled(create, number), calls=CALLS, labels=["team"])


def collection_rounds(number: int) -> Rounds:
    """One collection of the metrics with so many values of a label."""
    create = _small()
    with instrumented(exact_tokens=False, labels=["team"], max_label_values=100_000) as reader:
        _labelled(create, number)
        ragmeter.flush(PATIENCE)
        while True:
            began = time.thread_time_ns()
            reader.collect()
            yield Cost(None, (time.thread_time_ns() - began) / 1e3)


def piece_rounds(number: int) -> Rounds:
    """A stream of so many pieces, read to its end."""
    from openai.types.chat import ChatCompletionChunk

    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": STREAMED}
    word = {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": completion()["usage"]}
    said, last = (ChatCompletionChunk.model_validate(head | part) for part in (word, end))
    create = _chat(STREAMED, [])
    ANSWERS[STREAMED] = Given([said] * (number - 1) + [last])
    events = [SimpleNamespace(data=each.model_dump_json(exclude_unset=True)) for each in (said, last)]
    EVENTS[:] = [events[0]] * (number - 1) + [events[1]]

    def step() -> None:
        for _ in create(model=STREAMED, messages=MESSAGES, stream=True):
            pass

    yield from beside_bare(step)


def turn_rounds(number: int) -> Rounds:
    """A conversation of so many turns with three chunks each, that nobody has seen before, all of it in one query."""
    create, run = _chat(MODEL, _answer(300_000, ANSWER)), count()

    def step() -> None:
        mark = next(run)
        found = [f"Run {mark}, {at}: {CHUNKS[at % len(CHUNKS)][:700]}" for at in range(3 * number)]
        messages: list[dict[str, str]] = [{"role": "user", "content": "Find out how it all hangs together."}]
        for at in range(number):
            messages.append({"role": "assistant", "content": f"look_up {at}"})
            messages.append({"role": "user", "content": "\n> ".join(found[3 * at : 3 * at + 3])})
        with ragmeter.query():
            ragmeter.context(found)
            create(model=MODEL, messages=messages)

    yield from added(step)


def thread_rounds(number: int) -> Rounds:
    """Small chats on so many threads at once, as many in all whatever the number."""
    calls = max(64, number)
    on_thread = _small_step(_small(), calls // number)

    def all_at_once() -> None:
        threads = [threading.Thread(target=on_thread) for _ in range(number)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    yield from added(all_at_once, calls=calls // number * number)


CURVES = {
    "prompt": Curve("characters of a prompt, 20 chunks verbatim", (2_000, 8_000, 32_000, 128_000, 512_000), (2_000, 16_000, 128_000), prompt_rounds, OWN),
    "quoted": Curve("characters of a prompt, 20 chunks quoted", (2_000, 8_000, 32_000, 128_000, 512_000), (2_000, 16_000, 128_000), quoted_rounds, OWN),
    "remembered": Curve("chunks remembered, of one template", (20, 100, 500, 2_000, 4_000), (20, 200, 1_000), remembered_rounds),
    "live": Curve("live queries", (1, 10, 100, 1_000, 9_000), (1, 30, 1_000), live_rounds),
    "settling": Curve("live queries posted together", (1, 10, 100, 1_000, 10_000), (1, 30, 1_000), settling_rounds, of="a query"),
    "waiting": Curve("searches, and embeddings, that wait", (1, 4, 16, 64, 256), (1, 16, 128), waiting_rounds),
    "labels": Curve("label sets counted", (1, 10, 100, 1_000, 5_000), (1, 20, 400), label_rounds),
    "collection": Curve("label sets collected", (1, 10, 100, 1_000, 5_000), (1, 20, 400), collection_rounds, OWN, of="a collection"),
    "pieces": Curve("pieces of a stream", (200, 1_000, 5_000, 20_000, 80_000), (200, 2_000, 10_000), piece_rounds, OWN),
    "turns": Curve("turns of a conversation", (5, 20, 50, 100, 200), (5, 20, 60), turn_rounds, OWN),
    "threads": Curve("threads", (1, 2, 4, 8, 16, 32), (1, 4, 16), thread_rounds),
}  # fmt: skip
"""The curves by the name they are asked for."""

HEAD = [
    "| cost against | thread | µs from … to | exponent | of the last step | wanted |",
    "| --- | --- | --- | ---: | ---: | ---: |",
]
THREADS = {"caller": "caller's thread", "worker": "worker"}


def rows(measured: Measured) -> Iterator[str]:
    """A row for each thread of a curve."""
    curve = measured.curve
    sizes = list(measured.costs)
    across = f"{curve.what}, {sizes[0]:,} … {sizes[-1]:,}"
    if measured.left_out:
        across += f" (no time for {', '.join(f'{size:,}' for size in measured.left_out)})"
    for thread, name in THREADS.items():
        if points := measured.line(thread):
            costs = " … ".join(f"{cost:,.1f}" for _, cost in points)
            slopes = f"{_told(exponent(points))} | {_told(last_exponent(points))}"
            yield f"| {across} | {name} | {costs} | {slopes} | ≤ {curve.wanted} |"


def _told(slope: float | None) -> str:
    return "–" if slope is None else f"{slope:.2f}"


def plot(measured: Measured) -> str:
    """The curve as SVG."""
    lines = {
        f"{name}, exponent {_told(exponent(points))}": points
        for thread, name in THREADS.items()
        if (points := measured.line(thread))
    }
    curve = measured.curve
    return svg(f"Cost of {curve.of} against {curve.what}", curve.what, f"µs of CPU, {curve.of}", lines)


def main(arguments: Sequence[str]) -> None:
    """Print the rows of each curve that is asked for, all of them where none is, and draw them."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks curves", description="How the cost of a call grows.")
    asked.add_argument("curve", nargs="*", metavar="NAME", help=f"{', '.join(CURVES)} (all of them)")
    asked.add_argument(
        "--quick", action="store_true", help=f"fewer sizes, in {QUICK_SECONDS:.0f} s instead of {SECONDS:.0f}"
    )
    asked.add_argument(
        "--seconds", type=float, help="time for all curves together; what has begun is brought to its end"
    )
    asked.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of each point, if there is time ({ROUNDS})")
    asked.add_argument("--sizes", type=int, nargs="+", metavar="N", help="these sizes instead of each curve's own")
    asked.add_argument("--plots", type=Path, metavar="DIRECTORY", help="draw each curve here, as NAME.svg")
    given = asked.parse_args(arguments)
    names = given.curve or list(CURVES)
    if unknown := [name for name in names if name not in CURVES]:
        asked.error(f"no curve is called {', '.join(unknown)}; there are {', '.join(CURVES)}")
    if given.rounds < 1 or any(size < 1 for size in given.sizes or ()):
        asked.error("--rounds and --sizes must be at least 1")
    until = time.monotonic() + (given.seconds or (QUICK_SECONDS if given.quick else SECONDS))
    print("\n".join(HEAD), flush=True)
    with without_the_client():
        for number, name in enumerate(names):
            curve = CURVES[name]
            sizes = sorted(given.sizes or (curve.quick if given.quick else curve.sizes))
            share = (until - time.monotonic()) / (len(names) - number)
            measured = measure(curve, sizes, share, rounds=given.rounds, name=name)
            print("\n".join(rows(measured)), flush=True)
            if given.plots is not None:
                given.plots.mkdir(parents=True, exist_ok=True)
                (given.plots / f"{name}.svg").write_text(plot(measured), encoding="utf-8")
