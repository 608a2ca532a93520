"""How long the worker keeps the interpreter to itself on texts made to be slow: `python -m benchmarks.slices [--exact] [KIND …]`.

A slice is the CPU time of the worker's thread between two moments at which the app may have the interpreter. Python's
garbage collector runs on whichever thread happens to make an object, over the objects of the whole app: its runs are
told apart. Of three runs the least counts: others work on the machine.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from ragmeter.anatomy.dissecting import Dissector
from ragmeter.domain.model import (
    Chunk,
    Operation,
    OperationKind,
    Prompt,
    PromptFragment,
    Request,
    Response,
    Role,
    Usage,
)

MEGABYTE = 1_000_000
CHUNKS = 1_000


@dataclass(frozen=True, slots=True)
class Kind:
    """What is retrieved, the texts of the prompt's parts, and the answer."""

    chunks: Sequence[str]
    parts: Sequence[str]
    answer: str = "It was so, and the harbour was closed for thirty months afterwards [1]. Both clauses hold."
    role: Role = Role.USER


def cut(text: str, count: int) -> list[str]:
    """The text in pieces of equal length."""
    size = len(text) // count
    return [text[at * size : (at + 1) * size] for at in range(count)]


def _prose(length: int, seed: int = 1) -> str:
    random = Random(seed)
    vocabulary = ["".join(random.choices("abcdefghiklmnoprstuvw", k=random.randint(2, 9))) for _ in range(4_000)]
    words: list[str] = []
    while length > 0:
        words.append(random.choice(vocabulary) + random.choice(("", "", "", "", ",", ".")))
        length -= len(words[-1]) + 1
    return " ".join(words)


def _shuffled(texts: Sequence[str]) -> list[str]:
    return Random(2).sample(list(texts), len(texts))


def _windows(text: str, count: int) -> list[str]:
    """Pieces that overlap their neighbours."""
    return [text[at * 500 : at * 500 + 5_000] for at in range(count)]


def _nested(text: str, count: int) -> list[str]:
    """Each piece within the next one."""
    return [text[: 40 * (at + 1)] for at in range(count)]


def _near(text: str, count: int) -> list[str]:
    """Copies of a page with a word changed in each."""
    words = text[:2_500].split()
    return [" ".join((*words[:at], f"w{at}", *words[at + 1 :])) for at in range(min(count, len(words)))]


def _quoted(text: str) -> str:
    return "> " + text.replace(". ", ".\n> ")


