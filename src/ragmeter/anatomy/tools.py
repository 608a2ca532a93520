"""Tool definitions as OpenAI's models read them: declarations of functions in a typed language. Pure.

The form is known from the totals that calls report: it gives 62, 164 and 48 tokens for the tools of recorded calls in
which 67, 168 and 51 are left for them, where their JSON would give 97, 321 and 73.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ragmeter.domain.pausing import Pause, without_pause

DEEPEST = 8
"""Levels of a schema that are written out; what lies deeper counts as `any`."""

LONGEST_DEFINITION = 65_536
"""Characters of a definition beyond which it counts as it stands: it would take milliseconds to read."""

PLAIN = {"integer": "number"}


def declaration(definitions: Iterable[str], pause: Pause = without_pause) -> str:
    """The declarations of functions given as JSON texts; a schema or a hosted tool stays as it is."""
    lines = ["# Tools", "", "## functions", "", "namespace functions {", ""]
    others: list[str] = []
    for definition in definitions:
        try:
            function = _function(definition)
            if function is None:
                others.append(definition)
            else:
                lines += _declared(function)
        except RecursionError:
            others.append(definition)
        pause()
    return "\n".join([*lines, "} // namespace functions", *others])


def _declared(function: Mapping[str, Any]) -> list[str]:
    parameters = function.get("parameters")
    has_any = isinstance(parameters, Mapping) and parameters.get("properties")
    taken = f"_: {_type(parameters, DEEPEST)}" if has_any else ""
    return [*_comment(function.get("description")), f"type {function.get('name')} = ({taken}) => any;", ""]


def _function(definition: str) -> Mapping[str, Any] | None:
    if len(definition) > LONGEST_DEFINITION:
        return None
    try:
        tool = json.loads(definition)
    except (ValueError, RecursionError):
        return None
    if not isinstance(tool, Mapping) or tool.get("type", "function") != "function":
        return None
    function = tool.get("function", tool)
    # A named schema for the answer has a name as well.
    is_function = isinstance(function, Mapping) and "name" in function and "schema" not in function
    return function if is_function else None


def _type(schema: Any, depth: int) -> str:
    if not isinstance(schema, Mapping) or depth == 0:
        return "any"
    if isinstance(choices := schema.get("enum"), list):
        return " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    if isinstance(choices := schema.get("anyOf", schema.get("oneOf")), list):
        return " | ".join(_type(choice, depth - 1) for choice in choices)
    if isinstance(schema.get("properties"), Mapping):
        return _object(schema, depth)
    return f"{_type(schema.get('items'), depth - 1)}[]" if schema.get("type") == "array" else _plain(schema)


def _plain(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type", "any")
    return " | ".join(PLAIN.get(str(kind), str(kind)) for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _object(schema: Mapping[str, Any], depth: int) -> str:
    named = schema.get("required")
    required = {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()
    lines = ["{"]
    for name, value in schema["properties"].items():
        lines += _property(name, value, depth, is_required=name in required)
    return "\n".join((*lines, "}"))


def _property(name: str, schema: Any, depth: int, *, is_required: bool) -> list[str]:
    mark = "" if is_required else "?"
    description = schema.get("description") if isinstance(schema, Mapping) else None
    return [*_comment(description), f"{name}{mark}: {_type(schema, depth - 1)},"]


def _comment(description: Any) -> list[str]:
    return [f"// {line}" for line in str(description).splitlines()] if description else []
