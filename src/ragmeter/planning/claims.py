"""What others say of costs, held against the sums here, and what it would take for it to hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragmeter.planning import closed_form
from ragmeter.planning.bills import Bill, Line, Term, Values, by_line, is_tuned, retrieves, summed
from ragmeter.planning.days import DAYS

THOUSAND = 1_000.0
MILLION = 1e6
FREE = 1e-18
"""US dollars below which a query or a token costs nothing."""

ROUNDING = 0.5
"""By how much a figure in whole dollars may be off."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a source says that 1,000 queries with a strategy cost, in whole US dollars."""

    strategy: str
    dollars: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A source's claim that one strategy is so many times cheaper than another at a traffic, at least and at most."""

    cheaper: str
    than: str
    least: float
    most: float
    queries_per_day: float


@dataclass(frozen=True, slots=True)
class Check:
    """What became of a claim: whether it `holds`, what was `found`, and what it `needs` to hold; in sentences.

    A need begins with how many times cheaper one strategy would be then.
    """

    statement: str
    holds: bool
    found: str
    needs: tuple[str, ...] = ()


def check_table(bills: Mapping[str, Bill], values: Values, expectations: Sequence[Expectation]) -> Iterator[Check]:
    """Each row of a table of costs, then what the rows together need."""
    expected = {each.strategy: each.dollars for each in expectations}
    found = {name: _per_thousand(bills[name], values) for name in expected if name in bills}
    for strategy, wanted in expected.items():
        ours = found.get(strategy)
        said = f"1,000 queries with {strategy} cost ${wanted:,.0f}"
        if ours is None:
            yield Check(said, holds=False, found="no price is known for it here")
        else:
            yield Check(said, abs(ours - wanted) <= ROUNDING, f"here they cost ${ours:,.2f}")
    yield from _price_of_context(bills, values, expected)
    yield from _premium(found, expected)


def _per_thousand(ours: Bill, values: Values) -> float:
    return THOUSAND * float(summed(ours.query, values)[0])


def _price_of_context(bills: Mapping[str, Bill], values: Values, expected: Mapping[str, float]) -> Iterator[Check]:
    """At which price of a token the context makes up the difference of the rows of base and RAG."""
    tokens = _context_tokens(bills["rag"], values) if "rag" in bills else 0.0
    if not tokens or not {"base", "rag"} <= expected.keys():
        return
    apart = expected["rag"] - expected["base"]
    low, high = ((apart + off) / THOUSAND / tokens * MILLION for off in (-2 * ROUNDING, 2 * ROUNDING))
    paid = float(by_line(bills["rag"].query, values)[Line.CONTEXT][0]) / tokens * MILLION
    said = f"The context is why 1,000 queries with rag cost ${apart:,.0f} more than with base"
    found = (
        f"for {tokens:,.0f} tokens of context a query that takes a price of ${low:,.2f} to ${high:,.2f} per million "
        f"input tokens, and here it is ${paid:,.2f}"
    )
    yield Check(said, low <= paid <= high, found)


def _context_tokens(ours: Bill, values: Values) -> float:
    """The context tokens of a query, where the bill has them times a price."""
    tokens = 0.0
    for term in ours.query:
        if term.line is Line.CONTEXT and (prices := _token_prices(term)):
            unpriced = replace(term, factors=tuple(path for path in term.factors if path not in prices))
            tokens += MILLION * float(summed([unpriced], values)[0])
    return tokens


def _token_prices(term: Term) -> list[str]:
    return [path for path in term.factors if path.startswith("prices.") and not path.endswith(".request")]


def _premium(found: Mapping[str, float], expected: Mapping[str, float]) -> Iterator[Check]:
    """Whether a dearer token, or else an amount beside the tokens, makes fine-tuned rows of the others."""
    known = {
        tuned: (expected[tuned], found[plain])
        for plain, tuned in (("base", "fine_tuned"), ("rag", "fine_tuned_rag"))
        if plain in found and tuned in expected
    }
    if len(known) < 2 or not all(ours for _, ours in known.values()):
        return
    factors = {name: ((wanted - ROUNDING) / ours, (wanted + ROUNDING) / ours) for name, (wanted, ours) in known.items()}
    extras = {name: (wanted - ROUNDING - ours, wanted + ROUNDING - ours) for name, (wanted, ours) in known.items()}
    yield Check(
        "Dearer tokens of the fine-tuned model explain both fine-tuned rows",
        *_common(factors, "", " times the price"),
    )
    yield Check(
        "An amount for each query, beside its tokens, explains both fine-tuned rows",
        *_common(extras, "$", " for 1,000 queries, such as hosting shared over them"),
    )