def kinds(length: int = MEGABYTE, count: int = CHUNKS) -> Mapping[str, Callable[[], Kind]]:
    """The inputs by name, made when they are asked for: a prompt of so many characters, so many chunks."""
    prose, other = _prose(length), _prose(length, seed=9)
    one, word, letters = "x" * length, "word " * (length // 5), "a " * (length // 2)
    period, faces = "abcdefghij" * (length // 10), "\U0001f600 " * (length // 2)
    chinese = "".join(chr(0x4E00 + at * at % 5_000) for at in range(length))
    each = range(count)
    different = ["x" * (20 + at) for at in each]
    return {
        "prose, as it is": lambda: Kind(cut(prose, count), [prose]),
        "prose, shuffled": lambda: Kind(_shuffled(cut(prose, count)), [prose]),
        "prose, quoted": lambda: Kind(cut(prose, count), [_quoted(prose)]),
        "prose, absent": lambda: Kind(cut(other, count), [prose]),
        "prose, overlapping windows": lambda: Kind(_windows(prose, count), [prose]),
        "prose, overlapping windows, quoted": lambda: Kind(_windows(prose, count), [_quoted(prose)]),
        "prose, nested": lambda: Kind(_nested(prose, count), [prose]),
        "prose, nested, quoted": lambda: Kind(_nested(prose, count), [_quoted(prose)]),
        "prose, near-copies, quoted": lambda: Kind(
            _near(prose, count), [_quoted("\n".join(_near(prose, count)))[:length]]
        ),
        "one letter, chunks of different lengths": lambda: Kind(different, [one]),
        "one letter, equal chunks": lambda: Kind(["x" * 1_000] * count, [one]),
        "one letter, 64 chunks, 120 kB": lambda: Kind([text * 60 for text in different[:64]], [one[:120_000]]),
        "one letter, another in the middle": lambda: Kind([f"{text}y{text}" for text in different], [one]),
        "one letter, another at the end": lambda: Kind([f"{text}y" for text in different], [one]),
        "one letter, in lines": lambda: Kind(different, ["\n".join(different * 2)[:length]]),
        "one word repeated": lambda: Kind([word[: 100 + 5 * at] for at in each], [word]),
        "one word repeated, another at the end": lambda: Kind([f"{word[: 100 + 5 * at]}end" for at in each], [word]),
        "single letters": lambda: Kind([f"{letters[: 100 + 2 * at]}b" for at in each], [letters]),
        "no blanks, a period of ten": lambda: Kind([f"{period[: 20 + at]}!" for at in each], [period]),
        "Chinese, as it is": lambda: Kind(cut(chinese, count), [chinese]),
        "Chinese, in lines": lambda: Kind(cut(chinese, count), ["\n".join(cut(chinese, length // 20))]),
        "emoji": lambda: Kind(cut(faces, count), [faces]),
        "backslashes": lambda: Kind(["\\" * (20 + at) for at in each], ["\\" * length]),
        "escapes": lambda: Kind(["\\u4e00" * (20 + at) for at in each], ["\\u4e00" * (length // 6)]),
        "HTML escapes": lambda: Kind(["&amp;" * (20 + at) for at in each], ["&amp;" * (length // 5)]),
        "blanks": lambda: Kind(["a" + " " * (20 + at) + "b" for at in each], [" " * length]),
        "many parts": lambda: Kind(cut(prose, count), _shuffled(cut(prose, length // 100)), role=Role.TOOL),
        "many parts, absent": lambda: Kind(cut(other, count), cut(prose, length // 100), role=Role.TOOL),
        "many parts of one letter": lambda: Kind(different, cut(one, length // 100), role=Role.TOOL),
        "a chunk of the prompt's size": lambda: Kind([prose], [prose + "?"]),
        "a chunk of the prompt's size, quoted": lambda: Kind([prose], [_quoted(prose)]),
        "seven times one word": lambda: Kind(["word " * 100], [word * 7]),
        "seven times emoji": lambda: Kind(["\U0001f600 " * 100], [faces * 7]),
        "seven times prose": lambda: Kind(cut(prose, count // 10), [prose * 7]),
        "a long answer": lambda: Kind(cut(prose, count // 10), [prose], answer=prose),
        "an answer of short sentences": lambda: Kind(
            cut(prose, count // 10), [prose], answer="on to it. " * (length // 10)
        ),
        "an answer of one sentence": lambda: Kind(cut(prose, count // 10), [prose], answer=prose.replace(".", "")),
        "an answer of markers": lambda: Kind(cut(prose, count // 10), [prose], answer="[1][2], " * (length // 8)),
        "a long tool": lambda: Kind(["word " * 100], ['{"name": "' + one + '"}'], role=Role.TOOLS),
        "a deep tool": lambda: Kind(["word " * 100], ["[" * length], role=Role.TOOLS),
    }


class Collector:
    """Follows Python's garbage collector: the CPU seconds its runs have taken of each thread."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._began = 0.0
        gc.callbacks.append(self._follow)

    @property
    def seconds(self) -> float:
        """Those of this thread."""
        return self._seconds.get(threading.get_ident(), 0.0)

    def _follow(self, phase: str, _: object) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self._seconds[threading.get_ident()] = self.seconds + time.thread_time() - self._began


COLLECTOR = Collector()


class Watch:
    """Called as the pause of the work: keeps the longest CPU times of its thread between two calls.

    `longest` is the longest of all, `own` the longest without the runs of Python's garbage collector.
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self.longest = self.own = 0.0
        self.calls = 0
        self._last, self._collected = time.thread_time(), COLLECTOR.seconds

    def __call__(self) -> None:
        """Note what was taken since the last time."""
        taken, collected = time.thread_time() - self._last, COLLECTOR.seconds
        self.longest = max(self.longest, taken)
        self.own = max(self.own, taken - (collected - self._collected))
        self.calls += 1
        self._last, self._collected = time.thread_time(), collected


@dataclass(frozen=True, slots=True)
class Taken:
    """CPU seconds of a prompt and of its longest slices, how often the app could run, what was found and what was not.

    `own` is the longest slice without the garbage collector's runs.
    """

    seconds: float
    longest: float
    own: float
    pauses: int
    places: int
    unsettled: int


def measure(kind: Kind, pause: Watch, *, exact: bool = False) -> Taken:
    """Remember the chunks and take the prompt apart."""
    dissector = Dissector(exact=exact, pause=pause)
    dissector.weigher.load()
    parts = tuple(PromptFragment(kind.role, text) for text in kind.parts)
    operation = Operation(
        request=Request(OperationKind.CHAT, "openai", model="gpt-4o"),
        response=Response(usage=Usage(300_000, 300), text=(kind.answer,)),
        prompt=Prompt((*parts, PromptFragment(Role.USER, "What was closed, and for how long?"))),
        started=0,
        duration=1.0,
    )
    chunks = [Chunk(text, str(at), None, at) for at, text in enumerate(kind.chunks)]
    pause.start()
    started = time.thread_time()
    dissection = dissector.dissect(operation, dissector.remember(chunks))
    pause()
    return Taken(
        time.thread_time() - started,
        pause.longest,
        pause.own,
        pause.calls,
        len(dissection.places),
        len(dissection.unsettled),
    )


RUNS = 3


def least(kind: Kind, *, exact: bool = False) -> Taken:
    """The least of some runs, figure by figure."""
    runs = [measure(kind, Watch(), exact=exact) for _ in range(RUNS)]
    return replace(
        runs[0],
        seconds=min(run.seconds for run in runs),
        longest=min(run.longest for run in runs),
        own=min(run.own for run in runs),
    )


HEAD = [
    "| what | CPU, s | longest slice, ms | with the collector | places | unknown |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
]


def row(name: str, taken: Taken) -> str:
    own, longest = taken.own * 1e3, taken.longest * 1e3
    return f"| {name} | {taken.seconds:.2f} | {own:.1f} | {longest:.1f} | {taken.places} | {taken.unsettled} |"


def table(most: int = 10) -> str:
    """The slowest kinds, and the longest slices of all."""
    results = {name: least(make()) for name, make in kinds().items()}
    slowest = sorted(results, key=lambda name: -results[name].seconds)[:most]
    longest = sorted(results, key=lambda name: -results[name].own)
    rows = "\n".join([*HEAD, *(row(name, results[name]) for name in slowest)])
    middle = results[longest[len(longest) // 2]].own * 1e3
    first, second, third = (f"{results[name].own * 1e3:.1f} ms ({name})" for name in longest[:3])
    collected = max(results, key=lambda name: results[name].longest)
    return f"""Texts made to be slow: {len(results)} kinds of prompts of 1 or 7 MB with up to 1,000 chunks or a long answer, of which these take longest
(CPU of the thread from remembering the chunks to the prompt's anatomy, target ≤ 2 s; unknown are chunks that a bound kept us from looking for):

{rows}

The worker's longest slice, CPU between two moments at which the app may have the interpreter, target ≤ 5 ms: {first},
{second}, {third}; {middle:.1f} ms for the kind in the middle. With a run of Python's garbage collector, which goes
through all objects of the process on whichever thread makes the next one: {results[collected].longest * 1e3:.1f} ms ({collected})."""


def main() -> None:
    """A row for each kind that is asked for."""
    wanted = [each for each in sys.argv[1:] if each != "--exact"]
    print("\n".join(HEAD))
    for name, make in kinds().items():
        if not wanted or any(each in name for each in wanted):
            print(row(name, least(make(), exact="--exact" in sys.argv)), flush=True)


if __name__ == "__main__":
    main()
