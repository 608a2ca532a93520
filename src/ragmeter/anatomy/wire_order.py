"""In which order the fragments of a prompt stand on the wire, a fact of provider and model: a cache holds its front.

The rows are in `facts/wire_order.json`. Where none fits, the order in which readers give the fragments
is assumed: tools, system text, messages. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile

from ragmeter.domain.model import Operation, Prompt, PromptFragment, Role, Usage
from ragmeter.domain.pausing import long
from ragmeter.facts import Fact, read

MESSAGES = "messages"
READERS_ORDER = (Role.TOOLS.value, Role.SYSTEM.value, MESSAGES)
"""The order in which readers give the fragments of every prompt."""

_FRONT = (Role.TOOLS, Role.SYSTEM)

DOCUMENTED, UNKNOWN = "documented", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow(Fact):
    """The order at providers, in the conventions' words, for models; each a pattern in full."""

    providers: str
    models: str
    order: Sequence[str]


ORDER_ROWS = read("wire_order", OrderRow)
"""The first row that fits counts."""


@lru_cache(maxsize=1_024)
def order_of(provider: str, model: str) -> tuple[str, ...] | None:
    """The documented order of a prompt to a model at a provider; `None` where nobody has written it down."""
    for row in ORDER_ROWS:
        if re.fullmatch(row.providers, provider) and re.fullmatch(row.models, model.lower()):
            return tuple(row.order)
    return None


def on_the_wire(prompt: Prompt, provider: str, model: str | None) -> Prompt:
    """A prompt as readers give it, with its fragments in the order in which the provider puts them."""
    return arranged(prompt, order_of(provider, model or "") or READERS_ORDER)


def arranged(prompt: Prompt, order: Sequence[str]) -> Prompt:
    """A prompt with tools, system text and messages in this order; those that come later stay in their turn."""
    if tuple(order) == READERS_ORDER:
        return prompt
    front = tuple(takewhile(_stands_in_front, long(prompt.fragments)))
    of_kind = {role.value: tuple([fragment for fragment in front if fragment.role is role]) for role in _FRONT}
    of_kind[MESSAGES] = prompt.fragments[len(front) :]
    first, second, third = (of_kind[kind] for kind in order)
    return replace(prompt, fragments=first + second + third)


def _stands_in_front(fragment: PromptFragment) -> bool:
    return fragment.role in _FRONT


def cache_order(operation: Operation) -> str | None:
    """Whether the order is known by which cached tokens fall on the fragments of a prompt.

    `None` where any order gives the same: nothing is cached, or all is, or there are no tools beside other fragments.
    """
    usage = operation.response.usage
    if usage is None or not _is_partly_cached(usage):
        return None
    roles = {fragment.role for fragment in long(operation.prompt.fragments)}
    if Role.TOOLS not in roles or len(roles) == 1:
        return None
    known = order_of(operation.request.provider, operation.model or "")
    return UNKNOWN if known is None else DOCUMENTED


def _is_partly_cached(usage: Usage) -> bool:
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    return 0 < cached < (usage.input_tokens or 0)
