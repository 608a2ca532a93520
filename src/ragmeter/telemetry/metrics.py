"""Metric points: what each operation and each query adds to totals and distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from opentelemetry.context import Context

from ragmeter.domain import gate, strategy
from ragmeter.domain.model import Chunk, Fate, Operation, Origin, Usage
from ragmeter.domain.pausing import Pause, paused, without_pause
from ragmeter.domain.query import Ending
from ragmeter.guard import Guard
from ragmeter.ledger.entries import ContextSum, Entry, QueryReport
from ragmeter.ledger.metering import Metered
from ragmeter.naming import semconv
from ragmeter.naming.cuts import ScoreOrder
from ragmeter.naming.metric import Metric, Profile, generations_of
from ragmeter.naming.semconv import metrics_of
from ragmeter.telemetry.bound_histograms import AttributeSet, BoundHistogram
from ragmeter.telemetry.instruments import Instruments
from ragmeter.telemetry.rank_totals import RankTotals
from ragmeter.telemetry.totals import OTHER, UNKNOWN, UNSET, Attributes, LabelCaps

NO_EXEMPLAR = Context()
"""Context of a point that needs no exemplar: durations and costs lead to a trace, a third of the price of a point."""

NEW_VALUES = 0.5
"""How full an instrument may be, of the attribute sets its provider keeps apart, before labels take no new values."""

KNOWN_VALUES = (0.8, 64)
"""And before those values of the app's labels that need yet another set become `other`; so many sets stay free."""

ALL_BUT_OURS = (0.95, 32)
"""And before models, collections and hosts do. Strategies, parts and rates never do: there are some thirty of them."""

FOLDED = (
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.DB_COLLECTION,
    semconv.SERVER_ADDRESS,
    semconv.DB_NAMESPACE,
    semconv.DB_OPERATION,
    semconv.ERROR_TYPE,
    semconv.PROVIDER_NAME,
)
"""What becomes `other`, in this order, where there is no room even without the app's labels."""

ALWAYS_COUNTED = ("input_tokens", "output_tokens")
"""Counts that the conventions ask for of every inference."""

Point = tuple[Metric, float, AttributeSet, Context | None]
"""One value for one metric, its attributes, and the context of its exemplar, for distributions. A plain tuple: a query
makes some twenty of them."""

Points = Iterator[Point]

FEW = 32
"""Points that are recorded in one go: each takes some ten microseconds."""


