#!/usr/bin/env bash
# opentelemetry-sdk 1.45.2: a process that is forked after a counter was used reports the parent's counts as its own, and under
# a service.instance.id of its own. Whoever sums over instances (as dashboards do) counts the parent's work once for each child:
# servers that load the app, warm it up and then fork workers show a multiple of their start-up calls.
#
# Seen: parent 5 under one id; its child, which counted nothing, 5 under another id.
# Fails when the child starts from zero, or keeps the parent's id.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2
"$folder/venv/bin/python" - <<'PROGRAM'
import json
import os

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

reader = InMemoryMetricReader()
provider = MeterProvider([reader], resource=Resource.create({"service.name": "shop"}))
provider.get_meter("shop").create_counter("orders").add(5)


def told():
    data = reader.get_metrics_data()
    points = [p.value for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics for p in m.data.data_points] if data else []
    identity = data.resource_metrics[0].resource.attributes.get("service.instance.id") if data else None
    return sum(points), identity


reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.write(writing, json.dumps(told()).encode())
    os._exit(0)
os.waitpid(child, 0)
in_child, parent = json.loads(os.read(reading, 4096)), told()
print("parent", parent, "child that counted nothing", in_child)
assert parent[0] == 5 and in_child[0] == 5, "the child starts from zero: this has changed"
assert in_child[1] != parent[1], "the child keeps the parent's id: this has changed"
print("still so: five orders are ten to whoever sums over instances")
PROGRAM
