"""langchain-core: what every retriever gives, sync and async; its search is recorded by the database's own client.

A vector store asked without a retriever (`similarity_search`) is known by the database's client, else not at all.
"""

from __future__ import annotations

from ragmeter.reading.declaration import Integration, Retrieval
from ragmeter.reading.shapes.passages import hold_passages, read_passages

INTEGRATION = Integration(
    name="langchain",
    module="langchain_core",
    distribution="langchain-core",
    tested=("0.3", "1.8"),
    targets=tuple(
        Retrieval(f"langchain_core.retrievers:BaseRetriever.{method}", hold_passages, read_passages)
        for method in ("invoke", "ainvoke")
    ),
)
