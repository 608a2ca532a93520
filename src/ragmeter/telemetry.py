"""Metric points: what each operation and each query adds to totals and distributions."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.context import Context

from ragmeter import semconv
from ragmeter.guard import Guard
from ragmeter.instruments import Instruments
from ragmeter.metering import Metered
from ragmeter.model import Fate, Operation, OperationKind, Origin
from ragmeter.queries import ContextSum, Entry, QueryReport
from ragmeter.semconv import Metric
from ragmeter.totals import Attributes, LabelCaps

UNSET = "unset"
"""Value of a declared label that nobody has set: a lost label is seen, not hidden."""

UNKNOWN = "unknown"

NO_EXEMPLAR = Context()
"""Context of a point that needs no exemplar: durations and costs lead to a trace, a third of the price of a point."""


class Telemetry:
    """Records metric points on the given instruments. Used under the worker's lock.

    `labels` are the names the app has declared; `profile` chooses the generation of standard metrics: `released`,
    `latest` or `both`.
    """

    def __init__(
        self, instruments: Instruments, *, labels: tuple[str, ...], most_values: int, profile: str, guard: Guard
    ) -> None:
        self.caps = LabelCaps(most_values)
        self._labels = labels
        self._released = profile in ("released", "both")
        self._latest = profile in ("latest", "both")
        standard = (*(semconv.RELEASED if self._released else ()), *(semconv.LATEST if self._latest else ()))
        self._histograms = {
            metric.name: instruments.histogram(metric) for metric in (*semconv.DISTRIBUTIONS, *standard)
        }
        self.totals = instruments.totals
        self.totals.expose((*semconv.TOTALS, *(semconv.LATEST_TOTALS if self._latest else ())))
        self._follow_internals(guard)

    def count_operation(self, metered: Metered, context: Context, labels: Mapping[str, str], *, standard: bool) -> None:
        """Record what one finished operation tells by itself; `standard` is false where others record that already."""
        operation = metered.operation
        if operation.request.kind is OperationKind.SEARCH:
            self._count_search(operation, context, labels)
            return
        if standard:
            self._count_standard(operation, context, self._model(operation.model))

    def count_query(self, report: QueryReport, context: Context | None = None) -> None:
        """Post a query: its operations, tokens and money under its strategy, and the query itself if it counts."""
        app = self._app(report.labels)
        common: Attributes = ((semconv.STRATEGY, self.caps.bound(semconv.STRATEGY, report.strategy)), *app.items())
        for entry in report.operations:
            self._count_parts(entry, common)
            self._count_prompt(entry, common)
            for each in entry.context:
                self._count_context(each, common)
        for collection, chunks in report.unsent.items():
            self.totals.add(semconv.CHUNKS, chunks, (*common, *self._of_chunk(Fate.UNSENT, collection)))
        if not report.counts:
            return
        attributes = dict(common)
        if report.error_type is not None:
            attributes[semconv.ERROR_TYPE] = report.error_type
        self.totals.add(semconv.QUERIES, 1, tuple(attributes.items()))
        self._record(semconv.QUERY_DURATION, report.duration, attributes, context)
        if report.cost is not None:
            self._record(semconv.QUERY_COST, report.cost, dict(common), context)
        if report.search_duration and report.duration > 0:
            share = min(1.0, report.search_duration / report.duration)
            self._record(semconv.SEARCH_SHARE, share, dict(common), context)

    def _follow_internals(self, guard: Guard) -> None:
        """Show our own failures, and how often the queue was full, whenever metrics are collected."""
        self.totals.follow(
            semconv.INTERNAL_ERRORS,
            lambda: {((semconv.PLACE, place),): count for place, count in list(guard.counts.items())},
        )
        # 0 from the start: Prometheus counts no growth up to the first value of a series, and overflows come in bursts.
        self.totals.follow(semconv.OVERFLOWED, lambda: {(): guard.overflowed})
        overflowed = self.caps.overflowed
        self.totals.follow(
            semconv.LABELS_OVERFLOWED,
            lambda: {((semconv.LABEL, label),): count for label, count in list(overflowed.items())},
        )

    def _count_parts(self, entry: Entry, common: Attributes) -> None:
        state = (semconv.PRICE_STATE, entry.cost.state.value)
        provider = (semconv.PROVIDER_NAME, self.caps.bound(semconv.PROVIDER_NAME, entry.system))
        model = (semconv.RESPONSE_MODEL, self._model(entry.model))
        kind = (semconv.OPERATION_NAME, entry.kind.value)
        self.totals.add(semconv.OPERATIONS, 1, (*common, kind, state, provider, model))
        for part in entry.parts:
            key = (semconv.PART, part.part)
            if part.tokens:
                rate = (semconv.TOKEN_RATE, part.rate)
                self.totals.add(semconv.PART_TOKEN_COUNT, part.tokens, (*common, key, rate, provider, model))
            if part.cost is not None:
                self.totals.add(semconv.COST, part.cost, (*common, key, state, provider, model))

    def _count_prompt(self, entry: Entry, common: Attributes) -> None:
        """How large an inference's prompt was, under the strategy of its query as everything it is compared with."""
        prompt = entry.tokens_of(*Origin)
        if not entry.kind.is_inference or not prompt:
            return
        attributes = {**dict(common), semconv.RESPONSE_MODEL: self._model(entry.model)}
        self._record(semconv.PROMPT_TOKENS, prompt, attributes, NO_EXEMPLAR)
        if context := entry.tokens_of(Origin.CONTEXT):
            self._record(semconv.CONTEXT_SHARE, context / prompt, attributes, NO_EXEMPLAR)

    def _count_context(self, each: ContextSum, common: Attributes) -> None:
        collection = self._collection(each.collection)
        key = (*common, *self._of_chunk(each.fate, each.collection))
        self.totals.add(semconv.CHUNKS, each.chunks, key)
        if each.tokens:
            self.totals.add(semconv.CONTEXT_TOKENS, each.tokens, key)
        if each.cost is not None:
            self.totals.add(semconv.CONTEXT_COST, each.cost, key)
        if each.stale_tokens:
            self.totals.add(semconv.STALE_TOKENS, each.stale_tokens, (*common, (semconv.DB_COLLECTION, collection)))
        if each.fate is Fate.USED:
            for rank in each.ranks:
                self._record(semconv.USED_RANK, rank, {**dict(common), semconv.DB_COLLECTION: collection}, NO_EXEMPLAR)
        if each.cited:
            self.totals.add(semconv.CITED_CHUNKS, each.cited, (*common, (semconv.DB_COLLECTION, collection)))

    def _of_chunk(self, fate: Fate, collection: str | None) -> Attributes:
        return ((semconv.CHUNK_FATE, fate.value), (semconv.DB_COLLECTION, self._collection(collection)))

    def _collection(self, collection: str | None) -> str:
        return self.caps.bound(semconv.DB_COLLECTION, collection or UNKNOWN)

    def _count_standard(self, operation: Operation, context: Context, model: str) -> None:
        attributes = self._standard_attributes(operation, model)
        failed = _failed(attributes, operation)
        inference = operation.request.kind.is_inference
        if self._released or not inference:
            self._record(semconv.DURATION, operation.duration, failed, context)
        if self._latest and inference:
            self._record(semconv.INFERENCE_DURATION, operation.duration, failed, context)
            self._count_latest_tokens(operation, attributes)
        if operation.time_to_first_chunk is not None:
            for metric, wanted in (
                (semconv.FIRST_CHUNK, self._released),
                (semconv.INFERENCE_FIRST_CHUNK, self._latest),
            ):
                if wanted:
                    self._record(metric, operation.time_to_first_chunk, attributes, context)
        usage = operation.response.usage
        if not self._released or usage is None:
            return
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens is not None:
                self._record(semconv.TOKEN_USAGE, tokens, attributes | {semconv.TOKEN_TYPE: kind}, NO_EXEMPLAR)

    def _count_latest_tokens(self, operation: Operation, attributes: dict[str, str | int]) -> None:
        # The conventions ask for every inference to be counted, with 0 where no usage came back.
        usage = operation.response.usage
        modality = UNKNOWN if usage is None else "text"
        key = (*((name, str(value)) for name, value in attributes.items()), (semconv.TOKEN_MODALITY, modality))
        for metric, tokens in zip(
            semconv.LATEST_TOTALS,
            (0, 0, None, None, None)
            if usage is None
            else (
                usage.input_tokens or 0,
                usage.output_tokens or 0,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                usage.reasoning_tokens,
            ),
            strict=True,
        ):
            if tokens is not None:
                self.totals.add(metric, tokens, key)

    def _count_search(self, operation: Operation, context: Context, labels: Mapping[str, str]) -> None:
        request, chunks = operation.request, operation.response.chunks
        collection = self._collection(request.collection)
        attributes = {semconv.DB_SYSTEM: request.system, semconv.DB_COLLECTION: collection}
        failed = _failed(attributes, operation)
        named = failed | ({} if request.method is None else {semconv.DB_OPERATION: request.method})
        self._record(semconv.DB_DURATION, operation.duration, named, context)
        app = self._app(labels)
        self._record(semconv.SEARCH_DURATION, operation.duration, failed | app, context)
        if operation.error_type is not None:
            return
        self._record(semconv.SEARCH_RESULTS, len(chunks), attributes | app, context)
        if not chunks:
            self.totals.add(semconv.SEARCH_EMPTY, 1, tuple((attributes | app).items()))
        elif chunks[0].score is not None:
            self._record(semconv.SEARCH_SCORE, chunks[0].score, attributes | app, context)

    def _app(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {name: self.caps.bound(name, labels.get(name, UNSET)) for name in self._labels}

    def _model(self, model: str | None) -> str:
        return self.caps.bound(semconv.RESPONSE_MODEL, model or UNKNOWN)

    def _standard_attributes(self, operation: Operation, model: str) -> dict[str, str | int]:
        request = operation.request
        asked = None if request.model is None else self.caps.bound(semconv.REQUEST_MODEL, request.model)
        attributes = {
            semconv.OPERATION_NAME: request.kind.value,
            semconv.PROVIDER_NAME: request.system,
            semconv.RESPONSE_MODEL: model,
            semconv.REQUEST_MODEL: asked,
            semconv.SERVER_ADDRESS: request.server_address,
            semconv.SERVER_PORT: request.server_port,
        }
        return {name: value for name, value in attributes.items() if value is not None}

    def _record(
        self, metric: Metric, value: float, attributes: Mapping[str, str | int], context: Context | None
    ) -> None:
        self._histograms[metric.name].record(value, attributes, context)


def _failed(attributes: Mapping[str, str | int], operation: Operation) -> dict[str, str | int]:
    error = {} if operation.error_type is None else {semconv.ERROR_TYPE: operation.error_type}
    return {**attributes, **error}
