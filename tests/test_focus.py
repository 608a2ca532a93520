"""An hour of counters as charges and rows of FOCUS: they sum to the counters, and have the specification's columns."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmeter.domain.model import OperationKind, Origin, PriceState
from ragmeter.focus import charges, files
from ragmeter.focus.charges import Trust
from ragmeter.focus.columns import COLUMNS, OWN, SPECIFIED, VERSION, type_of
from ragmeter.focus.rows import Account, row
from ragmeter.measured.hours import Hour
from ragmeter.measured.samples import Samples
from ragmeter.naming import semconv
from ragmeter.naming.prometheus_names import label_name, metric_name

NOON = datetime(2026, 12, 31, 12, tzinfo=UTC)
RATES = {"rate": "full", "provider": "openai", "model": "gpt-4.1", "strategy": "rag", "kind": "chat", "part": "context"}
NAMES = {
    "strategy": semconv.STRATEGY,
    "part": semconv.PART,
    "rate": semconv.TOKEN_RATE,
    "state": semconv.PRICE_STATE,
    "provider": semconv.PROVIDER_NAME,
    "model": semconv.RESPONSE_MODEL,
    "kind": semconv.OPERATION_NAME,
    "unit": semconv.UNIT,
}


def grew(metric, value, **given):
    """One row of growth, with the labels that the metric has and those of the app."""
    chosen = {**RATES, **given}
    own = {name: text for name, text in given.items() if name not in NAMES}
    labels = {NAMES[name]: text for name, text in chosen.items() if NAMES.get(name) in metric.labels}
    return metric_name(metric), {**{label_name(name): text for name, text in labels.items()}, **own}, value


def of(*grown, labels=()):
    return charges.charges(Hour(NOON, Samples.of(grown)), labels)


def rows_of(*grown, **account):
    return [row(each, Account(**account)) for each in of(*grown)]


# --- what must hold for any counters

WHO = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(["rag", "none"]),
        "provider": st.sampled_from(["openai", "qdrant"]),
        "model": st.sampled_from(["gpt-4.1", "unknown"]),
        "team": st.sampled_from(["", "shop", "unset"]),
    }
)
METER = {"part": st.sampled_from([*Origin, "output", "reasoning", "embedding", "ingestion", "search", "rerank"])}
RATE = {"rate": st.sampled_from(["full", "cache_read", "cache_write"])}
STATE = {"state": st.sampled_from(["priced", "estimated"])}
KIND = {"kind": st.sampled_from([*map(str, OperationKind), "of_tomorrow"])}
COUNTERS = st.one_of(
    *(
        st.builds(
            lambda metric, value, who, own: grew(metric, value, **who, **own),
            st.just(metric),
            values,
            WHO,
            st.fixed_dictionaries(own),
        )
        for metric, values, own in (
            (semconv.PART_TOKEN_COUNT, st.integers(0, 10**9).map(float), METER | RATE),
            (semconv.COST, st.floats(0, 1e6), METER | RATE | STATE),
            (semconv.UNITS, st.floats(0, 1e6), KIND | {"unit": st.sampled_from(["web_searches", "read_units"])}),
            (semconv.OPERATIONS, st.integers(0, 99).map(float), KIND | {"state": st.sampled_from([*PriceState])}),
        )
    )
)


@given(st.lists(COUNTERS, max_size=40), st.booleans())
def test_rows_sum_to_the_counters(grown, by_team):
    """Tokens, units and money of all rows are what the counters grew by, whatever they are split by."""
    samples = Samples.of(grown)
    found = charges.charges(Hour(NOON, samples), ("team",) if by_team else ())
    rows = [row(each, Account(sub_account="team")) for each in found]
    tokens = [each["ConsumedQuantity"] for each in rows if each["ConsumedUnit"] == "Tokens"]
    assert sum(tokens) == pytest.approx(samples.total(semconv.PART_TOKEN_COUNT) or 0.0)
    for column in ("ListCost", "ContractedCost", "EffectiveCost"):
        assert sum(each[column] or 0.0 for each in rows) == pytest.approx(samples.total(semconv.COST) or 0.0)
    units = [sum(json.loads(each["x_Units"]).values()) for each in rows if each["x_Units"]]
    assert sum(units) == pytest.approx(samples.total(semconv.UNITS) or 0.0)


@given(st.lists(COUNTERS, max_size=40))
def test_rows_are_as_the_specification_wants_them(grown):
    """No row lacks what must be there, but a cost without a price; prices by quantities are costs; shares sum to 1."""
    shares: dict[tuple[object, ...], float] = {}
    for each in rows_of(*grown):
        assert set(each) == set(COLUMNS)
        missing = {name for name in each if name in SPECIFIED and not SPECIFIED[name].nullable and each[name] is None}
        assert missing == ({"ListCost", "ContractedCost", "EffectiveCost"} if each["ListCost"] is None else set())
        assert (each["ListCost"] is None) == (each["x_PriceState"] == "unpriced")
        assert (each["ConsumedQuantity"] is None) == (each["ConsumedUnit"] is None)
        assert (each["PricingQuantity"] is None) == (each["PricingUnit"] is None)
        if each["ListUnitPrice"] is not None:
            assert each["ListUnitPrice"] * each["PricingQuantity"] == pytest.approx(each["ListCost"])
        assert each["BilledCost"] == 0
        assert each["x_Estimated"] is True
        if each["AllocatedMethodId"]:
            (element,) = json.loads(each["AllocatedMethodDetails"])["Elements"]
            origin = tuple(each[name] for name in ("SkuId", "x_Strategy"))
            shares[origin] = shares.get(origin, 0.0) + element["AllocatedRatio"]
    assert list(shares.values()) == pytest.approx([1.0] * len(shares))


def test_the_columns_are_those_of_the_specification():
    """All that are mandatory in FOCUS 1.4, in the order of its list, then ours, which begin with `x_`."""
    assert VERSION == "1.4"
    specified = [name for name in SPECIFIED if name in COLUMNS]
    assert tuple(specified) + tuple(OWN) == COLUMNS
    assert {name for name, each in SPECIFIED.items() if each.level == "mandatory"} <= set(COLUMNS)
    assert all(name.startswith("x_") for name in OWN)
    assert {type_of(name) for name in COLUMNS} == {"string", "decimal", "datetime", "json", "boolean"}


# --- what a row says


def test_each_meter_has_a_row_and_each_origin_its_share():
    """Cached and reasoning tokens are rows of their own; the origins of one meter share its charge."""
    found = rows_of(
        grew(semconv.PART_TOKEN_COUNT, 300),
        grew(semconv.COST, 0.0006, state="priced"),
        grew(semconv.PART_TOKEN_COUNT, 100, part="question"),
        grew(semconv.COST, 0.0002, part="question", state="priced"),
        grew(semconv.PART_TOKEN_COUNT, 1000, part="system", rate="cache_read"),
        grew(semconv.COST, 0.0005, part="system", rate="cache_read", state="priced"),
        grew(semconv.PART_TOKEN_COUNT, 50, part="output"),
        grew(semconv.COST, 0.0004, part="output", state="estimated"),
        grew(semconv.PART_TOKEN_COUNT, 20, part="reasoning"),
        grew(semconv.COST, 0.00016, part="reasoning", state="priced"),
        grew(semconv.OPERATIONS, 1, state="priced"),
    )
    told = {(each["SkuMeter"], each["x_Origin"]): each for each in found}
    assert {key: each["ConsumedQuantity"] for key, each in told.items()} == {
        ("Input Tokens", "context"): 300,
        ("Input Tokens", "question"): 100,
        ("Cache Read Input Tokens", "system"): 1000,
        ("Output Tokens", None): 50,
        ("Reasoning Output Tokens", None): 20,
    }
    context = told["Input Tokens", "context"]
    assert context["ListUnitPrice"] == pytest.approx(2.0)
    assert (context["PricingQuantity"], context["PricingUnit"]) == (pytest.approx(0.0003), "1000000 Tokens")
    assert context["AllocatedMethodId"] == "ragmeter-tokens-by-origin"
    assert json.loads(context["AllocatedMethodDetails"])["Elements"][0]["AllocatedRatio"] == 0.75
    assert context["AllocatedResourceId"] == "context"
    assert told["Output Tokens", None]["AllocatedMethodId"] is None
    assert told["Output Tokens", None]["x_PriceState"] == "estimated"
    assert context["BillingPeriodStart"] == datetime(2026, 12, 1, tzinfo=UTC)
    assert context["BillingPeriodEnd"] == datetime(2027, 1, 1, tzinfo=UTC)
    assert (context["ChargePeriodStart"], context["ChargePeriodEnd"].hour) == (NOON, 13)


def test_tokens_without_a_price_have_no_cost():
    """Null, never 0: also where an earlier hour had a price; a price of 0 is a cost of 0, and a part of it is said."""
    (unknown,) = rows_of(grew(semconv.PART_TOKEN_COUNT, 300), grew(semconv.OPERATIONS, 1, state="unpriced"))
    assert [unknown[f"{name}Cost"] for name in ("List", "Contracted", "Effective")] == [None] * 3
    assert (unknown["ListUnitPrice"], unknown["x_PriceState"]) == (None, "unpriced")
    (before,) = of(
        grew(semconv.PART_TOKEN_COUNT, 300),
        grew(semconv.COST, 0.0, state="priced"),
        grew(semconv.OPERATIONS, 1, state="unpriced"),
    )
    assert before.cost is None
    (free,) = of(
        grew(semconv.PART_TOKEN_COUNT, 300),
        grew(semconv.COST, 0.0, state="priced"),
        grew(semconv.OPERATIONS, 1, state="priced"),
    )
    assert (free.cost, free.trust) == (0.0, Trust.PRICED)
    (partly,) = rows_of(
        grew(semconv.PART_TOKEN_COUNT, 300),
        grew(semconv.COST, 0.1, state="priced"),
        grew(semconv.OPERATIONS, 1, state="priced"),
        grew(semconv.OPERATIONS, 1, state="unpriced"),
    )
    assert (partly["ListCost"], partly["ListUnitPrice"], partly["x_PriceState"]) == (0.1, None, "partly_unpriced")


def test_units_beside_tokens_have_their_own_meter():
    """One unit is a quantity with a price; several that were paid in one sum are named in one row."""
    (one,) = rows_of(
        grew(semconv.UNITS, 4, unit="web_searches"), grew(semconv.COST, 0.04, part="search", state="priced")
    )
    assert (one["SkuMeter"], one["ConsumedQuantity"], one["ConsumedUnit"]) == ("Web Searches", 4, "Web Searches")
    assert one["ListUnitPrice"] == pytest.approx(0.01)
    (both,) = rows_of(
        grew(semconv.UNITS, 4, unit="web_searches"),
        grew(semconv.UNITS, 2, unit="code_executions"),
        grew(semconv.COST, 0.05, part="search", state="priced"),
    )
    assert (both["ConsumedQuantity"], both["ListUnitPrice"], both["ListCost"]) == (None, None, 0.05)
    assert json.loads(both["x_Units"]) == {"web_searches": 4, "code_executions": 2}
    (read,) = rows_of(
        grew(semconv.UNITS, 7, kind="search", unit="read_units", provider="pinecone"),
        grew(semconv.OPERATIONS, 1, kind="search", state="priced", provider="pinecone"),
    )
    assert (read["ServiceCategory"], read["SkuMeter"]) == ("Databases", "Read Units")
    embedded = {"kind": "embeddings", "unit": "pictures", "model": "embedder"}
    (ingested,) = of(
        grew(semconv.UNITS, 3, **embedded), grew(semconv.COST, 0.3, part="ingestion", state="priced", model="embedder")
    )
    assert (ingested.part, ingested.units, ingested.cost) == ("ingestion", {"pictures": 3}, 0.3)


def test_labels_of_the_app_are_the_sub_account_and_tags():
    """What nobody has set is null, not a team called `unset`."""
    counted = [
        grew(semconv.PART_TOKEN_COUNT, 10, team="shop", feature="search"),
        grew(semconv.PART_TOKEN_COUNT, 20, team="unset", feature="search"),
    ]
    shop, nobody = (row(each, Account("acme", "team")) for each in of(*counted, labels=("team", "feature")))
    assert (shop["SubAccountId"], shop["Tags"], shop["BillingAccountId"]) == ("shop", '{"feature": "search"}', "acme")
    assert nobody["SubAccountId"] is None


# --- the file


def test_a_csv_file_has_plain_numbers_and_times_in_utc(tmp_path):
    """A point and no exponent, nothing for null, and JSON that stays JSON; the file is there when it is whole."""
    path = tmp_path / "focus.csv"
    with files.written(path) as write:
        write(rows_of(grew(semconv.PART_TOKEN_COUNT, 3), grew(semconv.COST, 1e-7, state="priced")))
        assert not path.exists()
    with path.open(encoding="utf-8", newline="") as file:
        (read,) = csv.DictReader(file)
    assert tuple(read) == COLUMNS
    assert (read["ListCost"], read["ConsumedQuantity"], read["ChargeClass"]) == ("0.0000001", "3.0", "")
    assert (read["ChargePeriodStart"], read["x_Estimated"]) == ("2026-12-31T12:00:00Z", "true")
    assert json.loads(read["AllocatedMethodDetails"])["Elements"][0]["AllocatedRatio"] == 1


def test_a_file_that_fails_leaves_the_one_before(tmp_path):
    """Neither half a file nor none in its place."""
    path = tmp_path / "focus.csv"
    path.write_text("before")

    def fail():
        with files.written(path) as write:
            write([{"ListCost": 1.0}])

    with pytest.raises(KeyError):
        fail()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("focus.csv", "before")]


def test_a_parquet_file_has_types(tmp_path):
    """Decimals are numbers, times have a time zone, and null is null."""
    pytest.importorskip("pyarrow", reason="pip install 'ragmeter[parquet]'")
    from pyarrow import parquet

    path = tmp_path / "focus.parquet"
    found = rows_of(grew(semconv.PART_TOKEN_COUNT, 3), grew(semconv.PART_TOKEN_COUNT, 4, part="output"))
    with files.written(path) as write:
        write(found)
    assert parquet.read_table(path).to_pylist() == [{name: each[name] for name in COLUMNS} for each in found]
