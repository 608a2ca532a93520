"""Charges as rows of FOCUS. Pure.

What is written is an estimate beside the invoice: no row has a billed cost, and each says so in `x_Estimated`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ragmeter.domain.model import Origin
from ragmeter.focus.charges import FULL, ORIGINS, Charge, Trust
from ragmeter.measured.hours import HOUR
from ragmeter.money.pricing import BESIDE_TOKENS

Value = str | float | bool | datetime | None
Row = Mapping[str, Value]

METHOD = "ragmeter-tokens-by-origin"
"""How a prompt's tokens are shared out over their origins: `docs/anatomy.md`."""

UNKNOWN_ACCOUNT = "ragmeter-estimate"
"""The billing account where none is given: the specification allows no null."""

MILLION = 1_000_000
TOKENS = "Tokens"
INPUT = {
    FULL: "Input Tokens",
    "cache_read": "Cache Read Input Tokens",
    "cache_write": "Cache Write Input Tokens",
}
"""The meter of each rate of a prompt's tokens."""
OTHERS = {"reasoning": "Reasoning Output Tokens", BESIDE_TOKENS: "Search Tokens"}
"""The meters of parts whose name alone does not tell."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose rows these are: the billing account, and the label of the app that tells its sub accounts apart."""

    billing: str = UNKNOWN_ACCOUNT
    sub_account: str | None = None


def row(charge: Charge, account: Account) -> Row:
    """The row of a charge, by its columns; what is unknown is `None`."""
    return {
        **_of_period(charge.hour),
        **_of_provider(charge),
        **_of_account(charge, account),
        **_of_meter(charge),
        **_of_money(charge),
        **_of_allocation(charge),
        "x_Estimated": True,
        "x_Strategy": charge.strategy,
        "x_Origin": charge.part if charge.part in ORIGINS else None,
        "x_Model": charge.model,
        "x_PriceState": charge.trust.value,
        "x_Units": _json(charge.units),
    }


def _of_period(hour: datetime) -> Row:
    month = hour.replace(day=1, hour=0)
    return {
        "BillingPeriodStart": month,
        "BillingPeriodEnd": month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1),
        "ChargePeriodStart": hour,
        "ChargePeriodEnd": hour + HOUR,
    }


def _of_provider(charge: Charge) -> Row:
    names = ("HostProviderName", "InvoiceIssuerName", "ServiceName", "ServiceProviderName")
    category = (
        ("Databases", "Other (Databases)") if charge.of_database else ("AI and Machine Learning", "Generative AI")
    )
    return {
        **dict.fromkeys(names, charge.provider),
        "ServiceCategory": category[0],
        "ServiceSubcategory": category[1],
    }


def _of_account(charge: Charge, account: Account) -> Row:
    sub_account = charge.labels.get(account.sub_account) if account.sub_account else None
    tags = {label: value for label, value in charge.labels.items() if label != account.sub_account}
    return {
        "BillingAccountId": account.billing,
        "BillingAccountName": None,
        "SubAccountId": sub_account,
        "SubAccountName": sub_account,
        "Tags": _json(tags),
    }


def _of_meter(charge: Charge) -> Row:
    meter = meter_of(charge)
    sku = f"{charge.provider}/{charge.model}/{meter}"
    quantity, unit = _consumed(charge)
    is_tokens = unit == TOKENS
    described = f"{meter} of {charge.model} at {charge.provider} ({charge.part}, {charge.strategy}): an estimate"
    return {
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": described,
        "ChargeFrequency": "Usage-Based",
        "SkuId": sku,
        "SkuPriceId": sku,
        "SkuMeter": meter,
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "PricingCategory": "Standard",
        "PricingQuantity": quantity / MILLION if is_tokens and quantity else quantity,
        "PricingUnit": f"{MILLION} {TOKENS}" if is_tokens else unit,
    }


def meter_of(charge: Charge) -> str:
    """The name of a charge's meter: of a unit that is counted alone, else of tokens."""
    if not charge.tokens and charge.units:
        return _title(next(iter(charge.units))) if len(charge.units) == 1 else "Units beside Tokens"
    if charge.part in ORIGINS:
        return INPUT.get(charge.rate, INPUT[FULL])
    return OTHERS.get(charge.part, f"{_title(charge.part)} {TOKENS}")


def _consumed(charge: Charge) -> tuple[float | None, str | None]:
    """How much was consumed of what: of tokens where there are any, else of the one unit that was counted."""
    if charge.tokens:
        return charge.tokens, TOKENS
    if len(charge.units) == 1:
        ((unit, number),) = charge.units.items()
        return number, _title(unit)
    return None, None


def _title(name: str) -> str:
    return name.replace("_", " ").title()


def _of_money(charge: Charge) -> Row:
    price = _unit_price(charge)
    return {
        "BilledCost": 0.0,
        "BillingCurrency": "USD",
        "ListCost": charge.cost,
        "ContractedCost": charge.cost,
        "EffectiveCost": charge.cost,
        "ListUnitPrice": price,
        "ContractedUnitPrice": price,
    }


def _unit_price(charge: Charge) -> float | None:
    """The mean price of a pricing unit, where all that was consumed is in one quantity and has a price."""
    quantity, unit = _consumed(charge)
    is_alone = not (charge.tokens and charge.units)
    if charge.cost is None or not quantity or not is_alone or charge.trust is Trust.PARTLY_UNPRICED:
        return None
    return charge.cost / quantity * (MILLION if unit == TOKENS else 1)


def _of_allocation(charge: Charge) -> Row:
    """Which origin of a prompt's text a meter's charge was allocated to, and by what share of its tokens."""
    is_split = charge.share is not None
    origin = Origin(charge.part).value if is_split else None
    element = {"AllocatedRatio": charge.share, "UsageUnit": TOKENS, "UsageQuantity": charge.tokens}
    return {
        "AllocatedMethodId": METHOD if is_split else None,
        "AllocatedMethodDetails": _json({"Elements": [element]}) if is_split else None,
        "AllocatedResourceId": origin,
        "AllocatedResourceName": None if origin is None else origin.replace("_", " ").capitalize(),
        "AllocatedTags": None,
    }


def _json(value: Mapping[str, object]) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None
