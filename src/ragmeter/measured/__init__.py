"""What a running app has measured, read back from its `/metrics` page or from a Prometheus-compatible server."""