class Telemetry:
    """Records metric points on the given instruments. Used under the worker's lock.

    `labels` are the names the app has declared; `profile` chooses the generation of standard metrics: `released`,
    `latest` or `both`.
    """

    def __init__(
        self,
        instruments: Instruments,
        *,
        labels: tuple[str, ...],
        most_values: int,
        profile: str,
        guard: Guard,
        pause: Pause = without_pause,
    ) -> None:
        self._pause = pause
        self.caps = LabelCaps(most_values, {semconv.STRATEGY: (*strategy.STRATEGIES, strategy.NONE)})
        self._guard = guard
        self._labels = labels
        self._room = instruments.room
        self._orders: dict[Attributes, ScoreOrder] = {}
        generations = generations_of(profile)
        self._released, self._latest = Profile.RELEASED in generations, Profile.LATEST in generations
        metrics = metrics_of(Profile.OWN, *generations)
        distributions = [metric for metric in metrics if metric.buckets]
        self._histograms = {each.name: BoundHistogram(instruments.histogram(each)) for each in distributions}
        self._fields = tuple(metric for metric in metrics if metric.field)
        self.totals = instruments.totals
        self.totals.expose(metric for metric in metrics if not metric.buckets)
        self._follow_internals()
        self._ranks = RankTotals(self.totals, self._collection, pause)

    @property
    def crowded(self) -> tuple[str, ...]:
        """The metrics that have so many series that labels take no new values."""
        return self._room.crowded(NEW_VALUES)

    def count_operation(self, metered: Metered, context: Context, labels: Mapping[str, str], *, standard: bool) -> None:
        """Record what one finished operation tells by itself; `standard` is false where others record that already."""
        operation = metered.operation
        if operation.is_within:
            # Neither its time nor what it found is known: only its tokens can be told.
            if standard and not operation.request.kind.means.of_database:
                self._record(partial(self._of_standard_within, operation))
        elif operation.request.kind.means.of_database:
            self._record(partial(self._of_database, operation, context, labels))
        elif standard:
            self._record(partial(self._of_standard, operation, context))

    def count_query(self, report: QueryReport, context: Context | None = None) -> None:
        """Post a query: its operations, tokens and money under its strategy, and the query itself if it counts."""
        self._record(partial(self._of_query, report, context))
        self._ranks.add(report)

    def _record(self, points: Callable[[], Points]) -> None:
        """Record what `points` makes, with fewer label values where the provider has no room for more series."""
        made = points() if self._room.share < NEW_VALUES else self._fitted(points)
        for metric, value, attributes, context in _declared(made, self._labels) if self._guard.loud else made:
            try:
                if metric.buckets:
                    self._observe(metric, value, attributes, context)
                else:
                    self.totals.add(metric, value, attributes)  # type: ignore[arg-type]
            except ValueError as error:
                self._guard.caught(f"counting {metric.name}", error)

    def _observe(self, metric: Metric, value: float, attributes: AttributeSet, context: Context | None) -> None:
        if gate.amount(value) is None:
            raise ValueError(f"{metric.name} takes amounts, not {value!r}")
        histogram = self._histograms[metric.name]
        if context is None or not histogram.record_again(value, attributes, context):
            self._room.enter(metric.name, attributes)
            histogram.record(value, attributes, context)

    def _fitted(self, points: Callable[[], Points]) -> Iterable[Point]:
        """The points with as few labels folded as there is room for.

        What is folded is folded for good and in every metric: the cost and the queries of a team stay comparable.
        """
        self.caps.close((*self._labels, *FOLDED))
        largest_first = sorted(self._labels, key=self.caps.values, reverse=True)
        fitted = tuple(points())
        for label, (share, spare) in (
            *((each, KNOWN_VALUES) for each in largest_first),
            *((each, ALL_BUT_OURS) for each in FOLDED),
        ):
            if self._room.holds(((metric.name, attributes) for metric, _, attributes, _ in fitted), share, spare):
                break
            values = {str(value) for _, _, attributes, _ in fitted for name, value in attributes if name == label}
            if self.caps.fold(label, values):
                fitted = tuple(points())
        return fitted

    def _of_query(self, report: QueryReport, context: Context | None) -> Points:
        app = self._app(report.labels)
        common: Attributes = ((semconv.STRATEGY, self.caps.bound(semconv.STRATEGY, report.strategy)), *app)
        for entry in report.operations:
            yield from self._of_parts(entry, common)
            yield from self._of_prompt(entry, common)
            for each in entry.context:
                yield from self._of_context(each, common)
        for collection, chunks in report.unsent_by_collection.items():
            yield semconv.CHUNKS, chunks, (*common, *self._of_chunk(Fate.UNSENT, collection)), None
        if report.counts:
            yield from self._of_counted_query(report, common, context)

    def _of_counted_query(self, report: QueryReport, common: Attributes, context: Context | None) -> Points:
        attributes = (*common, *self._error(report.error_type))
        if report.handle.ending is Ending.OPERATION:
            yield semconv.UNSCOPED, 1, (), None
        yield semconv.QUERIES, 1, attributes, None
        yield semconv.QUERY_DURATION, report.duration, attributes, context
        if report.cost is not None:
            yield semconv.QUERY_COST, report.cost, common, context
        if report.search_duration and report.duration > 0:
            share = min(1.0, report.search_duration / report.duration)
            yield semconv.SEARCH_SHARE, share, common, context

    def _follow_internals(self) -> None:
        """Show our own failures, and how often the queue was full, whenever metrics are collected."""
        guard, overflowed = self._guard, self.caps.overflowed
        self.totals.follow(
            semconv.INTERNAL_ERRORS,
            lambda: {((semconv.STATION, station),): count for station, count in list(guard.counts.items())},
        )
        # 0 from the start: Prometheus counts no growth up to the first value of a series, and overflows come in bursts.
        self.totals.follow(semconv.OVERFLOWED, lambda: {(): guard.overflowed})
        self.totals.follow(
            semconv.LABELS_OVERFLOWED,
            lambda: {((semconv.LABEL, label),): count for label, count in list(overflowed.items())},
        )

    def _of_parts(self, entry: Entry, common: Attributes) -> Points:
        state = (semconv.PRICE_STATE, entry.cost.state.value)
        provider = (semconv.PROVIDER_NAME, self.caps.bound(semconv.PROVIDER_NAME, entry.provider))
        model = (semconv.RESPONSE_MODEL, self._model(entry.model))
        kind = (semconv.OPERATION_NAME, entry.kind.value)
        yield semconv.OPERATIONS, 1, (*common, kind, state, provider, model), None
        for unit, number in entry.units.items():
            name = (semconv.UNIT, self.caps.bound(semconv.UNIT, unit))
            yield semconv.UNITS, number, (*common, name, kind, provider, model), None
        for part in entry.parts:
            key, rate = (semconv.PART, part.part), (semconv.TOKEN_RATE, part.rate)
            if part.tokens:
                yield semconv.PART_TOKEN_COUNT, part.tokens, (*common, key, rate, provider, model), None
            if part.cost is not None:
                yield semconv.COST, part.cost, (*common, key, rate, state, provider, model), None

    def _of_prompt(self, entry: Entry, common: Attributes) -> Points:
        """How large an inference's prompt was, under the strategy of its query as everything it is compared with."""
        prompt = entry.tokens_of(*Origin)
        if not entry.kind.is_inference or not prompt:
            return
        attributes = (*common, (semconv.RESPONSE_MODEL, self._model(entry.model)))
        yield semconv.PROMPT_TOKENS, prompt, attributes, NO_EXEMPLAR
        if context := entry.tokens_of(Origin.CONTEXT):
            yield semconv.CONTEXT_SHARE, context / prompt, attributes, NO_EXEMPLAR

    def _of_context(self, each: ContextSum, common: Attributes) -> Points:
        in_collection = (*common, (semconv.DB_COLLECTION, self._collection(each.collection)))
        with_fate = (*common, *self._of_chunk(each.fate, each.collection))
        yield semconv.CHUNKS, each.chunks, with_fate, None
        if each.tokens:
            yield semconv.CONTEXT_TOKENS, each.tokens, with_fate, None
        if each.cost is not None:
            yield semconv.CONTEXT_COST, each.cost, with_fate, None
        if each.stale_tokens:
            yield semconv.STALE_TOKENS, each.stale_tokens, in_collection, None
        if each.fate is Fate.USED:
            for rank in paused(each.ranks, self._pause, FEW):
                yield semconv.USED_RANK, rank, in_collection, NO_EXEMPLAR
        if each.cited:
            yield semconv.CITED_CHUNKS, each.cited, in_collection, None

    def _of_chunk(self, fate: Fate, collection: str | None) -> Attributes:
        return ((semconv.CHUNK_FATE, fate.value), (semconv.DB_COLLECTION, self._collection(collection)))

    def _of_standard(self, operation: Operation, context: Context) -> Points:
        attributes = self._standard_attributes(operation)
        failed = (*attributes, *self._error(operation.error_type))
        inference = operation.request.kind.is_inference
        if self._released or not inference:
            yield semconv.DURATION, operation.duration, failed, context
        if self._latest and inference:
            yield semconv.INFERENCE_DURATION, operation.duration, failed, context
            yield from _latest_tokens(operation, attributes)
            yield from _latest_sizes(operation, failed)
        for metric in self._fields:
            value = getattr(operation, metric.field)
            if value is not None:
                yield metric, value, attributes, context
        if self._released:
            yield from _released_tokens(operation, attributes)

    def _of_standard_within(self, operation: Operation) -> Points:
        attributes = self._standard_attributes(operation)
        if self._latest and operation.request.kind.is_inference:
            yield from _latest_tokens(operation, attributes)
        if self._released:
            yield from _released_tokens(operation, attributes)

    def _of_database(self, operation: Operation, context: Context, labels: Mapping[str, str]) -> Points:
        request = operation.request
        attributes: Attributes = (
            (semconv.DB_SYSTEM, self.caps.bound(semconv.DB_SYSTEM, request.provider)),
            (semconv.DB_COLLECTION, self._collection(request.collection)),
        )
        error, app = self._error(operation.error_type), self._app(labels)
        called = (
            *self._given(semconv.DB_NAMESPACE, request.namespace),
            *self._given(semconv.DB_OPERATION, request.method),
        )
        yield semconv.DB_DURATION, operation.duration, (*attributes, *error, *called), context
        if not request.kind.means.is_retrieval:
            return
        yield semconv.SEARCH_DURATION, operation.duration, (*attributes, *error, *app), context
        if operation.error_type is not None:
            return
        for chunks in operation.response.by_question():
            yield semconv.SEARCH_RESULTS, len(chunks), (*attributes, *app), context
            if not chunks:
                yield semconv.SEARCH_EMPTY, 1, (*attributes, *app), None
            elif chunks[0].score is not None:
                order = self._order(attributes, chunks, is_distance=operation.response.score_is_distance)
                yield from _of_score(chunks[0].score, (*attributes, *app, (semconv.SCORE_ORDER, order.value)), context)

    def _order(self, searched: Attributes, chunks: tuple[Chunk, ...], *, is_distance: bool | None) -> ScoreOrder:
        """What is nearer: as the client tells, as the order of the chunks shows, or as before in this collection."""
        if is_distance is not None:
            return ScoreOrder.LOWER if is_distance else ScoreOrder.HIGHER
        first, last = chunks[0].score, chunks[-1].score
        if first is not None and last is not None and first != last:
            self._orders[searched] = ScoreOrder.LOWER if first < last else ScoreOrder.HIGHER
        return self._orders.get(searched, ScoreOrder.UNKNOWN)

    def _app(self, labels: Mapping[str, str]) -> Attributes:
        return tuple((name, self.caps.bound(name, labels.get(name) or UNSET)) for name in self._labels)

    def _error(self, error_type: str | None) -> Attributes:
        return self._given(semconv.ERROR_TYPE, error_type)

    def _given(self, label: str, value: str | None) -> Attributes:
        """A label that is there only where there is a value."""
        return () if value is None else ((label, self.caps.bound(label, value)),)

    def _collection(self, collection: str | None) -> str:
        return self.caps.bound(semconv.DB_COLLECTION, collection)

    def _model(self, model: str | None) -> str:
        return self.caps.bound(semconv.RESPONSE_MODEL, model)

    def _standard_attributes(self, operation: Operation) -> tuple[tuple[str, str | int], ...]:
        request = operation.request
        attributes: list[tuple[str, str | int]] = [
            (semconv.OPERATION_NAME, request.kind.value),
            (semconv.PROVIDER_NAME, self.caps.bound(semconv.PROVIDER_NAME, request.provider)),
            (semconv.RESPONSE_MODEL, self._model(operation.model)),
        ]
        if request.model is not None:
            attributes.append((semconv.REQUEST_MODEL, self.caps.bound(semconv.REQUEST_MODEL, request.model)))
        if request.server_address is not None:
            address = self.caps.bound(semconv.SERVER_ADDRESS, request.server_address)
            attributes.append((semconv.SERVER_ADDRESS, address))
            # Ports of many hosts, or of servers that tests start, are as many series as the hosts themselves.
            port = (
                None if request.server_port is None else self.caps.bound(semconv.SERVER_PORT, str(request.server_port))
            )
            if request.server_port is not None and OTHER not in (address, port):
                attributes.append((semconv.SERVER_PORT, request.server_port))
        return tuple(attributes)


