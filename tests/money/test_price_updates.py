"""A running app takes newer prices from a file, and keeps the old ones where a new file cannot be used."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import genai_prices
import pytest

from ragmeter.domain.model import Operation, OperationKind, Prompt, Request, Response, Usage
from ragmeter.money.price_updates import SECONDS_BETWEEN, PriceUpdates
from ragmeter.money.pricebook import PriceBook
from ragmeter.money.pricing import price
from ragmeter.settings import SettingsError, read_settings

NOW = int(datetime(2026, 11, 30, tzinfo=UTC).timestamp() * 1e9)


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def cost(book: PriceBook, model: str = "ours") -> float | None:
    """What a million tokens of input cost."""
    operation = Operation(Request(OperationKind.CHAT, "openai", model=model), Response(), Prompt(), NOW, 1.0)
    return price(Usage(input_tokens=1_000_000, output_tokens=0), book.card(operation)).amount


def test_a_changed_file_counts_within_a_minute(tmp_path: Path) -> None:
    """The rates of a file stand above the app's own, and those of a newer file hold from the next look on."""
    file, clock = tmp_path / "prices.toml", Clock()
    file.write_text("ours = {input = 1.0, output = 1.0}\n", "utf-8")
    book = PriceBook({"ours": {"input": 9.0}, "other": {"input": 7.0}}, updates=PriceUpdates(file, clock))
    assert (cost(book), cost(book, "other")) == (1.0, 7.0)
    file.write_text("ours = {input = 2.25, output = 1.0}\n", "utf-8")
    assert cost(book) == 1.0
    clock.now = SECONDS_BETWEEN
    assert (cost(book), cost(book, "other")) == (2.25, 7.0)


@pytest.mark.parametrize("broken", [b"ours = {input = ", b"ours = {inptu = 1.0}", b"# f\xfcr", b"", None])
def test_a_bad_file_leaves_the_old_rates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: bytes | None
) -> None:
    """Half-written, mistaken or missing: what was known stays, and one line says why; an empty table has no rates."""
    file, clock = tmp_path / "prices.toml", Clock()
    file.write_text("ours = {input = 1.0, output = 1.0}\n", "utf-8")
    book = PriceBook({}, updates=PriceUpdates(file, clock))
    if broken is None:
        file.unlink()
    else:
        file.write_bytes(broken)
    with caplog.at_level(logging.WARNING, logger="ragmeter"):
        for clock.now in (SECONDS_BETWEEN, 2 * SECONDS_BETWEEN, 3 * SECONDS_BETWEEN):
            assert cost(book) == (None if broken == b"" else 1.0)
    told = [record for record in caplog.records if "old prices stay" in record.getMessage()]
    assert len(told) == (1 if broken else 0)
    file.write_text("ours = {input = 4.0, output = 1.0}\n", "utf-8")
    clock.now = 4 * SECONDS_BETWEEN
    assert cost(book) == 4.0


def test_a_file_that_is_not_there_at_the_start_is_refused(tmp_path: Path) -> None:
    """`instrument()` says at once that it cannot read the file."""
    with pytest.raises(SettingsError, match=r"RAGMETER_PRICE_UPDATES.*cannot read"):
        read_settings({}, {"RAGMETER_PRICE_UPDATES": str(tmp_path / "nothing.toml")})


def test_a_newer_wheel_is_taken_in_with_pauses(tmp_path: Path) -> None:
    """The app may have the interpreter after each provider of the list, however long the list is."""
    package, file, pauses = Path(genai_prices.__file__).parent, tmp_path / "newer.whl", Counter[str]()
    with ZipFile(file, "w") as wheel:
        for module in ("data.py", "data_units.py"):
            wheel.write(package / module, f"genai_prices/{module}")
    newer = PriceUpdates(file, pause=lambda: pauses.update(["pause"])).newer.library
    assert newer is not None
    assert pauses["pause"] > len(newer.pieces) > 20
