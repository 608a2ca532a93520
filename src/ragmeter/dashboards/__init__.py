"""Dashboards, recording rules and alerts as code: built from the metrics of `ragmeter.semconv`, written as files."""
