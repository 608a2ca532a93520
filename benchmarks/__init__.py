"""What ragmeter costs, measured against the bare OpenTelemetry floor in one run. Run as `python -m benchmarks`."""
