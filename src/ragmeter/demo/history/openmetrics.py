"""Writes histories as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TextIO

from ragmeter.demo.history.series import History, Line, Numbers, cumulative, totals
from ragmeter.demo.history.shop import INSTANCE, JOB
from ragmeter.naming.metric import InstrumentKind
from ragmeter.naming.prometheus_names import label_name, metric_name

MONEY_DIGITS = 9
"""A nano-dollar: what lies below is noise of the sums, and would double the length of the file."""

TYPES = {InstrumentKind.COUNTER: "counter", InstrumentKind.GAUGE: "gauge", InstrumentKind.HISTOGRAM: "histogram"}
COUNTER_ENDING = "_total"
END = "# EOF\n"
LARGEST_PLAIN = 1e6
"""Bounds from here on have an exponent, as in the text that Prometheus scrapes."""


def write(history: History, file: TextIO, *, job: str = JOB, advance: Callable[[], None] = lambda: None) -> None:
    """Write all series from first to last sample, and the file's end; `advance` is called after each line."""
    stamps = [f" {time}\n" for time in history.times.tolist()]
    labels = {"job": job, "instance": INSTANCE}
    for metric, lines in groupby(history.lines, key=lambda line: line.metric):
        file.write(header(metric_name(metric), TYPES[metric.kind], metric.description))
        for line in lines:
            for name, own, values in series(line, history.restarts):
                file.write(samples(name, {**labels, **own}, texts(values), stamps))
            advance()
    file.write(END)


def series(line: Line, restarts: Sequence[int]) -> Iterator[tuple[str, Mapping[str, str], Numbers]]:
    """The series of a line as Prometheus has them: name, labels, and the value at each step."""
    name = metric_name(line.metric)
    labels = {label_name(attribute): value for attribute, value in line.labels}
    if line.buckets is None:
        is_gauge = line.metric.kind is InstrumentKind.GAUGE
        yield name, labels, line.growth if is_gauge else totals(line.growth, restarts)
        return
    shown = cumulative(line.buckets, restarts)
    for bound, values in zip((*line.metric.buckets, float("inf")), shown, strict=True):
        yield f"{name}_bucket", {**labels, "le": bound_text(bound)}, values
    yield f"{name}_sum", labels, totals(line.growth, restarts)
    yield f"{name}_count", labels, shown[-1]


def header(name: str, kind: str, description: str) -> str:
    """What stands before the series of a metric; a counter's name is without its ending there."""
    family = name.removesuffix(COUNTER_ENDING) if kind == "counter" else name
    return f"# HELP {family} {description}\n# TYPE {family} {kind}\n"


def samples(name: str, labels: Mapping[str, str], values: Iterable[str], stamps: Iterable[str]) -> str:
    """The samples of one series, one a line."""
    inner = ",".join(f'{label}="{escaped(value)}"' for label, value in labels.items())
    prefix = f"{name}{{{inner}}} "
    return "".join([f"{prefix}{value}{stamp}" for value, stamp in zip(values, stamps, strict=True)])


def texts(values: Numbers) -> list[str]:
    """The values as text: whole numbers as such, others to the nano."""
    if values.dtype.kind == "i":
        return [str(value) for value in values.tolist()]
    return [f"{value:.{MONEY_DIGITS}f}" for value in values.tolist()]


def bound_text(bound: float) -> str:
    """The upper bound of a bucket as a scrape has it."""
    if bound == float("inf"):
        return "+Inf"
    if bound < LARGEST_PLAIN:
        return repr(bound)
    digits = f"{bound:.0f}"
    mantissa = f"{digits[0]}.{digits[1:]}".rstrip("0").rstrip(".")
    return f"{mantissa}e+{len(digits) - 1:02d}"


def escaped(value: str) -> str:
    """A label's value as it stands between quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
