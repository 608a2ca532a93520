"""Requests of which every stretch of text has a known origin, written as real apps write their prompts.

What counts as context is the text of a retrieved chunk as it stands in the prompt, escaped or quoted as it is there;
what a template puts around it (numbers, tags, sources, scores) belongs to the message it stands in. A chunk in an
earlier turn is context too: it is stale, not history.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from random import Random
from typing import Any

from corpus import KINDS, SHORTEST, SYSTEMS, exchanges, passages, shortened, tool_schemas
from ragmeter.domain.model import Chunk, Origin

Piece = tuple[Origin, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """An OpenAI chat request and the true origin of its text.

    `chunks` are all that were retrieved, some of them not in the prompt; `truth` the stretches in wire order: tools,
    then message by message, where the stretches of a message joined give its content. A call of a tool is the
    stretch `name arguments`.
    """

    name: str
    body: Mapping[str, Any]
    chunks: tuple[Chunk, ...]
    truth: tuple[Piece, ...]


Template = Callable[[Random], Sample]


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the body and the origins of its text."""

    wire: Mapping[str, Any]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a template makes of its material: the messages and, where it has some, tools."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Material:
    """What a template writes its prompt from: `found` go into the prompt, `earlier` were found for earlier turns."""

    found: tuple[Chunk, ...]
    earlier: tuple[Chunk, ...]
    question: str
    turns: tuple[tuple[str, str], ...]
    system: str
    random: Random


def cut(text: str, origin: Origin, inserted: Iterable[str]) -> tuple[Piece, ...]:
    """The text as stretches: the inserted texts, which stand in it in this order, are context, the rest `origin`."""
    pieces: list[Piece] = []
    cursor = 0
    for part in inserted:
        start = text.find(part, cursor)
        if start < 0:
            raise ValueError(f"not in the prompt as it is: {part[:60]!r}")
        pieces += [(origin, text[cursor:start]), (Origin.CONTEXT, part)]
        cursor = start + len(part)
    pieces.append((origin, text[cursor:]))
    return tuple((kind, piece) for kind, piece in pieces if piece)


_ORIGINS = {
    "system": Origin.SYSTEM,
    "user": Origin.QUESTION,
    "assistant": Origin.HISTORY,
    "tool": Origin.TOOL_RESULTS,
    "past": Origin.HISTORY,
}


def message(role: str, text: str, inserted: Iterable[str] = (), **more: str) -> Message:
    """One message; the role `past` is the user's in an earlier turn."""
    wire = {"role": "user" if role == "past" else role, "content": text, **more}
    return Message(wire, cut(text, _ORIGINS[role], inserted))


def tool_call(name: str, arguments: Mapping[str, object], key: str) -> Message:
    """The assistant's message that calls a tool."""
    given = json.dumps(arguments, ensure_ascii=False)
    call = {"id": key, "type": "function", "function": {"name": name, "arguments": given}}
    wire = {"role": "assistant", "content": None, "tool_calls": [call]}
    return Message(wire, ((Origin.HISTORY, f"{name} {given}"),))


def past_turns(material: Material) -> tuple[Message, ...]:
    """The earlier questions and answers of the conversation, without context."""
    pairs = ((message("past", question), message("assistant", answer)) for question, answer in material.turns)
    return tuple(one for pair in pairs for one in pair)


def texts(chunks: Sequence[Chunk]) -> list[str]:
    """The chunks' texts in order."""
    return [chunk.text for chunk in chunks]


def _plain(material: Material, context: str, inserted: Sequence[str] | None = None, lead: str = "Context") -> Draft:
    """The commonest form: a system text, then one user message with the context before the question."""
    prompt = f"{lead}:\n{context}\n\nQuestion: {material.question}\nAnswer:"
    inserted = texts(material.found) if inserted is None else inserted
    return Draft((message("system", material.system), message("user", prompt, inserted)))


def _fstring(material: Material) -> Draft:
    return _plain(material, "\n\n".join(texts(material.found)))


def _xml_documents(material: Material) -> Draft:
    documents = "\n".join(
        f'<document index="{number}" id="{chunk.id}">\n{chunk.text}\n</document>'
        for number, chunk in enumerate(material.found, 1)
    )
    prompt = f"<documents>\n{documents}\n</documents>\n\n<question>\n{material.question}\n</question>"
    return Draft((message("system", material.system), message("user", prompt, texts(material.found))))


def _numbered_sources(material: Material) -> Draft:
    sources = "\n\n".join(f"[{number}] {chunk.text}" for number, chunk in enumerate(material.found, 1))
    return _plain(material, sources, lead="Cite the sources you use as [n]. Sources")


