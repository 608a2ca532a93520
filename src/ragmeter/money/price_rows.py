"""Prices that genai-prices 0.2.3 lacks: dated rows, each with its source. US dollars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

READ_ON = date(2026, 11, 29)
"""When the sources were read."""

LITELLM = "litellm's price file (MIT)"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """Prices of the models whose names a shell pattern fits, in US dollars per million tokens by unit."""

    models: str
    prices: dict[str, float]
    source: str = LITELLM


MODEL_ROWS = (
    ModelRow("ft:gpt-4.1-nano*", {"input": 0.2, "output": 0.8, "cache_read": 0.05}),
    ModelRow("ft:gpt-4.1-mini*", {"input": 0.8, "output": 3.2, "cache_read": 0.2}),
    ModelRow("ft:gpt-4.1-2*", {"input": 3.0, "output": 12.0, "cache_read": 0.75}),
    ModelRow("ft:gpt-4.1:*", {"input": 3.0, "output": 12.0, "cache_read": 0.75}),
    ModelRow("ft:gpt-4o-mini*", {"input": 0.3, "output": 1.2, "cache_read": 0.15}),
    ModelRow("ft:gpt-4o-2*", {"input": 3.75, "output": 15.0, "cache_read": 1.875}),
    ModelRow("ft:gpt-4o:*", {"input": 3.75, "output": 15.0, "cache_read": 1.875}),
    ModelRow("ft:o4-mini*", {"input": 4.0, "output": 16.0, "cache_read": 1.0}),
)
"""OpenAI's fine-tuned models that the library lacks, or lacks the cached rate of; those of gpt-4o repeat its input and
output prices."""


@dataclass(frozen=True, slots=True)
class FeeRow:
    """The price of a unit beside tokens: at a provider of genai-prices, for the models that a pattern fits in full."""

    provider: str
    models: str
    unit: str
    price: float
    source: str


OPENAI_PAGE = "https://developers.openai.com/api/docs/pricing (built-in tools)"
XAI_PAGE = "https://docs.x.ai/developers/pricing (tool invocation costs)"
REASONING = r"(gpt-[5-9]|o[134]).*"

FEE_ROWS = (
    FeeRow("openai", REASONING, "web_searches_preview", 0.010, OPENAI_PAGE),
    FeeRow("openai", ".*", "web_searches_preview", 0.025, OPENAI_PAGE),
    FeeRow("openai", ".*", "web_searches", 0.010, OPENAI_PAGE),
    FeeRow("openai", ".*", "storage_searches", 0.0025, OPENAI_PAGE),
    FeeRow("x-ai", ".*", "web_searches", 0.005, XAI_PAGE),
    FeeRow("x-ai", ".*", "social_searches", 0.005, XAI_PAGE),
    FeeRow("x-ai", ".*", "code_executions", 0.005, XAI_PAGE),
    FeeRow("x-ai", ".*", "storage_searches", 0.0025, XAI_PAGE),
)
"""The first row that fits counts; the library's own price of a unit stands above."""


UNSURE_FEES = (
    # A fixed block of tokens a search, which the usage may or may not show.
    ("openai", r"gpt-4(o|\.1)-mini.*", "web_searches", OPENAI_PAGE),
    ("google", ".*", "web_searches", "https://ai.google.dev/gemini-api/docs/pricing: the first of a month are free"),
    ("perplexity", ".*", "requests", "genai-prices has the fee of the dearest kind of request"),
    ("perplexity", ".*", "web_searches", "https://docs.perplexity.ai/docs/agent-api/tools/web-search: two kinds"),
)
"""Units whose fee depends on what no answer tells: a provider of genai-prices, models, the unit, and why."""


def unsure_fees(provider: str, model: str) -> frozenset[str]:
    """Units whose fee makes a cost an estimate, for a model of a provider of genai-prices."""
    return frozenset(
        unit for known, models, unit, _ in UNSURE_FEES if known == provider and re.fullmatch(models, model.lower())
    )


def fees_of(provider: str, model: str) -> dict[str, float]:
    """The prices of units beside tokens, for a model of a provider of genai-prices."""
    found: dict[str, float] = {}
    for row in FEE_ROWS:
        if row.provider == provider and re.fullmatch(row.models, model.lower()):
            found.setdefault(row.unit, row.price)
    return found
