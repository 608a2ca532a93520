"""The right k, held against what people said of the same passages, and against the sums it is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ragmeter
from ragmeter.anatomy.fates import fingerprint, near_duplicates
from ragmeter.measured.collected import samples_of
from ragmeter.measured.ranks import right_ks
from ragmeter.measured.samples import Samples
from ragmeter.planning.right_k import Queries, Retrieved, RightK, Step, right_k
from wire import Asked, Wire, whole

LABELLED = Path(__file__).parent.parent / "data" / "used_chunks"
CUTS = (1, 3, 5)

POINTS_OFF = {
    "clapnq_sentences": (2.0, 2.0, 2.0),
    "clapnq_passages": (2.0, 2.0, 2.0),
    "clapnq_hard": (2.0, 2.0, 2.0),
    "expertqa_answers": (2.0, 2.0, 2.0),
    "expertqa_claims": (2.0, 3.2, 2.0),
}
"""Points by which the share kept at each cut may be off. Of the 107 passages that claims rest on 17 stand below the
third place: the rule misses 6 of them, and 14 of the other 90, which is 3.1 points. The posthoc sets are left out, as
their answers were written before their passages were looked for."""

RESAMPLES = 200


@dataclass(frozen=True)
class Chunk:
    """A chunk of an answer: its rank, and whether it was used."""

    rank: int
    used: bool
    tokens: int = 100


Answer = Sequence[Chunk]


def share(answers: Sequence[Answer], cut: int) -> float:
    used = [chunk.rank for answer in answers for chunk in answer if chunk.used]
    return sum(rank <= cut for rank in used) / len(used)


def rows_of(answers: Sequence[Answer]) -> np.ndarray:
    """For each answer and each rank what is added to the metrics: used, tokens and the squares, as the formulas say."""
    last = max(chunk.rank for answer in answers for chunk in answer)
    return np.array([[added(answer, cut) for cut in range(1, last + 1)] for answer in answers], dtype=float)


def added(answer: Answer, cut: int) -> tuple[int, ...]:
    above, here, below = (
        [chunk for chunk in answer if (chunk.rank > cut) - (chunk.rank < cut) == side] for side in (-1, 0, 1)
    )
    used, before, in_all = (sum(chunk.used for chunk in each) for each in (here, above, answer))
    tokens, left_out = (sum(chunk.tokens for chunk in each) for each in (here, below))
    return used, tokens, (before + used) ** 2 - before**2, used * in_all, (left_out + tokens) ** 2 - left_out**2


def summed(rows: np.ndarray) -> Retrieved:
    """What the metrics have of these answers, each a query of its own."""
    steps = tuple(
        Step(f"k = {rank}", used, tokens, tokens * 1e-6, squares, products, tokens_squared)
        for rank, (used, tokens, squares, products, tokens_squared) in enumerate(rows.sum(axis=0).tolist(), 1)
    )
    return Retrieved("set", steps, (), len(rows), 0.0, 0.0)


def resampled(rows: np.ndarray, number: int, times: int) -> Iterator[RightK]:
    """The right k of so many answers, drawn with replacement, again and again."""
    random = np.random.default_rng(7)
    for _ in range(times):
        yield right_k(summed(rows[random.integers(0, len(rows), number)]), Queries(number, 1.0, None))


def cases(name: str) -> list[dict]:
    return [json.loads(line) for line in (LABELLED / f"{name}.jsonl").read_text("utf-8").splitlines()]


def labels(case: dict, *, copies: bool = True) -> list[Chunk]:
    """What people said; of passages that say nearly the same the first stands for all, as a cut that keeps it does."""
    prints = [fingerprint(chunk["text"]) for chunk in case["chunks"]]
    firsts = near_duplicates(prints) if copies else [None] * len(prints)
    return [
        Chunk(rank if first is None else first + 1, chunk["used"])
        for rank, (chunk, first) in enumerate(zip(case["chunks"], firsts, strict=True), 1)
    ]


def answered(name: str) -> None:
    """Every question of a set asked with its passages, in their stored order, and answered as the set has it."""
    found = cases(name)
    replies = iter(found)

    def reply(asked: Asked):
        message = {"role": "assistant", "content": next(replies)["answer"]}
        usage = {"prompt_tokens": 1_000, "completion_tokens": 10, "total_tokens": 1_010}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return whole(
            {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": [choice]}
            | {"usage": usage}
        )

    with Wire(reply) as wire:
        client = openai.OpenAI(base_url=f"{wire.url}/v1", api_key="k", max_retries=0)
        for case in found:
            with ragmeter.query():
                texts = [chunk["text"] for chunk in case["chunks"]]
                ragmeter.context(texts, collection=name)
                content = "\n\n".join((*texts, f"Question: {case['question']}"))
                client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": content}])
    assert ragmeter.flush(30)


def of_spans(seen) -> Iterator[list[Chunk]]:
    for span in seen.spans():
        names = ("ragmeter.chunk.ranks", "ragmeter.chunk.fates", "ragmeter.chunk.tokens")
        if names[0] in (span.attributes or {}):
            rows = zip(*(span.attributes[name] for name in names), strict=True)
            yield [Chunk(rank, fate == "used", tokens) for rank, fate, tokens in rows]


@pytest.mark.parametrize("name", POINTS_OFF)
def test_what_a_cut_keeps_is_what_people_say(watch, name):
    """Cut at 1, 3 and 5 the share kept is people's to two points; its interval has theirs in 9 of 10 resamples."""
    seen = watch(providers={"127.0.0.1": "openai"}, capture_chunks=True)
    answered(name)
    (right,) = right_ks(samples_of(seen.collected()), 1.0)
    judged, labelled = list(of_spans(seen)), [labels(case) for case in cases(name)]
    rows = rows_of(judged)
    assert_the_same(right, right_k(summed(rows), Queries(len(judged), 1.0, None)))
    resamples = list(resampled(rows, len(judged), RESAMPLES))
    for cut, off in zip(CUTS, POINTS_OFF[name], strict=True):
        people = share(labelled, cut)
        if cut > len(right.cuts):
            assert people == 1.0
            continue
        assert 100 * abs(right.cuts[cut - 1].kept.value - people) <= off, cut
        found = [each.cuts[cut - 1].kept for each in resamples]
        assert sum(each.low <= people <= each.high for each in found) >= 0.9 * RESAMPLES, cut


