"""Answers that are more than one text: in blocks, spoken, refused, with what the server has retrieved itself."""

from __future__ import annotations

import pytest

import ragmeter
from clients import chat_shapes
from clients.asking import MODEL, chat

CHUNK = "The warranty of the blue kettle lasts for two years from the day of purchase and covers the element."
ANSWER = "The warranty of the blue kettle lasts for two years from the day of purchase."
THOUGHT = "Let me look at what the context has to say about the kettle."
MESSAGES = {
    "text": {"content": ANSWER, "reasoning_content": THOUGHT},
    # Mistral
    "thinking": {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
            {"type": "text", "text": ANSWER},
            {"type": "reference", "reference_ids": [1]},
        ]
    },
    # Databricks
    "reasoning": {
        "content": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]},
            {"type": "text", "text": ANSWER},
        ]
    },
    "thinking as a string": {"content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": ANSWER}]},
    "spoken": {"content": None, "audio": {"id": "a", "transcript": ANSWER}, "reasoning": THOUGHT},
    "refused": {"content": None, "refusal": ANSWER, "reasoning": THOUGHT},
    "refused in a block": {"content": [{"type": "refusal", "refusal": ANSWER}], "reasoning": THOUGHT},
    # OpenRouter
    "details": {"content": ANSWER, "reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]},
    "a call": {
        "content": None,
        "tool_calls": [{"function": {"name": "say", "arguments": ANSWER}}],
        "reasoning": THOUGHT,
    },
    "a call of old": {"content": None, "function_call": {"name": "say", "arguments": ANSWER}, "reasoning": THOUGHT},
}


def answers_of(message, *, streams, **more):
    """The answer as a whole, or in a stream."""
    if not streams:
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
        return (chat_shapes.completion(MODEL, choices=[choice], **more),)
    first = {"index": 0, "delta": {"role": "assistant", **message}, "finish_reason": None}
    return chat_shapes.chunk(MODEL, choices=[first]), chat_shapes.word(MODEL, "", finish_reason="stop")


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("form", MESSAGES)
def test_an_answer_is_read_in_every_form(watch, form, streams):
    """The answer uses its chunk and is weighed where nobody counted, whatever it comes in; thoughts are kept apart."""
    seen = watch(providers={"127.0.0.1": "openai"})
    with ragmeter.query():
        ragmeter.context([CHUNK], collection="faq")
        question = f"Context:\n{CHUNK}\n\nQuestion: How long does it last?"
        told = answers_of(MESSAGES[form], streams=streams, usage=None)
        chat(lambda **_: seen, *told, question=question)
    (span,) = [each.attributes for each in seen.spans() if each.name.startswith("chat")]
    assert span["ragmeter.context.chunks.used"] == 1
    assert span["ragmeter.tokens.output"] + span.get("ragmeter.tokens.reasoning", 0) > 20


CITATION = {"content": CHUNK, "title": "faq", "filepath": "faq.md", "chunk_id": "0"}
RETRIEVED = {
    # Azure OpenAI on your data
    "citations": ({"context": {"citations": [CITATION], "intent": "[]"}}, {}),
    "documents": (
        {"context": {"all_retrieved_documents": [{**CITATION, "original_search_score": 3.2, "search_queries": ["q"]}]}},
        {},
    ),
    # DigitalOcean's agents, RAGFlow
    "beside the choices": ({}, {"retrieval": {"retrieved_data": [{"page_content": CHUNK, "filename": "faq.md"}]}}),
    "a reference": ({"reference": {"chunks": [{"content": CHUNK, "document_name": "faq.md", "similarity": 0.7}]}}, {}),
}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("form", RETRIEVED)
def test_what_the_server_retrieves_itself_makes_a_call_rag(watch, form, streams):
    """The provider's own retrieval is retrieval: the call is `rag`, and its context is not the question."""
    message, beside = RETRIEVED[form]
    usage = {"prompt_tokens": 3_000, "completion_tokens": 20, "total_tokens": 3_020}
    told = answers_of({"content": ANSWER, **message}, streams=streams, usage=usage, **beside)
    if streams:
        told = ({**told[0], **beside}, told[1], chat_shapes.chunk(MODEL, usage=usage))
    span = chat(watch, *told, question="How long does it last?").span()
    assert span["ragmeter.strategy"] == "rag"
    assert span["ragmeter.tokens.context"] > 2_900
    assert span["ragmeter.tokens.question"] < 100


@pytest.mark.parametrize(
    "more",
    [
        # Perplexity searches the web: that is no retrieval of the app's own texts.
        {"citations": ["http://example.test"], "search_results": [{"title": "t", "url": "http://example.test"}]},
        {"context": {"citations": []}},
        {"context": {"citations": "none"}},
    ],
)
def test_what_is_no_retrieval_leaves_a_call_base(watch, more):
    """A search of the web, or one that found nothing, puts no text of the app's into the prompt."""
    choice = {"index": 0, "message": {"content": ANSWER, **more}, "finish_reason": "stop"}
    assert chat(watch, chat_shapes.completion(MODEL, choices=[choice], **more)).span()["ragmeter.strategy"] == "base"


def test_what_a_filter_took_out_was_not_given(watch):
    """Azure lists what it found and did not give to the model: that is no context."""
    found = {"context": {"all_retrieved_documents": [{**CITATION, "filter_reason": "score"}]}}
    choice = {"index": 0, "message": {"content": ANSWER, **found}, "finish_reason": "stop"}
    assert chat(watch, chat_shapes.completion(MODEL, choices=[choice])).span()["ragmeter.strategy"] == "base"
