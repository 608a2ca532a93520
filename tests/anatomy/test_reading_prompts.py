"""What is read of a request: every kind of message, item and block that the installed clients can send."""

from __future__ import annotations

import json
import typing
from operator import attrgetter
from pathlib import Path
from typing import Any

import anthropic
import anthropic.types
import anthropic.types.beta
import groq
import groq.types.chat
import openai
import openai.types.chat
import openai.types.responses
import pytest
import together
import together.types.chat.completion_create_params
from openai.types.responses.response_input_item_param import ResponseInputItemParam
from pydantic import TypeAdapter
from typing_extensions import get_type_hints, is_typeddict

from ragmeter.domain.model import Chunk, Origin, Prompt, Role
from ragmeter.reading.shapes.anthropic_messages import MESSAGES
from ragmeter.reading.shapes.fields import size_of
from ragmeter.reading.shapes.openai_chat import CHAT, TEXT_COMPLETION
from ragmeter.reading.shapes.openai_responses import RESPONSES

TOOLS, SYSTEM, DOCUMENT, USER, ASSISTANT, TOOL = Role
OTHER, HISTORY = Origin.OTHER, Origin.HISTORY
SAMPLES = Path(__file__).parent.parent / "data" / "requests"
BYTES = "iVBORw0KGgo" * 40
"""An image as base64."""

Expected = tuple[list[tuple[Role, str]], Origin | None]


def read(prompt: Prompt) -> Expected:
    return [(part.role, part.text) for part in prompt.fragments], prompt.unread


