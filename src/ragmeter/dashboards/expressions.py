"""Pieces of PromQL made from our metrics, so that a renamed metric or label is renamed in every panel and rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import label_name, metric_name

JOB = "job"
STRATEGY = label_name(semconv.STRATEGY)
PART = label_name(semconv.PART)
FATE = label_name(semconv.CHUNK_FATE)
PRICE_STATE = label_name(semconv.PRICE_STATE)
TOKEN_RATE = label_name(semconv.TOKEN_RATE)
MODEL = label_name(semconv.RESPONSE_MODEL)
PROVIDER = label_name(semconv.PROVIDER_NAME)
OPERATION = label_name(semconv.OPERATION_NAME)
UNIT = label_name(semconv.UNIT)
COLLECTION = label_name(semconv.DB_COLLECTION)
DATABASE = label_name(semconv.DB_SYSTEM)
ERROR = label_name(semconv.ERROR_TYPE)
SCORE_ORDER = label_name(semconv.SCORE_ORDER)

MINUTE = "60"
HOUR = "3600"
DAY = "86400"
"""Seconds."""


def selector(metric: Metric | str, matchers: Iterable[str] = (), *, ending: str = "") -> str:
    """The series of a metric (or of a recorded series) that the matchers, such as `job="shop"`, let through."""
    name = metric if isinstance(metric, str) else f"{metric_name(metric)}{ending}"
    conditions = ",".join(matchers)
    return f"{name}{{{conditions}}}" if conditions else name


def equals(label: str, value: str) -> str:
    """A matcher for one value."""
    return f'{label}="{value}"'


def one_of(label: str, values: str) -> str:
    """A matcher for a regular expression, such as values joined by `|`."""
    return f'{label}=~"{values}"'


def rate(series: str, window: str) -> str:
    """Growth of a counter per second."""
    return f"rate({series}[{window}])"


def increase(series: str, window: str, offset: str = "") -> str:
    """Growth of a counter over a window, which ends `offset` ago."""
    return f"increase({series}[{window}]{f' offset {offset}' if offset else ''})"


def total(expression: str, labels: Iterable[str] = ()) -> str:
    """The sum, by labels. Always with `by`: what other labels there are depends on how metrics reach Prometheus."""
    by = ", ".join(labels)
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def quantile(share: float, metric: Metric, window: str, labels: Iterable[str], matchers: Iterable[str] = ()) -> str:
    """A quantile of a histogram by labels."""
    return quantile_of(share, total(rate(selector(metric, matchers, ending="_bucket"), window), ("le", *labels)))


def quantile_of(share: float, buckets: str) -> str:
    """A quantile of what grew in each bucket by `le`: of values that are never negative, and nothing where none is."""
    return f"(histogram_quantile({share:g}, {buckets}) >= 0)"


def share_of(parts: str, whole: str) -> str:
    """Each of several series as a share of one that has no labels, where there is any of it."""
    return f"{parts} / on () group_left () ({whole} > 0)"


def per(amount: str, of: str) -> str:
    """An amount for each one of another, where there are any: nothing instead of a division by zero."""
    return f"{amount} / ({of} > 0)"


def or_zero(expression: str, every: str) -> str:
    """The expression, and 0 for the label sets that only `every` has."""
    return f"({expression} or 0 * {every})"


def where(expression: str, condition: str) -> str:
    """The expression, where there is anything of the condition at all."""
    return f"({expression} and on () {condition})"


def zero_where(condition: str) -> str:
    """0, without labels, where there is anything of the condition."""
    return f"0 * group({condition})"


def change(now: str, before: str) -> str:
    """How much more there is now than before, also for label sets that only one of the two has."""
    return f"{or_zero(now, before)} - {or_zero(before, now)}"


def named(expression: str, label: str, name: str = "not set") -> str:
    """The expression, with a name for series that lack the label: an app need not have declared it."""
    return f'label_replace({expression}, "{label}", "{name}", "{label}", "")'


def all_named(expression: str, labels: Iterable[str]) -> str:
    """The expression, with a name for series that lack any of the labels."""
    for label in labels:
        expression = named(expression, label)
    return expression


LAST_PART = "last_part"
"""The label that `by_last_part` makes."""


def by_last_part(expression: str, label: str, by: Iterable[str]) -> str:
    """A sum by labels, and by what stands behind the last dot of one more: an exception without its package.

    The part goes into a label of its own: put back into the first, two series could become one, which is an error.
    """
    named_apart = f'label_replace({expression}, "{LAST_PART}", "$1", "{label}", "(?:.*[.])?([^.]+)")'
    return total(named_apart, (*by, LAST_PART))


def told_apart(expressions: Mapping[str, str], label: str) -> str:
    """Several values in one answer, each under its name in a label of its own."""
    return " or ".join(
        f'label_replace({expression}, "{label}", "{name}", "", "")' for name, expression in expressions.items()
    )
