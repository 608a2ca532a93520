"""What the demo's server computes instead of running a model: tokens, embeddings, answers and how long they take.

Everything is deterministic and pure, and needs no network: the same request is answered with the same text, the same
token counts and the same delay on every machine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

TOKEN = re.compile(r"\w{1,7}|[^\w\s]")
"""One token for up to seven characters of a word and one for each other sign; white space is free.

About four characters a token in English, as with the tokenizers of real models.
"""

MESSAGE_TOKENS = 4
"""Tokens that frame each message of a chat: OpenAI's models take three and the role."""

REPLY_TOKENS = 3
"""Tokens in front of every answer, counted as input, as OpenAI's models do."""

DIMENSIONS = 256
"""Length of an embedding."""

STEM_CHARACTERS = 6
"""Words count as the same when their first characters are: `retrieval` and `retrieved` are one."""

STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be but by can do does for from has have how if in into is it its no not of on or so that
        the their them then there these they this to was what when where which who why will with you your""",
    )
)
"""Words that tell nothing about what a text is on."""

ANSWER_SENTENCES = 2
"""Sentences in an answer that has text to draw on."""

NO_TEXT = (
    "I was given no text about this, so I can only answer in general terms: it depends on the application, on the "
    "model it calls and on what it sends."
)
"""What a model answers that knows nothing of the matter."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long an answer takes, in seconds, divided by `speed`.

    The defaults are of the size that small hosted models show: a fixed time for the network and the queue, 20,000 input
    tokens a second, 125 output tokens a second.
    """

    fixed: float = 0.15
    per_input_token: float = 1 / 20_000
    per_output_token: float = 1 / 125
    embedding_fixed: float = 0.04
    speed: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a speed that no delay can be computed from."""
        if not self.speed > 0:
            raise ValueError(f"speed must be above 0, got {self.speed}; 1 is real time, 10 is ten times faster")

    def until_first_token(self, input_tokens: int) -> float:
        """Seconds until the first token of a chat's answer."""
        return (self.fixed + input_tokens * self.per_input_token) / self.speed

    def of_output(self, output_tokens: int) -> float:
        """Seconds from the first token of a chat's answer to the last."""
        return output_tokens * self.per_output_token / self.speed

    def of_embedding(self, input_tokens: int) -> float:
        """Seconds for an embeddings request."""
        return (self.embedding_fixed + input_tokens * self.per_input_token) / self.speed


def count_tokens(text: str) -> int:
    """The tokens of one text, by the rule of `TOKEN`."""
    return len(TOKEN.findall(text))


def count_prompt_tokens(texts: Iterable[str]) -> int:
    """The input tokens of a chat whose messages have these texts."""
    return REPLY_TOKENS + sum(MESSAGE_TOKENS + count_tokens(text) for text in texts)


def stems(text: str) -> list[str]:
    """The telling words of a text, shortened so that their forms are one."""
    words = (word.lower() for word in re.findall(r"\w{2,}", text))
    return [word[:STEM_CHARACTERS] for word in words if word not in STOP_WORDS]


def embed(text: str) -> tuple[float, ...]:
    """The embedding of a text: its words, hashed to signed positions of a vector of length 1.

    Texts with the same telling words lie close together; a text without any gets the first unit vector.
    """
    vector = [0.0] * DIMENSIONS
    for stem in set(stems(text)):
        digest = int.from_bytes(blake2b(stem.encode(), digest_size=8).digest(), "big")
        vector[digest % DIMENSIONS] += 1.0 if digest >> 32 & 1 else -1.0
    length = math.sqrt(sum(value * value for value in vector))
    if length == 0.0:
        return (1.0, *([0.0] * (DIMENSIONS - 1)))
    return tuple(value / length for value in vector)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its telling words."""

    text: str
    stems: frozenset[str]


def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of a text, in order; headings and other pieces without an end are left out."""
    found = (" ".join(each.split()) for each in re.split(r"(?<=[.!?])\s+|\n{2,}", text))
    return tuple(Sentence(each, frozenset(stems(each))) for each in found if each.endswith((".", "!", "?")))


def extract_answer(question: str, known: Sequence[Sentence]) -> str:
    """The sentences of `known` that share the most telling words with the question, in their order.

    A stand-in for a model's answer: it has the length and the words of one, and no thought.
    """
    wanted = frozenset(stems(question))
    distinct = list(dict.fromkeys(sentence for sentence in known if wanted & sentence.stems))
    best = sorted(distinct, key=lambda sentence: -len(wanted & sentence.stems))[:ANSWER_SENTENCES]
    return " ".join(sentence.text for sentence in distinct if sentence in best) or NO_TEXT