def _declared(points: Iterable[Point], app: tuple[str, ...]) -> Points:
    """The same points, each held against the labels its metric is declared with: dashboards and pages rely on them."""
    for point in points:
        metric, _, attributes, _ = point
        allowed = {*metric.labels, *(app if metric.has_app_labels else ())}
        if undeclared := [name for name, _ in attributes if name not in allowed]:
            raise ValueError(f"{metric.name} is not declared with {', '.join(undeclared)}")
        yield point


def _of_score(score: float, attributes: Attributes, context: Context) -> Points:
    # The SDK takes no value below zero: such a score is in the first bucket, and its amount in a total of its own.
    yield semconv.SEARCH_SCORE, max(0.0, score), attributes, context
    yield semconv.NEGATIVE_SCORES, max(0.0, -score), attributes, None


def _released_tokens(operation: Operation, attributes: tuple[tuple[str, str | int], ...]) -> Points:
    usage = operation.response.usage
    counts = () if usage is None else (("input", usage.input_tokens), ("output", usage.output_tokens))
    for kind, tokens in counts:
        if tokens is not None:
            yield semconv.TOKEN_USAGE, tokens, (*attributes, (semconv.TOKEN_TYPE, kind)), NO_EXEMPLAR


def _latest_sizes(operation: Operation, attributes: tuple[tuple[str, str | int], ...]) -> Points:
    # Percentiles are read from these: where no usage came back, there is no size.
    usage = operation.response.usage
    if usage is None:
        return
    sizes = (
        (semconv.INFERENCE_INPUT_SIZE, usage.input_tokens),
        (semconv.INFERENCE_OUTPUT_SIZE, usage.output_tokens),
    )
    for metric, tokens in sizes:
        if tokens is not None:
            yield metric, tokens, attributes, NO_EXEMPLAR


def _latest_tokens(operation: Operation, attributes: tuple[tuple[str, str | int], ...]) -> Points:
    # The conventions ask for every inference to be counted, with 0 where no usage came back.
    usage = operation.response.usage
    for count, metric in semconv.LATEST_USAGE.items():
        tokens = getattr(usage, count, None)
        if tokens is not None or count in ALWAYS_COUNTED:
            for modality, number in _by_modality(usage, count, tokens or 0):
                yield metric, number, (*attributes, (semconv.TOKEN_MODALITY, modality)), None


def _by_modality(usage: Usage | None, count: str, tokens: int) -> Iterator[tuple[str, int]]:
    """The tokens of a count by what they stand for, as far as it is told: the rest is text."""
    rest, told = tokens, {} if usage is None else semconv.MODALITIES.get(count, {})
    for modality, part in told.items():
        number = min(getattr(usage, part) or 0, rest)
        rest -= number
        if number:
            yield modality, number
    if rest or not tokens:
        yield UNKNOWN if usage is None else "text", rest
