"""Two weeks of a made-up shop's metrics, with planted incidents: so that dashboards and alerts are seen alive.

Single queries are drawn at random. The ledger and the telemetry that count those of a real program count them too, each
by itself; then they are let come again and again, as many at each step as the shop's traffic has. `openmetrics` writes
the sums for `promtool tsdb create-blocks-from openmetrics`. Needs numpy, which qdrant-client brings.
"""