def assert_the_same(right: RightK, by_hand: RightK) -> None:
    """What is read from the metrics is what the answers themselves add up to."""
    assert [cut.name for cut in right.cuts] == [cut.name for cut in by_hand.cuts]
    for found, expected in zip(right.cuts, by_hand.cuts, strict=True):
        for name in ("kept", "tokens_saved"):
            one, other = getattr(found, name), getattr(expected, name)
            assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high)), found.name


def made_up(number: int, random: Random, k: int = 6) -> list[list[Chunk]]:
    """Answers whose chunks depend on each other: some draw on many, some on few, the better ranks more often."""
    moods = [random.random() for _ in range(number)]
    return [
        [Chunk(rank, random.random() < mood / rank**0.5, random.randint(50, 150)) for rank in range(1, k + 1)]
        for mood in moods
    ]


def test_intervals_hold_for_answers_that_depend():
    """Of 200 samples of 80 answers at least nine in ten have an interval with the share and the saving of all."""
    random = Random(3)
    everything = made_up(4_000, random)
    truth = share(everything, 3)
    saving = 1000 * sum(chunk.tokens for answer in everything for chunk in answer if chunk.rank > 3) / len(everything)
    kept_right = saved_right = 0
    for right in resampled(rows_of(everything), 80, 200):
        kept_right += right.cuts[2].kept.low <= truth <= right.cuts[2].kept.high
        saved_right += right.cuts[2].tokens_saved.low <= saving <= right.cuts[2].tokens_saved.high
    assert kept_right >= 180
    assert saved_right >= 180


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.integers(30, 60))
def test_a_longer_list_keeps_more_and_saves_less(random, number):
    """From cut to cut more is kept and less is saved; each interval has its figure, and shares are shares."""
    answers = [[Chunk(1, used=True), *answer] for answer in made_up(number, random)]
    right = right_k(summed(rows_of(answers)), Queries(number, 2.0, 1.0))
    assert len(right.cuts) == 5
    for cut in right.cuts:
        assert 0 <= cut.kept.low <= cut.kept.value <= cut.kept.high <= 1
        assert 0 <= cut.tokens_saved.low <= cut.tokens_saved.value <= cut.tokens_saved.high
        assert cut.dollars_saved.value == pytest.approx(cut.tokens_saved.value * 1e-6)
    for shorter, longer in pairwise(right.cuts):
        assert shorter.kept.value <= longer.kept.value
        assert shorter.tokens_saved.value >= longer.tokens_saved.value


def steps(*used: float, tokens: float = 1_000.0, cost: float | None = 0.01) -> tuple[Step, ...]:
    """A rank for each number of used chunks; no query has used more than one."""
    return tuple(
        Step(f"k = {rank}", number, tokens, cost, number, number, tokens * 10) for rank, number in enumerate(used, 1)
    )


