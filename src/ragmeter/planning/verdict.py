"""What a plan comes to, in two sentences: who is cheaper and how sure that is, and what to measure next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf

from ragmeter.domain.strategy import BASE
from ragmeter.money.dollars import dollars
from ragmeter.planning.spread import Spread, percent
from ragmeter.planning.uncertainty import Comparison, Driver

SURE = ((0.95, "almost certainly"), (0.8, "probably"), (0.6, "rather"), (0.5, "as likely as not"))
"""The words for a share of draws."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`answer` says who is cheaper and how sure that is, `next` what to measure before deciding.

    They are about one `challenger`, `None` where there is none.
    """

    answer: str
    next: str
    challenger: str | None = None


def in_words(strategy: str) -> str:
    """A strategy as it is read."""
    return {"base": "the base model", "rag": "RAG", "fine_tuned": "fine-tuning"}.get(strategy, "fine-tuning with RAG")


def verdict(comparisons: Sequence[Comparison], rival: str, months: int, *, queries_per_day: float | None) -> Verdict:
    """The verdict on the challenger that is cheaper in most draws; `rival` is what they would replace.

    Where it is known of some how well they answer, it is about them. The base model is no challenger where it is not
    known: it has not read the documents.
    """
    judged = [each for each in comparisons if each.cheaper_per_success is not None]
    asked = judged or [each for each in comparisons if each.challenger != BASE]
    if not asked:
        answer = f"Nothing can be compared with {in_words(rival)}: no other strategy has a price."
        return Verdict(answer, "Write the prices that the table asks for.")
    if queries_per_day is None:
        best = min(asked, key=lambda each: each.volume.at.p50)
        answer = f"Over {months} months {in_words(best.challenger)} {_from_volume(best, in_words(rival))}."
        return Verdict(answer, "Write queries_per_day next: it is not known.", best.challenger)
    best = max(asked, key=_chance)
    return Verdict(
        f"At {queries_per_day:,.0f} queries a day over {months} months {_judged(best)}.", _next(best), best.challenger
    )


def _chance(comparison: Comparison) -> float:
    """The share of draws that speaks for the challenger: of successful answers where they are known."""
    chance = comparison.cheaper if comparison.cheaper_per_success is None else comparison.cheaper_per_success
    return chance or 0.0


def _judged(best: Comparison) -> str:
    chance = _chance(best)
    if best.saving == Spread(0.0, 0.0, 0.0) and best.cheaper_per_success is None:
        return f"{in_words(best.challenger)} and {in_words(best.rival)} cost the same"
    winner, loser = (best.challenger, best.rival) if chance >= 0.5 else (best.rival, best.challenger)
    certainty = max(chance, 1 - chance)
    word = next(word for least, word in SURE if certainty >= least)
    measure = "" if best.cheaper_per_success is None else " for each successful answer"
    cheaper = f"{in_words(winner)} is {word} cheaper than {in_words(loser)}{measure}"
    return f"{cheaper} ({percent(certainty)} of the draws){_saving(best)}"


def _saving(best: Comparison) -> str:
    """What the winner saves, which is less than nothing in some of the draws."""
    saving = best.saving if best.saving_per_success is None else best.saving_per_success
    if saving is None:
        return ""
    measured = "" if best.saving_per_success is None else " on as many successful answers"
    winner, quantiles = best.challenger, (saving.p10, saving.p50, saving.p90)
    if _chance(best) < 0.5:
        winner, quantiles = best.rival, (-saving.p90, -saving.p50, -saving.p10)
    low, middle, high = map(signed, quantiles)
    what = f"; {in_words(winner)} saves {middle}{measured}"
    return what if saving.is_point else f"{what} in the median, and {low} to {high} in 80% of the draws"


def _from_volume(best: Comparison, rival: str) -> str:
    if best.volume.at_once > 0.5:
        return f"is cheaper than {rival} at any traffic"
    if best.volume.only_below > 0.5 and best.volume.up_to is not None:
        return f"is cheaper than {rival} only below {best.volume.up_to.p50:,.0f} queries a day (in the median)"
    if isinf(best.volume.at.p50):
        return f"gets cheaper than {rival} at no traffic"
    return f"is cheaper than {rival} from {best.volume.at.p50:,.0f} queries a day on (in the median)"


def signed(amount: float) -> str:
    """US dollars that may be less than nothing, whole from a hundred on."""
    shown = f"${abs(amount):,.0f}" if abs(amount) >= 100 else dollars(abs(amount))
    return f"-{shown}" if amount < 0 else shown


def _next(best: Comparison) -> str:
    worth = [each for each in best.drivers if each.worth > 0]
    if worth:
        first = max(worth, key=lambda each: each.worth)
        return f"Measure next {_named(first)}: {first.quantity.learn}; knowing it is worth {signed(first.worth)} here."
    quality = "" if best.cheaper_per_success is not None else _quality(best)
    if not best.drivers:
        return f"Nothing here is uncertain, because every assumption is one number.{quality}"
    first = best.drivers[0]
    if max(_chance(best), 1 - _chance(best)) >= SURE[0][0]:
        return f"A better figure for any one assumption would not change this.{quality}"
    return f"Measure next {_named(first)}: {first.quantity.learn}; it matters most, but decides nothing alone.{quality}"


def _named(driver: Driver) -> str:
    return f"{driver.quantity.name} ({driver.quantity.meaning})"


def _quality(best: Comparison) -> str:
    return (
        f" How well each answers is not counted: measure it, and write success.{best.rival} and "
        f"success.{best.challenger}."
    )
