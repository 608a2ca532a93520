"""The content of a turn as fragments of a prompt: texts with the writer's role, sources to answer from as documents.

Anthropic takes `document` and `search_result` blocks, groq `document` blocks and a list `documents` beside the
messages; servers with templates take such a list of plain mappings. Some servers retrieve themselves, and say in the
answer what they have found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ragmeter.domain.model import Chunk, Origin, Prompt, PromptFragment, Role
from ragmeter.domain.pausing import LONG_TEXT, pause_of_thread
from ragmeter.reading.shapes.fields import (
    blocks_of,
    field,
    items,
    may_have,
    named,
    numbers_in,
    plain_text,
    score,
    strings_in,
    text_of,
)

Read = tuple[list[PromptFragment], Origin | None]
"""Fragments in wire order, and the origin of what could not be read beside them."""

DOCUMENTS = ("document", "search_result")
HEADS = ("title", "context")

RETRIEVED = {
    "context": ("all_retrieved_documents", "citations"),
    "retrieval": ("retrieved_data",),
    "reference": ("chunks",),
}
"""Where an answer, or the message in it, holds what its server has retrieved: Azure OpenAI on your data
(https://learn.microsoft.com/azure/ai-services/openai/references/on-your-data), DigitalOcean's agents, RAGFlow."""

RETRIEVERS = frozenset(RETRIEVED)
PASSAGE = ("content", "page_content", "text")
SOURCES = ("filepath", "filename", "document_name", "url", "title")
NUMBERS = ("chunk_id", "id")
SCORES = ("rerank_score", "original_search_score", "score", "similarity")
"""Names of a passage's text, of its source, of its number there, and of how well it fitted: the best first."""

REREADABLE = (str, list, tuple, dict)
"""What can be read as often as one likes."""


def read_content(role: Role, content: Any) -> Read:
    """The fragments of a message's content: documents in it are `DOCUMENT` fragments, unless a tool gave them."""
    if isinstance(content, str):
        return [PromptFragment(role, content)], None
    fragments: list[PromptFragment] = []
    is_opaque = False
    for block in blocks_of(content):
        text = plain_text(block)
        if text is not None:
            fragments.append(PromptFragment(role, text))
            continue
        if field(block, "type") in DOCUMENTS:
            texts, block_opaque = document_text(block)
            writer = Role.TOOL if role is Role.TOOL else Role.DOCUMENT
            fragments += [PromptFragment(writer, text) for text in texts]
        else:
            texts, block_opaque = text_of(block)
            fragments += [PromptFragment(role, text) for text in texts]
        is_opaque = is_opaque or block_opaque
    return fragments, Origin.OTHER if is_opaque else None


def read_input(given: Any, *further: Any) -> Prompt:
    """What an endpoint without turns is given: one text, several, or tokens as numbers; and the texts beside it."""
    texts = [text for text in (*(items(given) or (given,)), *further) if isinstance(text, str)]
    is_encoded = any(not isinstance(text, str) for text in items(given))
    fragments = tuple(PromptFragment(Role.USER, text) for text in texts)
    return Prompt(fragments, Origin.OTHER if is_encoded else None, numbers_in(given))


def read_documents(documents: Any) -> Read:
    """The documents that are given beside the messages, each a fragment."""
    found = [document_text(document) for document in items(documents)]
    fragments = [PromptFragment(Role.DOCUMENT, text) for texts, _ in found for text in texts]
    return fragments, Origin.OTHER if any(is_opaque for _, is_opaque in found) else None


def read_retrieved(holder: Any) -> tuple[Chunk, ...]:
    """The passages that a server has put into the prompt itself, as an answer or a message in it holds them."""
    if may_have(holder, RETRIEVERS):
        for holding, names in RETRIEVED.items():
            for name in names:
                found = [each for each in items(field(field(holder, holding), name)) if _was_given(each)]
                if found:
                    return tuple(_passage(each, rank) for rank, each in enumerate(found))
    return ()


def _was_given(passage: Any) -> bool:
    """Whether the model has read it: what a filter took out has a reason, and what has no text cannot be read."""
    return field(passage, "filter_reason") is None and _passage_text(passage) is not None


def _passage_text(passage: Any) -> str | None:
    return next((text for name in PASSAGE if isinstance(text := field(passage, name), str) and text), None)


def _passage(passage: Any, rank: int) -> Chunk:
    sources = [named(passage, name) for name in SOURCES]
    numbers = [named(passage, name) for name in NUMBERS]
    scores = [score(passage, name) for name in SCORES]
    # Azure numbers the chunks of each file from 0.
    identifier = "#".join([*filter(None, sources)][:1] + [*filter(None, numbers)][:1])
    fit = next((each for each in scores if each is not None), None)
    return Chunk(_passage_text(passage) or "", identifier or None, fit, rank)


def document_text(document: Any) -> tuple[list[str], bool]:
    """The one text of a document, its title and context first, and whether something in it cannot be read.

    A title without a text to it is no source: it is left to what could not be read.
    """
    if isinstance(document, str):
        return [document], False
    texts, is_opaque = _body(document)
    if not texts:
        return [], True
    heads = [head for name in HEADS if isinstance(head := field(document, name), str) and head]
    return ["\n".join((*heads, *texts))], is_opaque


def _body(document: Any) -> tuple[list[str], bool]:
    source = field(document, "source", field(document, "document"))
    if isinstance(source, str) or source is None:
        # The source of a search result only says where it was found.
        content = field(document, "content", field(document, "text"))
        return text_of(content) if content is not None else _without_heads(document)
    data = field(source, "data")
    return ([json_text(data)], False) if isinstance(data, dict) else strings_in(source)


def _without_heads(document: Any) -> tuple[list[str], bool]:
    if not isinstance(document, dict):
        return [], True
    return strings_in({name: value for name, value in document.items() if name not in HEADS})


def either(first: Origin | None, second: Origin | None) -> Origin | None:
    """The origin of what is unread for two reasons: `OTHER` claims nothing, so it stands for a mixture."""
    if first is None or second is None:
        return first or second
    return first if first is second else Origin.OTHER


def unread_iterators(body: Any, *names: str) -> Origin | None:
    """`OTHER` when one of these fields gives its elements only once: they are the app's, and so they stay unread.

    What a client puts where nothing was given has no elements at all.
    """
    values = [value for name in names if (value := field(body, name)) is not None]
    is_unread = any(not isinstance(value, REREADABLE) and isinstance(value, Iterable) for value in values)
    return Origin.OTHER if is_unread else None


def json_text(value: Any) -> str:
    """A value as it stands in a prompt: a string as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, default=str, ensure_ascii=False)
    if len(text) > LONG_TEXT:
        pause_of_thread()
    return text
