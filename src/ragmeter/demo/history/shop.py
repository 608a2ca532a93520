"""The made-up shop whose history is told: its models and prices, its features and what their prompts are made of.

Figures are of the size that a small shop's assistant shows; only their proportions matter to a dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ragmeter.domain import strategy
from ragmeter.domain.model import Origin
from ragmeter.money.price_rows import fees_of
from ragmeter.reading.shapes.fees import FILE_SEARCHES

JOB = "shop"
INSTANCE = "shop-1"
LABELS = ("team", "feature")
"""What the shop has declared with `instrument(labels=[...])`."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model and the server that is asked for it."""

    name: str
    provider: str
    address: str
    port: int


def _hosted(name: str) -> Model:
    return Model(name, "openai", "api.openai.com", 443)


SMALL = _hosted("gpt-4o-mini")
TUNED = _hosted("ft:gpt-4o-mini:shop")
EMBEDDING = _hosted("text-embedding-3-small")
OWN = Model("shop-intents-1b", "vllm", "models.internal", 8000)
"""A little model that the shop runs itself and has given no price."""

SEARCH_FEE = fees_of(SMALL.provider, SMALL.name)[FILE_SEARCHES]
"""US dollars for one search of the files that the shop has given its provider."""

PRICES: Mapping[str, Mapping[str, float]] = {
    SMALL.name: {"input": 0.15, "cache_read": 0.075, "output": 0.60, "file_search": 1_000 * SEARCH_FEE},
    TUNED.name: {"input": 0.30, "cache_read": 0.15, "output": 1.20},
    EMBEDDING.name: {"input": 0.02},
}
"""What the shop has declared with `instrument(prices={...})`: US dollars per million tokens and per 1,000 searches."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of passages: tokens of a chunk, and how long a search takes (median, spread of its logarithm).

    Searches of one that is `remote` fail now and then, those of others never.
    """

    name: str
    chunk_tokens: int
    seconds: float
    spread: float
    remote: bool = False


MANUALS = Collection("manuals", 330, 0.06, 0.55, remote=True)
FAQ = Collection("faq", 200, 0.012, 0.5)
PRODUCTS = Collection("products", 260, 0.16, 0.45)
DATABASE = "qdrant"
SEARCH_METHOD = "query_points"
SEARCH_ERROR = "qdrant_client.http.exceptions.ResponseHandlingException"
MODEL_ERROR = "openai.RateLimitError"
"""A refusal."""
OWN_SECONDS = 0.015
"""What the program itself takes for a query."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Queries of one kind: what they are labelled with, how many come and what their prompts hold.

    `peak` are queries in the busiest hour of a working day. `parts` are the mean tokens of each part that is no
    retrieved text, in the order in which they stand in the prompt; parts in `now_and_then` have them only in that share
    of the prompts. `sent` chunks go into a prompt. `broken_off` is the share of answers that the customer left before
    their end, whose tokens are then estimated; `refused` the share of calls that the provider refuses; `file_searches`
    the share of answers for which the model itself searches the files that its provider keeps.
    """

    team: str
    feature: str
    model: Model
    peak: float
    parts: Mapping[Origin, int]
    output: int
    collection: Collection | None = None
    sent: int = 0
    streamed: bool = False
    broken_off: float = 0.0
    refused: float = 0.0
    file_searches: float = 0.0
    now_and_then: Mapping[Origin, float] = field(default_factory=dict)

    @property
    def labels(self) -> Mapping[str, str]:
        """What the app has set on the queries."""
        return dict(zip(LABELS, (self.team, self.feature), strict=True))

    @property
    def strategy(self) -> str:
        """What the queries are counted under."""
        tuned = strategy.is_fine_tuned(self.model.name)
        return strategy.derive(fine_tuned=tuned, retrieved=self.collection is not None)


_ASSISTANT_PARTS = MappingProxyType(
    {
        Origin.TOOLS: 180,
        Origin.SYSTEM: 220,
        Origin.HISTORY: 400,
        Origin.TOOL_RESULTS: 240,
        Origin.QUESTION: 50,
    }
)
_ASSISTANT_SELDOM = MappingProxyType({Origin.HISTORY: 0.5, Origin.TOOL_RESULTS: 0.15})


def _assistant(collection: Collection, peak: float) -> Stream:
    return Stream(
        "support",
        "assistant",
        SMALL,
        peak,
        _ASSISTANT_PARTS,
        output=560,
        collection=collection,
        sent=6,
        streamed=True,
        broken_off=0.02,
        refused=0.008,
        file_searches=0.016,
        now_and_then=_ASSISTANT_SELDOM,
    )


STREAMS = (
    _assistant(MANUALS, 1_680),
    _assistant(FAQ, 1_120),
    Stream(
        "storefront",
        "search",
        SMALL,
        900,
        {Origin.SYSTEM: 260, Origin.HISTORY: 160, Origin.QUESTION: 40},
        output=240,
        now_and_then={Origin.HISTORY: 0.4},
    ),
    Stream("storefront", "search", OWN, 9, {Origin.SYSTEM: 120, Origin.QUESTION: 40}, output=30),
    Stream("storefront", "search", TUNED, 700, {Origin.SYSTEM: 90, Origin.QUESTION: 40}, output=210),
    Stream(
        "storefront",
        "advisor",
        TUNED,
        420,
        {Origin.SYSTEM: 150, Origin.HISTORY: 260, Origin.QUESTION: 60},
        output=360,
        collection=PRODUCTS,
        sent=6,
        now_and_then={Origin.HISTORY: 0.5},
    ),
)
"""Everything customers do, one collection and one model at a time."""

RELEASE_FACTOR = 2
"""The release sends so many times the chunks."""

SEED = 20_240_501
