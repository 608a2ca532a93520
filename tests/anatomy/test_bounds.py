"""Work and memory stay bounded however long a conversation goes on."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from random import Random
from statistics import median

from corpus import passages
from ragmeter.anatomy.dissecting import Dissector
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

TURNS = 200


def operation(parts: list[PromptFragment], answer: str) -> Operation:
    """A call whose texts are fresh copies, as a client builds them anew for each request."""
    copies = tuple(PromptFragment(part.role, (part.text + " ")[:-1]) for part in parts)
    return Operation(
        request=Request(OperationKind.CHAT, "openai", model="gpt-4o"),
        response=Response(usage=Usage(1_000 + 600 * len(parts), 50), text=(answer,)),
        prompt=Prompt(copies),
        started=0,
        duration=1.0,
    )


@contextmanager
def counted(steps: list[int]) -> Iterator[None]:
    """Append how many functions were called: a measure of the work that is the same on every machine."""
    called = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
        steps.append(called)


def converse(dissector: Dissector, texts: list[str], watched: Collection[int] = ()) -> list[int]:
    """An agent that gets three chunks in each turn and sends all of it again; the steps of the watched turns."""
    parts = [
        PromptFragment(Role.SYSTEM, "You are an agent."),
        PromptFragment(Role.USER, "Find out how it all hangs together."),
    ]
    steps: list[int] = []
    for turn in range(TURNS):
        found = [f"Turn {turn}: {texts[(3 * turn + at) % len(texts)]}" for at in range(3)]
        known = dissector.remember([Chunk(text, str(at), None, at) for at, text in enumerate(found)])
        parts.append(PromptFragment(Role.ASSISTANT, f"look_up number {turn}"))
        parts.append(PromptFragment(Role.TOOL, json.dumps([{"text": text} for text in found])))
        call = operation(parts, f"I shall look up the next part, after {found[0][:80]}")
        with counted(steps) if turn in watched else nullcontext():
            places = dissector.dissect(call, known).places
        assert len(places) == 3 * (turn + 1)
    return steps


def test_an_agents_two_hundredth_call_is_bounded():
    """With twenty times the history a call costs some times as much: its parts are looked up, not searched again."""
    early, late = range(10, 20), range(TURNS - 10, TURNS)
    steps = converse(Dissector(), passages("prose", 60, Random(3), 700), (*early, *late))
    assert median(steps[10:]) < 10 * median(steps[:10])


def test_the_same_conversation_again_takes_no_more_memory():
    """What is remembered of a conversation of 200 turns is not remembered twice."""
    dissector, texts = Dissector(), passages("prose", 60, Random(3), 700)
    converse(dissector, texts)
    tracemalloc.start()
    converse(dissector, texts)
    before, _ = tracemalloc.get_traced_memory()
    converse(dissector, texts)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 500_000
