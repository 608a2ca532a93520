"""Where the time of taking a 40 kB prompt apart goes, step by step, and how it grows over an agent's turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

from benchmarks.cases import ANSWER, CHUNKS
from ragmeter.anatomy import fates
from ragmeter.anatomy.dissecting import Dissector
from ragmeter.anatomy.finding import ChunkFinder
from ragmeter.anatomy.memory import ChunkMemory
from ragmeter.anatomy.parts import Dissection, segments
from ragmeter.anatomy.weights import Weigher, tokenizer_of
from ragmeter.domain.model import (
    Chunk,
    Operation,
    OperationKind,
    Prompt,
    PromptFragment,
    Request,
    Response,
    Role,
    Usage,
)
from ragmeter.ledger.metering import meter_inference
from ragmeter.money.pricebook import card_of

ROUNDS = 60
WARM = 10
PASSAGES = [Chunk(text, str(rank), 0.5, rank) for rank, text in enumerate(CHUNKS)]
VERBATIM = "\n\n".join(CHUNKS)
REFORMATTED = "\n\n".join("> " + text.replace(". ", ".\n> ") for text in CHUNKS)
MODEL = "gpt-4.1-mini"


def prompts(body: str) -> Iterator[Prompt]:
    """The same context with a new question each time."""
    for number in range(ROUNDS):
        yield Prompt((PromptFragment(Role.USER, f"{body}\n\nQuestion {number}: what is fact 3?"),))


def microseconds(work: Callable[[Prompt], object], body: str) -> float:
    """The median time of `work` on a prompt, after it has warmed up."""
    taken = []
    for prompt in prompts(body):
        before = time.perf_counter()
        work(prompt)
        taken.append(time.perf_counter() - before)
    return median(taken[WARM:]) * 1e6


def steps(body: str) -> dict[str, float]:
    """Microseconds by step, and of all together."""
    memory = ChunkMemory()
    finder, weigher, tokenizer = ChunkFinder(memory), Weigher(), tokenizer_of(MODEL)
    known = memory.remember(PASSAGES)
    weigh = partial(weigher.weigh, tokenizer=tokenizer)
    prints = [fates.fingerprint(text) for text in CHUNKS]
    dissector = Dissector()
    own = dissector.remember(PASSAGES)
    card = card_of({"input": 3.0, "output": 15.0}, "benchmark")
    places = finder.locate(next(prompts(body)), known).places
    whole: list[Dissection] = []

    def everything(prompt: Prompt) -> None:
        operation = _operation(prompt)
        whole.append(dissector.dissect(operation, own))
        meter_inference(operation, whole[-1], card, dissector.weigher, fine_tuned=False)

    return {
        "find the chunks": microseconds(lambda prompt: finder.locate(prompt, known), body),
        "weigh the texts": microseconds(lambda prompt: segments(prompt, places, weigh), body),
        "judge the answer": microseconds(lambda _: fates.judge(ANSWER, "what is fact 3?", prints), body),
        "near-duplicates and markers": microseconds(
            lambda _: (fates.near_duplicates(prints), fates.cited(ANSWER)), body
        ),
        "share out and price": microseconds(
            lambda prompt: (
                meter_inference(_operation(prompt), whole[0], card, dissector.weigher, fine_tuned=False)
                if whole
                else everything(prompt)
            ),
            body,
        ),
        "all of it": microseconds(everything, body),
    }


def _operation(prompt: Prompt) -> Operation:
    return Operation(
        request=Request(OperationKind.CHAT, "openai", model=MODEL),
        response=Response(usage=Usage(10_000, 150), text=(ANSWER,)),
        prompt=prompt,
        started=0,
        duration=1.0,
    )


def agent(turns: int = 200) -> tuple[float, float]:
    """Milliseconds of an agent's calls around the twentieth and at the end: three new chunks a turn, all sent again."""
    dissector = Dissector()
    parts = [PromptFragment(Role.USER, "Find out how it all hangs together.")]
    taken = []
    for turn in range(turns):
        found = [f"Turn {turn}: {CHUNKS[(3 * turn + at) % len(CHUNKS)][:700]}" for at in range(3)]
        known = dissector.remember([Chunk(text, None, None, rank) for rank, text in enumerate(found)])
        parts += [PromptFragment(Role.ASSISTANT, f"look_up {turn}"), PromptFragment(Role.TOOL, "\n> ".join(found))]
        before = time.perf_counter()
        dissector.dissect(_operation(Prompt(tuple(parts))), known)
        taken.append((time.perf_counter() - before) * 1e3)
    return median(taken[10:30]), median(taken[-20:])


SLOW = {
    "openings": ("", "\u30101\u2020"),
    "blanks": ("(source", " "),
    "numbers": ("[1", " ,1"),
    "markers": ("", "[1]"),
    "code": ("", "`"),
    "a list of sources": ("(sources 1", ",1"),
    "sources by name": ("(source 1", " and doc 1"),
    "ranges": ("[1", ", 1-1"),
}
"""Markers of citations made to be slow to read: how each begins, and what is repeated."""


def slow_answer(name: str, times: int) -> str:
    """An answer of one of the `SLOW` kinds."""
    start, unit = SLOW[name]
    return start + unit * times


def markers(times: int = 2_500) -> tuple[float, str]:
    """How much longer twice as much takes to read, where it is most, and of what."""

    def seconds(name: str, times: int) -> float:
        answer, taken = slow_answer(name, times), []
        for _ in range(9):
            before = time.perf_counter()
            fates.cited(answer)
            taken.append(time.perf_counter() - before)
        return min(taken)

    return max((seconds(name, 2 * times) / seconds(name, times), name) for name in SLOW)


def table() -> str:
    """The steps side by side, and what an agent's calls take."""
    verbatim, reformatted = steps(VERBATIM), steps(REFORMATTED)
    rows = "\n".join(f"| {step} | {verbatim[step]:,.0f} | {reformatted[step]:,.0f} |" for step in verbatim)
    early, late = agent()
    ratio, kind = markers()
    return f"""Where the time goes on the worker, microseconds for a 40 kB prompt whose 20 chunks were retrieved for it (wall clock, texts weighed):

| step | verbatim | reformatted |
| --- | ---: | ---: |
{rows}

An agent that gets three chunks a turn and sends all of it again: {early:.1f} ms a call around the twentieth, {late:.1f} ms at the
two-hundredth, with 400 parts and 600 chunks in the prompt. Markers of citations made to be slow: twice as many take {ratio:.1f} times
as long in the worst of {len(SLOW)} kinds ({kind})."""


if __name__ == "__main__":
    print(table())
