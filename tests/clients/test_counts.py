"""Token counts under every name and in every place that servers put them, read through a real client."""

from __future__ import annotations

import pytest

from clients import chat_shapes
from clients.asking import MODEL, chat, embed, message, respond
from wire import Answer, whole

INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
READ, WRITTEN = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
ANSWER = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}
UNSUMMED = {"prompt_tokens": 1_000, "completion_tokens": 100}
GATEWAY = {"input_tokens": 100, "output_tokens": 50, "cache_read_input_tokens": 700, "cache_creation_input_tokens": 200}
"""Anthropic's counts, handed on by a gateway: the input leaves out what was cached."""

OTHER_NAMES = {
    "deepseek": (
        ANSWER | {"prompt_cache_hit_tokens": 800, "prompt_cache_miss_tokens": 200},
        {INPUT: 1_000, OUTPUT: 100, READ: 800},
    ),
    "deepseek without a sum": (
        {"completion_tokens": 100, "prompt_cache_hit_tokens": 800, "prompt_cache_miss_tokens": 200},
        {INPUT: 1_000, OUTPUT: 100, READ: 800},
    ),
    "moonshot": (ANSWER | {"cached_tokens": 900}, {INPUT: 1_000, OUTPUT: 100, READ: 900}),
    "mistral": (ANSWER | {"num_cached_tokens": 900}, {INPUT: 1_000, OUTPUT: 100, READ: 900}),
    "qwen": (
        ANSWER | {"prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 600}},
        {INPUT: 1_000, OUTPUT: 100, READ: 0, WRITTEN: 600},
    ),
    "openrouter": (
        ANSWER | {"prompt_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 600}},
        {INPUT: 1_000, OUTPUT: 100, READ: 300, WRITTEN: 600},
    ),
    "databricks, cached within": (
        ANSWER | {"cache_read_input_tokens": 700, "cache_creation_input_tokens": 200},
        {INPUT: 1_000, OUTPUT: 100, READ: 700, WRITTEN: 200},
    ),
    "anthropic through a gateway": (GATEWAY, {INPUT: 1_000, OUTPUT: 50, READ: 700, WRITTEN: 200}),
    "the same, where the total tells": (
        {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 1_050, "cache_read_input_tokens": 900},
        {INPUT: 1_000, OUTPUT: 50, READ: 900},
    ),
    "other names of the two counts": ({"input_tokens": 30, "output_tokens": 7}, {INPUT: 30, OUTPUT: 7}),
    "prompt and total": ({"prompt_tokens": 30, "total_tokens": 37}, {INPUT: 30, OUTPUT: 7}),
    "completion and total": ({"completion_tokens": 7, "total_tokens": 37}, {INPUT: 30, OUTPUT: 7}),
    "counts as text": ({"prompt_tokens": "30", "completion_tokens": "7"}, {INPUT: 30, OUTPUT: 7}),
    "details in the singular": (
        ANSWER | {"prompt_token_details": {"cached_tokens": 5}},
        {INPUT: 1_000, OUTPUT: 100, READ: 5},
    ),
}


def told(seen):
    """The usage on the span, checked against the metrics: they never differ."""
    span = seen.span()
    found = {name: value for name, value in span.items() if name.startswith("gen_ai.usage.")}
    points = {
        dict(key)["gen_ai.token.type"]: value.total for key, value in seen.metric("gen_ai.client.token.usage").items()
    }
    assert points.get("input") == found.get(INPUT)
    assert points.get("output") == found.get(OUTPUT)
    return found


def parts_of(seen, *names):
    """The tokens of the parts with these names, or of all."""
    tokens = seen.metric("ragmeter.tokens")
    return sum(value for key, value in tokens.items() if not names or dict(key)["ragmeter.part"] in names)


@pytest.mark.parametrize(("usage", "expected"), OTHER_NAMES.values(), ids=OTHER_NAMES)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_counts_under_other_names(watch, usage, expected, streams):
    """Whatever a server calls its counts, they are those of the span, and the parts sum to them."""
    body = chat_shapes.completion(MODEL, usage=usage)
    stream = (*chat_shapes.words(MODEL), chat_shapes.chunk(MODEL, usage=usage))
    seen = chat(watch, *(stream if streams else (body,)))
    assert told(seen) == expected
    assert parts_of(seen) == expected[INPUT] + expected[OUTPUT]
    assert seen.total("ragmeter.tokens", ragmeter_token_rate="cache_read") == expected.get(READ, 0)
    assert "ragmeter.tokens.estimated" not in seen.span()


def test_usage_in_a_choice_of_a_stream(watch):
    """A server that puts the usage of a stream into its last choice is read all the same."""
    last = chat_shapes.word(MODEL, "", finish_reason="stop")
    last["choices"][0]["usage"] = dict(ANSWER)
    assert told(chat(watch, *chat_shapes.words(MODEL)[:-1], last)) == {INPUT: 1_000, OUTPUT: 100}


def test_the_last_usage_of_a_stream_holds_but_a_zero_is_no_news(watch):
    """Cumulative counts replace each other, empty ones and zeros that come late replace nothing."""
    counts = (
        {"prompt_tokens": 1_000, "completion_tokens": 4},
        dict(ANSWER),
        {"prompt_tokens": 0, "completion_tokens": 0},
        {},
    )
    chunks = [{**chat_shapes.word(MODEL, "word "), "usage": usage} for usage in counts]
    assert told(chat(watch, *chunks)) == {INPUT: 1_000, OUTPUT: 100}


def test_text_after_the_last_count_is_not_in_it(watch):
    """A stream whose counts came before the last of its text is an estimate, of no less than was counted."""
    early = chat_shapes.chunk(MODEL, usage={"prompt_tokens": 1_000, "completion_tokens": 1})
    seen = chat(watch, chat_shapes.word(MODEL, "A "), early, *(chat_shapes.word(MODEL, "word ") for _ in range(200)))
    assert seen.span()["ragmeter.price.state"] == "estimated"
    assert parts_of(seen, "output") > 100
    assert told(seen)[INPUT] == 1_000


@pytest.mark.parametrize(
    ("usage", "output", "reasoning"),
    [
        # xAI: reasoning beside the completion, as its total says.
        (ANSWER | {"total_tokens": 1_400, "completion_tokens_details": {"reasoning_tokens": 300}}, 400, 300),
        # Without a total: more reasoning than completion cannot be within it.
        (
            {"prompt_tokens": 1_000, "completion_tokens": 100, "completion_tokens_details": {"reasoning_tokens": 300}},
            400,
            300,
        ),
        # OpenAI: within.
        (ANSWER | {"completion_tokens_details": {"reasoning_tokens": 30}}, 100, 30),
        # Databricks has it beside the two counts, and within the completion.
        (ANSWER | {"reasoning_tokens": 30}, 100, 30),
        # Gemini's OpenAI form hides its thoughts.
        (ANSWER | {"total_tokens": 3_100}, 2_100, None),
    ],
)
def test_what_only_the_total_shows_is_output(watch, usage, output, reasoning):
    """Tokens beyond prompt and completion were made: they are counted and charged as output."""
    seen = chat(watch, chat_shapes.completion(MODEL, usage=usage), prices={MODEL: {"input": 1.0, "output": 10.0}})
    assert told(seen).get(OUTPUT) == output
    assert told(seen).get(REASONING) == reasoning
    assert parts_of(seen, "reasoning") == (reasoning or 0)
    assert parts_of(seen) == 1_000 + output
    assert seen.span()["ragmeter.cost.amount"] == pytest.approx(1_000 * 1e-6 + output * 10e-6)
    assert seen.span()["ragmeter.price.state"] == "priced"


def test_a_total_alone_is_shared_out(watch):
    """Where only the total is reported its parts are estimated, and sum to it; nobody has said what was input."""
    seen = chat(watch, chat_shapes.completion(MODEL, usage={"total_tokens": 500}))
    assert told(seen) == {}
    assert parts_of(seen) == 500
    assert 0 < parts_of(seen, "output") < 500
    assert seen.span()["ragmeter.price.state"] == "estimated"


ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize(
    ("usage", "known"),
    [
        (ZERO, {}),
        ({"prompt_tokens": 40, "completion_tokens": 0, "total_tokens": 40}, {INPUT: 40}),
        ({"prompt_tokens": 0, "completion_tokens": 9, "total_tokens": 9}, {OUTPUT: 9}),
        ({"prompt_tokens": -1, "completion_tokens": 9}, {OUTPUT: 9}),
        ({"prompt_tokens": 10**20, "completion_tokens": 9}, {OUTPUT: 9}),
    ],
)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_a_zero_beside_a_text_is_no_count(watch, usage, known, streams):
    """What has no tokens by the server and a text by the eye is estimated; what it did count stands."""
    body = chat_shapes.completion(MODEL, usage=usage)
    stream = (*chat_shapes.words(MODEL), chat_shapes.chunk(MODEL, usage=usage))
    seen = chat(watch, *(stream if streams else (body,)))
    assert told(seen) == known
    assert seen.span()["ragmeter.price.state"] == "estimated"
    assert seen.span()["ragmeter.cost.amount"] > 0
    assert parts_of(seen, "output") > 0
    assert parts_of(seen) > parts_of(seen, "output")


def test_an_answer_without_a_word_may_have_taken_none(watch):
    """Zero output is a count where nothing was written."""
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "content_filter"}
    usage = {"prompt_tokens": 40, "completion_tokens": 0, "total_tokens": 40}
    seen = chat(watch, chat_shapes.completion(MODEL, choices=[choice], usage=usage))
    assert told(seen) == {INPUT: 40, OUTPUT: 0}
    assert seen.span()["ragmeter.price.state"] == "priced"


VECTORS = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
}


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"total_tokens": 7}, 7),
        ({"input_tokens": 7}, 7),
        ({"prompt_tokens": 0, "total_tokens": 7}, 7),
        (ZERO, None),
        (None, None),
    ],
)
def test_embeddings_pass_the_same_gate(watch, usage, tokens):
    """The total of an embedding is its input, and a text that took no token is estimated."""
    seen = embed(watch, VECTORS | {"usage": usage}, "long text " * 400)
    span = seen.span()
    assert span.get(INPUT) == tokens
    assert OUTPUT not in span
    assert span["ragmeter.price.state"] == ("estimated" if tokens is None else "priced")
    assert span["ragmeter.cost.amount"] > 0


