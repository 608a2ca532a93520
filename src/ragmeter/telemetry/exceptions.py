"""Failed calls as log records, as the conventions have them, where the app has a logger provider."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from opentelemetry._logs import Logger, SeverityNumber, get_logger
from opentelemetry.context import Context

from ragmeter.domain.model import Operation
from ragmeter.naming import semconv
from ragmeter.version import VERSION


def log_exception(operation: Operation, context: Context) -> None:
    """Emit the event of an operation that raised; its exception's name alone, for a message may hold a prompt.

    Nothing where the API is from before loggers took events.
    """
    logger = get_logger(semconv.SCOPE, VERSION)
    if not _takes_events(type(logger)):
        return
    logger.emit(
        timestamp=operation.started + int(operation.duration * 1e9),
        context=context,
        severity_number=SeverityNumber.WARN,
        event_name=_event_of(operation),
        attributes=_attributes(operation),
    )


@cache
def _takes_events(kind: type[Logger]) -> bool:
    return "event_name" in inspect.signature(kind.emit).parameters


def _event_of(operation: Operation) -> str:
    return semconv.DB_EXCEPTION if operation.request.kind.means.of_database else semconv.CALL_EXCEPTION


def _attributes(operation: Operation) -> dict[str, Any]:
    request = operation.request
    found = {semconv.EXCEPTION_TYPE: operation.error_type}
    if request.kind.means.of_database:
        found |= {semconv.DB_SYSTEM: request.provider, semconv.DB_OPERATION: request.method}
    else:
        found |= {
            semconv.OPERATION_NAME: request.kind.value,
            semconv.PROVIDER_NAME: request.provider,
            semconv.REQUEST_MODEL: request.model,
        }
    return {name: value for name, value in found.items() if value is not None}
