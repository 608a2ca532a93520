"""A real RAG program, a local server that stands in for a model, and the table of what its answers cost."""
