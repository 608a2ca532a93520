"""Real exchanges with providers, and what a correct observer must report of each: see `recordings/SOURCES.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from wire import Answer

FOLDER = Path(__file__).parent / "recordings"
NO_OPERATION = ("count_tokens", "images", "audio_transcription")
"""Endpoints that ragmeter lets pass: no text is generated there, or nothing is billed by the token."""


@dataclass(frozen=True)
class Recording:
    """One exchange: how to repeat it with a client library, and the figures that stand in its body.

    Tokens are as the provider counts them; `input_includes_cached` says whether cached ones are part of the input,
    `output_includes_reasoning` whether reasoning is part of the output.
    """

    file: str
    provider: str
    endpoint: str
    streaming: bool
    status: int
    library: str
    operation: str
    model_response: str | None
    response_id: str | None
    finish_reasons: tuple[str, ...]
    service_tier: str | None
    usage: Mapping[str, float]
    input_includes_cached: bool
    output_includes_reasoning: bool
    fails: bool
    background: bool

    @cached_property
    def _exchange(self) -> Mapping[str, Any]:
        text = (FOLDER / self.file).read_text(encoding="utf-8")
        (exchange,) = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["interactions"]
        return dict(exchange)

    @property
    def path(self) -> str:
        """The path that was asked, without its query."""
        return urlsplit(self._exchange["request"]["uri"]).path

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body of the request; empty where it was none."""
        body = self._exchange["request"].get("body") or "{}"
        return dict(json.loads(body)) if isinstance(body, str) else {}

    def answer(self, piece: int | None = None) -> Answer:
        """The recorded answer, a stream in pieces of `piece` bytes."""
        response = self._exchange["response"]
        body = response["body"]["string"]
        kept = {name: values[0] for name, values in response["headers"].items() if name == "x-should-retry"}
        return Answer(
            (body.encode() if isinstance(body, str) else body,),
            response["status"]["code"],
            kept,
            response["headers"]["content-type"][0],
            chunked=self.streaming,
            piece=piece,
        )

    @property
    def is_operation(self) -> bool:
        """Whether ragmeter records calls of this endpoint."""
        return self.endpoint not in NO_OPERATION

    @property
    def is_inference(self) -> bool:
        """Whether a model answers there."""
        return self.is_operation and self.endpoint != "embeddings"

    def figure(self, name: str) -> int | None:
        """A token count as the provider reported it, `None` where the body had none."""
        value = self.usage.get(name)
        return None if value is None else int(value)

    @property
    def input_tokens(self) -> int | None:
        """All input tokens, cached ones included whatever the provider's own convention is."""
        fresh = self.figure("input_tokens")
        if fresh is None or self.input_includes_cached:
            return fresh
        return fresh + (self.figure("cached_input_tokens") or 0) + (self.figure("cache_write_tokens") or 0)

    @property
    def output_tokens(self) -> int | None:
        """All output tokens: where reasoning stands beside them, what the total has beyond input and output."""
        told, total = self.figure("output_tokens"), self.figure("total_tokens")
        if told is None or self.output_includes_reasoning or total is None:
            return told
        return total - (self.input_tokens or 0)


@cache
def recordings() -> tuple[Recording, ...]:
    """All recordings, as the index lists them."""
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    return tuple(_recording(entry) for entry in index["recordings"])


def _recording(entry: Mapping[str, Any]) -> Recording:
    return Recording(
        file=entry["file"],
        provider=entry["provider"],
        endpoint=entry["endpoint"],
        streaming=entry["streaming"],
        status=entry["status"],
        library=entry["client"]["library"].split()[0],
        operation=entry["client"]["operation"],
        model_response=entry["model_response"],
        response_id=entry["response_id"],
        finish_reasons=tuple(entry["finish_reasons"]),
        service_tier=entry["service_tier"],
        usage=entry["usage"],
        input_includes_cached=entry["semantics"]["input_includes_cached"],
        output_includes_reasoning=entry["semantics"]["output_includes_reasoning"],
        fails=entry["error"] is not None,
        background="background" in entry["file"],
    )
