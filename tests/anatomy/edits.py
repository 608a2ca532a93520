"""What apps do to a retrieved text before they put it into a prompt: 26 edits, and trials of them of known truth."""

from __future__ import annotations

import html
import json
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from corpus import passages
from ragmeter.domain.model import Chunk

Edit = Callable[[str, Random], str]

POOL_KINDS = ("prose",) * 7 + ("markdown",) * 4 + ("code", "code", "docstring", "json", "csv", "table", "licence", "zh")
"""What chunks and filler are made of: mostly prose, with what shares boilerplate (tables, JSON, licences) among it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One prompt of about 40 kB: `present` chunks stand in it edited, as `spans` in the same order; `absent` do not."""

    prompt: str
    present: tuple[Chunk, ...]
    absent: tuple[Chunk, ...]
    spans: tuple[str, ...]


def sentences(text: str) -> list[str]:
    """The text's sentences; lines are borders too."""
    return [part for part in re.split(r"(?<=[.!?]) +|(?<=[。\uff01\uff1f])|\n+", text) if part.strip()]


def _number(text: str, random: Random) -> str:
    return f"[{random.randrange(1, 21)}] {text}"


def _quote(text: str, _: Random) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def _escape(text: str, _: Random) -> str:
    """Backslashes for line ends, tabs and quotes, as `repr` and logs do."""
    for plain, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ('"', '\\"'), ("'", "\\'")):
        text = text.replace(plain, escaped)
    return text


def _json(text: str, _: Random) -> str:
    return json.dumps({"text": text}, ensure_ascii=False)


def _json_ascii(text: str, _: Random) -> str:
    return json.dumps({"text": text})


def _json_twice(text: str, _: Random) -> str:
    return json.dumps(json.dumps({"text": text}))


def _markdown_escape(text: str, _: Random) -> str:
    return re.sub(r"([\\`*_{}\[\]()#+.!|>~-])", r"\\\1", text)


def _markdown_strip(text: str, _: Random) -> str:
    text = re.sub(r"```\w*\n?|[*`_]+", "", text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return re.sub(r"(?m)^(#+|[-*>]) +", "", text)


def _wrap(text: str, _: Random) -> str:
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(textwrap.fill(" ".join(paragraph.split()), 72) for paragraph in paragraphs)


def _middle_out(text: str, _: Random) -> str:
    third = len(text) // 3
    return f"{text[:third]} [...] {text[-third:]}"


def _curly(text: str, _: Random) -> str:
    text = re.sub(r'(^|[\s(\[])"', "\\1\u201c", text)
    text = re.sub(r"(^|[\s(\[])'", "\\1\u2018", text)
    return text.replace('"', "\u201d").replace("'", "\u2019").replace("--", "\u2014")


def _bullets(text: str, _: Random) -> str:
    return re.sub(r"(?m)^(\s*)[-*] ", "\\1• ", text)


def _line_numbers(text: str, _: Random) -> str:
    return "\n".join(f"{number:4d}| {line}" for number, line in enumerate(_wrap(text, _).splitlines(), 1))


def _shuffled(text: str, random: Random) -> str:
    parts = sentences(text)
    return " ".join(random.sample(parts, len(parts)))


def _lines_deduplicated(text: str, _: Random) -> str:
    return "\n".join(dict.fromkeys(line for line in text.splitlines() if line.strip()))


_PIECE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\S[^\s\u3040-\u30ff\u3400-\u9fff]*|\s+")
"""A word, one CJK character or the space between: what a text is made of for the edits of single words."""

_STRANGERS = ("however", "perhaps", "system", "quickly", "another", "given", "certain", "value", "known", "section")


def _words_dropped(text: str, random: Random) -> str:
    return "".join(piece for piece in _PIECE.findall(text) if piece.isspace() or random.random() >= 0.05)


def _words_replaced(text: str, random: Random) -> str:
    def changed(piece: str) -> str:
        return random.choice(_STRANGERS) if not piece.isspace() and random.random() < 0.1 else piece

    return "".join(map(changed, _PIECE.findall(text)))


def _third_kept(text: str, _: Random) -> str:
    return " ".join(sentences(text)[::3])


def _xml(text: str, random: Random) -> str:
    return f'<document index="{random.randrange(1, 21)}">\n{text}\n</document>'


EDITS: Mapping[str, Edit] = {
    "verbatim": lambda text, _: text,
    "xml_wrap": _xml,
    "strip": lambda text, _: text.strip(),
    "number": _number,
    "quote": _quote,
    "escape": _escape,
    "json": _json,
    "json_ascii": _json_ascii,
    "json_twice": _json_twice,
    "markdown_escape": _markdown_escape,
    "html_escape": lambda text, _: html.escape(text),
    "rewrap": _wrap,
    "whitespace_collapsed": lambda text, _: " ".join(text.split()),
    "truncated_60": lambda text, _: text[: len(text) * 6 // 10],
    "tail_50": lambda text, _: text[len(text) // 2 :],
    "middle_out": _middle_out,
    "lower_case": lambda text, _: text.lower(),
    "curly_quotes": _curly,
    "bullets": _bullets,
    "markdown_strip": _markdown_strip,
    "line_numbers": _line_numbers,
    "sentences_shuffled": _shuffled,
    "lines_deduplicated": _lines_deduplicated,
    "words_dropped_5": _words_dropped,
    "words_replaced_10": _words_replaced,
    "third_sentence": _third_kept,
}
"""Each edit by its name: a function of the chunk's text and a source of chance."""


def trials(edit: str, random: Random, prompts: int = 8) -> list[Trial]:
    """Prompts in which ten chunks of about 2 kB stand edited among as much other text, with ten more that are absent.

    `edit` is a name in `EDITS`. The chunks lie as a search gives them: with line ends at their borders.
    """
    return [_trial(EDITS[edit], random) for _ in range(prompts)]


def _trial(edit: Edit, random: Random) -> Trial:
    texts = _pool(random, 34)
    chunks = [Chunk(f"\n{text}\n", id=f"chunk-{number}") for number, text in enumerate(texts[:20])]
    present, absent = chunks[:10], chunks[10:]
    spans = [edit(chunk.text, random) for chunk in present]
    blocks = random.sample(spans + texts[20:], 24)
    prompt = "Answer from the sources below.\n\n" + "\n\n".join(blocks) + "\n\nWhich source fits best, and why?"
    return Trial(prompt, tuple(present), tuple(absent), tuple(spans))


def _pool(random: Random, count: int) -> list[str]:
    """`count` disjoint texts of about 2 kB, their kinds drawn from `POOL_KINDS`."""
    kinds = random.choices(POOL_KINDS, k=count)
    stock = {kind: passages(kind, kinds.count(kind), random) for kind in dict.fromkeys(kinds)}
    return [stock[kind].pop() for kind in kinds]
