"""Alerts and recording rules, run by promtool over invented histories."""
