"""A call inside a call: told by who asks what, for clients whose requests nobody sees on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fake_generators
import fakes
import ragmeter
from clients.blanks import both_kinds, chunks_of, finished
from telemetry_seen import Seen

QUESTION = "SENTINEL-QUESTION: what is it?"
OTHER = "Is this a harmful question?"
MODEL = "gpt-4o"


@pytest.fixture(autouse=True)
def fake_is_there() -> Iterator[None]:
    put = fakes.put_module("fake_generators")
    yield
    ragmeter.uninstrument()
    put.take_back()


async def asked(seen: Seen, inside: Callable[[Any, Any], object], *, asynchronous: bool) -> dict[str, float]:
    """Operations counted where a client's transport does something first, for each way to ask."""
    found = {}
    for way in ("ask", "later", "answers"):
        kind = fake_generators.AsyncClient if asynchronous else fake_generators.Client
        outer, inner = kind(), fake_generators.Client()
        request = outer.request

        def guarded() -> None:
            outer.request = request  # noqa: B023
            inside(inner, outer if not asynchronous else inner)  # noqa: B023

        outer.request = guarded
        before = seen.operations()
        result = await finished(getattr(outer, way)(QUESTION))
        if way != "ask":
            await chunks_of(result)
        found[way] = seen.operations() - before
    return found


def counts(number: int) -> dict[str, int]:
    return dict.fromkeys(("ask", "later", "answers"), number)


@both_kinds
async def test_a_guardrail_that_asks_something_else_is_a_call_of_its_own(seen, asynchronous):
    """Another client that is asked another question meanwhile, of the same model, is counted beside the call."""
    assert await asked(seen, lambda inner, _: inner.ask(OTHER), asynchronous=asynchronous) == counts(2)


@both_kinds
async def test_a_guardrail_that_asks_another_model_is_a_call_of_its_own(seen, asynchronous):
    """Another model that is asked the same question meanwhile is counted beside the call."""
    assert await asked(seen, lambda inner, _: inner.ask(QUESTION, model=MODEL), asynchronous=asynchronous) == counts(2)


@both_kinds
async def test_a_client_that_hands_on_to_another_is_one_operation(seen, asynchronous):
    """Another client that is asked the same question of the same model makes the request in the first one's place."""
    assert await asked(seen, lambda inner, _: inner.ask(QUESTION), asynchronous=asynchronous) == counts(1)
    assert await asked(seen, lambda inner, _: list(inner.answers(QUESTION)), asynchronous=asynchronous) == counts(1)


async def test_a_client_that_asks_itself_something_else_makes_a_call_of_its_own(seen):
    """The same client asked something else by the same function is counted twice; asked the same again, once."""
    ask = "ask"
    again = await asked(seen, lambda _, outer: outer.ask(OTHER), asynchronous=False)
    assert again[ask] == 2
    once_more = await asked(seen, lambda _, outer: outer.ask(QUESTION), asynchronous=False)
    assert once_more[ask] == 1


async def test_a_function_that_calls_another_of_its_client_is_one_operation(seen):
    """Two functions of one client inside each other are one request, in whatever form it is handed on."""
    through = await asked(seen, lambda _, outer: list(outer.answers(QUESTION.upper())), asynchronous=False)
    assert through["ask"] == through["later"] == 1
