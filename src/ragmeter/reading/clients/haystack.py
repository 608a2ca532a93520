"""haystack-ai: the scored documents that come out of a component in a pipeline or out of a tool, sync and async.

All pipelines run their components, and all agents their tools, through the functions named here. A component whose
`run` the app calls by hand passes through none of them: tell of its documents with `ragmeter.context()`.
In 2.x that holds of `Pipeline` only, for `AsyncPipeline` has a runner of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragmeter.reading.declaration import Integration, Retrieval
from ragmeter.reading.shapes.passages import read_passages, take_passages


def hold(outputs: Any) -> Sequence[Any] | None:
    """The documents, where one has a score.

    Only a search or a ranking gives scores, whatever the component's name; a converter or a splitter gives none.
    """
    documents = outputs.get("documents") if isinstance(outputs, Mapping) else None
    if not isinstance(documents, list):
        return None
    is_ranked = any(getattr(document, "score", None) is not None for document in documents)
    return take_passages(documents) if is_ranked else None


INTEGRATION = Integration(
    name="haystack",
    module="haystack",
    distribution="haystack-ai",
    tested=("3.0", "3.4"),
    targets=tuple(
        Retrieval(path, hold, read_passages)
        for path in (
            "haystack.core.pipeline.pipeline:Pipeline._run_component",
            # Not `_run_component_async`: it is a static method, which does not show that it is a coroutine.
            "haystack.core.pipeline.pipeline:_execute_component_async",
            "haystack.tools.tool:Tool.invoke",
            "haystack.tools.tool:Tool.invoke_async",
        )
    ),
)
