"""The prices of genai-prices: which model a name means at a provider, and which prices hold at a moment.

Both follow genai-prices 0.2.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from ragmeter.reading.price_data import (
    MODEL,
    MODEL_ID,
    MODELS,
    MODELS_END,
    PriceData,
    evaluated,
    installed,
)
from ragmeter.reading.price_models import Found, Model, Provider, Unit


class Models:
    """The models of one provider in their order, each evaluated when it is first reached."""

    def __init__(self, pieces: list[bytes], pause: Callable[[], None]) -> None:
        self._pieces = pieces[::-1]
        self._pause = pause
        self._models: list[Model] = []

    def __iter__(self) -> Iterator[Model]:
        yield from self._models
        while self._pieces:
            model: Model = evaluated(self._pieces[-1])
            self._models.append(model)
            # Last of all: a child that is forked meanwhile has the model in the one or in the other.
            self._pieces.pop()
            self._pause()
            yield model


class PriceLibrary:
    """The providers and models of the data file, the installed one unless another is given.

    `pause` is called between the pieces that are evaluated.
    """

    def __init__(self, pause: Callable[[], None] = lambda: None, data: PriceData | None = None) -> None:
        self._data = installed() if data is None else data
        self._pause = pause
        self._providers: dict[str, Provider] = {}

    def provider(self, provider_id: str) -> Provider | None:
        """The provider of this id of the library."""
        known = self._providers.get(provider_id) or self._read(provider_id)
        if known is not None:
            # Hosts of all kinds are asked for here: what is no provider is not remembered.
            self._providers[provider_id] = known
        return known

    def find(self, provider_id: str, name: str) -> Found | None:
        """The model that a name means at a provider; a date without dashes also stands for one with them."""
        provider = self.provider(provider_id)
        if provider is None:
            return None
        name = name.lower()
        found = self._match(provider, name)
        if found is None and (dashed := _dashed(name)) != name:
            found = self._match(provider, dashed)
        return found

    def mentions(self, name: str) -> bool:
        """Whether a name may be that of a model here: it stands in the file, or one of its models is meant by it."""
        text = name.lower().encode()
        if any(text in piece for piece in self._data.pieces.values()):
            return True
        return any(self.find(provider_id, name) for _, provider_id in self._data.patterns)

    def model_ids(self) -> frozenset[str]:
        """The ids of all models."""
        texts = {evaluated(found) for piece in self._data.pieces.values() for found in MODEL_ID.findall(piece)}
        return frozenset((*texts, *(model.id for each in self._data.whole.values() for model in each.models)))

    def provider_ids(self) -> tuple[str, ...]:
        """The ids of all providers."""
        return (*self._data.pieces, *self._data.whole)

    def units(self) -> Mapping[str, Unit]:
        """The units by price key."""
        return self._data.units

    def _match(self, provider: Provider, name: str) -> Found | None:
        for provider_id in (provider.id, *provider.fallbacks):
            each = self.provider(provider_id)
            model = None if each is None else next((model for model in each.models if model.is_match(name)), None)
            if model is not None:
                return Found(model, provider_id)
        return None

    def _read(self, provider_id: str) -> Provider | None:
        piece = self._data.pieces.get(provider_id)
        if piece is None:
            return self._data.whole.get(provider_id)
        head, _, models = piece.partition(MODELS)
        provider: Provider = evaluated(b"Provider(" + head + b")")
        if not models:
            return provider
        # The line end before the first model is a part of what begins the list.
        pieces = (b"\n" + models.rpartition(MODELS_END)[0]).split(MODEL)[1:]
        return replace(provider, models=Models([b"ModelInfo(" + each for each in pieces], self._pause))


def url_patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """The pattern of each provider's URLs and its id, in the library's order."""
    return installed().patterns


def provider_ids() -> tuple[str, ...]:
    """The ids of the library's providers."""
    return tuple(provider_id for _, provider_id in installed().patterns)


_COMPACT_DATE = re.compile(r"(-)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _dashed(name: str) -> str:
    """A name with its date as `2025-12-11` where it was `20251211`, as gateways write it."""

    def write(found: re.Match[str]) -> str:
        year, month, day = (int(found[index]) for index in (2, 3, 4))
        try:
            datetime.date(year, month, day)
        except ValueError:
            return found[0]
        return f"-{year:04d}-{month:02d}-{day:02d}"

    return _COMPACT_DATE.sub(write, name)