def test_the_verdict_is_the_shortest_list_that_keeps_enough():
    """It names the k, the share with its interval, and the money; a month is that of the traffic seen."""
    ranks = steps(900, 60, 38, 1, 1)
    right = right_k(Retrieved("docs", ranks, (), 5_000, 500, 0), Queries(1_000, 10.0, 0.5))
    assert right.today == "k = 5"
    assert right.best is right.cuts[2]
    assert (
        right.verdict == "k = 3 keeps 100% (99\u2013100%) of used chunks and saves $0.020 of $0.50 per 1,000 queries."
    )
    assert right.best.dollars_saved.value == pytest.approx(0.02)
    assert right.best.dollars_saved_a_month.value == pytest.approx(0.02 * 0.1 * 365.25 / 12)
    assert any(note.startswith("Of 10.0% of the chunks") for note in right.notes)
    assert any("never retrieved" in note for note in right.notes)


def test_where_every_chunk_is_needed_none_is_taken_away():
    """Where no shorter list keeps 95 % for sure, the verdict says so and what the longest of them would cost."""
    right = right_k(Retrieved("docs", steps(300, 300, 300), (), 900, 0, 0), Queries(300, 1.0, None))
    assert right.best is None
    assert right.verdict.startswith("No k below today's (k = 3) keeps 95% of used chunks for sure: k = 2 keeps 67%")


def test_of_little_traffic_nothing_is_said():
    """Fewer than thirty used chunks give no figures, one rank gives nothing to leave out, no query no answer."""
    few = right_k(Retrieved("docs", steps(9, 4, 1), (), 42, 0, 0), Queries(14, 1.0, None))
    assert few.cuts == few.score_cuts == ()
    assert few.verdict.startswith("Only 14 used chunks were seen")
    one = right_k(Retrieved("docs", steps(90), (), 90, 0, 0), Queries(90, 1.0, None))
    assert one.verdict.startswith("One chunk is sent at the most")
    assert right_k(Retrieved("docs", (), (), 0, 0, 0), Queries(9, 1.0, None)) is None
    assert right_k(Retrieved("docs", steps(90), (), 90, 0, 0), Queries(0, 1.0, None)) is None


def test_a_model_without_a_price_saves_tokens():
    """Where no price is known the verdict is in tokens, and dollars are unknown, not zero."""
    right = right_k(Retrieved("docs", steps(900, 5, cost=None), (), 1, 0, 0), Queries(1_000, 1.0, None))
    assert right.best.dollars_saved is None
    assert right.verdict.endswith("saves 1,000 tokens for 1,000 queries.")


def growth(order: str, *scores: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """A collection with two ranks and 100 queries, each of which has sent and used a chunk in each of these steps."""
    docs = {"db_collection_name": "docs"}
    yield "ragmeter_queries_total", {"ragmeter_strategy": "rag"}, 100
    yield "ragmeter_chunks_total", docs | {"ragmeter_strategy": "rag", "ragmeter_chunk_fate": "used"}, 200
    for rank in ("1", "2"):
        at = docs | {"ragmeter_rank": rank}
        yield "ragmeter_rank_chunks_total", at | {"ragmeter_chunk_fate": "used"}, 100
        yield "ragmeter_rank_tokens_total", at, 5_000
        yield "ragmeter_rank_cost_usd_total", at, 0.05
        yield "ragmeter_rank_squares_total", at | {"ragmeter_squares_of": "used"}, 100 if rank == "1" else 300
        yield "ragmeter_rank_squares_total", at | {"ragmeter_squares_of": "used_in_all"}, 200
        yield "ragmeter_rank_squares_total", at | {"ragmeter_squares_of": "tokens"}, 750_000 if rank == "1" else 250_000
    for score in scores:
        at = docs | {"ragmeter_score_order": order, "ragmeter_score": score}
        yield "ragmeter_score_used_total", at, 100
        yield "ragmeter_score_tokens_total", at, 5_000


@pytest.mark.parametrize(
    ("order", "scores", "cut"),
    [
        ("higher_is_nearer", ("0.8-0.85", "0.6-0.65"), "score \u2265 0.8"),
        ("lower_is_nearer", ("0.1-0.15", "0.3-0.35"), "distance < 0.15"),
    ],
)
def test_a_score_cut_keeps_the_nearest(order, scores, cut):
    """A cut of the score keeps what is nearer, be it more or less; its interval is no narrower than that of a rank."""
    (right,) = right_ks(Samples.of(growth(order, *scores)), 1.0)
    first = right.score_cuts[0]
    assert (first.name, first.kept.value) == (cut, 0.5)
    assert first.dollars_saved.value == pytest.approx(right.cuts[0].dollars_saved.value) == pytest.approx(0.5)
    assert first.kept.low <= right.cuts[0].kept.low
    assert first.kept.high >= right.cuts[0].kept.high
    assert [each.kept.value for each in right.score_cuts][-1] == 0.5
