"""Several operations in one call: the contract, and that each is counted, priced and shown once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from clients.blanks import both_kinds, finished
from fake_rounds import MODEL
from outcome_contract import OutcomeContract, Scenario
from telemetry_seen import Seen

QUESTION = "SENTINEL-QUESTION: what is it?"


async def whole(client: Any) -> Any:
    return await finished(client.ask(QUESTION))


async def failed(client: Any) -> Any:
    client.fails = True
    return await whole(client)


class TestRounds(OutcomeContract):
    """The contract with apps whose provider does several things in a call."""

    fake = "fake_rounds"

    def forms(self) -> dict[str, Scenario]:
        return {"whole": whole}

    def endings(self) -> dict[str, Scenario]:
        return {"failed": failed}

    def answer_methods(self) -> tuple[str, ...]:
        return ("ask",)

    def operations(self, seen: Seen) -> float:
        """Those that the app has made: what was made within them has no time."""
        queries = seen.total("ragmeter.queries")
        assert (seen.total("ragmeter.operations") - queries) % 4 == 0
        return queries

    counted = operations

    def call_span(self, seen: Seen) -> Mapping[str, Any]:
        return next(dict(span.attributes or {}) for span in seen.spans() if span.parent is None)

    @property
    def all_tokens(self) -> int:
        return 40 + 9 + 20 + 3 + 30 + 4 + 8 + 5

    @both_kinds
    async def test_each_is_counted_and_priced_once(self, watch, asynchronous):
        """Rounds, embedding and rerank are operations of the same query, each under its own model and price."""
        seen = watch()
        await self.told(whole, asynchronous=asynchronous)
        assert seen.total("ragmeter.queries") == 1
        kinds = {name: seen.total("ragmeter.operations", gen_ai_operation_name=name) for name in KINDS}
        assert kinds == {"chat": 3, "embeddings": 1, "rerank": 1}
        assert seen.total("ragmeter.tokens", gen_ai_response_model="gpt-4o-mini") == 40 + 9 + 20 + 3 + 30 + 4
        assert seen.total("ragmeter.tokens", gen_ai_response_model="text-embedding-3-small") == 8
        expected = (90 * 0.15 + 16 * 0.6 + 8 * 0.02 + 5 * 0.13) / 1e6
        assert seen.total("ragmeter.cost.usd") == pytest.approx(expected)
        (cost,) = seen.metric("ragmeter.query.cost.usd").values()
        assert cost.total == pytest.approx(expected)

    @pytest.mark.parametrize("tokens", [{"input": 0.15, "output": 0.6}, {}], ids=["with tokens", "alone"])
    @pytest.mark.parametrize("name", ["gpt-4o-mini", "openai"])
    async def test_a_price_of_a_request_is_paid_once(self, watch, name, tokens):
        """Rounds are no requests, by the row of model or provider; alone it has the tokens of all rounds in it."""
        seen = watch(prices={name: {**tokens, "request": 1.0}}, builtin_prices=False)
        await self.told(whole, asynchronous=False)
        states = {dict(key)["ragmeter.price.state"] for key in seen.metric("ragmeter.operations") if chats(key)}
        assert states == {"priced"}
        expected = 1.0 + (90 * tokens.get("input", 0) + 16 * tokens.get("output", 0)) / 1e6
        assert seen.total("ragmeter.cost.usd", gen_ai_response_model=MODEL) == pytest.approx(expected)
        (cost,) = seen.metric("ragmeter.query.cost.usd").values()
        assert cost.total == pytest.approx(seen.total("ragmeter.cost.usd"))

    async def test_each_has_a_span_below_the_calls_own(self, watch):
        """Below the call's span stands one for each, internal, with its tokens and money; no duration is told."""
        seen = watch()
        await self.told(whole, asynchronous=False)
        call = next(span for span in seen.spans() if span.parent is None)
        below = [span for span in seen.spans() if span.parent is not None]
        assert {span.parent.span_id for span in below} == {call.context.span_id}
        assert sorted(span.name for span in below) == [
            "chat gpt-4o-mini",
            "chat gpt-4o-mini",
            "embeddings text-embedding-3-small",
            "rerank text-embedding-3-large",
        ]
        assert {span.kind for span in below} == {SpanKind.INTERNAL}
        assert call.attributes["gen_ai.usage.input_tokens"] == 40
        spent = sum(span.attributes["ragmeter.cost.amount"] for span in seen.spans())
        assert spent == pytest.approx(seen.total("ragmeter.cost.usd"))
        assert seen.count("gen_ai.client.operation.duration") == 1
        tokens = sum(value.total for value in seen.metric("gen_ai.client.token.usage").values())
        assert tokens == self.all_tokens


def chats(key):
    return ("gen_ai.operation.name", "chat") in key


KINDS = ("chat", "embeddings", "rerank")
