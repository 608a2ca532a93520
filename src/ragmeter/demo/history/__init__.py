"""Two weeks of a made-up shop's metrics, with planted incidents: so that dashboards and alerts are seen alive.

Single queries are drawn at random and counted as ragmeter counts those of a real program; `openmetrics` writes them for
`promtool tsdb create-blocks-from openmetrics`. Needs numpy, which qdrant-client brings.
"""