def _markdown_headings(material: Material) -> Draft:
    blocks = "\n\n".join(f"### {chunk.collection} / {chunk.id}\n\n{chunk.text}" for chunk in material.found)
    prompt = f"## Retrieved documents\n\n{blocks}\n\n## Task\n\n{material.question}"
    return Draft((message("system", material.system), message("user", prompt, texts(material.found))))


def _quoted(material: Material) -> Draft:
    blocks = ["\n".join(f"> {line}" for line in chunk.text.splitlines()) for chunk in material.found]
    return _plain(material, "\n\n".join(blocks), blocks, lead="These passages may help")


def _as_json(chunks: Sequence[Chunk]) -> list[dict[str, object]]:
    return [{"id": chunk.id, "score": chunk.score, "text": chunk.text} for chunk in chunks]


def escaped(chunks: Sequence[Chunk], *, ascii_only: bool = False) -> list[str]:
    """The chunks' texts as they stand inside JSON."""
    return [json.dumps(chunk.text, ensure_ascii=ascii_only)[1:-1] for chunk in chunks]


def _json_results(material: Material) -> Draft:
    results = json.dumps({"results": _as_json(material.found)}, ensure_ascii=False)
    return _plain(material, results, escaped(material.found), lead="Search results")


def _json_ascii_indented(material: Material) -> Draft:
    results = json.dumps(_as_json(material.found), indent=2)
    return _plain(material, results, escaped(material.found, ascii_only=True), lead="Search results (JSON)")


def _context_in_system(material: Material) -> Draft:
    context = "\n\n".join(texts(material.found))
    system = f"{material.system}\n\nAnswer only from this context:\n\n{context}\n\nIf it is not there, say so."
    found = message("system", system, texts(material.found))
    return Draft((found, *past_turns(material), message("user", material.question)))


def _separator_lines(material: Material) -> Draft:
    return _plain(material, "---\n" + "\n---\n".join(texts(material.found)) + "\n---")


def _metadata_lines(material: Material) -> Draft:
    blocks = (
        f"Source: {chunk.collection}/{chunk.id}.pdf\nPage: {chunk.rank * 7 + 1}\nScore: {chunk.score:.4f}\n"
        f"Content: {chunk.text}\n"
        for chunk in material.found
    )
    return _plain(material, "\n".join(blocks), lead="Use the excerpts below")


def _question_first(material: Material) -> Draft:
    prompt = f"{material.question}\n\nBackground knowledge:\n" + "\n".join(
        f"- {text}" for text in texts(material.found)
    )
    return Draft((message("system", material.system), message("user", prompt, texts(material.found))))


def _content_blocks(material: Material) -> Draft:
    """The user's content as a list: a block for each chunk, the question last."""
    blocks = [*texts(material.found), material.question]
    wire = {"role": "user", "content": [{"type": "text", "text": block} for block in blocks]}
    origins = [Origin.CONTEXT] * len(material.found) + [Origin.QUESTION]
    user = Message(wire, tuple(zip(origins, blocks, strict=True)))
    return Draft((message("system", material.system), user))


def _stale_history(material: Material) -> Draft:
    """A chat that keeps the earlier turns' prompts as they were sent, context and all."""
    turns: list[Message] = []
    per_turn = max(1, len(material.earlier) // len(material.turns))
    for number, (question, answer) in enumerate(material.turns):
        mine = texts(material.earlier[number * per_turn : (number + 1) * per_turn])
        turns += [message("past", _asked(mine, question), mine), message("assistant", answer)]
    fresh = texts(material.found)
    last = message("user", _asked(fresh, material.question), fresh)
    return Draft((message("system", material.system), *turns, last))


def _asked(found: Sequence[str], question: str) -> str:
    return "Context:\n" + "\n\n".join(found) + f"\n\nQuestion: {question}"


def _chat_without_context(material: Material) -> Draft:
    return Draft((message("system", material.system), *past_turns(material), message("user", material.question)))


def _few_shot(material: Material) -> Draft:
    shots = past_turns(material)
    prompt = "Passages:\n" + "\n***\n".join(texts(material.found)) + f"\n\nNow answer: {material.question}"
    return Draft((message("system", material.system), *shots, message("user", prompt, texts(material.found))))


def _tools_and_context(material: Material) -> Draft:
    tools = tool_schemas(material.random, material.random.randrange(6, 29))
    return Draft((*_fstring(material).messages[:1], *past_turns(material), *_fstring(material).messages[1:]), tools)


_SEARCH_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "search_documents",
        "description": "Search the document store and return the best passages.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for."},
                "top_k": {"type": "integer", "minimum": 1, "maximum": 20},
            },
            "required": ["query"],
        },
    },
}


