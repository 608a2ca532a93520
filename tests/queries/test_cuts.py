"""What a smaller list would take away is counted chunk by chunk: by rank, by score, and squared for each query."""

from __future__ import annotations

from collections import defaultdict

import pytest

import fake_reranker
import ragmeter
from agent_calls import completion
from shop import PASSAGES
from wire import whole

WARRANTY, REFUND, EXPRESS = PASSAGES
ANSWERS = (WARRANTY, f"{WARRANTY} {EXPRESS}", f"{REFUND} {EXPRESS}", "Two years.")


@pytest.fixture
def seen(watch, shop, monkeypatch):
    fake_reranker.put(monkeypatch)
    return watch(providers={"127.0.0.1": "openai"}, labels=["team"], capture_chunks=True)


def ask_all(shop, wire):
    """Three chunks are found four times: of three that are sent one is used, two and two; of two nobody can tell."""
    for number, answer in enumerate(ANSWERS):
        wire.gives(whole(completion({"content": answer})))
        with ragmeter.query():
            ragmeter.label(team=f"team {number}")
            found = shop.search(limit=3)
            shop.ask(found[:2] if number == 3 else found, question=f"Question {number}: what do you know?")


def of_spans(seen):
    """Each query's chunks in its prompt, from its span: rank, fate, tokens."""
    for span in seen.spans():
        if span.name.startswith("chat"):
            names = ("ragmeter.chunk.ranks", "ragmeter.chunk.fates", "ragmeter.chunk.tokens")
            yield list(zip(*(span.attributes[name] for name in names), strict=True))


def by_rank(seen, name, **labels):
    found = defaultdict(float)
    for key, value in seen.metric(name).items():
        of = dict(key)
        if all(of[label] == wanted for label, wanted in labels.items()):
            found[int(of["ragmeter.rank"])] += value
    return dict(found)


def test_each_chunk_is_counted_by_its_rank_and_its_fate(seen, shop, wire):
    """Chunks, tokens and money by rank are those of the prompts, the chunk that was not sent stands at its rank too."""
    ask_all(shop, wire)
    expected = defaultdict(float)
    tokens = defaultdict(float)
    for chunks in of_spans(seen):
        for rank, fate, taken in chunks:
            expected[rank, fate] += 1
            tokens[rank] += taken
    expected[3, "unsent"] += 1
    counted = seen.metric("ragmeter.rank.chunks")
    assert {
        (int(dict(key)["ragmeter.rank"]), dict(key)["ragmeter.chunk.fate"]): n for key, n in counted.items()
    } == expected
    assert by_rank(seen, "ragmeter.rank.tokens") == tokens
    assert sum(tokens.values()) == seen.total("ragmeter.context.tokens")
    assert seen.total("ragmeter.rank.cost.usd") == pytest.approx(seen.total("ragmeter.context.cost.usd"), rel=1e-9)
    assert {name for key in counted for name, _ in key} == {
        "db.collection.name",
        "ragmeter.rank",
        "ragmeter.chunk.fate",
    }


def test_squares_are_those_of_whole_queries(seen, shop, wire):
    """The sums down to a rank are those of the used chunks of each query, squared; below it, of the tokens it sent."""
    ask_all(shop, wire)
    queries = list(of_spans(seen))
    kinds = {
        of: by_rank(seen, "ragmeter.rank.squares", **{"ragmeter.squares.of": of})
        for of in ("used", "used_in_all", "tokens")
    }
    for cut in range(4):
        down_to = [sum(fate == "used" and rank <= cut for rank, fate, _ in each) for each in queries]
        in_all = [sum(fate == "used" for _, fate, _ in each) for each in queries]
        below = [sum(tokens for rank, _, tokens in each if rank > cut) for each in queries]
        assert sum(n for rank, n in kinds["used"].items() if rank <= cut) == sum(each**2 for each in down_to)
        together = sum(one * other for one, other in zip(down_to, in_all, strict=True))
        assert sum(n for rank, n in kinds["used_in_all"].items() if rank <= cut) == together
        assert sum(n for rank, n in kinds["tokens"].items() if rank > cut) == sum(each**2 for each in below)


def test_scores_are_counted_in_steps(seen, shop, wire):
    """By score there is as much as by rank: each chunk in the step its score lies in, nearest high for a similarity."""
    ask_all(shop, wire)
    order = {"db_collection_name": "shop", "ragmeter_score_order": "higher_is_nearer"}
    assert seen.total("ragmeter.score.used", **order) == seen.total("ragmeter.rank.chunks", ragmeter_chunk_fate="used")
    assert seen.total("ragmeter.score.tokens", **order) == seen.total("ragmeter.rank.tokens")


def test_a_reranker_gives_rank_and_score(seen, shop, wire):
    """After a reranking a chunk counts with the reranker's rank and relevance, not with those of the search."""
    wire.gives(whole(completion({"content": EXPRESS})))
    with ragmeter.query():
        found = shop.search(limit=3)
        fake_reranker.Client(2, 0).rerank(query="What?", documents=found)
        shop.ask([EXPRESS, WARRANTY])
    assert by_rank(seen, "ragmeter.rank.chunks", **{"ragmeter.chunk.fate": "used"}) == {1: 1}
    assert by_rank(seen, "ragmeter.rank.chunks", **{"ragmeter.chunk.fate": "unused"}) == {2: 1}
    assert by_rank(seen, "ragmeter.rank.chunks", **{"ragmeter.chunk.fate": "unsent"}) == {2: 1}
    assert {dict(key)["ragmeter.score"] for key in seen.metric("ragmeter.score.tokens")} == {"0.6-0.65", "0.5-0.55"}
    assert {dict(key)["ragmeter.score.order"] for key in seen.metric("ragmeter.score.used")} == {"higher_is_nearer"}


def test_many_collections_are_bounded(seen, wire, shop):
    """Ten collections have their own series, all others are counted together: nothing is lost, and no label closed."""
    for number in range(14):
        with ragmeter.query():
            ragmeter.context([WARRANTY, f"{number} {REFUND}"], collection=f"shop {number}")
            shop.ask([WARRANTY, f"{number} {REFUND}"])
    counted = seen.metric("ragmeter.rank.chunks")
    names = [dict(key)["db.collection.name"] for key in counted]
    assert len(set(names)) == 11
    assert "other" in names
    assert sum(counted.values()) == seen.total("ragmeter.chunks") == 28
    assert ragmeter.status().full_labels == ragmeter.status().crowded_metrics == ()
