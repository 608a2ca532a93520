"""langchain-core: what every retriever gives, sync and async; its search is recorded by the database's own client.

A vector store asked without a retriever (`similarity_search`) is known by the database's client, else not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragmeter.integration import Integration, Retrieval
from ragmeter.shapes.passages import read_passages


def hold(result: Any) -> Sequence[Any] | None:
    """The documents as references: the app owns the list and may change it."""
    return tuple(result) if isinstance(result, list) else None


INTEGRATION = Integration(
    name="langchain",
    distribution="langchain-core",
    tested=("0.1", "1.8"),
    targets=tuple(
        Retrieval(f"langchain_core.retrievers:BaseRetriever.{method}", hold, read_passages)
        for method in ("invoke", "ainvoke")
    ),
)
