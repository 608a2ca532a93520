"""Spans of frameworks that trace their models themselves: where one is current, the call inside it has its span."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import Span

from ragmeter.domain.model import Request
from ragmeter.naming import semconv

INFERENCES = frozenset(("chat", "text_completion", "generate_content"))
"""Operations under which conventions and frameworks record that a model writes an answer."""

OLD_PROVIDER_NAME = "gen_ai.system"
"""What the provider's name was called before."""


def is_recorded_by(span: Span, request: Request) -> bool:
    """Whether the span that is current around a call is another's span of that very call."""
    attributes = getattr(span, "attributes", None)
    if not attributes or not isinstance(attributes, Mapping):
        return False
    operation = attributes.get(semconv.OPERATION_NAME)
    if operation is None or not _is_of_kind(operation, request) or not span.is_recording() or is_ours(span):
        return False
    return _is_of_model(attributes, request)


def _is_of_kind(operation: Any, request: Request) -> bool:
    return operation in INFERENCES if request.kind.is_inference else operation == request.kind.value


def is_ours(span: Any) -> bool:
    """Whether a span is one that we have started."""
    return getattr(getattr(span, "instrumentation_scope", None), "name", None) == semconv.SCOPE


def _is_of_model(attributes: Mapping[str, Any], request: Request) -> bool:
    """By the model, which some frameworks write with the provider before it; else by the provider."""
    model = attributes.get(semconv.REQUEST_MODEL)
    if isinstance(model, str) and request.model is not None:
        return model.rpartition("/")[2] == request.model.rpartition("/")[2]
    return request.provider in (attributes.get(semconv.PROVIDER_NAME), attributes.get(OLD_PROVIDER_NAME))
