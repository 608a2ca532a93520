"""What a price depends on beside the model: where the request ran, and the day. Dated rows, each with its source.

genai-prices has no rows for these. A place that no row knows does not change the price, but makes it an estimate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

READ_ON = date(2026, 11, 29)
"""When the sources were read."""


@dataclass(frozen=True, slots=True)
class Surcharge:
    """A factor on the price of tokens: at a provider of genai-prices, at hosts, for models; each a pattern in full.

    `factor` is `None` where it is not known whether there is one.
    """

    provider: str
    hosts: str
    models: str
    factor: float | None
    source: str


OPENAI_PAGE = "https://developers.openai.com/api/docs/guides/data-residency: 10% for models from 2026-03-05 on"
VERTEX_PAGE = "https://cloud.google.com/vertex-ai/generative-ai/pricing: 10% off the global endpoint"
VERTEX_HOSTS = r".+-aiplatform\.googleapis\.com|aiplatform\..+\.rep\.googleapis\.com"
BEDROCK_PAGE = "https://aws.amazon.com/bedrock/pricing: the rows of genai-prices are those of the USA"
TOGETHER_PAGE = "https://docs.together.ai/docs/serverless/geo-specific-inference"
MISTRAL_PAGE = "https://docs.mistral.ai/studio/regional-inference"

SURCHARGES = (
    Surcharge("openai", r"[a-z]+\.api\.openai\.com", r"gpt-(5\.[4-9]|[6-9]|realtime-2\.1).*", 1.1, OPENAI_PAGE),
    Surcharge(
        "openai",
        r"[a-z]+\.api\.openai\.com",
        r"(ft:)?(gpt-(3|4|5(\.[0-3])?(?![.\d])).*|o[134]([^a-z].*)?|chatgpt-4o.*|text-embedding.*|(babbage|davinci).*)",
        1.0,
        OPENAI_PAGE,
    ),
    Surcharge("openai", r"[a-z]+\.api\.openai\.com", ".*", None, OPENAI_PAGE),
    Surcharge("google", VERTEX_HOSTS, r".*claude-((sonnet|opus|haiku)-4-[5-9]|[a-z]+-[5-9]).*", 1.1, VERTEX_PAGE),
    Surcharge("google", VERTEX_HOSTS, r".*(claude|gemini-[12]\.|embedding).*", 1.0, VERTEX_PAGE),
    Surcharge(
        "google",
        VERTEX_HOSTS,
        r".*gemini-(3\.[5-8]-flash|3\.1-flash-(image|lite)|4-(argon|hydrogen)).*",
        1.1,
        "litellm's price file (MIT), regional_endpoint_uplift_multiplier",
    ),
    Surcharge("google", VERTEX_HOSTS, ".*", None, VERTEX_PAGE),
    Surcharge("aws", r".*\.us-(east|west)-\d\..*", ".*", 1.0, BEDROCK_PAGE),
    Surcharge("aws", r".*\.[a-z]+(-[a-z]+)+-\d\..*", r".*(anthropic\.|claude|openai\.gpt-[5-9]).*", 1.0, BEDROCK_PAGE),
    Surcharge("aws", r".*\.[a-z]+(-[a-z]+)+-\d\..*", ".*", None, BEDROCK_PAGE),
    Surcharge("mistral", ".*", ".*-latest", None, "genai-prices has older models' prices for names that move on"),
    Surcharge("deepseek", ".*", "deepseek-(chat|reasoner).*", None, "genai-prices has the prices of early 2025"),
    Surcharge("together", r"(us|ca)-api\.together\.(ai|xyz)", ".*", 1.25, TOGETHER_PAGE),
    Surcharge("together", r"[a-z]+-api\.together\.(ai|xyz)", ".*", None, TOGETHER_PAGE),
    Surcharge("mistral", r"api\.(eu|us)\.mistral\.ai", ".*", 1.1, MISTRAL_PAGE),
    Surcharge("mistral", r"api\.[a-z]+\.mistral\.ai", ".*", None, MISTRAL_PAGE),
)
"""The first row that fits counts."""

GEOGRAPHIES = {"": 1.0, "global": 1.0, "not_available": 1.0, "us": 1.1}
"""Anthropic's `inference_geo` in the answer, and its factor; models that lack the parameter answer `not_available`.
https://platform.claude.com/docs/en/manage-claude/data-residency"""


def surcharge(provider: str, model: str, host: str | None, geography: str | None) -> float | None:
    """The factor on the price of tokens: of the host that was asked, times that of the place the answer names.

    `None` where one of them is not known.
    """
    by_place = GEOGRAPHIES.get(geography or "") if provider == "anthropic" else 1.0
    by_host = _of_host(provider, model.lower(), host or "")
    return None if by_place is None or by_host is None else by_place * by_host


def _of_host(provider: str, model: str, host: str) -> float | None:
    for row in SURCHARGES:
        if row.provider == provider and re.fullmatch(row.hosts, host) and re.fullmatch(row.models, model):
            return row.factor
    return 1.0


KNOWN_TO = (
    (
        "aws",
        r".*claude-sonnet-4-5.*",
        200_000,
        "https://aws.amazon.com/bedrock/pricing: long context has its own rows, which genai-prices lacks",
    ),
)
"""How long a prompt may be until its price is not known: a provider of genai-prices, models, tokens, and why."""


def known_to(provider: str, model: str) -> int | None:
    """The length of a prompt in tokens beyond which the prices of a model are a guess."""
    rows = (most for known, models, most, _ in KNOWN_TO if known == provider and re.fullmatch(models, model.lower()))
    return next(rows, None)


BEIJING = timedelta(hours=8)
DEEPSEEK_MODELS = re.compile(r"deepseek-(flash|v4)")
DEEPSEEK_WEEKENDS = date(2026, 8, 23)
DEEPSEEK_HOLIDAYS = {
    2026: (
        (date(2026, 9, 25), date(2026, 9, 27)),
        (date(2026, 10, 1), date(2026, 10, 7)),
    )
}
"""China's public holidays by year, first and last day, as far as a calendar is out and the rule is old."""

FRIDAY = 5
QUIET_HOUR = 12
"""An hour of UTC that is off-peak at DeepSeek on every day."""


def priced_moments(provider: str, model: str, at: datetime) -> tuple[datetime, ...]:
    """The moment whose prices hold at `at`, and further ones whose prices may hold instead.

    DeepSeek's peak hours are those of Monday to Friday without China's public holidays, from 2026-08-23 on
    (https://api-docs.deepseek.com/quick_start/pricing); genai-prices has them on every day.
    """
    if provider != "deepseek" or DEEPSEEK_MODELS.match(model.lower()) is None:
        return (at,)
    day = (at.astimezone(UTC) + BEIJING).date()
    if day < DEEPSEEK_WEEKENDS:
        return (at,)
    quiet = at.replace(hour=QUIET_HOUR, minute=0)
    holidays = DEEPSEEK_HOLIDAYS.get(day.year)
    if day.isoweekday() > FRIDAY or any(first <= day <= last for first, last in holidays or ()):
        return (quiet,)
    return (at, quiet) if holidays is None else (at,)
