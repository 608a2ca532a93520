"""The columns that are written: those of the specification by its own list, then ours, which begin with `x_`."""

from __future__ import annotations

from dataclasses import dataclass

from ragmeter import facts

VERSION = "1.4"
"""Of FOCUS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusColumn(facts.Fact):
    """A column of the specification: `level` is `mandatory`, `conditional` or `recommended`.

    `type` is `string`, `decimal`, `datetime` or `json`, which is written as text.
    """

    column: str
    level: str
    nullable: bool
    type: str


SPECIFIED = {row.column: row for row in facts.read("focus_columns", FocusColumn)}

OWN = {
    "x_Estimated": "boolean",
    "x_Strategy": "string",
    "x_Origin": "string",
    "x_Model": "string",
    "x_PriceState": "string",
    "x_Units": "json",
}
"""The type of each column that is ours."""

COLUMNS = (
    *(
        *("AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId", "AllocatedResourceName"),
        *("AllocatedTags", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
        *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription"),
        *("ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit"),
        *("ContractedCost", "ContractedUnitPrice", "EffectiveCost", "HostProviderName", "InvoiceIssuerName"),
        *("ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ServiceCategory"),
        *("ServiceName", "ServiceProviderName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceId"),
        *("SubAccountId", "SubAccountName", "Tags"),
    ),
    *OWN,
)
"""What is written, in this order: of the specification's columns those that can be told from what is measured."""


def type_of(column: str) -> str:
    """The type of a column that is written."""
    return OWN.get(column) or SPECIFIED[column].type
