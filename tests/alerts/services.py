"""A small language for histories: services whose traffic, prices and prompts are functions of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ragmeter.dashboards import expressions as promql
from ragmeter.domain.model import Fate, OperationKind, Origin, PriceState
from ragmeter.naming import semconv
from ragmeter.naming.metric import Metric
from ragmeter.naming.prometheus_names import metric_name
from ragmeter.telemetry.totals import UNKNOWN

from .promtool import STEP

HOUR = 60
DAY = 24 * HOUR

Level = Callable[[int], float]
"""A value at each minute of the history."""


def always(value: float) -> Level:
    return lambda minute: value


def daily(middle: float, swing: float = 0.6, quiet_hour: int = 3) -> Level:
    """A rhythm of days around the middle, lowest at the quiet hour; it changes every half an hour."""

    def level(minute: int) -> float:
        hours = minute // 30 / 2 - quiet_hour
        return middle * (1 - swing * math.cos(2 * math.pi * hours / 24))

    return level


def within(start: int, end: int, inside: float, outside: float = 1.0) -> Level:
    """A factor that changes for a while."""
    return lambda minute: inside if start <= minute < end else outside


def times(*levels: Level) -> Level:
    return lambda minute: math.prod(level(minute) for level in levels)


@dataclass(frozen=True)
class Service:
    """A service: what it does at each minute, and when it is there.

    `queries` an hour; of each query `dollars` and `tokens`; shares of context that is `wasted`, of searches that are
    `empty`, `failing` or `slow`, of model calls that are `unpriced`, and `unpriced_searches`: all others are free, as a
    database's are that bills nothing for them. It is there from `starts` to `ends`, without the minutes of `gaps`; its
    counters begin anew after each. `job` may be missing.
    """

    job: str | None
    queries: Level = lambda _: 600
    dollars: Level = lambda _: 0.01
    tokens: Level = lambda _: 2000
    wasted: Level = lambda _: 0.4
    slow: Level = lambda _: 0.01
    empty: Level = lambda _: 0.02
    failing: Level = lambda _: 0.002
    unpriced: Level = lambda _: 0
    unpriced_searches: Level = lambda _: 0
    starts: int = 0
    ends: int = 1_000_000
    gaps: tuple[tuple[int, int], ...] = ()
    strategy: str = "rag"

    def is_there(self, minute: int) -> bool:
        return self.starts <= minute < self.ends and not any(start <= minute < end for start, end in self.gaps)

    def series(self, minutes: int, *, money_only: bool = False) -> Mapping[str, str]:
        """All its series in promtool's notation."""
        clients = promql.selector(semconv.CLIENTS, self._of({semconv.CLIENT: "openai"}))
        found = {clients: self._gauge(minutes)}
        for name, growth in self._growths().items():
            if not money_only or name.startswith(metric_name(semconv.COST)):
                found[name] = self._counter(growth, minutes)
        return found

    def _of(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        job = () if self.job is None else (promql.equals(promql.JOB, self.job),)
        return (*job, *(promql.equals(promql.label_name(label), value) for label, value in labels.items()))

    def _growths(self) -> Mapping[str, Level]:
        """What each counter grows by in an hour."""
        found: dict[str, Level] = {}

        def grows(metric: Metric, labels: Mapping[str, str], *levels: Level, ending: str = "") -> None:
            found[promql.selector(metric, self._of(labels), ending=ending)] = times(self.queries, *levels)

        mine = {semconv.STRATEGY: self.strategy}
        model = {semconv.PROVIDER_NAME: "openai", semconv.RESPONSE_MODEL: "gpt-5-mini"}
        place = {semconv.DB_SYSTEM: "qdrant", semconv.DB_COLLECTION: "handbook"}
        grows(semconv.QUERIES, mine)
        for part, share in ((Origin.CONTEXT.value, 0.7), ("output", 0.3)):
            labels = mine | model | {semconv.PART: part, semconv.PRICE_STATE: PriceState.PRICED.value}
            grows(semconv.COST, labels, self.dollars, always(share))
        grows(semconv.PROMPT_TOKENS, mine | model, ending="_count")
        grows(semconv.PROMPT_TOKENS, mine | model, self.tokens, ending="_sum")
        wasted, rest = self.wasted, _rest(self.wasted)
        fates = (
            (Fate.USED, (rest, always(0.8))),
            (Fate.UNKNOWN, (always(0.5),)),
            (Fate.UNUSED, (wasted, always(0.6))),
            (Fate.REPEATED, (wasted, always(0.2))),
        )
        for fate, levels in fates:
            grows(semconv.CONTEXT_TOKENS, mine | place | {semconv.CHUNK_FATE: fate.value}, self.tokens, *levels)
        self._grow_searches(grows, place)
        index = {semconv.PROVIDER_NAME: "qdrant", semconv.RESPONSE_MODEL: UNKNOWN}
        for kind, asked, unpriced in (
            (OperationKind.CHAT, model, self.unpriced),
            (OperationKind.SEARCH, index, self.unpriced_searches),
        ):
            for state, share in ((PriceState.PRICED, _rest(unpriced)), (PriceState.UNPRICED, unpriced)):
                labels = {semconv.OPERATION_NAME: kind.value, semconv.PRICE_STATE: state.value}
                grows(semconv.OPERATIONS, mine | asked | labels, share)
        return found

    def _grow_searches(self, grows: Callable[..., None], place: Mapping[str, str]) -> None:
        succeeding = _rest(self.failing)
        error = {semconv.ERROR_TYPE: "TimeoutError"}
        for labels, level in (({}, succeeding), (error, self.failing)):
            grows(semconv.SEARCH_DURATION, {**place, **labels}, level, ending="_count")
            for bound, shares in (("0.1", (_rest(self.slow),)), ("5.0", ()), ("+Inf", ())):
                grows(semconv.SEARCH_DURATION, {**place, **labels, "le": bound}, level, *shares, ending="_bucket")
        grows(semconv.SEARCH_RESULTS, place, succeeding, ending="_count")
        grows(semconv.SEARCH_EMPTY, place, succeeding, self.empty)

    def _gauge(self, minutes: int) -> str:
        return _packed((1.0 if self.is_there(minute) else None) for minute in range(0, minutes + 1, STEP))

    def _counter(self, growth: Level, minutes: int) -> str:
        return _packed(self._counts(growth, minutes))

    def _counts(self, growth: Level, minutes: int) -> Iterable[float | None]:
        count: float | None = None
        for minute in range(0, minutes + 1, STEP):
            if not self.is_there(minute):
                count = None
            else:
                count = 0.0 if count is None else count + _exact(growth(minute) * STEP / HOUR)
            yield count


def together(services: Iterable[Service], minutes: int, *, money_only: bool = False) -> Mapping[str, str]:
    """The series of all services."""
    found: dict[str, str] = {}
    for service in services:
        made = service.series(minutes, money_only=money_only)
        assert not found.keys() & made.keys(), f"two services are alike: {service}"
        found.update(made)
    return found


def _exact(growth: float) -> float:
    """A step whose sums are exact: a counter that falls by the least bit would have been reset."""
    return round(growth * 2**20) / 2**20


def _rest(share: Level) -> Level:
    return lambda minute: 1 - share(minute)


def _packed(values: Iterable[float | None]) -> str:
    """Samples as promtool reads them, runs of equal steps as one; where samples end, the series is marked as stale."""
    words: list[str] = []
    start, last, step, run = 0.0, None, 0.0, 0
    for value in values:
        if value is None:
            if last is not None:
                words.extend((_run(start, step, run), "stale"))
            else:
                words.append("_")
        elif last is None:
            start, step, run = value, 0.0, 0
        elif run and value - last != step:
            words.append(_run(start, step, run))
            start, step, run = value, 0.0, 0
        else:
            step = step if run else value - last
            run += 1
        last = value
    if last is not None:
        words.append(_run(start, step, run))
    return " ".join(words)


def _run(start: float, step: float, run: int) -> str:
    return f"{start:.17g}{step:+.17g}x{run}" if run else f"{start:.17g}"
