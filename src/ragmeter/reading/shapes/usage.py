"""Token counts under all the names and in all the forms that servers give them.

Most follow OpenAI: what was cached is part of the prompt, reasoning part of the completion
(https://platform.openai.com/docs/api-reference/chat/object). Where a server counts otherwise its own total tells: xAI
has reasoning beside the completion, Gemini's OpenAI form hides its thoughts, gateways hand on Anthropic's counts, which
leave out what was cached. What the total shows beyond prompt and completion can only be output.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any

from ragmeter.domain import gate
from ragmeter.domain.model import Response, Usage
from ragmeter.reading.shapes.costs import is_own_key, read_cost
from ragmeter.reading.shapes.fees import billed, read_units
from ragmeter.reading.shapes.fields import count, field, those_in

INPUT = ("prompt_tokens", "input_tokens")
OUTPUT = ("completion_tokens", "output_tokens")
GIVEN = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details", "input_token_details")
MADE = ("completion_tokens_details", "output_tokens_details", "completion_token_details", "output_token_details")
"""The objects with the details of a count; some servers have the token in the singular."""

HITS, MISSES = "prompt_cache_hit_tokens", "prompt_cache_miss_tokens"
"""DeepSeek's own names for what was in its cache and what was not, which together are the prompt."""

ANTHROPIC = frozenset(("cache_read_input_tokens", "cache_creation_input_tokens"))
CACHE_READ = frozenset(("cached_tokens", "num_cached_tokens", "cache_read_input_tokens", "cache_read_tokens", HITS))
CACHE_WRITE = frozenset(
    ("cache_write_tokens", "cache_creation_input_tokens", "cache_creation_tokens", "cache_write_input_tokens")
)
"""Names among the details and beside the totals: Moonshot, together, Mistral have them there, gateways Anthropic's."""

CITED = "citation_tokens"
REASONING = frozenset(("reasoning_tokens", "thinking_tokens"))

RARE_GIVEN = {"video_tokens": "input_video_tokens"}
RARE_MADE = {"image_tokens": "output_image_tokens", "video_tokens": "output_video_tokens"}
"""Counts among the details that are units of genai-prices, and what it calls them."""

LASTING = ("cache_creation", "ephemeral_1h_input_tokens")
"""Anthropic's count of what was written to the cache for an hour."""

NOTHING = Usage()
FIELDS = tuple(each.name for each in fields_of(Usage))


def read_usage(usage: Any, result: Any = None) -> Usage | None:
    """The counts of a `usage` object that stands in `result`; `None` when it holds nothing that can be counted."""
    given, made = _first(usage, GIVEN), _first(usage, MADE)
    known, cost = _counts(usage, given, made), read_cost(usage, result)
    if cost is not None or is_own_key(usage):
        # A router's fee without the charge behind it is not what was paid.
        known = replace(known, reported_cost=cost, inexact=cost is None)
    known = billed(known, read_units(usage) | _units_in(usage, given, made)) or known
    return None if known == NOTHING else known


def _units_in(usage: Any, given: Any, made: Any) -> dict[str, int]:
    """Tokens with a price of their own that few servers count: pictures made, films read, pages cited."""
    told = {unit: count(given, name) for name, unit in RARE_GIVEN.items()}
    told |= {unit: count(made, name) for name, unit in RARE_MADE.items()}
    if _is_research(usage):
        told["output_citation_tokens"] = count(usage, CITED)
    return {unit: number for unit, number in told.items() if number}


def later(earlier: Usage | None, now: Usage | None) -> Usage | None:
    """What is known after `now` came: the last count of each kind holds, but a zero is no news."""
    if earlier is None or now is None:
        return now or earlier
    fresh = {name: value for name in FIELDS if (value := getattr(now, name)) or getattr(earlier, name) is None}
    units = {unit: number for unit, number in now.units.items() if number or unit not in earlier.units}
    return replace(earlier, **{**fresh, "units": {**earlier.units, **units}})


def counted(response: Response) -> Response:
    """`response` without the zeros of a server that does not count.

    What was written took a token, and so did the prompt of whatever was finished.
    """
    usage = response.usage
    if usage is None or (usage.input_tokens != 0 and usage.output_tokens != 0):
        return response
    has_text = any((*response.text, *response.reasoning))
    made = _unless_zero(usage.output_tokens, where=has_text)
    is_answered = has_text or bool(made) or bool(set(response.finish_reasons) - {"error"})
    given = _unless_zero(usage.input_tokens, where=is_answered)
    known = replace(usage, input_tokens=given, output_tokens=made)
    return replace(response, usage=None if _says_nothing(known) else known)


