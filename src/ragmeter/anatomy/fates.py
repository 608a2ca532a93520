"""Whether an answer draws on a chunk: a vote of its sentences. Pure.

Each sentence of the answer has words that neither the question nor the language gave it. A chunk is used where it holds
as many of them as the best chunk does, nearly, and enough of them, or pairs of them side by side. On passages labelled
by people the rule reaches an F1 of .87 to .98; single thresholds on overlap do not transfer from one set to another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain, pairwise

from ragmeter.anatomy.words import Hashes, compact, normal, slices_of, words
from ragmeter.domain.pausing import BLOCK, Pause, blocks, paused, without_pause

LONGEST_ANSWER = 20_000
"""Characters of an answer that are judged."""

STEM = 6
"""Letters of a word that are compared: endings differ between a passage and an answer."""

LEAST_NOVEL = 3
"""Words of its own that a sentence must have to tell anything."""

NEAR_BEST = 0.9
ENOUGH_WORDS = 0.35
ENOUGH_PAIRS = 0.10
LEAST_PAIRS = 2
PAIRS_IN_ALL = 4
"""The constants of the vote, from a small grid; leaving a labelled set out of their choice moves its F1 by .02."""

LEAST_FRESH = 2
"""Of the pairs in all: an answer that takes up the question shares its pairs with every chunk about it."""

SPACELESS_LENGTH = 2
"""How many times the words and pairs that an answer must have, where its words are runs of characters without blanks:
two to three of these make what is one word elsewhere."""

LONGEST_RANGE = 100
"""Numbers that a marker such as `[2-4]` names at the most."""

LONGEST_CHUNK = 50_000
LONGEST_QUESTION = 40_000
"""Characters of a chunk that an answer is held against, and of a question that are told apart from it."""

MOST_ALIKE = 8
"""Earlier chunks, those with most in common, among which the one that a chunk repeats is looked for."""

DUPLICATE = 0.8
LEAST_SAMPLED = 12
"""Near-duplicates have so much of their pairs in common. Which chunks to compare is told by a sample of 12 to 24 pairs:
the rate follows the length, for at one rate the sample of a short text is empty now and then and copies go unseen."""

STOP_WORDS = frozenset(
    """
    a about above after again all also although am among an and any are as at be because been before being below between
    both but by can could did do does doing down during each either etc few for from further had has have having he her
    here hers him his how however i if in into is it its itself just may me might more most much must my neither no nor
    not now of off on once one only or other our out over own per same she should since so some such than that the their
    them then there these they this those through thus to too under until up upon us very was we were what when where
    whether which while who whom whose why will with within without would yes yet you your s t re ve ll d m
    der das den dem ein eine einer eines einem einen und oder aber nicht ist sind wird werden von zu zum zur auf aus bei
    nach sich sie wir ihr le la les un une du de et ou mais est sont dans avec que qui cette il elle ne pas au aux el
    los las una unos y o pero es en por se su sus del al lo
    ja nein leider oui non si c ce l j n qu
    """.split()  # noqa: SIM905 - a page of words reads better than a page of quotes
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the rule needs of a text: hashes of its stems and of its pairs of stems, and a sample of the pairs.

    `is_whole` says that none of it was left out.
    """

    words: Hashes
    pairs: Hashes
    sample: frozenset[int]
    is_whole: bool = True


