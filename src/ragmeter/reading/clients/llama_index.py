"""llama-index-core: what every retriever gives, sync and async; its search is recorded by the database's own client.

Query and chat engines come through here as well. What a postprocessor makes of the nodes is their last ranking.
"""

from __future__ import annotations

from ragmeter.reading.declaration import Integration, Retrieval
from ragmeter.reading.shapes.passages import hold_passages, read_passages, read_scored

INTEGRATION = Integration(
    name="llama_index",
    module="llama_index.core",
    distribution="llama-index-core",
    tested=("0.13", "0.14"),
    targets=(
        *(
            Retrieval(f"llama_index.core.base.base_retriever:BaseRetriever.{method}", hold_passages, read_passages)
            for method in ("retrieve", "aretrieve")
        ),
        *(
            Retrieval(
                f"llama_index.core.postprocessor.types:BaseNodePostprocessor.{method}", hold_passages, read_scored
            )
            for method in ("postprocess_nodes", "apostprocess_nodes")
        ),
    ),
)
