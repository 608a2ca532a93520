"""An integration whose readers give what they should not: the rest of the operation is counted as ever."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import fakes
import ragmeter
from ragmeter.domain.model import OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage
from ragmeter.reading.declaration import Call, Integration, Reader, Reading, Target
from test_counting import settle

__version__ = "1.0"

MODEL = "gpt-4o-mini"


class Client:
    """A client that answers what it is given."""

    def ask(self, kind: str, *given: Any) -> str:
        return f"{kind}: an answer"


def read(call: Call) -> Reading:
    prompt, parameters, used = call.arguments[1:]
    reader = Reader(
        lambda _: Response(MODEL, text=("An answer.",), usage=used),
        prompt=lambda _: prompt,
        parameters=lambda _: parameters,
    )
    return Reading(Request(OperationKind(call.argument(0, "kind")), "openai", MODEL), reader, sent="asked")


INTEGRATION = Integration(
    name="odd_readers",
    module=__name__,
    distribution="odd-readers",
    tested=("1.0", "1.0"),
    targets=(Target(f"{__name__}:Client.ask", read),),
)
GOOD = (Prompt((PromptFragment(Role.USER, "What is it?"),)), {"temperature": 0.5}, Usage(10, 5))
usage: Any = Usage
ODD: dict[str, tuple[int, Any]] = {
    "no prompt": (0, None),
    "a text for a prompt": (0, "What is it?"),
    "no parameters": (1, None),
    "a list for parameters": (1, ["temperature"]),
    "a text for a count": (2, usage("10", 5)),
    "a list for a count": (2, usage([10], 5)),
    "a truth for a count": (2, usage(True, 5)),
    "a text for a cost": (2, usage(10, 5, reported_cost="0.1")),
    "no units": (2, usage(10, 5, units=None)),
}


@pytest.fixture
def seen(watch):
    put = fakes.put("odd_readers", INTEGRATION)
    yield watch(loud=False)
    ragmeter.uninstrument()
    put.take_back()


@pytest.mark.parametrize("kind", ["chat", "embeddings", "search", "rerank"])
@pytest.mark.parametrize("name", ODD)
def test_what_a_reader_should_not_give_costs_nothing_else(seen, kind, name):
    """The call is as ever, it and what was asked beside it are counted, and no flush raises."""
    place, odd = ODD[name]
    given = [*GOOD]
    given[place] = odd
    client = sys.modules[__name__].Client()
    for each in (GOOD, given, GOOD):
        assert client.ask(kind, *each) == f"{kind}: an answer"
    settle()
    assert seen.total("ragmeter.operations") == 3
    assert len(seen.spans()) == seen.spans_started == 3
    assert seen.total("ragmeter.cost.usd") > 0 or kind in ("search", "rerank")