@pytest.mark.parametrize("given", [[1, 2, 3, 4], [[1, 2, 3], [4]]])
def test_tokens_given_as_numbers_need_nobody_to_count_them(watch, given):
    """The numbers of an embedding's input are its tokens, exactly, whatever a server says."""
    seen = embed(watch, VECTORS | {"usage": ZERO}, given)
    assert seen.span()["ragmeter.price.state"] == "priced"
    assert seen.span()["ragmeter.cost.amount"] == pytest.approx(4 * 0.02 / 1e6)
    assert "ragmeter.tokens.estimated" not in seen.span()
    assert parts_of(seen, "embedding") == 4


def test_what_an_embedding_took_beside_its_text_is_an_estimate(watch):
    """Where the total is more than the text, pictures were embedded, at a price nobody tells."""
    seen = embed(watch, VECTORS | {"usage": {"prompt_tokens": 7, "total_tokens": 9}})
    assert seen.span()["ragmeter.price.state"] == "estimated"


STEP = {"input_tokens": 2_000, "output_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
PRICES = {"claude-sonnet-4-5": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75}}


def asked_claude(**more):
    """A whole message of Anthropic's."""
    text = [{"type": "text", "text": "SENTINEL-ANSWER is the answer"}]
    given = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": text}
    return {**given, "stop_reason": "end_turn", "stop_sequence": None, **more}


