"""Texts of many kinds for prompts of known origin: deterministic, offline, the texts of one call disjoint.

Beside them what a prompt has around its context: system texts, earlier turns, tool schemas.

English prose comes from `tests/data/used_chunks`, code and docstrings from the running Python's standard library, the
rest is generated: records from word lists, other languages from the words and sentences in `tests/data/corpus`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count as count_from
from pathlib import Path
from random import Random
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "data"

LANGUAGES = ("zh", "ja", "ar", "ru", "ko", "de")
KINDS = ("prose", "code", "docstring", "json", "csv", "table", "markdown", "licence", *LANGUAGES, "mixed")
"""Every kind of text that `passages` can give; `mixed` takes each passage from another kind."""

CJK = ("zh", "ja")

SHORTEST = 300
"""Characters of the shortest chunk that samples retrieve, but for blanks where it was cut."""


def passages(kind: str, count: int, random: Random, length: int = 2000) -> list[str]:
    """`count` texts of about `length` characters (Chinese, Japanese, Korean: half as many), no sentence in two of them.

    The same state of `random` gives the same texts. Code and its docstrings may share a line, records and tables the
    names of their fields, as real ones do.
    """
    if kind == "mixed":
        plain = [name for name in KINDS if name != "mixed"]
        wanted = [plain[number % len(plain)] for number in range(count)]
        random.shuffle(wanted)
        stock = {name: passages(name, wanted.count(name), random, length) for name in dict.fromkeys(wanted)}
        return [stock[name].pop() for name in wanted]
    if kind in _WINDOWED:
        windows = _windows(kind, length)
        if len(windows) < count:
            raise ValueError(f"only {len(windows)} texts of kind {kind!r} and {length} characters")
        return random.sample(windows, count)
    if kind in LANGUAGES:
        return _language_passages(kind, count, random, length)
    make = _GENERATED[kind]
    return [make(random, length) for _ in range(count)]


def shortened(text: str, length: int) -> str:
    """The text's whole lines or sentences up to about `length` characters, or cut within one, not below `SHORTEST`."""
    if len(text) <= length:
        return text
    borders = [found.end() for found in re.finditer(r"\n|[.!?] |[。\uff01\uff1f\u061f]", text[:length])]
    wide = [border for border in borders if len(text[:border].strip()) >= max(SHORTEST, length // 2)]
    return text[: wide[-1] if wide else length].strip()


@lru_cache(maxsize=32)
def _windows(kind: str, length: int) -> tuple[str, ...]:
    """The kind's documents cut into pieces of about `length` characters, each line in one piece only."""
    result: list[str] = []
    for document in _WINDOWED[kind]():
        piece = ""
        for line in document.splitlines(keepends=True):
            if piece and len(piece) + len(line) > length:
                result.append(piece.rstrip())
                piece = ""
            piece += line
        if len(piece) > length // 2:
            result.append(piece.rstrip())
    return tuple(dict.fromkeys(text[:length] for text in result if len(text) > length // 3))


def _prose_documents() -> Iterator[str]:
    """The retrieved passages of the labelled sets, none with a sentence that an earlier one has, joined ten by ten."""
    seen: set[str] = set()
    kept: list[str] = []
    for name in ("clapnq_passages", "clapnq_hard", "expertqa_answers", "expertqa_claims_posthoc"):
        for line in (DATA / "used_chunks" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            for chunk in json.loads(line)["chunks"]:
                text = " ".join(chunk["text"].split())
                sentences = {part for part in re.split(r"(?<=[.!?]) ", text) if len(part) > 30}
                if len(text) > 300 and not sentences & seen:
                    kept.append(text)
                seen |= sentences
    for start in range(0, len(kept), 10):
        yield "\n\n".join(kept[start : start + 10])


@lru_cache(maxsize=1)
def _standard_library() -> tuple[str, ...]:
    """The sources of the standard library's top-level modules that are neither tiny nor tables."""
    folder = Path(sysconfig.get_path("stdlib"))
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.py")))
    return tuple(text for text in texts if 6_000 < len(text) < 120_000)


def _docstrings() -> Iterator[str]:
    for source in _standard_library():
        tree = ast.parse(source)
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
        yield "\n\n".join(text for node in nodes if (text := ast.get_docstring(node)) and len(text) > 200)


_WINDOWED: Mapping[str, Callable[[], Iterator[str]]] = {
    "prose": _prose_documents,
    "code": lambda: iter(_standard_library()),
    "docstring": _docstrings,
}


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    """English words of the prose, the frequent first."""
    counts: dict[str, int] = {}
    for document in _prose_documents():
        for word in re.findall(r"[a-z]{3,12}", document):
            counts[word] = counts.get(word, 0) + 1
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))[60:4_000]


def _phrase(random: Random, words: int) -> str:
    return " ".join(random.choices(_words(), k=words))


def _name(random: Random) -> str:
    return _phrase(random, 2).title()


_CITIES = (
    "Lisbon",
    "Osaka",
    "Tallinn",
    "Quito",
    "Graz",
    "Bergen",
    "Accra",
    "Hobart",
    "Leeds",
    "Turin",
    "Pune",
    "Utrecht",
)
_STATES = ("open", "paid", "shipped", "returned", "on hold", "cancelled", "draft")


def _record(random: Random) -> dict[str, object]:
    """One order of a shop, with every kind of value JSON has."""
    return {
        "id": random.randrange(10**5, 10**8),
        "sku": f"{random.choice('ABCDEFGH')}{random.choice('KLMNPQ')}-{random.randrange(10_000):04d}",
        "name": _name(random),
        "city": random.choice(_CITIES),
        "price": round(random.uniform(1, 2_000), 2),
        "quantity": random.randrange(1, 90),
        "state": random.choice(_STATES),
        "in_stock": random.random() < 0.5,
        "tags": random.choices(_words(), k=random.randrange(4)),
        "updated": f"20{random.randrange(18, 27)}-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}T"
        f"{random.randrange(24):02d}:{random.randrange(60):02d}:00Z",
        "note": None if random.random() < 0.4 else _phrase(random, random.randrange(3, 12)),
    }


def _filled(length: int, lines: Iterator[str], separator: str = "\n") -> str:
    """The lines joined until `length` characters are reached."""
    kept: list[str] = []
    size = 0
    for line in lines:
        if kept and size + len(line) > length:
            break
        kept.append(line)
        size += len(line) + len(separator)
    return separator.join(kept)


def _json(random: Random, length: int) -> str:
    indent = random.choice((None, 2))
    return _filled(length, (json.dumps(_record(random), indent=indent) for _ in count_from()), ",\n")


def _row(random: Random) -> list[str]:
    record = _record(random)
    return [str(record[key]) for key in ("id", "sku", "name", "city", "price", "quantity", "state", "updated")]


_HEADER = ("id", "sku", "name", "city", "price", "quantity", "state", "updated")


def _csv(random: Random, length: int) -> str:
    return _filled(length, (",".join(row) for row in _rows(random)))


def _rows(random: Random) -> Iterator[Sequence[str]]:
    yield _HEADER
    while True:
        yield _row(random)


def _table(random: Random, length: int) -> str:
    rows = _rows(random)
    head = next(rows)

    def lines() -> Iterator[str]:
        yield f"| {' | '.join(head)} |"
        yield "|" + " --- |" * len(head)
        for row in rows:
            yield f"| {' | '.join(row)} |"

    return _filled(length, lines())


def _markdown(random: Random, length: int) -> str:
    """A page of documentation: headings, prose, bullets, code, a link."""

    def lines() -> Iterator[str]:
        yield f"# {_name(random)}"
        while True:
            yield f"\n## {_phrase(random, 3).capitalize()}\n"
            yield f"The `{random.choice(_words())}_{random.choice(_words())}` setting {_sentence(random)}"
            link = f"[{_phrase(random, 2)}](https://example.org/{_phrase(random, 1)})"
            yield f"**{_phrase(random, 2).capitalize()}:** see {link}."
            yield ""
            for _ in range(random.randrange(2, 6)):
                yield f"- {_sentence(random)}"
            yield f"\n```sh\n{random.choice(_words())} --{random.choice(_words())} {random.randrange(100)}\n```"

    return _filled(length, lines())


def _sentence(random: Random) -> str:
    return f"{_phrase(random, random.randrange(6, 16)).capitalize()}, {_phrase(random, random.randrange(4, 9))}."


_DUTIES = (
    "The {a} shall not {b} the {c} without the written consent of the {d}",
    'THE {a} IS PROVIDED "AS IS", WITHOUT {b} OF ANY {c}, EXPRESS OR {d}',
    "Any {a} made under this Agreement is subject to the {b} of the {c} and its {d}",
    "Each {a} keeps the copyright notice, the {b}, the {c} and this list of {d}",
    "In no event shall the {a} be liable for any {b}, {c} or {d}",
    "This License ends when the {a} fails to {b} within thirty days of the {c} or {d}",
)


def _licence(random: Random, length: int) -> str:
    """Numbered clauses with stock phrases between free words: licences share their boilerplate."""

    def clauses() -> Iterator[str]:
        for number in count_from(1):
            words = random.choices(_words(), k=4)
            duty = random.choice(_DUTIES).format(**dict(zip("abcd", words, strict=True)))
            yield f"{number}. {duty}; {_phrase(random, random.randrange(8, 20))}."

    return _filled(length, clauses(), "\n\n")


_GENERATED: Mapping[str, Callable[[Random, int], str]] = {
    "json": _json,
    "csv": _csv,
    "table": _table,
    "markdown": _markdown,
    "licence": _licence,
}


@lru_cache(maxsize=8)
def _vocabulary(language: str) -> dict[str, list[str]]:
    """A language's `sentences`, `frames` with `{slot}`s, one a line, and the words for each slot, `_` for a space."""
    found: dict[str, list[str]] = {}
    text = (DATA / "corpus" / f"{language}.txt").read_text(encoding="utf-8")
    for section in text.removeprefix("# ").split("\n# "):
        name, *lines = section.splitlines()
        words = [word.replace("_", " ") for line in lines for word in line.split()]
        found[name] = lines if name in ("sentences", "frames") else words
    return found


def _language_passages(language: str, count: int, random: Random, length: int) -> list[str]:
    """Passages of written sentences, each in one passage only, among sentences made from frames and words."""
    vocabulary = _vocabulary(language)
    written = random.sample(vocabulary["sentences"], len(vocabulary["sentences"]))
    length = length // 2 if language in ("zh", "ja", "ko") else length
    joint = "" if language in CJK else " "
    seen: set[str] = set()

    def made() -> Iterator[str]:
        while True:
            frame = random.choice(vocabulary["frames"])
            sentence = re.sub(r"\{(\w+)\}", lambda slot: random.choice(vocabulary[slot[1]]), frame)
            sentence = sentence.replace("#", str(random.randrange(2, 5_000)))
            if sentence not in seen:
                seen.add(sentence)
                yield sentence[0].upper() + sentence[1:]

    made_up = made()

    def mixed(share: list[str]) -> Iterator[str]:
        while True:
            paragraph = [share.pop() if share and random.random() < 0.5 else next(made_up) for _ in range(5)]
            yield joint.join(paragraph)

    shares = [written[number::count] for number in range(count)]
    return [_filled(length, mixed(share)) for share in shares]


SYSTEMS = (
    "You are a helpful assistant.",
    """You are the support assistant of a shop for garden tools. Answer in the customer's language, in at most five \
sentences. Never promise a refund. When the sources do not hold the answer, say that you do not know and offer to \
open a ticket.""",
    """You answer questions about our documentation.

Rules:
1. Use only the given passages.
2. Name the passage you used after each statement.
3. Do not guess numbers, versions or dates.
4. Write code in fenced blocks.
5. Keep the terms of the passages as they are, do not translate them.

Tone: calm, exact, friendly. No emojis.""",
    """Act as an analyst. Read what was found, weigh how far it can be trusted, and answer in three parts: what is \
sure, what is likely, what is open. Show sums step by step. Amounts are in euros unless stated. Today is a working \
day; the user is an expert and wants no introduction.""",
)
"""System texts from one line to a list of rules."""


@lru_cache(maxsize=1)
def _answered() -> tuple[tuple[str, str], ...]:
    lines: dict[str, str] = {}
    for name in ("expertqa_answers", "expertqa_answers_posthoc"):
        for line in (DATA / "used_chunks" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            lines.setdefault(record["question"], record["answer"])
    return tuple(lines.items())


def exchanges(random: Random, count: int) -> list[tuple[str, str]]:
    """`count` different questions, each with its answer."""
    return random.sample(_answered(), count)


_MODULES = (
    "bisect calendar csv difflib fnmatch glob gzip heapq html json locale math mimetypes os.path random shlex shutil"
    " statistics subprocess tarfile tempfile textwrap urllib.parse urllib.request uuid zipfile"
)

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@lru_cache(maxsize=1)
def _schemas() -> tuple[dict[str, Any], ...]:
    """A tool for each documented function of `_MODULES` whose signature can be read, in the order of their names."""
    found: dict[str, dict[str, Any]] = {}
    for module in map(importlib.import_module, _MODULES.split()):
        for name, function in sorted(inspect.getmembers(module, callable)):
            if name.startswith("_") or inspect.isclass(function) or not inspect.getdoc(function):
                continue
            try:
                signature = inspect.signature(function)
            except (TypeError, ValueError):
                continue
            title = f"{module.__name__}_{name}".replace(".", "_")
            found[title] = _schema(title, inspect.getdoc(function) or "", signature)
    return tuple(found[title] for title in sorted(found))


def _schema(title: str, documentation: str, signature: inspect.Signature) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = _TYPES.get(type(parameter.default), "string")
        properties[name] = {"type": kind, "description": f"The {name.replace('_', ' ')} to use."}
        if parameter.default is parameter.empty:
            required.append(name)
        elif isinstance(parameter.default, bool | int | float | str):
            properties[name]["default"] = parameter.default
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    function = {"name": title, "description": documentation[:600], "parameters": parameters}
    return {"type": "function", "function": function}


def tool_schemas(random: Random, count: int) -> tuple[dict[str, Any], ...]:
    """`count` different tool definitions as OpenAI takes them, made from functions of the standard library."""
    return tuple(random.sample(_schemas(), count))
