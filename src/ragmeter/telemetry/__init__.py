"""What is written: spans and metrics, and the providers, pages and addresses they go to."""
