"""The rows of data that stand for the world outside: each is dated, has a source and can be meant."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from types import UnionType

import pytest

import ragmeter.facts
from ragmeter import facts
from ragmeter.anatomy import calibration, weights, wire_order
from ragmeter.domain import strategy
from ragmeter.focus.columns import FocusColumn
from ragmeter.money import price_conditions, price_rows
from ragmeter.money.price_table import UNITS
from ragmeter.planning.assumptions import AssumptionRow
from ragmeter.planning.quantities import QUANTITIES
from ragmeter.reading import providers
from ragmeter.reading.price_library import PriceLibrary, provider_ids
from ragmeter.reading.shapes.fees import SearchModelRow
from ragmeter.status_report import ForeignRow

FOLDER = Path(ragmeter.facts.__file__).parent
FIRST_DAY = date(2026, 11, 26)
"""The day on which this project began to read sources."""

KINDS: dict[str, type[facts.Fact]] = {
    "assumptions": AssumptionRow,
    "fees": price_rows.FeeRow,
    "fine_tuned_ids": strategy.FineTunedId,
    "focus_columns": FocusColumn,
    "foreign": ForeignRow,
    "geographies": price_conditions.Geography,
    "holidays": price_conditions.Holiday,
    "hosts": providers.HostRow,
    "long_prompts": price_conditions.LongPrompt,
    "peak_days": price_conditions.PeakDays,
    "prices": price_rows.ModelRow,
    "provider_names": providers.ProviderRow,
    "search_models": SearchModelRow,
    "standard_tiers": price_conditions.StandardTier,
    "surcharges": price_conditions.Surcharge,
    "tokenizers": weights.TokenizerRow,
    "tool_prompts": calibration.ToolPrompt,
    "unsure_fees": price_rows.UnitRow,
    "wire_order": wire_order.OrderRow,
}
OWN_UNITS = {"web_searches_preview"}
"""Units that are priced here alone, as `shapes.fees` counts them."""

PATTERNS = ("pattern", "hosts", "models", "providers")
ROWS = [
    pytest.param(subject, row, id=f"{subject}-{number}")
    for subject, kind in KINDS.items()
    for number, row in enumerate(facts.read(subject, kind))
]


def is_a(value: object, wanted: object) -> bool:
    """Whether a value is of the type that the class of its row declares."""
    if isinstance(wanted, UnionType):
        return any(is_a(value, each) for each in typing.get_args(wanted))
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Mapping:
        return isinstance(value, dict) and all(is_a(each, arguments[1]) for each in value.values())
    if origin is Sequence:
        return isinstance(value, list | tuple) and all(is_a(each, arguments[0]) for each in value)
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and not (isinstance(value, bool) and wanted is int)


def test_every_file_is_read_by_a_class_of_rows():
    """No file lies in the folder that nothing reads and nothing checks, and each says what it is about."""
    assert {path.stem for path in FOLDER.glob("*.json")} == set(KINDS)
    for path in FOLDER.glob("*.json"):
        written = json.loads(path.read_text("utf-8"))
        assert set(written) == {"about", "rows"}
        assert len(written["about"]) > 40
        assert written["rows"]


@pytest.mark.parametrize(("subject", "row"), ROWS)
def test_a_row_is_dated_has_a_source_and_its_types(subject, row):
    """Each row names the day on which a source was read, and where; every value is of the type its class declares."""
    assert FIRST_DAY <= date.fromisoformat(row.date) <= date.today()  # noqa: DTZ011 - days of sources have no zone
    assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]+(/\S*)?", row.source)
    types = typing.get_type_hints(type(row))
    assert [each.name for each in fields(row) if not is_a(getattr(row, each.name), types[each.name])] == []


@pytest.mark.parametrize("subject", KINDS)
def test_no_row_stands_there_twice(subject):
    """Two rows with the same key would hide which of them counts."""
    valued = {"price", "prices", "factor", "tokens", "date", "source", "note", "library_id", "other_names", "order"}
    valued |= {
        "hosts": {"provider"},
        "assumptions": {"low", "high", "published", "mistaken", "why"},
        "tokenizers": {"vocabulary"},
        "focus_columns": {"level", "nullable", "type"},
    }.get(subject, set())
    keys = [
        tuple(str(getattr(row, each.name)) for each in fields(row) if each.name not in valued)
        for row in facts.read(subject, KINDS[subject])
    ]
    assert [key for key, times in Counter(keys).items() if times > 1] == []


@pytest.mark.parametrize(("subject", "row"), ROWS)
def test_patterns_compile_and_units_and_providers_are_known(subject, row):
    """A pattern that is none, or a provider or unit that nobody has, would never fit: and nobody would see it."""
    for name in PATTERNS:
        pattern = getattr(row, name, "")
        if pattern and subject != "prices":
            re.compile(pattern)
    if subject in ("hosts", "provider_names"):
        assert providers.provider_named(row.provider) == row.provider
        assert getattr(row, "library_id", None) in (None, *provider_ids())
    elif provider := getattr(row, "provider", None):
        assert provider in provider_ids()
    units = {unit.name for unit in PriceLibrary().units().values()}
    assert getattr(row, "unit", "requests") in units | {"requests"} | OWN_UNITS
    assert set(getattr(row, "prices", ())) <= set(UNITS)


def test_an_order_of_the_wire_names_every_kind_of_part_once():
    """Each row says where tools, system text and messages stand."""
    for row in wire_order.ORDER_ROWS:
        assert sorted(row.order) == sorted(wire_order.READERS_ORDER)


def test_an_assumption_is_a_range_of_a_quantity_that_plans_know():
    """Each row stands for a quantity, with the lower end first; one that is often mistaken says why."""
    for row in facts.read("assumptions", AssumptionRow):
        assert row.assumption in QUANTITIES
        assert 0 < row.low <= row.high
        assert row.note.strip()
        assert bool(row.mistaken) == bool(row.why)
        assert not row.published or date.fromisoformat(row.published) <= date.fromisoformat(row.date)


def test_a_vocabulary_is_one_we_have_weights_for():
    """A row that names any other would end the import."""
    for row in facts.read("tokenizers", weights.TokenizerRow):
        assert row.vocabulary.upper() in weights.Vocabulary.__members__


def test_days_of_peaks_and_holidays_are_days():
    """What code reads as a date is one, and the hours are hours."""
    for row in facts.read("peak_days", price_conditions.PeakDays):
        assert date.fromisoformat(row.since)
        assert -12 <= row.hours_from_utc <= 14
        assert 0 <= row.quiet_hour < 24
    for holiday in facts.read("holidays", price_conditions.Holiday):
        first, last = holiday.days
        assert first <= last


def test_other_names_are_names_of_one_provider():
    """What a provider is called besides is no other provider's name."""
    names = [name for row in facts.read("provider_names", providers.ProviderRow) for name in row.other_names]
    assert len(names) == len(set(names))
    assert not set(names) & {row.provider for row in facts.read("provider_names", providers.ProviderRow)}


