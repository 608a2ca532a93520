"""Checks the shape of the code in src: short and simple functions, short files, few exceptions to the rules.

Prints what breaks a limit, then the figures; ends with 1 if anything does. Complexity is counted as radon does: each
branch, each boolean operator and each comprehension is one more.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from radon.complexity import cc_visit
from radon.visitors import Function

SOURCES = Path(__file__).parent.parent / "src"
MOST_COMPLEX = 10
LONGEST_FUNCTION = 60
LONGEST_BOARD = 90
"""A function that is a board's table of panels is read as a table."""
MEAN_FUNCTION = 9.0
LONGEST_FILE = 400
EXCEPTIONS = 1.0
"""How many lines of a thousand may say `noqa` or `type: ignore`."""

Complaint = tuple[str, str]


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def complaints(path: Path, text: str) -> Iterator[Complaint]:
    """What of a file breaks a limit, and where."""
    longest = LONGEST_BOARD if "dashboards" in path.parts else LONGEST_FUNCTION
    if (count := len(text.splitlines())) > LONGEST_FILE:
        yield str(path), f"{count} lines, at most {LONGEST_FILE}"
    for node in functions(ast.parse(text)):
        if (count := lines_of(node)) > longest:
            yield f"{path}:{node.lineno}", f"{node.name} has {count} lines, at most {longest}"
    for block in cc_visit(text):
        if isinstance(block, Function) and block.complexity > MOST_COMPLEX:
            what = f"{block.fullname} has complexity {block.complexity}, at most {MOST_COMPLEX}"
            yield f"{path}:{block.lineno}", what


def main() -> int:
    texts = {path.relative_to(SOURCES.parent): path.read_text() for path in sorted(SOURCES.rglob("*.py"))}
    lengths = [lines_of(node) for text in texts.values() for node in functions(ast.parse(text))]
    lines = sum(len(text.splitlines()) for text in texts.values())
    exceptions = sum(len(re.findall(r"# (?:noqa|type: ignore)", text)) for text in texts.values())
    mean, share = sum(lengths) / len(lengths), exceptions / lines * 1e3
    found = [each for path, text in texts.items() for each in complaints(path, text)]
    if mean > MEAN_FUNCTION:
        found.append(("src", f"functions have {mean:.1f} lines on average, at most {MEAN_FUNCTION}"))
    if share > EXCEPTIONS:
        found.append(("src", f"{share:.2f} of 1,000 lines are exceptions to the rules, at most {EXCEPTIONS}"))
    for place, what in found:
        print(f"{place}: {what}")
    print(f"{len(texts)} files of {lines:,} lines, {len(lengths):,} functions of {mean:.1f}; {share:.2f} exceptions")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
