"""How long the worker keeps the interpreter to itself on texts made to be slow: `python -m benchmarks.slices [KIND …]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from ragmeter.dissecting import Dissector
from ragmeter.model import Chunk, Operation, OperationKind, Prompt, PromptPart, Request, Response, Role, Usage

MEGABYTE = 1_000_000
CHUNKS = 1_000


@dataclass(frozen=True, slots=True)
class Kind:
    """What is retrieved, the texts of the prompt's parts, and the answer."""

    chunks: Sequence[str]
    parts: Sequence[str]
    answer: str = "It was so, and the harbour was closed for thirty months afterwards [1]. Both clauses hold."
    role: Role = Role.USER


def cut(text: str, count: int = CHUNKS) -> list[str]:
    """The text in pieces of equal length."""
    size = len(text) // count
    return [text[at * size : (at + 1) * size] for at in range(count)]


def _prose(length: int = MEGABYTE, seed: int = 1) -> str:
    random = Random(seed)
    vocabulary = ["".join(random.choices("abcdefghiklmnoprstuvw", k=random.randint(2, 9))) for _ in range(4_000)]
    words: list[str] = []
    while length > 0:
        words.append(random.choice(vocabulary) + random.choice(("", "", "", "", ",", ".")))
        length -= len(words[-1]) + 1
    return " ".join(words)


def _shuffled(texts: Sequence[str]) -> list[str]:
    return Random(2).sample(list(texts), len(texts))


def _windows(text: str) -> list[str]:
    """Pieces that overlap their neighbours."""
    return [text[at * 500 : at * 500 + 5_000] for at in range(CHUNKS)]


def _nested(text: str) -> list[str]:
    """Each piece within the next one."""
    return [text[: 40 * (at + 1)] for at in range(CHUNKS)]


def _near(text: str) -> list[str]:
    """Copies of a page with a few words changed in each."""
    words = text[:2_500].split()
    return [" ".join((*words[:at], f"w{at}", *words[at + 1 :])) for at in range(min(CHUNKS, len(words)))]


def _quoted(text: str) -> str:
    return "> " + text.replace(". ", ".\n> ")


