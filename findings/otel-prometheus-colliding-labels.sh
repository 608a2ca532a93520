#!/usr/bin/env bash
# opentelemetry-exporter-prometheus 0.66b2: two attributes whose names become the same label (team.a and team_a) are one
# label in the page, with the value of the one that comes last in the order of names. The OpenTelemetry specification wants both
# values, joined by ";" in the order of the original names
# (https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#metric-attributes).
#
# Seen: orders_total{team_a="second"} for {"team.a": "first", "team_a": "second"}, without a warning; two series that differ in
# team.a only stand in the page twice, with the same name and labels.
# Fails when both values are there, or when equal series are no longer written twice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-prometheus==0.66b2 prometheus-client==0.22.1
"$folder/venv/bin/python" - <<'PROGRAM'
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest

counter = MeterProvider([PrometheusMetricReader()]).get_meter("shop").create_counter("orders")
counter.add(1, {"team.a": "first", "team_a": "second"})
counter.add(1, {"team.a": "other", "team_a": "second"})
lines = [line for line in generate_latest(REGISTRY).decode().splitlines() if line.startswith("orders_total{")]
print("\n".join(lines))
assert lines and not any("first" in line or ";" in line for line in lines), "both values are there: this has changed"
series = [line.rpartition(" ")[0] for line in lines]
assert len(series) == 2 and len(set(series)) == 1, "equal series are not written twice: this has changed"
print("still so: one of two values is gone, and one series stands there twice")
PROGRAM