def _common(intervals: Mapping[str, tuple[float, float]], before: str, after: str) -> tuple[bool, str]:
    """Whether the intervals of all rows overlap, and where, or else where each lies."""
    low, high = max(low for low, _ in intervals.values()), min(high for _, high in intervals.values())
    if low <= high:
        return True, f"it takes {before}{low:.2f} to {before}{high:.2f}{after}"
    each = [f"{before}{first:.2f} to {before}{last:.2f}{after} for {name}" for name, (first, last) in intervals.items()]
    return False, f"it takes {' but '.join(each)}"


def check_claim(bills: Mapping[str, Bill], values: Values, months: int, claim: Claim) -> Check:
    """Hold a claim against what both strategies cost over the horizon at its traffic, with all that is paid."""
    said = (
        f"{claim.cheaper} is {claim.least:g} to {claim.most:g} times cheaper than {claim.than} at "
        f"{claim.queries_per_day:,.0f} queries a day"
    )
    if claim.cheaper not in bills or claim.than not in bills:
        return Check(said, holds=False, found="one of them has no price here")
    ours, theirs = bills[claim.cheaper], bills[claim.than]
    cheap, dear = (_all_in(each, values, months, claim.queries_per_day) for each in (ours, theirs))
    if cheap < FREE:
        return Check(said, holds=False, found=f"{claim.cheaper} costs nothing here")
    times = dear / cheap
    found = (
        f"{times:,.1f} times here: 1,000 queries cost ${THOUSAND * dear:,.2f} with {claim.than} and "
        f"${THOUSAND * cheap:,.2f} with {claim.cheaper}, set-up and months included"
    )
    holds = claim.least <= times <= claim.most
    needs = tuple(
        need
        for wanted in dict.fromkeys((claim.least, claim.most))
        for need in (
            _needed_price(ours, values, cheap, dear / wanted, wanted),
            _needed_context(theirs, values, dear, cheap * wanted, wanted),
        )
        if need
    )
    return Check(said, holds, found, needs)


def _all_in(ours: Bill, values: Values, months: int, queries_per_day: float) -> float:
    """US dollars of the horizon for each query of it."""
    at = {**values, "queries_per_day": np.array([queries_per_day])}
    answers = DAYS * queries_per_day * closed_form.geometric(values["growth.traffic"], months)
    return float((closed_form.total(ours, at, months) / answers)[0])


def _needed_price(ours: Bill, values: Values, cost: float, wanted: float, times: float) -> str:
    """How cheap a token of the cheaper strategy must be."""
    by_tokens = float(summed([term for term in ours.query if _token_prices(term)], values)[0])
    if by_tokens < FREE:
        return ""
    left = wanted - (cost - by_tokens)
    who = "fine-tuned model" if is_tuned(ours.strategy) else "model"
    if left <= 0:
        beside = THOUSAND * (cost - by_tokens)
        return f"{times:g} times: not by cheaper tokens, because ${beside:,.2f} for 1,000 queries is paid beside them"
    return f"{times:g} times: if tokens of the {who} cost {left / by_tokens:.2f} times what they do here"


def _needed_context(theirs: Bill, values: Values, cost: float, wanted: float, times: float) -> str:
    """How long the context of the dearer strategy must be; its growth is left out."""
    tokens = _context_tokens(theirs, values)
    each = float(by_line(theirs.query, values)[Line.CONTEXT][0]) / tokens if tokens else 0.0
    if not retrieves(theirs.strategy) or each < FREE:
        return ""
    needed = tokens + (wanted - cost) / each
    return f"{times:g} times: if the context were {max(0.0, needed):,.0f} tokens long instead of {tokens:,.0f}"