def kinds() -> Mapping[str, Callable[[], Kind]]:
    """The inputs by name, made when they are asked for."""
    prose = _prose()
    one, word, letters = "x" * MEGABYTE, "word " * (MEGABYTE // 5), "a " * (MEGABYTE // 2)
    periodic, chinese = (
        "abcdefghij" * (MEGABYTE // 10),
        "".join(chr(0x4E00 + at * at % 5_000) for at in range(MEGABYTE)),
    )
    different = ["x" * (20 + at) for at in range(CHUNKS)]
    return {
        "prose, as it is": lambda: Kind(cut(prose), [prose]),
        "prose, shuffled": lambda: Kind(_shuffled(cut(prose)), [prose]),
        "prose, quoted": lambda: Kind(cut(prose), [_quoted(prose)]),
        "prose, absent": lambda: Kind(cut(_prose(seed=9)), [prose]),
        "prose, overlapping windows": lambda: Kind(_windows(prose), [prose]),
        "prose, overlapping windows, quoted": lambda: Kind(_windows(prose), [_quoted(prose)]),
        "prose, nested": lambda: Kind(_nested(prose), [prose]),
        "prose, nested, quoted": lambda: Kind(_nested(prose), [_quoted(prose)]),
        "prose, near-copies, quoted": lambda: Kind(_near(prose), [_quoted("\n".join(_near(prose)))[:MEGABYTE]]),
        "one letter, chunks of different lengths": lambda: Kind(different, [one]),
        "one letter, equal chunks": lambda: Kind(["x" * 1_000] * CHUNKS, [one]),
        "one letter, 64 chunks, 120 kB": lambda: Kind([each * 60 for each in different[:64]], [one[:120_000]]),
        "one letter, another in the middle": lambda: Kind([each + "y" + each for each in different], [one]),
        "one letter, another at the end": lambda: Kind([each + "y" for each in different], [one]),
        "one letter, in lines": lambda: Kind(different, ["\n".join(different * 2)[:MEGABYTE]]),
        "one word repeated": lambda: Kind([word[: 100 + 5 * at] for at in range(CHUNKS)], [word]),
        "one word repeated, another at the end": lambda: Kind(
            [word[: 100 + 5 * at] + "end" for at in range(CHUNKS)], [word]
        ),
        "single letters": lambda: Kind([letters[: 100 + 2 * at] + "b" for at in range(CHUNKS)], [letters]),
        "no blanks, a period of ten": lambda: Kind([periodic[: 20 + at] + "!" for at in range(CHUNKS)], [periodic]),
        "Chinese, as it is": lambda: Kind(cut(chinese), [chinese]),
        "Chinese, in lines": lambda: Kind(cut(chinese), ["\n".join(cut(chinese, 50_000))]),
        "emoji": lambda: Kind(cut("\U0001f600 " * (MEGABYTE // 2)), ["\U0001f600 " * (MEGABYTE // 2)]),
        "backslashes": lambda: Kind(["\\" * (20 + at) for at in range(CHUNKS)], ["\\" * MEGABYTE]),
        "escapes": lambda: Kind(["\\u4e00" * (20 + at) for at in range(CHUNKS)], ["\\u4e00" * (MEGABYTE // 6)]),
        "HTML escapes": lambda: Kind(["&amp;" * (20 + at) for at in range(CHUNKS)], ["&amp;" * (MEGABYTE // 5)]),
        "blanks": lambda: Kind(["a" + " " * (20 + at) + "b" for at in range(CHUNKS)], [" " * MEGABYTE]),
        "many parts": lambda: Kind(cut(prose), _shuffled(cut(prose, 10_000)), role=Role.TOOL),
        "many parts, absent": lambda: Kind(cut(_prose(seed=9)), cut(prose, 10_000), role=Role.TOOL),
        "many parts of one letter": lambda: Kind(different, cut(one, 10_000), role=Role.TOOL),
        "a chunk of the prompt's size": lambda: Kind([prose], [prose + "?"]),
        "a chunk of the prompt's size, quoted": lambda: Kind([prose], [_quoted(prose)]),
        "7 MB of one word": lambda: Kind(["word " * 100], ["word " * 1_400_000]),
        "7 MB of emoji": lambda: Kind(["\U0001f600 " * 100], ["\U0001f600 " * 3_500_000]),
        "7 MB of prose, a question of it": lambda: Kind(cut(prose, 100), [prose * 7]),
        "an answer of 1 MB": lambda: Kind(cut(prose, 100), [prose], answer=prose),
        "an answer of short sentences": lambda: Kind(cut(prose, 100), [prose], answer="on to it. " * 100_000),
        "an answer of one sentence": lambda: Kind(cut(prose[:100_000], 100), [prose], answer=prose.replace(".", "")),
        "an answer of markers": lambda: Kind(cut(prose, 100), [prose], answer="[1][2], " * 125_000),
        "tools of 1 MB": lambda: Kind(["word " * 100], ['{"name": "' + "x" * MEGABYTE + '"}'], role=Role.TOOLS),
        "deeply nested tools": lambda: Kind(["word " * 100], ["[" * MEGABYTE], role=Role.TOOLS),
    }


class Watch:
    """Called as the pause of the work: keeps the longest CPU time between two calls."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.calls = 0
        self._last = time.thread_time()

    def __call__(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self.calls += 1
        self._last = time.thread_time()


@dataclass(frozen=True, slots=True)
class Taken:
    """CPU seconds of a prompt and of the longest slice, in seconds."""

    seconds: float
    longest: float
    pauses: int
    places: int


def measure(kind: Kind, *, exact: bool = False) -> Taken:
    """Remember the chunks and take the prompt apart, twice: the second time with another question."""
    dissector = Dissector(exact=exact)
    watch = Watch()
    timed = Dissector(exact=exact, pause=watch)
    timed.weigher.load()
    del dissector
    started = time.thread_time()
    watch()
    watch.longest = 0.0
    known = timed.remember([Chunk(text, str(at), None, at) for at, text in enumerate(kind.chunks)])
    watch()
    parts = tuple(PromptPart(kind.role, text) for text in kind.parts)
    request = Request(OperationKind.CHAT, "openai", model="gpt-4o")
    response = Response(usage=Usage(300_000, 300), text=(kind.answer,))
    question = PromptPart(Role.USER, "What was closed, and for how long?")
    operation = Operation(
        request=request, response=response, prompt=Prompt((*parts, question)), started=0, duration=1.0
    )
    watch()
    places = timed.dissect(operation, known).places
    watch()
    return Taken(time.thread_time() - started, watch.longest, watch.calls, len(places))


def main() -> None:
    """A row for each kind, the slowest slice first to be looked for."""
    wanted = sys.argv[1:]
    print("| what | CPU, s | longest slice, ms | pauses | places |\n| --- | ---: | ---: | ---: | ---: |")
    for name, make in kinds().items():
        if not wanted or any(each in name for each in wanted):
            taken = measure(make())
            print(
                f"| {name} | {taken.seconds:.2f} | {taken.longest * 1e3:.1f} | {taken.pauses} | {taken.places} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
