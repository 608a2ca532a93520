"""The names of all that is written: attributes, metrics, units, buckets, and what Prometheus makes of them."""
