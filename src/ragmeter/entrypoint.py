"""Zero code: `opentelemetry-instrument python app.py` finds ragmeter through this class."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # its module opts out of types

import ragmeter


class RagmeterInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Starts and stops ragmeter the way OpenTelemetry's tools do; keyword arguments are those of `instrument()`."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Nothing is required: every client is optional, and waited for."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        ragmeter.instrument(**kwargs)

    def _uninstrument(self, **_: Any) -> None:
        ragmeter.uninstrument()
