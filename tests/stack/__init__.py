"""What ragmeter exports, read back from a real Prometheus: by scrape, and by OTLP through vmagent."""
