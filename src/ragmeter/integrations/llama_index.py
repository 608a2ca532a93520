"""llama-index-core: what every retriever gives, sync and async; its search is recorded by the database's own client.

Query and chat engines come through here as well. What a postprocessor makes of the nodes is found in the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragmeter.integration import Integration, Retrieval
from ragmeter.shapes.passages import read_passages


def hold(result: Any) -> Sequence[Any] | None:
    """The nodes as references: the app owns the list and may change it."""
    return tuple(result) if isinstance(result, list) else None


INTEGRATION = Integration(
    name="llama_index",
    distribution="llama-index-core",
    tested=("0.10", "0.14"),
    targets=tuple(
        Retrieval(f"llama_index.core.base.base_retriever:BaseRetriever.{method}", hold, read_passages)
        for method in ("retrieve", "aretrieve")
    ),
)
