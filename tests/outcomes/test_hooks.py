"""Clients that tell of their calls by callbacks and events: the contract, and the app's own listeners beside ours."""

from __future__ import annotations

import sys
from typing import Any

import openai
import pytest

import ragmeter
from clients import chat_shapes
from clients.blanks import finished, our_lines
from outcome_contract import OutcomeContract, Scenario
from ragmeter.wrapping import reports
from wire import Wire
from wire import whole as whole_answer

QUESTION = "SENTINEL-QUESTION: what is it?"
MODEL = "gpt-4o-mini"


OPEN_AT_FORK = """
seen = Seen()
ragmeter.instrument(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
contract.client(asynchronous=False).begin_only("what is it?")
child = os.fork()
if child == 0:
    calls = len(ask())
    ragmeter.uninstrument()
    os._exit(17 if contract.counted(seen) == calls else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
ragmeter.uninstrument()
assert contract.operations(seen) == 1
print("right")
"""


async def by_callbacks(client: Any) -> Any:
    return await finished(client.ask(QUESTION))


async def by_events(client: Any) -> Any:
    return await finished(client.call(QUESTION))


async def failed_by_callbacks(client: Any) -> Any:
    client.fails = True
    return await finished(client.ask(QUESTION))


async def failed_by_events(client: Any) -> Any:
    client.fails = True
    return await finished(client.call(QUESTION))


class TestHooks(OutcomeContract):
    """The contract with apps whose clients tell of their calls."""

    fake = "fake_hooks"

    @property
    def module(self) -> Any:
        return sys.modules["fake_hooks"]

    def forms(self) -> dict[str, Scenario]:
        return {each.__name__: each for each in (by_callbacks, by_events)}

    def endings(self) -> dict[str, Scenario]:
        return {each.__name__: each for each in (failed_by_callbacks, failed_by_events)}

    def answer_methods(self) -> tuple[str, ...]:
        return ("ask", "call")

    def standing(self) -> dict[str, Any]:
        handlers = self.module.events.handlers
        return {"list": list(self.module.callbacks), "events": {name: list(held) for name, held in handlers.items()}}

    async def test_the_apps_own_listeners_stay(self, watch):
        """Callbacks of the app's, before and after us, hear what they hear without us, and stay when we go."""
        heard: list[str] = []

        class Own:
            def __getattr__(self, name: str) -> Any:
                return lambda **told: heard.append(name)

            def __eq__(self, other: object) -> bool:
                return True

            __hash__ = None  # type: ignore[assignment]

        first, last = Own(), Own()
        callbacks = self.module.callbacks
        callbacks.append(first)
        seen = watch()
        callbacks.append(last)
        assert [each is first or each is last for each in callbacks] == [True, False, True]
        await self.told(by_callbacks, asynchronous=False)
        assert heard == ["before", "before", "success", "success"]
        assert seen.operations() == 1
        ragmeter.uninstrument()
        assert [id(each) for each in callbacks] == [id(first), id(last)]
        callbacks.clear()

    async def test_a_list_that_the_app_replaces_is_said_to_be_so(self, watch, monkeypatch):
        """An app that puts other callbacks in the place of all has taken ours out: the status says `shadowed`."""
        watch()
        monkeypatch.setattr(self.module, "callbacks", [])
        (status,) = [each for each in ragmeter.status().integrations if each.name == self.fake]
        assert {target.path: target.state for target in status.targets} == {
            "fake_hooks:callbacks": "shadowed",
            "fake_hooks:events": "patched",
        }
        ragmeter.uninstrument()
        assert self.module.callbacks == []

    async def test_what_is_never_told_to_have_ended_is_counted(self, watch, monkeypatch):
        """A call whose end is told to nobody is an operation once there are very many, or when we are switched off."""
        monkeypatch.setattr(reports, "MOST_OPEN", 3)
        seen = watch()
        client = self.client(asynchronous=False)
        for _ in range(5):
            client.begin_only(QUESTION)
        assert seen.operations() == 2
        ragmeter.uninstrument()
        assert seen.operations() == 5

    async def test_a_key_that_comes_twice_is_two_calls(self, watch):
        """A key used again before its call has ended is that of another call, whose end is told."""
        seen = watch()
        listener = self.module.callbacks[-1]
        for _ in range(2):
            listener.before(number=1, question=QUESTION)
        listener.success(number=1, answer={"text": "it", "usage": self.module.TOKENS})
        assert seen.operations() == 2
        reported = seen.metric("gen_ai.client.token.usage")
        assert sum(value.total for value in reported.values()) == self.all_tokens

    async def test_a_key_that_cannot_be_one_harms_no_client(self, watch, caplog):
        """A key that is not hashable is our error, said once: the client's callbacks return."""
        seen = watch(loud=False)
        listener = self.module.callbacks[-1]
        listener.before(number=[], question=QUESTION)
        listener.success(number=[], answer={})
        listener.failure(number=[], error=ValueError())
        assert len(our_lines(caplog.records)) == 1
        assert seen.total("ragmeter.internal.errors") == 3

    def test_what_is_open_at_a_fork_is_the_parents(self):
        """A call whose end was not told at a fork is no call of the child's, and stands around none of its own."""
        done = self.run(OPEN_AT_FORK)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "right\n"

    @pytest.mark.parametrize("again", [1, 2])
    async def test_a_client_below_is_the_same_request(self, watch, again):
        """The SDK that makes the request of a call of which events tell counts it no second time; what follows is."""
        seen = watch(providers={"127.0.0.1": "openai"})
        with Wire(whole_answer(chat_shapes.completion(MODEL))) as wire:
            below = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="key", max_retries=0)

            def inside() -> None:
                for _ in range(again):
                    below.chat.completions.create(**chat_shapes.question(MODEL))

            self.client(asynchronous=False, inside=inside).call(QUESTION)
            assert seen.operations() == again
            below.chat.completions.create(**chat_shapes.question(MODEL))
            below.close()
        assert seen.operations() == again + 1