def fingerprint(text: str, pause: Pause = without_pause) -> Fingerprint:
    """The fingerprint of a text as it stands in a prompt, whatever a template has escaped or wrapped in it."""
    stems = list(_stems(text[:LONGEST_CHUNK], pause))
    hashes: set[int] = set()
    pairs: set[int] = set()
    for start, end in blocks(len(stems)):
        hashes.update(map(hash, stems[start:end]))
        pairs.update(map(hash, pairwise(stems[start : end + 1])))
        pause()
    # A power of two, so that the sample of a longer text is a part of what a higher rate would have taken.
    rare = (1 << max(len(pairs) // LEAST_SAMPLED, 1).bit_length() - 1) - 1
    sample = frozenset([pair for pair in paused(pairs, pause, BLOCK) if not pair & rare])
    pause()
    return Fingerprint(compact(hashes), compact(pairs), sample, len(text) <= LONGEST_CHUNK)


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Words that are not in the question, all pairs, and those of which not both words are in the question.

    `length` is how many of these words make a word of English: 1, or `SPACELESS_LENGTH`.
    """

    words: frozenset[int]
    pairs: frozenset[int]
    fresh: frozenset[int]
    length: int


def judge(
    answer: str, question: str, chunks: Sequence[Fingerprint], pause: Pause = without_pause
) -> tuple[bool | None, ...]:
    """Whether the answer uses each chunk; `None` for all when it does not say enough to tell.

    Also for a chunk so long that only its beginning was looked at, when the answer does not draw on that.
    """
    sentences = _sentences(answer[:LONGEST_ANSWER], _asked(question, pause), pause)
    if not sentences:
        return (None,) * len(chunks)
    present, fresh = _present(sentences, chunks, pause)
    used = _used_in_all(present, fresh, max(sentence.length for sentence in sentences))
    for sentence in sentences:
        counts = [
            (len(sentence.words & found), len(sentence.pairs & found_pairs))
            for found, found_pairs in paused(present, pause, 1)
        ]
        for number in _votes(sentence, counts):
            used[number] = True
    _let_go(present, pause)
    return tuple(is_used if is_used or chunk.is_whole else None for is_used, chunk in zip(used, chunks, strict=True))


def _used_in_all(present: Sequence[tuple[set[int], set[int]]], fresh: set[int], length: int) -> list[bool]:
    """Which chunks have pairs enough of all sentences together."""
    return [len(found) >= PAIRS_IN_ALL * length and len(found & fresh) >= LEAST_FRESH * length for _, found in present]


def _present(
    sentences: Sequence[_Sentence], chunks: Sequence[Fingerprint], pause: Pause
) -> tuple[list[tuple[set[int], set[int]]], set[int]]:
    """The words and the pairs of the sentences that each chunk has; the pairs that the question did not give them."""
    novel: set[int] = set()
    pairs: set[int] = set()
    fresh: set[int] = set()
    for sentence in paused(sentences, pause, 1):
        novel |= sentence.words
        pairs |= sentence.pairs
        fresh |= sentence.fresh
    present: list[tuple[set[int], set[int]]] = []
    for chunk in chunks:
        pause()
        found = novel.intersection(chunk.words)
        pause()
        present.append((found, pairs.intersection(chunk.pairs)))
    return present, fresh


def _let_go(things: list[tuple[set[int], set[int]]], pause: Pause) -> None:
    """Let go of many words one set after the other: at once it takes long."""
    while things:
        things.pop()
        pause()


def _asked(question: str, pause: Pause) -> frozenset[int]:
    """The words of a question; of one that holds documents those at its beginning and its end."""
    if len(question) > LONGEST_QUESTION:
        question = f"{question[: LONGEST_QUESTION // 2]} {question[-LONGEST_QUESTION // 2 :]}"
    return frozenset(map(hash, _stems(question, pause)))


def near_duplicates(chunks: Sequence[Fingerprint], pause: Pause = without_pause) -> tuple[int | None, ...]:
    """For each chunk the number of the first earlier one that says nearly the same, `None` where there is none."""
    owners: dict[int, list[int]] = {}
    result: list[int | None] = []
    for number, chunk in enumerate(chunks):
        common = Counter(chain.from_iterable([owners[pair] for pair in chunk.sample if pair in owners]))
        likely = [
            owner for owner, count in common.items() if 2 * count >= min(len(chunk.sample), len(chunks[owner].sample))
        ]
        if len(likely) > MOST_ALIKE:
            # Those with most in common: copies have all of it.
            likely = nsmallest(MOST_ALIKE, likely, key=lambda owner: (-common[owner], owner))
        alike = (owner for owner in paused(sorted(likely), pause, 1) if _are_alike(chunk.pairs, chunks[owner].pairs))
        result.append(next(alike, None))
        for pair in chunk.sample:
            owners.setdefault(pair, []).append(number)
        pause()
    return tuple(result)


def _are_alike(one: Hashes, other: Hashes) -> bool:
    least = DUPLICATE * max(len(one), len(other))
    return min(len(one), len(other)) >= least and len(set(one).intersection(other)) >= least


# Blanks are counted: without a bound a long row of them takes quadratic time. Repeats give nothing back (`*+`): a comma
# may go before a number or begin a new name, and to try all ways of sharing them out takes exponential time.
_NUMBERS = r"\s?\^?\d{1,3}(?:\s?[,;]\s?\^?\d{1,3}|\s?[-\u2013]\s?\d{1,3})*+\s?"
_NAME = r"(?:source|document|doc|passage|chunk|ref|reference|citation|context|quelle|dokument)s?[\s_#:]{0,3}"
_NAMED = rf"{_NAME}{_NUMBERS}(?:(?:[,;&]|and\b|und\b)\s?(?:{_NAME})?{_NUMBERS})*+"
_NOT_AS_DATA = r"(?<![=\w\])])(?<!= )(?<!\":)(?<!\": )"
_MARKER = re.compile(
    # Free in the text, but not where a list is the value of something.
    rf"{_NOT_AS_DATA}((?:\[(?:#?{_NUMBERS}|{_NAMED})\])+)(?!\()"
    # Right behind a word, where the clause ends.
    rf"|(?<=[^\W\d_])((?:\[{_NUMBERS}\])+)(?=[.,;:!?](?:\s|\Z)|\n)"
    # Right behind a character of a script without blanks, which has no upper case to look for.
    rf"|(?<=(?-i:[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]))((?:\[{_NUMBERS}\])+)"
    rf"|\u3010({_NUMBERS})(?:[\u2020:][^\u3010\u3011]*)?\u3011|\(({_NAMED})\)",
    re.IGNORECASE,
)
_OPENING = re.compile("[\\[(\u3010]")
_NUMBER = re.compile(r"(\d{1,3})(?:\s*[-\u2013]\s*(\d{1,3}))?")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)


def cited(answer: str, pause: Pause = without_pause) -> frozenset[int]:
    """The numbers that citation markers in an answer name: `[3]`, `[1, 2]`, `[2-4]`, `[^2]`, `【3†…】`, `(Source 3)`.

    What stands in code is none. A bracket right behind a word is an index unless the clause ends there: `blue[1].`
    """
    text = _CODE.sub(" ", answer[:LONGEST_ANSWER])
    found: set[int] = set()
    end = 0
    for opening in _OPENING.finditer(text):
        match = _MARKER.match(text, opening.start()) if opening.start() >= end else None
        if match is not None:
            end = match.end()
            found.update(_numbers(next(group for group in match.groups() if group is not None)))
        pause()
    return frozenset(found)


def _numbers(marker: str) -> Iterator[int]:
    for first, last in set(_NUMBER.findall(marker)):
        # Pages and years: a range so long names no passages.
        yield from range(int(first), min(int(last or first), int(first) + LONGEST_RANGE) + 1)


def _votes(sentence: _Sentence, counts: Sequence[tuple[int, int]]) -> Iterator[int]:
    """The numbers of the chunks a sentence votes for, by how many of its words and pairs each of them has."""
    all_words, all_pairs = len(sentence.words), len(sentence.pairs) or 1
    scores = [found / all_words + pairs / all_pairs for found, pairs in counts]
    best = max(scores, default=0.0)
    for number, (found, pairs) in enumerate(counts):
        enough_pairs = pairs >= LEAST_PAIRS * sentence.length and pairs >= ENOUGH_PAIRS * all_pairs
        enough = found >= ENOUGH_WORDS * all_words or enough_pairs
        if enough and scores[number] >= NEAR_BEST * best:
            yield number


# Ends of sentences in Latin and Cyrillic, Chinese and Japanese, Arabic, Urdu and Hindi.
SENTENCE_END = re.compile("(?<=[.!?;])\\s+|[\n\u3002\uff01\uff1f\u061f\u06d4\u0964]+")


def _sentences(answer: str, asked: frozenset[int], pause: Pause) -> list[_Sentence]:
    """The sentences of an answer that say something which the question did not; all of it when it is so in none."""
    for texts in (SENTENCE_END.split(answer), [answer]):
        said = [_sentence(list(_stems(text, pause)), asked, pause) for text in texts]
        enough = [sentence for sentence in said if len(sentence.words) >= LEAST_NOVEL * sentence.length]
        if enough:
            return enough
    return []


def _sentence(stems: list[str], asked: frozenset[int], pause: Pause) -> _Sentence:
    pairs = list(pairwise(stems))
    fresh = [pair for pair in paused(pairs, pause) if hash(pair[0]) not in asked or hash(pair[1]) not in asked]
    length = 1 if 2 * sum(map(str.isascii, stems)) >= len(stems) else SPACELESS_LENGTH
    found = frozenset(map(hash, stems)) - asked
    return _Sentence(found, frozenset(map(hash, pairs)), frozenset(map(hash, fresh)), length)


# Endings and particles of Japanese are written in these; what is said is mostly in others.
_HIRAGANA = re.compile("[\u3040-\u309f]+")


def _stems(text: str, pause: Pause) -> Iterator[str]:
    """The content words of a text by their first letters; of scripts without blanks all short runs of characters."""
    run = ""
    for start, end in slices_of(text, 0, len(text)):
        stretch = text[start:end]
        found = words(normal(stretch))
        pause()
        if _is_plain(stretch):
            run = ""
            yield from [word[:STEM] for word in found if word not in STOP_WORDS]
            continue
        for word in found:
            if word.isascii():
                run = ""
                if word not in STOP_WORDS:
                    yield word[:STEM]
            else:
                # Thai writes vowels and tones of their own: it takes more characters to tell as much.
                run = (run + word)[-4 if _is_thai(word) else -2 :]
                if _is_said(run):
                    yield run


def _is_plain(text: str) -> bool:
    """Whether all words stand between blanks: escapes of JSON hide other scripts in ASCII."""
    return text.isascii() and "\\u" not in text


def _is_thai(word: str) -> bool:
    return "\u0e00" <= word <= "\u0e7f"


def _is_said(run: str) -> bool:
    """Whether a run of characters without blanks tells something."""
    return len(run) > 1 and (len(run) == 4 or run[-1] > "\u0e7f") and not _HIRAGANA.fullmatch(run)
