#!/usr/bin/env bash
# focus-validator 1.0.0 (with multimethod 1.12, which it needs to start at all): no file that follows FOCUS 1.0 passes its rules for 1.0.
# They ask for columns Provider, Publisher, InvoiceIssuer and ResourceID, which the specification calls ProviderName, PublisherName,
# InvoiceIssuerName and ResourceId (the folder specification/columns of https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec
# at tag v1.0, "Column ID"); a column of decimals that holds 300 is "not decimal", though an integer is a numeric value there
# (specification/attributes/numeric_format.md); and its list of currencies is opened by a path below the current folder, so that it is
# found from site-packages only.
#
# Seen: with one valid row, exit without a pass and "failed" for the six rules below.
# Fails when any of them passes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check focus-validator==1.0.0 multimethod==1.12
"$folder/venv/bin/python" - "$folder/valid.csv" <<'PROGRAM'
import csv
import sys

row = {
    "AvailabilityZone": "", "BilledCost": "12.5", "BillingAccountId": "acme", "BillingAccountName": "Acme", "BillingCurrency": "USD",
    "BillingPeriodEnd": "2026-12-01T00:00:00Z", "BillingPeriodStart": "2026-11-01T00:00:00Z", "ChargeCategory": "Usage",
    "ChargeClass": "", "ChargeDescription": "Tokens", "ChargeFrequency": "Usage-Based", "ChargePeriodEnd": "2026-11-01T01:00:00Z",
    "ChargePeriodStart": "2026-11-01T00:00:00Z", "CommitmentDiscountCategory": "", "CommitmentDiscountId": "",
    "CommitmentDiscountName": "", "CommitmentDiscountStatus": "", "CommitmentDiscountType": "", "ConsumedQuantity": "300",
    "ConsumedUnit": "Tokens", "ContractedCost": "12.5", "ContractedUnitPrice": "0.5", "EffectiveCost": "12.5",
    "InvoiceIssuerName": "Aura", "ListCost": "12.5", "ListUnitPrice": "0.5", "PricingCategory": "Standard", "PricingQuantity": "25.5",
    "PricingUnit": "Tokens", "ProviderName": "Aura", "PublisherName": "Aura", "RegionId": "north", "RegionName": "North",
    "ResourceId": "one", "ResourceName": "One", "ResourceType": "Model", "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "Aura", "SkuId": "sku", "SkuPriceId": "price", "SubAccountId": "", "SubAccountName": "", "Tags": "{}",
}
with open(sys.argv[1], "w", encoding="utf-8", newline="") as file:
    rows = csv.DictWriter(file, row)
    rows.writeheader()
    rows.writerow(row)
PROGRAM
said=$("$folder/venv/bin/focus-validator" --validate-version 1.0 --data-file "$folder/valid.csv" 2>&1 || true)
for rule in Provider_Required Publisher_Required InvoiceIssuer_Required ResourceID_Required ConsumedQuantity_IsDecimal \
    BillingCurrency_IsCurrencyCode; do
    grep "^$rule failed" <<<"$said" || { echo "$rule passes: this has changed"; exit 1; }
done
grep -o 'FileNotFoundError[^ ]*' <<<"$said"
echo "still so: a valid file fails"