def streamed_claude(first, last):
    """The events of a stream of Anthropic's."""
    return (
        {"type": "message_start", "message": asked_claude(content=[], stop_reason=None, usage=first)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "SENTINEL-ANSWER"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": last},
        {"type": "message_stop"},
    )


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_what_was_summed_up_on_the_way_is_charged(watch, streams):
    """Anthropic's compaction stands beside the counts of a message: its tokens are added, at the same price."""
    steps = [STEP | {"type": "compaction", "input_tokens": 90_000, "output_tokens": 900, "cache_read_input_tokens": 7}]
    usage = {"input_tokens": 2_000, "output_tokens": 100, "iterations": [*steps, STEP | {"type": "message"}]}
    stream = streamed_claude({"input_tokens": 2_000, "output_tokens": 1}, usage)
    seen = message(watch, *(stream if streams else (asked_claude(usage=usage),)), prices=PRICES)
    assert told(seen) == {INPUT: 92_007, OUTPUT: 1_000, READ: 7}
    assert seen.span()["ragmeter.cost.amount"] == pytest.approx((92_000 * 3 + 7 * 0.3 + 1_000 * 15) / 1e6)
    assert seen.span()["ragmeter.price.state"] == "priced"


def test_steps_within_the_counts_are_not_counted_twice(watch):
    """The turns of a loop of tools on the server are in the counts at the top."""
    usage = {"input_tokens": 4_000, "output_tokens": 200, "iterations": [STEP | {"type": "message"}] * 2}
    seen = message(watch, asked_claude(usage=usage), prices=PRICES)
    assert told(seen) == {INPUT: 4_000, OUTPUT: 200}
    assert seen.span()["ragmeter.price.state"] == "priced"


def test_what_another_model_has_said_is_an_estimate(watch):
    """An adviser's tokens are counted, but its price is another model's: the cost is an estimate."""
    steps = [STEP | {"type": "message"}, STEP | {"type": "advisor_message", "model": "claude-opus-4-6"}]
    usage = {"input_tokens": 2_000, "output_tokens": 100, "iterations": steps}
    seen = message(watch, asked_claude(usage=usage), prices=PRICES)
    assert told(seen) == {INPUT: 4_000, OUTPUT: 200}
    assert seen.span()["ragmeter.price.state"] == "estimated"


def test_a_late_zero_of_a_messages_stream_is_no_news(watch):
    """Gateways end a stream with zeros for what its beginning has counted."""
    first = {"input_tokens": 40, "output_tokens": 1, "cache_read_input_tokens": 60}
    last = {"input_tokens": 0, "output_tokens": 9, "cache_read_input_tokens": 0}
    assert told(message(watch, *streamed_claude(first, last))) == {INPUT: 100, OUTPUT: 9, READ: 60}


def test_a_messages_stream_that_counts_at_its_end_only(watch):
    """Servers of other models speak Anthropic's form, and know their counts at the end."""
    first, last = {"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 40, "output_tokens": 9}
    assert told(message(watch, *streamed_claude(first, last))) == {INPUT: 40, OUTPUT: 9}


def test_no_count_at_the_end_leaves_what_was_said_at_the_beginning(watch):
    """A messages stream whose end counts nothing is as one that was left: its output is estimated."""
    seen = message(watch, *streamed_claude({"input_tokens": 40, "output_tokens": 1}, None))
    assert told(seen)[INPUT] == 40
    assert seen.span()["ragmeter.tokens.estimated"] is True
    assert parts_of(seen, "output") > 1


PAGES = {
    "html": whole("<html>Please log in</html>"),
    "no json": None,
    "a list": whole([1, 2]),
    "an error": whole({"error": {"message": "no credit"}}),
    "nothing": whole({}),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("way", [chat, respond, embed, message])
def test_what_is_no_answer_has_no_tokens_and_no_price(watch, page, way):
    """A page of a proxy with status 200 was asked of no model: nothing is estimated, and nothing is charged."""
    answer = PAGES[page] or Answer((b"<html>Please log in</html>",), content_type="text/html")
    span = way(watch, answer).span()
    assert "ragmeter.cost.amount" not in span
    assert span["ragmeter.price.state"] == "unpriced"
    assert "ragmeter.tokens.estimated" not in span


def test_a_stream_that_is_a_page_has_no_price(watch):
    """A page in the place of a stream gives the app nothing, and nothing is charged for it."""
    span = chat(watch, Answer((b"<html>Please log in</html>",), content_type="text/html"), streams=True).span()
    assert span["ragmeter.price.state"] == "unpriced"
    assert "ragmeter.tokens.estimated" not in span