def samples(name: str) -> list[tuple[dict[str, Any], list[tuple[Role, str]], Origin | None]]:
    """What apps send, one a line, each with the parts that are to be read of it and the origin of what cannot be."""
    rows = [json.loads(line) for line in (SAMPLES / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [
        (
            row["given"],
            [(Role(role), text) for role, text in row["parts"]],
            Origin(row["unread"]) if row["unread"] else None,
        )
        for row in rows
    ]


def members(union: Any) -> list[Any]:
    """The types a union is made of, however it is nested."""
    if typing.get_origin(union) is typing.Annotated:
        return members(typing.get_args(union)[0])
    parts = typing.get_args(union)
    return [member for part in parts for member in members(part)] if parts else [union]


def kinds(union: Any) -> set[str]:
    """The literal `type` of each dictionary in a union of a client's parameters; there is at least one."""
    found: set[str] = set()
    for member in members(union):
        if is_typeddict(member):
            literal = get_type_hints(member).get("type")
            found |= {value for value in _literals(literal) if isinstance(value, str)}
    assert found
    return found


def _literals(hint: Any) -> set[Any]:
    found: set[Any] = set()
    for value in typing.get_args(hint):
        found |= _literals(value) if typing.get_args(value) else {value}
    return found


RESPONSES_ITEMS = samples("responses_items")


@pytest.mark.parametrize(("item", "parts", "unread"), RESPONSES_ITEMS, ids=lambda value: str(value)[:50])
def test_every_item_of_a_responses_request_is_read(item, parts, unread):
    """An item of the Responses API gives its texts to who wrote them, and says what the provider counts besides."""
    assert read(RESPONSES.prompt({"input": [item]})) == (parts, unread)


def test_no_item_type_of_the_installed_openai_is_left_out():
    """The items read above are all that the installed client can send: a new type must be looked at first."""
    assert kinds(ResponseInputItemParam) <= {item.get("type", "message") for item, _, _ in RESPONSES_ITEMS}


@pytest.mark.parametrize("item", [item for item, _, _ in RESPONSES_ITEMS], ids=lambda value: str(value)[:50])
def test_the_items_are_the_clients_own(item):
    """The items read above are valid for the client's own type, so they are what apps send."""
    TypeAdapter(ResponseInputItemParam).validate_python(item)


ANTHROPIC_BLOCKS = samples("messages_blocks")


@pytest.mark.parametrize(("block", "parts", "unread"), ANTHROPIC_BLOCKS, ids=lambda value: str(value)[:50])
def test_every_block_of_a_messages_request_is_read(block, parts, unread):
    """A block of the Messages API gives its texts to who wrote them, and says what the provider counts besides."""
    assert read(MESSAGES.prompt({"messages": [{"role": "user", "content": [block]}]})) == (parts, unread)


@pytest.mark.parametrize(
    "union", [anthropic.types.ContentBlockParam, anthropic.types.beta.BetaContentBlockParam], ids=("stable", "beta")
)
def test_no_block_type_of_the_installed_anthropic_is_left_out(union):
    """The blocks read above are all that the installed client can send: a new type must be looked at first."""
    assert kinds(union) <= {block["type"] for block, _, _ in ANTHROPIC_BLOCKS}


@pytest.mark.parametrize("block", [block for block, _, _ in ANTHROPIC_BLOCKS], ids=lambda value: str(value)[:50])
def test_the_blocks_are_the_clients_own(block):
    """The blocks read above are valid for the client's own type, so they are what apps send."""
    TypeAdapter(anthropic.types.beta.BetaContentBlockParam).validate_python(block)


def test_a_messages_prompt_stands_in_wire_order():
    """Tools and the answer's schema come first, then the system blocks, then the turns with documents among them."""
    body = {
        "messages": [
            {"role": "user", "content": "Hi."},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
            {
                "role": "user",
                "content": [
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Two years."}},
                    {"type": "text", "text": "How long?"},
                ],
            },
            {"role": "system", "content": "Answer in French."},
        ],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    }
    assert read(MESSAGES.prompt(body)) == (
        [
            (TOOLS, '{"type": "web_search_20250305", "name": "web_search"}'),
            (TOOLS, '{"type": "json_schema", "schema": {"type": "object"}}'),
            (SYSTEM, "Be brief."),
            (USER, "Hi."),
            (ASSISTANT, "Hello."),
            (DOCUMENT, "Two years."),
            (USER, "How long?"),
            (SYSTEM, "Answer in French."),
        ],
        None,
    )


CHAT_MESSAGES = samples("chat_messages")


@pytest.mark.parametrize(("message", "parts", "unread"), CHAT_MESSAGES, ids=lambda value: str(value)[:60])
def test_every_message_of_a_chat_is_read(message, parts, unread):
    """A chat message gives its texts to who wrote them, and says what the provider counts besides."""
    assert read(CHAT.prompt({"messages": [message]})) == (parts, unread)


CHAT_CLIENTS = {
    "openai": openai.types.chat.ChatCompletionMessageParam,
    "groq": groq.types.chat.ChatCompletionMessageParam,
    "together": get_type_hints(together.types.chat.completion_create_params.CompletionCreateParamsBase)["messages"],
}


@pytest.mark.parametrize("client", CHAT_CLIENTS)
def test_no_part_and_no_field_of_a_chat_message_is_left_out(client):
    """The messages read above have every field and every content part that the installed client can send."""
    samples = [message for message, _, _ in CHAT_MESSAGES]
    contents = [part for message in samples if isinstance(message.get("content"), list) for part in message["content"]]
    fields = [get_type_hints(member) for member in members(CHAT_CLIENTS[client]) if is_typeddict(member)]
    assert {name for hints in fields for name in hints} <= {name for message in samples for name in message}
    parts = [member for hints in fields for member in members(hints.get("content")) if is_typeddict(member)]
    assert kinds(typing.Union[tuple(parts)]) <= {part["type"] for part in contents}  # noqa: UP007


def test_documents_beside_the_messages_follow_the_system_text():
    """Documents handed over beside the messages are context, in their order, and none of them is taken for a turn."""
    body = {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How long?"}],
        "documents": [
            {"id": "d1", "source": {"type": "text", "text": "Two years."}},
            {"source": {"type": "json", "data": {"battery": "one year"}}},
            {"title": "Returns", "text": "Thirty days."},
            "Shipping is free.",
        ],
    }
    assert read(CHAT.prompt(body)) == (
        [
            (SYSTEM, "Be brief."),
            (DOCUMENT, "Two years."),
            (DOCUMENT, '{"battery": "one year"}'),
            (DOCUMENT, "Returns\nThirty days."),
            (DOCUMENT, "Shipping is free."),
            (USER, "How long?"),
        ],
        None,
    )


def test_the_size_of_documents_and_results_is_known():
    """What is kept until it is read is measured with the texts in documents, results of tools and nested blocks."""
    text = "x" * 1_000
    assert size_of([{"source": {"type": "text", "text": text}}]) >= 1_000
    assert size_of([{"type": "function_call_output", "output": text}]) >= 1_000
    document = {"type": "document", "source": {"type": "text", "data": text}}
    result = {"type": "tool_result", "content": [{"type": "text", "text": text}, document]}
    assert size_of([{"role": "user", "content": [result]}]) >= 2_000


def test_definitions_and_schemas_come_first():
    """Tools, legacy functions and the schema of the answer are definitions, at the front of the prompt."""
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}
    chat = {
        "messages": [{"role": "user", "content": "Hi."}],
        "response_format": schema,
        "functions": [{"name": "f"}],
        "tools": [{"type": "custom", "custom": {"name": "t"}}],
    }
    given = ['{"type": "custom", "custom": {"name": "t"}}', '{"name": "f"}', '{"name": "a", "schema": {}}']
    assert read(CHAT.prompt(chat))[0] == [*((TOOLS, text) for text in given), (USER, "Hi.")]
    responses = {"input": "Hi.", "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}}}
    expected = [(TOOLS, '{"type": "json_schema", "name": "a", "schema": {}}'), (USER, "Hi.")]
    assert read(RESPONSES.prompt(responses))[0] == expected
    assert read(CHAT.prompt({"response_format": {"type": "json_object"}})) == ([], None)


PICTURE = {"role": "user", "content": [{"type": "input_image", "file_id": "f1"}]}


@pytest.mark.parametrize(
    "kept", [{"previous_response_id": "r1"}, {"conversation": "c1"}, {"conversation": {"id": "c1"}}], ids=str
)
def test_turns_that_the_provider_keeps_are_unread_history(kept):
    """What the provider adds from a stored conversation is history; together with a picture nobody can tell."""
    assert read(RESPONSES.prompt({"input": "Hi.", **kept})) == ([(USER, "Hi.")], HISTORY)
    assert read(RESPONSES.prompt({"input": [PICTURE], **kept})) == ([], OTHER)


def test_what_fills_a_stored_template_is_read():
    """The variables of a template the provider keeps are the app's own texts; the template itself is unread."""
    variables = {"city": "Rome", "note": {"type": "input_text", "text": "In May."}}
    prompt = RESPONSES.prompt({"prompt": {"id": "p1", "variables": variables}, "instructions": "Be brief."})
    assert read(prompt) == ([(SYSTEM, "Be brief."), (USER, "Rome"), (USER, "In May.")], HISTORY)


NEW_BLOCK = {"type": "hologram_2031", "id": "h1", "caption": "A cat", "layers": [{"type": "layer", "label": "fur"}]}
DARK_BLOCK = {"type": "hologram_2031", "id": "h1", "depth": 3}


@pytest.mark.parametrize("reader", [CHAT, MESSAGES, RESPONSES], ids=("chat", "messages", "responses"))
def test_blocks_nobody_knows_yet_are_not_lost(reader):
    """Every string in a block of an unknown type counts; one without any string is unread, and so are bytes in it."""

    def content(*blocks: dict[str, Any]) -> Expected:
        turns = [{"role": "user", "content": list(blocks)}]
        return read(reader.prompt({"messages": turns, "input": turns}))

    assert content(NEW_BLOCK) == ([(USER, "A cat"), (USER, "fur")], None)
    assert content(DARK_BLOCK) == ([], OTHER)
    assert content({**NEW_BLOCK, "payload": BYTES}) == ([(USER, "A cat"), (USER, "fur")], OTHER)
    assert content({"type": "hologram_2031", "text": "A cat", "title": "Pets"}) == (
        [(USER, "A cat"), (USER, "Pets")],
        None,
    )


def test_items_nobody_knows_yet_are_not_lost():
    """An unknown item of a Responses request gives its strings to the model, those of an output to the tool."""
    assert read(RESPONSES.prompt({"input": [NEW_BLOCK]})) == ([(ASSISTANT, "A cat"), (ASSISTANT, "fur")], None)
    assert read(RESPONSES.prompt({"input": [DARK_BLOCK]})) == ([], OTHER)
    output = {"type": "hologram_call_output", "call_id": "c1", "scene": {"note": "A cat"}}
    assert read(RESPONSES.prompt({"input": [output]})) == ([(TOOL, "A cat")], None)
    call = {"type": "hologram_call", "name": "project", "result": "Projected."}
    assert read(RESPONSES.prompt({"input": [call]})) == ([(ASSISTANT, "project"), (TOOL, "Projected.")], None)


@pytest.mark.parametrize("reader", [CHAT, MESSAGES, RESPONSES], ids=("chat", "messages", "responses"))
def test_generators_are_left_to_the_app(reader):
    """Content that can be read only once is not touched, and its tokens are known to be unread."""
    blocks = ({"type": "text", "text": text} for text in ("one", "two"))
    turns = [{"role": "user", "content": blocks}]
    assert read(reader.prompt({"messages": turns, "input": turns})) == ([], OTHER)
    assert [block["text"] for block in blocks] == ["one", "two"]


@pytest.mark.parametrize(
    ("reader", "name"),
    [
        *((CHAT, name) for name in ("tools", "functions", "documents", "messages")),
        *((RESPONSES, name) for name in ("tools", "input")),
        *((MESSAGES, name) for name in ("tools", "system", "messages")),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_generator_in_place_of_a_list_is_left_to_the_app(reader, name):
    """A field whose elements can be read only once is not touched, and the prompt says that something is unread."""
    given = (each for each in ("one", "two"))
    assert read(reader.prompt({name: given})) == ([], OTHER)
    assert list(given) == ["one", "two"]


class StoppedError(Exception):
    """Raised in place of sending, with the body that the client hands to the function we wrap."""


TURNS = {"messages": [{"role": "user", "content": "Hi."}]}
LEAST = {
    "openai": (CHAT, openai.OpenAI, "chat.completions.create", TURNS),
    "openai responses": (RESPONSES, openai.OpenAI, "responses.create", {"input": "Hi."}),
    "groq": (CHAT, groq.Groq, "chat.completions.create", TURNS),
    "together": (CHAT, together.Together, "chat.completions.create", TURNS),
    "anthropic": (MESSAGES, anthropic.Anthropic, "messages.create", {"max_tokens": 9, **TURNS}),
}
"""The least that each client can be asked: who reads it, whom one asks, how, and what."""


@pytest.mark.parametrize("name", LEAST)
def test_what_an_app_leaves_out_is_no_part_of_the_prompt(monkeypatch, name):
    """A call with nothing but its question is read as that question, whatever the client puts into the other fields."""
    reader, client, operation, question = LEAST[name]

    def request(self: Any, cast_to: Any, options: Any, **rest: Any) -> None:
        raise StoppedError(options.json_data)

    monkeypatch.setattr(client, "request", request)
    with pytest.raises(StoppedError) as stopped:
        attrgetter(operation)(client(api_key="key"))(model="m", **question)
    assert read(reader.prompt(stopped.value.args[0])) == ([(USER, "Hi.")], None)


def test_models_of_the_client_are_read_like_dictionaries():
    """An answer's own objects, given back as a turn, are read as the dictionaries they become on the wire."""
    refusal = openai.types.responses.ResponseOutputRefusal(type="refusal", refusal="I will not.")
    call = openai.types.responses.ResponseFileSearchToolCall.model_validate(
        {"id": "s1", "type": "file_search_call", "status": "completed", "queries": ["q"], "results": [{"text": "Two."}]}
    )
    message = {"type": "message", "role": "assistant", "content": [refusal]}
    expected = [(ASSISTANT, "I will not."), (ASSISTANT, "q"), (TOOL, "Two.")]
    assert read(RESPONSES.prompt({"input": [message, call]})) == (expected, None)


def test_token_numbers_of_a_legacy_completion_are_unread():
    """A prompt given as numbers of tokens has no text, and says so; texts and what follows them are read."""
    assert read(TEXT_COMPLETION.prompt({"prompt": [1, 2, 3]})) == ([], OTHER)
    assert read(TEXT_COMPLETION.prompt({"prompt": "def f(", "suffix": "return x"}))[0] == [
        (USER, "def f("),
        (USER, "return x"),
    ]


def test_results_of_a_file_search_are_the_answers_chunks():
    """What the provider's own search found, when the answer tells, are chunks in order with file, score and rank."""
    output = [
        {
            "type": "file_search_call",
            "queries": ["warranty"],
            "results": [{"file_id": "f1", "score": 0.9, "text": "Two years."}, {"file_id": "f3", "score": 0.5}],
        },
        {"type": "file_search_call", "queries": ["battery"], "results": [{"file_id": "f2", "text": "One year."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Two years."}]},
    ]
    response = RESPONSES.response({"status": "completed", "output": output})
    assert response.chunks == (Chunk("Two years.", "f1", 0.9, 0), Chunk("One year.", "f2", None, 1))
    assert response.retrieved
    assert response.text == ("Two years.",)
    without = RESPONSES.response({"output": [{"type": "file_search_call", "queries": ["q"], "results": None}]})
    assert without.chunks == ()
    assert without.retrieved
