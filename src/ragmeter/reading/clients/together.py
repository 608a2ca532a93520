"""together: an OpenAI-shaped client for Together AI."""

from __future__ import annotations

from ragmeter.reading.shapes.generated_client import generated_client
from ragmeter.reading.shapes.openai_routes import ROUTES

INTEGRATION = generated_client("together", tested=("2.0", "3.1"), routes=ROUTES)