def _agent_tool_json(material: Material) -> Draft:
    """An agent after one search whose results came back as JSON."""
    results = json.dumps({"matches": _as_json(material.found), "took_ms": 12}, ensure_ascii=False)
    searched = tool_call("search_documents", {"query": material.question, "top_k": len(material.found)}, "call_1")
    answered = message("tool", results, escaped(material.found), tool_call_id="call_1")
    asked = (message("system", material.system), message("user", material.question))
    return Draft((*asked, searched, answered), (_SEARCH_TOOL, *tool_schemas(material.random, 3)))


def _agent_many_searches(material: Material) -> Draft:
    """An agent after several steps: searches in plain text, and results of other tools that are no context."""
    turns = [message("system", material.system), message("user", material.question)]
    for number, start in enumerate(range(0, len(material.found), 4)):
        found = material.found[start : start + 4]
        listed = "\n\n".join(f"({chunk.score:.3f}) {chunk.text}" for chunk in found)
        sizes = json.dumps({"status": "ok", "rows": material.random.randrange(10_000), "cached": False})
        turns += [
            tool_call("search_documents", {"query": material.question[: 20 + 9 * number]}, f"call_{number}a"),
            message("tool", f"Found {len(found)} passages:\n\n{listed}", texts(found), tool_call_id=f"call_{number}a"),
            tool_call("count_rows", {"table": f"events_{number}"}, f"call_{number}b"),
            message("tool", sizes, tool_call_id=f"call_{number}b"),
        ]
    return Draft(tuple(turns), (_SEARCH_TOOL, *tool_schemas(material.random, 5)))


_TEMPLATES: Mapping[str, Callable[[Material], Draft]] = {
    "fstring": _fstring,
    "xml_documents": _xml_documents,
    "numbered_sources": _numbered_sources,
    "markdown_headings": _markdown_headings,
    "quoted": _quoted,
    "json_results": _json_results,
    "json_ascii_indented": _json_ascii_indented,
    "context_in_system": _context_in_system,
    "agent_tool_json": _agent_tool_json,
    "agent_many_searches": _agent_many_searches,
    "stale_history": _stale_history,
    "separator_lines": _separator_lines,
    "metadata_lines": _metadata_lines,
    "question_first": _question_first,
    "content_blocks": _content_blocks,
    "few_shot": _few_shot,
    "chat_without_context": _chat_without_context,
    "tools_and_context": _tools_and_context,
}

CONTEXT_KINDS = tuple(kind for kind in KINDS if kind not in ("docstring", "licence"))
"""The kinds of text that samples retrieve."""


def retrieved(kind: str, random: Random, counts: Sequence[int]) -> list[tuple[Chunk, ...]]:
    """Groups of disjoint chunks of about 300 to 2,500 characters, as many in each as `counts` says, ranked by score."""
    stock = passages(kind, sum(counts), random, length=2_500)
    groups: list[tuple[Chunk, ...]] = []
    for count in counts:
        scores = sorted((random.uniform(0.3, 0.95) for _ in range(count)), reverse=True)
        groups.append(
            tuple(
                Chunk(
                    shortened(stock.pop(), random.randrange(SHORTEST, 2_501)).strip(),
                    f"doc-{len(stock)}",
                    score,
                    rank,
                    kind,
                )
                for rank, score in enumerate(scores)
            )
        )
    return groups


def sample(name: str, draft: Draft, chunks: Sequence[Chunk]) -> Sample:
    """The draft as a request, its origins in wire order."""
    body: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [dict(one.wire) for one in draft.messages]}
    if draft.tools:
        body["tools"] = list(draft.tools)
    defined = [(Origin.TOOLS, json.dumps(tool, ensure_ascii=False)) for tool in draft.tools]
    said = [piece for one in draft.messages for piece in one.pieces]
    return Sample(name, body, tuple(chunks), (*defined, *said))


def _made(name: str, kind: str, random: Random) -> Sample:
    counts = (random.randrange(5, 21), random.randrange(4, 9), random.randrange(2, 7))
    found, earlier, unsent = retrieved(kind, random, counts)
    turns = tuple(exchanges(random, random.randrange(2, 5)))
    question = exchanges(random, 1)[0][0]
    draft = _TEMPLATES[name](Material(found, earlier, question, turns, random.choice(SYSTEMS), random))
    return sample(f"{name}/{kind}", draft, random.sample(found + earlier + unsent, sum(counts)))


def templates(kind: str = "mixed") -> Mapping[str, Template]:
    """Each template by its name, filled with chunks of one kind of text."""
    return {name: partial(_made, name, kind) for name in _TEMPLATES}


def samples(count: int, seed: int) -> list[Sample]:
    """`count` samples, the pairs of template and kind in random order, all of them before any comes again."""
    random = Random(seed)
    pairs = list(product(_TEMPLATES, CONTEXT_KINDS))
    made: list[Sample] = []
    while len(made) < count:
        random.shuffle(pairs)
        made += [_made(name, kind, random) for name, kind in pairs[: count - len(made)]]
    return made
