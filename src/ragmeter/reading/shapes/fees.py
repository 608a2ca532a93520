"""Billed units beside tokens: what an answer says that the provider's own tools have done. Each is a count by name.

The names are those of genai-prices where it has one. OpenAI bills a search, not a look at a page that it found
(https://platform.openai.com/docs/pricing), and a session of code for its container.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ragmeter.domain.model import Usage
from ragmeter.facts import Fact, read
from ragmeter.reading.shapes.fields import count, entries, field, items, may_have, named

WEB_SEARCHES = "web_searches"
FILE_SEARCHES = "storage_searches"
PREVIEW_SEARCHES = "web_searches_preview"
"""Searches by OpenAI's older tool, and by the search models of its chat API: they have a price of their own."""

SOCIAL_SEARCHES = "social_searches"
CODE_EXECUTIONS = "code_executions"
CODE_SESSIONS = "code_interpreter_sessions"
"""Containers that code ran in, at OpenAI."""

IMAGES = "image_generations"
IMAGE_INPUT = "image_generation_input_tokens"
IMAGE_OUTPUT = "image_generation_output_tokens"
"""Pictures made within an answer: by number where their tokens are not told, which have the image model's price."""

SEARCH_SOURCES = "search_sources"
"""Pages that xAI's live search has used."""

SEARCH_REQUESTS = "search_requests_"
"""Perplexity's fee for a request, by how much it searched: `low`, `medium` or `high` follows."""

TOOLS_TOLD = frozenset(("image_gen", "web_search"))
"""Tools whose use OpenAI counts, and what it counts of them is read."""

TOOL_CALLS = "tool_calls"
"""Calls of a tool of the provider's that has no name here."""

BY_TOOL = "server_side_tool_usage_details"
"""xAI's counts of its tools' calls."""

TOLD: tuple[tuple[tuple[str, ...], str], ...] = (
    (("server_tool_use", "web_search_requests"), WEB_SEARCHES),
    (("server_tool_use", "code_execution_requests"), CODE_EXECUTIONS),
    (("tool_calls_details", "search_web", "invocation"), WEB_SEARCHES),
    (("plugins", "search", "count"), WEB_SEARCHES),
    (("num_search_queries",), WEB_SEARCHES),
    (("num_sources_used",), SEARCH_SOURCES),
    ((BY_TOOL, "web_search_calls"), WEB_SEARCHES),
    ((BY_TOOL, "x_search_calls"), SOCIAL_SEARCHES),
    ((BY_TOOL, "code_interpreter_calls"), CODE_EXECUTIONS),
    ((BY_TOOL, "file_search_calls"), FILE_SEARCHES),
    ((BY_TOOL, "document_search_calls"), FILE_SEARCHES),
    ((BY_TOOL, "image_generation_calls"), IMAGES),
    (("prompt_audio_seconds",), "input_audio_seconds"),
)
"""Where a `usage` object counts them: Anthropic and OpenRouter, Perplexity, Qwen, xAI, Mistral."""

