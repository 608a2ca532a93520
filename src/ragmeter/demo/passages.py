"""The demo's documents, split into passages, and the questions it asks about them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

CONTENT = files("ragmeter.demo")

PARAGRAPHS = 2
"""Paragraphs in a passage; each passage begins one paragraph after the one before, so that no thought is cut in two."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage of a document; `id` is the document's name and the passage's place in it."""

    id: str
    text: str


def split(name: str, markdown: str) -> list[Passage]:
    """The neighbouring paragraphs of a document, each few under the document's title."""
    title, *paragraphs = (paragraph.strip() for paragraph in markdown.split("\n\n") if paragraph.strip())
    starts = range(max(1, len(paragraphs) - PARAGRAPHS + 1))
    texts = ("\n\n".join([title, *paragraphs[start : start + PARAGRAPHS]]) for start in starts)
    return [Passage(f"{name}-{number}", text) for number, text in enumerate(texts, start=1)]


def documents() -> dict[str, str]:
    """The documents that ship with the package: Markdown by name, in the order of their names."""
    found = (file for file in (CONTENT / "documents").iterdir() if file.name.endswith(".md"))
    return {
        file.name.removesuffix(".md"): file.read_text("utf-8") for file in sorted(found, key=lambda file: file.name)
    }


def passages() -> list[Passage]:
    """All passages of all documents."""
    return [passage for name, markdown in documents().items() for passage in split(name, markdown)]


def questions() -> list[str]:
    """The questions that ship with the package."""
    return (CONTENT / "questions.txt").read_text("utf-8").splitlines()
