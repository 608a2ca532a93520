"""groq: an OpenAI-shaped client; also the example of how little such a client takes."""

from __future__ import annotations

from ragmeter.reading.shapes.generated_client import generated_client
from ragmeter.reading.shapes.openai_routes import ROUTES

INTEGRATION = generated_client("groq", tested=("0.9", "1.7"), routes=ROUTES)