UNIT_FIELDS = frozenset(("search_context_size", *(path[0] for path, _ in TOLD)))
SEARCH_SIZES = ("low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchModelRow(Fact):
    """Models that search the web once for every answer, a pattern of the whole name; and the unit that is billed."""

    models: str
    unit: str


SEARCH_MODELS = read("search_models", SearchModelRow)

RESULTS = ("output", "search_results", "code_results", "browser_results")
EXECUTED = {"python": CODE_EXECUTIONS, "code_interpreter": CODE_EXECUTIONS}
"""What a tool that one of Groq's systems has used gave, and its names; those with `search` in it are searches."""


def read_units(usage: Any) -> dict[str, int]:
    """The units that a `usage` object counts, whatever the endpoint; a reported 0 stays one."""
    found: dict[str, int] = {}
    if not may_have(usage, UNIT_FIELDS):
        return found
    for path, unit in TOLD:
        told = count(usage, *path)
        if told is not None:
            found[unit] = max(told, found.get(unit, 0))
    if field(usage, BY_TOOL) is not None:
        # Then the calls are billed, not the pages.
        found.pop(SEARCH_SOURCES, None)
    size = field(usage, "search_context_size")
    if isinstance(size, str) and size in SEARCH_SIZES:
        found[f"{SEARCH_REQUESTS}{size}"] = 1
    return found


def units_of_model(model: str | None) -> dict[str, int]:
    """The search that a search model has made: the answer does not count it."""
    return {row.unit: 1 for row in SEARCH_MODELS if re.fullmatch(row.models, model or "")}


def units_of_message(message: Any) -> Counter[str]:
    """The tools that one of Groq's systems has used for a message, or in a piece of it: those that gave something."""
    executed = items(field(message, "executed_tools"))
    tools = [tool for tool in executed if any(field(tool, name) for name in RESULTS)]
    kinds = [named(tool, "type") or "" for tool in tools]
    return Counter(WEB_SEARCHES if "search" in kind else EXECUTED.get(kind, TOOL_CALLS) for kind in kinds)


def units_of_response(result: Any) -> dict[str, int]:
    """What an answer of the Responses API has used beside the counts in its `usage`."""
    if field(field(result, "usage"), BY_TOOL) is not None:
        return {}
    output = items(field(result, "output"))
    done = [item for item in output if field(item, "status", "completed") == "completed"]
    kinds = Counter(named(item, "type") for item in done)
    units = {
        FILE_SEARCHES: kinds["file_search_call"],
        CODE_SESSIONS: _sessions(result, output),
        TOOL_CALLS: _unnamed_tools(field(result, "tool_usage")),
        **_pictures(result, kinds),
    }
    return {unit: number for unit, number in units.items() if number} | _searches(result, done)


def _unnamed_tools(told: Any) -> int:
    """How many tools without a name here OpenAI counts as used."""
    others = [each for name, each in entries(told) or () if name not in TOOLS_TOLD]
    return sum(any(count(each, name) for name, _ in entries(each) or ()) for each in others)


def _sessions(result: Any, output: Iterable[Any]) -> int:
    """The containers that code or a shell ran in; a shell of the app's own is in none."""
    shells = [field(tool, "environment") for tool in items(field(result, "tools")) if _is(tool, "shell")]
    hosts = [host for item in output for host in _hosts_of(item, shells)]
    return len({named(host, "container_id") for host in hosts})


def _hosts_of(item: Any, shells: Iterable[Any]) -> list[Any]:
    """The container that an item of an output ran in: its own, or else that of the shell the request has named."""
    if _is(item, "code_interpreter_call"):
        return [item]
    if not _is(item, "shell_call"):
        return []
    return [host for host in (field(item, "environment"), *shells) if _is(host, "container")][:1]


def _searches(result: Any, done: Iterable[Any]) -> dict[str, int]:
    """The web searches that are billed, under the name of their tool."""
    number = _number_of_searches(result, done)
    if number is None:
        return {}
    is_preview = any(_is(tool, "web_search_preview") for tool in items(field(result, "tools")))
    return {PREVIEW_SEARCHES if is_preview else WEB_SEARCHES: number}


def _number_of_searches(result: Any, done: Iterable[Any]) -> int | None:
    """The web searches that are billed, as the provider counts them or else as they stand in the output."""
    told = count(result, "tool_usage", "web_search", "num_requests")
    calls = [item for item in done if _is(item, "web_search_call")]
    if told is not None or not calls:
        return told
    # A look at a page that was found is a call too.
    return sum(named(call, "action", "type") in (None, "search") for call in calls)


def _pictures(result: Any, kinds: Mapping[str | None, int]) -> dict[str, int]:
    """The pictures made in an answer, by their tokens where they are told."""
    given, made = (count(result, "tool_usage", "image_gen", f"{name}_tokens") or 0 for name in ("input", "output"))
    return (
        {IMAGE_INPUT: given, IMAGE_OUTPUT: made} if given or made else {IMAGES: kinds.get("image_generation_call", 0)}
    )


def units_of_blocks(blocks: Iterable[Any]) -> Counter[str]:
    """The code that Anthropic has run for a message: it bills the time of that, which no answer tells."""
    calls = [block for block in blocks if named(block, "type") == "server_tool_use"]
    return Counter(CODE_EXECUTIONS for call in calls if "code_execution" in (named(call, "name") or ""))


def _is(item: Any, kind: str) -> bool:
    # Tools carry the date of their version behind their name.
    return (named(item, "type") or "").startswith(kind)


def billed(usage: Usage | None, units: Mapping[str, float]) -> Usage | None:
    """`usage` with these units in it."""
    if not units:
        return usage
    known = usage or Usage()
    return replace(known, units={**known.units, **units})


def added(usage: Usage | None, units: Mapping[str, float]) -> Usage | None:
    """`usage` with these units counted on top of those it has."""
    have: Mapping[str, float] = {} if usage is None else usage.units
    return billed(usage, {name: have.get(name, 0) + number for name, number in units.items()})
