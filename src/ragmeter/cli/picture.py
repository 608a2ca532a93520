"""What `ragmeter anatomy` shows of one prompt, whether in a terminal or on a page: the figures and their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmeter.anatomy.dissecting import Dissector
from ragmeter.anatomy.parts import Segment
from ragmeter.cli.prompt_file import PromptFile
from ragmeter.domain import strategy
from ragmeter.domain.model import Chunk, Fate, KnownChunk, Origin
from ragmeter.domain.wording import counted, shown
from ragmeter.ledger.metering import ContextUse, Metered, meter_inference
from ragmeter.money.dollars import dollars
from ragmeter.money.pricebook import PriceBook

EXCERPT = 90
"""Characters of a chunk's beginning."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn of one prompt: what was measured, its stretches of text, chunks that were not sent.

    `texts` are those of the places in `metered.context`; `retrieved` counts the different chunks of the file.
    """

    metered: Metered
    segments: tuple[Segment, ...]
    unsent: tuple[Chunk, ...]
    texts: tuple[str, ...]
    retrieved: int
    is_exact: bool
    has_response: bool

    @property
    def origins(self) -> dict[Origin, tuple[int, float | None]]:
        """Tokens and cost of each origin that has any, in the order of the parts, which is that of the wire."""
        result: dict[Origin, tuple[int, float | None]] = {}
        for part in self.metered.parts:
            if part.part in set(Origin):
                tokens, cost = result.get(Origin(part.part), (0, None))
                known = [each for each in (cost, part.cost) if each is not None]
                result[Origin(part.part)] = (tokens + part.tokens, sum(known) if known else None)
        return result

    @property
    def headline(self) -> str:
        """Model, tokens, money and strategy in a line."""
        metered, usage = self.metered, self.metered.usage
        tokens = "no tokens" if usage is None else f"{usage.input_tokens or 0:,} input tokens"
        answer = f", {usage.output_tokens:,} output tokens" if usage is not None and usage.output_tokens else ""
        cost = dollars(metered.cost.amount)
        return f"{excerpt(metered.operation.model or 'unknown model')} · {tokens}{answer} · {cost} · {metered.strategy}"

    @property
    def verdict(self) -> str:
        """What the context bought, in a sentence."""
        metered, uses = self.metered, self.metered.context
        if not uses:
            return f"None of the {counted(self.retrieved, 'retrieved chunk')} is in the prompt."
        sent, total = metered.context_tokens, sum(tokens for tokens, _ in self.origins.values())
        used = [use for use in uses if use.place.fate is Fate.USED]
        enough = _enough(used, self.retrieved)
        told = (
            f"{counted(sent, 'token')} of context, {_share(sent, total)} of the input",
            _used_share(self, used) if self.has_response else "",
            f"the first {enough} would have done" if enough else "",
            _tokens_by_question(total, metered.question_tokens) if metered.question_tokens else "",
        )
        return f"{'; '.join(filter(None, told))}."

    @property
    def footnote(self) -> str:
        """How far the figures can be trusted."""
        how = "counted with the model's own vocabulary" if self.is_exact else "weighed, a point off on average"
        missing = "the response has no usage" if self.has_response else "no response is given"
        total = (
            f"the total is an estimate too, as {missing}" if self.metered.estimated else "the total is the provider's"
        )
        price = self.metered.cost.row or "no price known"
        return f"Parts {how}; {total}. Price: {price} ({self.metered.cost.state.value})."


def dissect_file(prompt_file: PromptFile, *, exact: bool | None = None) -> Picture:
    """Measure the prompt of a file as live calls are measured."""
    operation = prompt_file.operation
    dissector = Dissector(exact=exact is not False)
    known = dissector.remember(prompt_file.chunks)
    dissection = dissector.dissect(operation, known)
    card = None if operation.model is None else PriceBook({}, builtin=True).card(operation)
    metered = meter_inference(
        operation, dissection, card, dissector.weigher, fine_tuned=strategy.is_fine_tuned(operation.model)
    )
    sent = {use.place.chunk.key for use in metered.context}
    # Equal chunks count once, with the best rank.
    by_key = {chunk.key: text for chunk, text in zip(reversed(known), reversed(prompt_file.chunks), strict=True)}
    texts = tuple(_text_of(dissection.segments, number) for number in range(len(metered.context)))
    unsent = tuple(sorted((c for key, c in by_key.items() if key not in sent), key=lambda chunk: chunk.rank))
    return Picture(
        metered, dissection.segments, unsent, texts, len(by_key), dissection.is_exact, prompt_file.has_response
    )


def _text_of(segments: Sequence[Segment], place: int) -> str:
    return " ".join(segment.text for segment in segments if segment.place == place)


def _used_share(picture: Picture, used: Sequence[ContextUse]) -> str:
    """How much of the context the answer used; nothing where no chunk was judged."""
    uses = picture.metered.context
    if not any(use.place.fate in (Fate.USED, Fate.UNUSED) for use in uses):
        return ""
    share = _share(sum(use.tokens for use in used), picture.metered.context_tokens)
    return f"the answer used {len(used)} of {counted(len(uses), 'chunk')}, {share} of these tokens"


def _tokens_by_question(total: int, question: int) -> str:
    return f"{counted(round(total / question), 'token')} for each token of the question"


def _enough(used: Sequence[ContextUse], retrieved: int) -> str:
    """How many of the chunks, best first, hold all that were used; nothing when it takes all of them."""
    needed = max((use.place.chunk.rank + 1 for use in used if use.place.chunk.rank is not None), default=0)
    if not 0 < needed < retrieved:
        return ""
    return f"of {retrieved}" if needed == 1 else f"{needed} of {retrieved}"


def _share(tokens: int, total: int) -> str:
    return f"{tokens / total if total else 0.0:.0%}"


def fate_in_words(fate: Fate, *, is_cited: bool) -> str:
    """A fate, and whether the answer names the chunk."""
    return f"{fate.value} · cited" if is_cited else fate.value


def origin_in_words(origin: Origin) -> str:
    """An origin as it is read."""
    return origin.value.replace("_", " ")


def rank_of(chunk: KnownChunk) -> str:
    """A chunk's rank from 1; nothing for a document that was not retrieved."""
    return "" if chunk.rank is None else str(chunk.rank + 1)


def excerpt(text: str) -> str:
    """The beginning of a text in one line, up to the end of a word if it has blanks; an ellipsis marks a cut."""
    line = shown(" ".join(text[: 4 * EXCERPT].split()))
    if len(line) <= EXCERPT:
        return line
    end = line.rfind(" ", EXCERPT - 20, EXCERPT)
    return f"{line[: end if end > 0 else EXCERPT]} …"