def test_a_host_is_found_by_its_own_row():
    """No row of hosts stands in the shadow of one above it."""
    for row in facts.read("hosts", providers.HostRow):
        for host in (row.host, f"me.{row.host}") if row.host else ():
            assert providers.provider_of_url(f"https://{host}", host) == row.provider


LATE = """
import pkgutil
import ragmeter
from opentelemetry.sdk.metrics import MeterProvider
ragmeter.instrument(meter_provider=MeterProvider(shutdown_on_exit=False))
pkgutil.get_data = None
from ragmeter.money.price_conditions import surcharge
from ragmeter.money.price_rows import fees_of
from ragmeter.reading.providers import provider_of_url
print(provider_of_url("https://api.groq.com", "api.groq.com"))
print(surcharge("openai", "gpt-5.4", "eu.api.openai.com", None))
print(*fees_of("x-ai", "grok"))
print(ragmeter.status().internal_errors)
"""


def test_the_files_are_read_by_instrument_and_never_later():
    """What stands in the files is there when `instrument()` returns: no call and no worker reads any."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LATE], capture_output=True, text=True, timeout=60, check=False
    )
    told = ["groq", "1.1", "storage_searches", "code_executions", "social_searches", "web_searches", "0"]
    assert done.stdout.split() == told, done.stderr
