"""The pages a newcomer reads, and what they show in boxes and between backticks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = (README, CONTRIBUTING, ROOT / "CHANGELOG.md", *DOCS, ROOT / "examples" / "stack" / "README.md")


def blocks(page: Path, language: str) -> list[str]:
    """The boxes of a page in one language (`""`: those that name none)."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for named, text in found if named == language]


def prose(page: Path) -> str:
    """A page without its boxes."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(page: Path) -> Iterator[str]:
    """What a page shows to be typed into a shell, in boxes and in its sentences, without comments."""
    for line in (line for block in blocks(page, "sh") for line in block.splitlines()):
        yield line.partition(" #")[0].strip()
    for text in re.findall(r"`([^`]+)`", prose(page)):
        if re.match(r"(ragmeter|pip|scripts/\S+|opentelemetry-instrument) \S|scripts/\w|docker compose", text):
            yield " ".join(text.split())


def promql(page: Path) -> list[str]:
    """The queries of a page, one a line."""
    lines = (line for block in blocks(page, "promql") for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