def _unless_zero(tokens: int | None, *, where: bool) -> int | None:
    """A count; where there was something to count a zero is none."""
    return (tokens or None) if where else tokens


def mixed(usage: Usage, model: str | None, models: Iterable[str | None]) -> Usage:
    """`usage`, not exact where other models than the one that answered have taken part: each has its own price."""
    return usage if all(each in (None, model) for each in models) else replace(usage, inexact=True)


def _says_nothing(usage: Usage) -> bool:
    told = [*(getattr(usage, name) for name in FIELDS if name != "units"), *usage.units.values()]
    return usage.input_tokens is None and usage.output_tokens is None and not any(told)


def _counts(usage: Any, given: Any, made: Any) -> Usage:
    """The counts of a usage object, those among the details of what was `given` and `made`."""
    total = count(usage, "total_tokens")
    read, written = _most(usage, given, CACHE_READ), _most(usage, given, CACHE_WRITE)
    reasoning = _most(usage, made, REASONING)
    prompt, completion = _missing(_prompt_of(usage), _told(usage, OUTPUT), total)
    prompt = _with_cached(usage, prompt, completion, (read or 0) + (written or 0))
    completion = _with_outside(usage, prompt, completion, reasoning or 0)
    return Usage(
        # A sum of two counts may be none any more.
        input_tokens=gate.whole(prompt),
        output_tokens=gate.whole(completion),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=count(usage, *LASTING),
        reasoning_tokens=reasoning,
        audio_input_tokens=count(given, "audio_tokens"),
        audio_output_tokens=count(made, "audio_tokens"),
        image_input_tokens=count(given, "image_tokens"),
        total_tokens=total,
    )


def _missing(prompt: int | None, completion: int | None, total: int | None) -> tuple[int | None, int | None]:
    """Both counts, the one that is missing or zero from the total."""
    if not prompt and completion is not None and total is not None and total > completion:
        return total - completion, completion
    if completion is None and prompt is not None and total is not None and total >= prompt:
        return prompt, total - prompt
    return prompt, completion


def _with_cached(usage: Any, prompt: int | None, completion: int | None, cached: int) -> int | None:
    """The input with what was cached, where it leaves that out: Anthropic counts so, also through gateways."""
    if prompt is None or not cached or all(field(usage, name) is None for name in ANTHROPIC):
        return prompt
    total = count(usage, "total_tokens")
    is_outside = cached > prompt
    if not is_outside and total is not None and completion is not None:
        is_outside = total == prompt + completion + cached
    elif not is_outside:
        is_outside = field(usage, "prompt_tokens") is None
    return prompt + cached if is_outside else prompt


def _with_outside(usage: Any, prompt: int | None, completion: int | None, reasoning: int) -> int | None:
    """The output with what was billed beside the completion."""
    if prompt is None or completion is None:
        return completion
    if _is_research(usage):
        return completion + reasoning + (count(usage, CITED) or 0)
    total = count(usage, "total_tokens")
    if total is None:
        return completion + reasoning if reasoning > completion else completion
    return max(completion, total - prompt)


def _is_research(usage: Any) -> bool:
    """Whether Perplexity has researched: thoughts and citations are billed beside the completion, and in no total."""
    return field(usage, "num_search_queries") is not None


def _first(usage: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if (found := field(usage, name)) is not None:
            return found
    return None


def _told(usage: Any, names: tuple[str, ...]) -> int | None:
    """The count under the first of these names that has one."""
    for name in names:
        if (found := count(usage, name)) is not None:
            return found
    return None


def _prompt_of(usage: Any) -> int | None:
    told = _told(usage, INPUT)
    hits, misses = count(usage, HITS), count(usage, MISSES)
    return hits + misses if told is None and hits is not None and misses is not None else told


def _most(usage: Any, details: Any, names: frozenset[str]) -> int | None:
    """The largest count under any of these names: servers that give two for one thing fill in one of them."""
    told = [count(holder, name) for holder in (details, usage) for name in those_in(holder, names)]
    return max([each for each in told if each is not None], default=None)
