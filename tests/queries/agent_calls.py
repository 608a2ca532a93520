"""Calls as agents make them, without any framework: a model that asks for tools, and what it is sent back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wire import Asked, whole

MODEL = "gpt-4o-mini"
SYSTEM = {"role": "system", "content": "You look things up before you answer."}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]
ANSWER = "It lasts for two years."
USAGE = {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}


def asks_for(*identifiers: str | None, name: str = "look_up", **given: str) -> dict[str, Any]:
    """A message that asks for tools; some servers give their calls no id."""
    function = {"name": name, "arguments": json.dumps(given)}
    calls = [{"type": "function", "function": function} | ({"id": each} if each else {}) for each in identifiers]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(identifier: str | None, text: str = "The kettle: two years.") -> dict[str, Any]:
    """What a tool gave, for the next request."""
    return {"role": "tool", "tool_call_id": identifier or "made-up", "content": text}


def completion(message: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    """A whole answer with this message."""
    reason = reason or ("tool_calls" if message.get("tool_calls") else "stop")
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": USAGE}


def steps_since_question(messages: Sequence[Mapping[str, Any]]) -> int:
    """How often tools have answered since the user has asked."""
    last = max(at for at, message in enumerate(messages) if message["role"] == "user")
    return sum(message["role"] == "assistant" for message in messages[last:])


def looking_up(steps: int = 1, identifier: str | None = None) -> Any:
    """A model that asks so many times for its tool, then answers; ids are new ones unless one is given."""
    made = iter(range(10**9))

    def answer(asked: Asked) -> Any:
        if steps_since_question(asked.body["messages"]) < steps:
            return whole(completion(asks_for(identifier or f"call_{next(made)}")))
        return whole(completion({"content": ANSWER}))

    return answer


class Agent:
    """A conversation with a model and its tool: `step` makes one call, `ask` a whole question."""

    def __init__(self, client: Any, question: str | None = None) -> None:
        self._client = client
        self.messages: list[dict[str, Any]] = [SYSTEM]
        if question is not None:
            self.messages.append({"role": "user", "content": question})

    def step(self, **more: Any) -> bool:
        """Whether the model has answered."""
        done = self._client.chat.completions.create(model=MODEL, messages=list(self.messages), tools=TOOLS, **more)
        message = done.choices[0].message
        self.messages.append(message.model_dump(exclude_none=True))
        self.messages += [result(call.id) for call in message.tool_calls or ()]
        return not message.tool_calls

    def ask(self, question: str) -> None:
        """Ask, and make calls until there is an answer."""
        self.messages.append({"role": "user", "content": question})
        while not self.step():
            continue
