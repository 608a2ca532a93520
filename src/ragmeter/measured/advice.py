"""What is wrong with a measurement, in sentences that say what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ragmeter.domain.model import PriceState
from ragmeter.domain.wording import counted
from ragmeter.measured.samples import Samples
from ragmeter.naming import semconv
from ragmeter.settings import VARIABLES

MOST_NAMED = 5
"""Models, labels and stations that a sentence names; the rest it counts."""


def warnings_of(samples: Samples) -> tuple[str, ...]:
    """A sentence for each thing that makes figures smaller, coarser or less certain than they could be."""
    return tuple(
        sentence for told in (_unpriced, _unscoped, _overflowed, _full_labels, _failures) for sentence in told(samples)
    )


def _unpriced(samples: Samples) -> Iterator[str]:
    calls = samples.only(semconv.PRICE_STATE, PriceState.UNPRICED)
    by_model = calls.sums(semconv.OPERATIONS, semconv.PROVIDER_NAME, semconv.RESPONSE_MODEL)
    if named := _named({" ".join(filter(None, model)): number for model, number in by_model.items()}):
        yield (
            f"No price is known for {named}, and amounts with a + lack these calls: give prices with "
            f"instrument(prices={{...}}) or in the file that {VARIABLES['prices']} names."
        )


def _unscoped(samples: Samples) -> Iterator[str]:
    unscoped, queries = (round(samples.total(each) or 0.0) for each in (semconv.UNSCOPED, semconv.QUERIES))
    if unscoped:
        yield (
            f"{unscoped:,} of {counted(queries, 'query')} had neither a scope nor a request span, so steps of one "
            "request may count as several queries: put `with ragmeter.query():` around each request, or instrument "
            "the web framework."
        )


def _overflowed(samples: Samples) -> Iterator[str]:
    if overflowed := round(samples.total(semconv.OVERFLOWED) or 0.0):
        yield (
            f"{counted(overflowed, 'call')} came while the queue was full, and lack the parts of their prompts: spread "
            "the load over more processes."
        )


def _full_labels(samples: Samples) -> Iterator[str]:
    if named := _named(samples.by(semconv.LABELS_OVERFLOWED, semconv.LABEL)):
        yield (
            f"Labels have more values than are kept apart, and further ones count as `other`: {named}; raise "
            f"max_label_values ({VARIABLES['max_label_values']}), or give the label fewer values."
        )


def _failures(samples: Samples) -> Iterator[str]:
    if named := _named(samples.by(semconv.INTERNAL_ERRORS, semconv.STATION)):
        yield (
            f"ragmeter itself failed in {named}; the app's calls are not affected, figures may lack something: please "
            "report the line that the log has of the first failure."
        )


def _named(counts: Mapping[str, float]) -> str:
    """Those that are counted, the most frequent first, each with its number; "" where there is none."""
    found = sorted(((round(number), name) for name, number in counts.items() if number > 0), key=lambda each: -each[0])
    names = [f"{name or 'an unknown one'} ({number:,})" for number, name in found[:MOST_NAMED]]
    more = len(found) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")
